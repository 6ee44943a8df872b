"""Who asks: x-api-key or bearer -> the key's entry, by digest (docs/conversion.md, "Request headers")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.api.this_machine import foreign_sign
from gateway.errors import AuthenticationFailed, KeyRefused
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry
from gateway.security import client_keys

_FIRST_KEY: Final = (
    "There is no client key yet: make one on the gateway's machine with `manage.py createclientkey NAME`, "
    "or at /admin/, and send it"
)


def authenticated(
    headers: Mapping[str, str],
    address: str,
    snapshot: ConfigSnapshot,
    *,
    now: float,
    open_to_all: bool,
    http_version: str = "1.1",
) -> KeyEntry | None:
    """The entry of the shown key; None for an allowed anonymous client.

    `headers` have lower-case names; `address` is the peer's; `now` is Unix time;
    `open_to_all` is the setting ALLOW_ANONYMOUS. Raises AuthenticationFailed; KeyRefused for a key.
    """
    shown = list(_credentials(headers))
    refused: KeyRefused | None = None
    for credential in shown:
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


def _credentials(headers: Mapping[str, str]) -> Iterator[str]:
    key = headers.get("x-api-key", "").strip()
    if key:
        yield key
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        yield token.strip()
