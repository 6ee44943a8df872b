"""Random identifiers in the API's form: prefix + 24 characters of base62."""

from __future__ import annotations

import os
import random
import secrets
import string
from typing import Final

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTH: Final = 24
# Bytes as characters. 256 is no multiple of 62: eight characters are a quarter more frequent, which
# costs a hundredth of a bit each.
_CHARACTERS: Final = bytes(ord(ALPHABET[number % len(ALPHABET)]) for number in range(256))

# Ids must not collide; nothing is protected by them. One system call for each would be
# among the dearest things a small request does.
_random: Final = random.Random(secrets.randbits(256))  # noqa: S311
os.register_at_fork(after_in_child=lambda: _random.seed(secrets.randbits(256)))


def new_id(prefix: str) -> str:
    """`new_id("msg_")` -> "msg_" and 24 random base62 characters (about 142 bits)."""
    return prefix + _random.randbytes(LENGTH).translate(_CHARACTERS).decode("ascii")
