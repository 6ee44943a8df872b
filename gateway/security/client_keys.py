"""Client keys: made once, shown once, kept as a digest.

A key is `ccp_` and 43 letters and digits (256 random bits): one double click
selects it, and a secret scanner recognises it.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from typing import Final

KEY_START: Final = "ccp_"
_ALPHABET: Final = string.ascii_letters + string.digits
_RANDOM_CHARACTERS: Final = 43  # 62 ** 43 is slightly more than 2 ** 256
_PREFIX_LENGTH: Final = 8
# Four characters would be a large part of a short key chosen by hand.
_LONG_ENOUGH_FOR_LAST_FOUR: Final = 16


def new_key() -> str:
    """A new random client key."""
    return KEY_START + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def digest(key: str) -> str:
    """The hex SHA-256 of a key, which is all that is stored of it. Any text is accepted."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def prefix(key: str) -> str:
    """The first characters of a key made here, for lists; empty for any other key."""
    return key[:_PREFIX_LENGTH] if key.startswith(KEY_START) else ""


def last_four(key: str) -> str:
    """The last four characters; empty when the key is too short to reveal them."""
    return key[-4:] if len(key) >= _LONG_ENOUGH_FOR_LAST_FOUR else ""


def shown(key: str) -> str:
    """How a key may be displayed after it was issued: `ccp_Ab12…wxyz`."""
    return shortened(prefix(key), last_four(key))


def shortened(start: str, end: str) -> str:
    """The stored prefix and last four as one short text; `…` when nothing of the key is known."""
    return f"{start}…{end}"
