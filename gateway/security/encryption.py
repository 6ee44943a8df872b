"""Encryption of stored secrets with a list of Fernet keys; the only module that uses cryptography.

The first key encrypts, every key decrypts. To rotate, put a new key in front, encrypt the stored
secrets again (`manage.py rotatekeys`), then remove the old one.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.translation import gettext as _

HOW_TO_MAKE_A_KEY: Final = (
    'python -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
)

_SEALING: Final = b"opaque data that clients carry"


class EncryptionError(ValueError):
    """str() is a sentence for an admin and contains no secret."""


class UnusableKey(EncryptionError):
    """FIELD_ENCRYPTION_KEYS is empty or contains something that is not a Fernet key."""


class UnreadableSecret(EncryptionError):
    """No key of the list decrypts the stored text."""


def encrypt(text: str, keys: Sequence[str]) -> str:
    """Encrypt with the first key; the result is ASCII. Raises UnusableKey."""
    return _cipher(tuple(keys)).encrypt(text.encode()).decode("ascii")


def decrypt(token: str, keys: Sequence[str]) -> str:
    """Decrypt what encrypt made, with whichever key fits. Raises UnusableKey or Unreadable."""
    try:
        return _cipher(tuple(keys)).decrypt(token.encode()).decode()
    except (InvalidToken, UnicodeDecodeError):
        raise UnreadableSecret(
            "A stored secret cannot be opened with any key in FIELD_ENCRYPTION_KEYS. "
            "Put the key it was saved with back into the list, or enter the secret again."
        ) from None


def is_of_first_key(token: str, keys: Sequence[str]) -> bool:
    """Whether the first key alone decrypts a stored text. Raises UnusableKey."""
    try:
        decrypt(token, keys[:1])
    except UnreadableSecret:
        return False
    return True


def seal_keys(keys: Sequence[str]) -> tuple[bytes, ...]:
    """Keys to sign data that clients carry for us, derived from `keys` in their order.

    An empty list derives them from SECRET_KEY and its fallbacks. Either way all processes have the same ones.
    """
    keys = keys or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(hmac.digest(key.strip().encode(), _SEALING, "sha256") for key in keys)


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise UnusableKey(
            _("FIELD_ENCRYPTION_KEYS is empty, so secrets cannot be stored. Make a key with: %(command)s")
            % {"command": HOW_TO_MAKE_A_KEY}
        )
    return MultiFernet([_fernet(key, number) for number, key in enumerate(keys, start=1)])


def _fernet(key: str, number: int) -> Fernet:
    try:
        return Fernet(key.strip())
    except ValueError:
        raise UnusableKey(
            _(
                "Key %(number)d in FIELD_ENCRYPTION_KEYS is not 32 bytes in url-safe base64. "
                "Make one with: %(command)s"
            )
            % {"number": number, "command": HOW_TO_MAKE_A_KEY}
        ) from None
