"""Random identifiers in the API's form: prefix + 24 characters of base62."""

from __future__ import annotations

import os
import random
import secrets
import string
from typing import Final

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTH: Final = 24
_PAIRS: Final = [first + second for first in ALPHABET for second in ALPHABET]
_BASE: Final = len(_PAIRS)

# Ids must not collide; nothing is protected by them. One system call for each would be
# among the dearest things a small request does.
_random: Final = random.Random(secrets.randbits(256))  # noqa: S311
os.register_at_fork(after_in_child=lambda: _random.seed(secrets.randbits(256)))


def new_id(prefix: str) -> str:
    """`new_id("msg_")` -> "msg_" and 24 random base62 characters (about 143 bits)."""
    pairs = []
    for _ in range(LENGTH // 2):
        pairs.append(_PAIRS[int(_random.random() * _BASE)])
    return prefix + "".join(pairs)
