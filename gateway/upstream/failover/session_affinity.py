"""Which credential a conversation uses: always the same one, agreed on without communication (pure).

Rendezvous hashing: each credential gets a score from the session and its own id, and the highest
score wins. All processes compute the same order; when a credential is added or set aside, only
the conversations that it wins or held move.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from gateway.routing.snapshot import Credential


def in_order(credentials: Sequence[Credential], session: str) -> Sequence[Credential]:
    """The credentials in the order in which a session tries them.

    Lower positions come first; credentials of one position share the sessions.
    """
    if len(credentials) < 2:
        return credentials
    return sorted(credentials, key=lambda credential: (credential.position, -_score(session, credential.id)))


def _score(session: str, credential_id: int) -> int:
    digest = blake2b(f"{credential_id}:{session}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
