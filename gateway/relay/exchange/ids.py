"""Identifiers in the API's form: prefix + 24 characters, the time first and then random ones.

The first nine characters are the milliseconds since 1970 in 32 digits that every database sorts
alike. So the rows of requests that arrive together are neighbours in every index on a request id: a
batch of the history touches one page of such an index instead of one for each request.
"""

from __future__ import annotations

import os
import random
import secrets
import string
import time
from typing import Final

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTH: Final = 24
_DIGITS: Final = string.digits + string.ascii_lowercase[:22]
_OF_TIME: Final = 9
# the last two digits of the time, which change within a second
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
# Bytes as characters. 256 is not a multiple of 62: eight characters are a quarter more frequent, which
# costs a hundredth of a bit each.
_CHARACTERS: Final = bytes(ord(ALPHABET[number % len(ALPHABET)]) for number in range(256))

# Ids must not collide, but they protect nothing. A system call for each would be among the
# costliest things a small request does.
_random: Final = random.Random(secrets.randbits(256))  # noqa: S311
os.register_at_fork(after_in_child=lambda: _random.seed(secrets.randbits(256)))

# the time without its last two digits: as a number, and written out
_written: tuple[int, str] = (0, "0" * (_OF_TIME - 2))


def new_id(prefix: str) -> str:
    """`new_id("msg_")` -> "msg_", nine characters of time, and 15 random ones of base62 (about 89 bits)."""
    global _written
    now, last = divmod(time.time_ns() // 1_000_000, len(_PAIRS))
    known = _written
    if known[0] != now:
        known = _written = (now, _number(now))
    rest = _random.randbytes(LENGTH - _OF_TIME).translate(_CHARACTERS).decode("ascii")
    return f"{prefix}{known[1]}{_PAIRS[last]}{rest}"


def _number(number: int) -> str:
    digits = ""
    for _ in range(_OF_TIME - 2):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
