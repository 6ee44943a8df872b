"""Who asks: x-api-key or bearer -> the key's entry, by digest (docs/conversion.md, "Request headers")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.api.this_machine import foreign_sign
from gateway.errors import AuthenticationFailed, KeyRefused
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry
from gateway.security import access_tokens, client_keys

_FIRST_KEY: Final = (
    "There is no client key yet: make one on the gateway's machine with `manage.py createclientkey NAME`, "
    "or in the admin, and send it"
)


def authenticated(
    headers: Mapping[str, str],
    address: str,
    snapshot: ConfigSnapshot,
    *,
    now: float,
    open_to_all: bool,
    http_version: str = "1.1",
    lenience: float = 0,
) -> KeyEntry | None:
    """The entry of the shown key; None for an allowed anonymous client.

    `headers` have lower-case names; `address` is the peer's; `now` is Unix time;
    `open_to_all` is the setting ALLOW_ANONYMOUS; `lenience`: how many seconds past its end an access token
    of a sign-in that is still good is taken. Raises AuthenticationFailed; KeyRefused for a key.
    """
    shown = list(_credentials(headers))
    refused: KeyRefused | None = None
    for credential in shown:
        if credential.startswith(access_tokens.ACCESS_START):
            return _signed_in(credential, snapshot, now, lenience)
        entry = snapshot.keys.get(client_keys.digest(credential))
        if entry is not None:
            reason = entry.refusal(now)
            if reason is None:
                return entry
            sentence = snapshot.refusal_sentence(reason, entry)
            prefix = client_keys.prefix(credential)
            refused = refused or KeyRefused(sentence, reason=reason, prefix=prefix, key_id=entry.id)
    if refused is not None:
        raise refused
    sign = ""
    if snapshot.anonymous_allowed:
        sign = "" if open_to_all else foreign_sign(headers, address, http_version)
        if not sign:
            return None
    problem = snapshot.refusal_sentence("unknown") if shown else "x-api-key header is required"
    if not snapshot.keys:
        only = f"without a key only programs on its own machine are served, and {sign}. " if sign else ""
        problem = f"{problem.partition('; ask ')[0]}: {only}{_FIRST_KEY}"
    if shown:
        raise KeyRefused(problem, reason="unknown", prefix=client_keys.prefix(shown[0]))
    raise AuthenticationFailed(problem)


def signed_in(headers: Mapping[str, str]) -> bool:
    """Whether somebody shows an access token of a sign-in, good or not."""
    return any(shown.startswith(access_tokens.ACCESS_START) for shown in _credentials(headers))


def _signed_in(credential: str, snapshot: ConfigSnapshot, now: float, lenience: float) -> KeyEntry:
    """The sign-in of an access token. Raises AuthenticationFailed, in words that its person reads."""
    token = access_tokens.read_access_token(credential, snapshot.token_keys)
    entry = snapshot.sign_ins.get(token.sign_in) if token is not None else None
    if token is None or entry is None or entry.revoked:
        raise AuthenticationFailed("this sign-in has ended; sign in again")
    if not entry.owner_active:
        raise AuthenticationFailed(f"your account is not active; ask {snapshot.contact}")
    if now >= token.expires + lenience or entry.refusal(now):
        raise AuthenticationFailed("this sign-in has expired; sign in again")
    return entry


def _credentials(headers: Mapping[str, str]) -> Iterator[str]:
    key = headers.get("x-api-key", "").strip()
    if key:
        yield key
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        yield token.strip()
