"""Access tokens of signed-in clients: signed by us, so that no process has to look one up.

A token names its sign-in and its end. Whether that sign-in is still good is seen in the configuration that
each process holds, so a token is refused everywhere soon after its sign-in is revoked. It stays good through
restarts, and through a change of keys as long as the old one stays in the list.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

ACCESS_START: Final = "cca_"
REFRESH_START: Final = "ccr_"
_PURPOSE: Final = b"access token of a sign-in: "
_SIGNATURE: Final = 32
LONGEST: Final = 200


class AccessToken(NamedTuple):
    """`sign_in`: the id of its client key. `expires`: Unix seconds."""

    sign_in: int
    expires: int


def new_access_token(sign_in: int, expires: int, keys: Sequence[bytes]) -> str:
    """A token that is good until `expires`, signed with the first key."""
    body = f"{sign_in:x}.{expires:x}.{secrets.token_urlsafe(16)}"
    return f"{ACCESS_START}{body}.{_signed(body, keys[0])}"


def read_access_token(token: str, keys: Sequence[bytes]) -> AccessToken | None:
    """What a token says; None when it is not one of ours. Its end is for the caller to compare."""
    if not token.startswith(ACCESS_START) or len(token) > LONGEST or not token.isascii():
        return None
    body, _, signature = token[len(ACCESS_START) :].rpartition(".")
    if not any(hmac.compare_digest(signature, _signed(body, key)) for key in keys):
        return None
    sign_in, expires, _nonce = body.split(".", 2)
    return AccessToken(int(sign_in, 16), int(expires, 16))


def new_refresh_token() -> str:
    return REFRESH_START + secrets.token_urlsafe(32)


def _signed(body: str, key: bytes) -> str:
    return hmac.new(key, _PURPOSE + body.encode(), "sha256").hexdigest()[: 2 * _SIGNATURE]
