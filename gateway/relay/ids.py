"""Random identifiers in the API's form: prefix + 24 characters of base62."""

from __future__ import annotations

import secrets
import string
from typing import Final

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTH: Final = 24
_MODULUS: Final = 62**LENGTH


def new_id(prefix: str) -> str:
    """`new_id("msg_")` -> "msg_" and 24 random base62 characters (about 143 bits)."""
    number = secrets.randbits(160) % _MODULUS
    characters = []
    for _ in range(LENGTH):
        number, digit = divmod(number, 62)
        characters.append(ALPHABET[digit])
    return prefix + "".join(characters)
