"""Secrets in what an exchange said are masked before it is stored (pure; runs in the recorder's threads).

A conversation is sent again with each turn: what was looked at is remembered by its
digest in its place and not looked at again.

Not found are secrets that a tool spreads over several blocks or messages, ones
that are encoded (base64, hex), and those no pattern describes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from gateway.audit.masked import DATA, Masked, masked_events, masked_text, masked_value
from gateway.audit.outcome import CapturedBodies
from gateway.audit.packing import Chain, PackedRequest
from gateway.audit.secret_patterns import Pattern, Suspects, matching, of_admin
from gateway.audit.stream_texts import stream_texts
from gateway.routing.snapshot import SecretLook
from gateway.wire import jsontext

# chains' digests that are remembered in one generation
GENERATION: Final = 60_000


class Masker:
    """Masks by the built-in patterns and `more`. Its memory is shared by the threads that use it."""

    def __init__(self, more: Sequence[Pattern] = (), generation: int = GENERATION) -> None:
        self._suspects = Suspects(more)
        self._limit = generation
        self._lock = threading.Lock()
        # digest of a piece in its place -> (masked value, count), or None when it had no secret
        self._young: dict[bytes, tuple[Any, int] | None] = {}
        self._old: dict[bytes, tuple[Any, int] | None] = {}

    def clean(self, texts: Iterable[bytes]) -> bool:
        """Whether none of these texts, JSON or what `looked_at` gives, can hold a secret.

        One look at all of them together takes as long as one at each of the short ones.
        """
        # what the provider said is mostly what the client got
        return not self._suspects.of(b"\n".join(dict.fromkeys(texts)))

    def request(self, packed: PackedRequest, *, clean: bool = False) -> tuple[PackedRequest, int]:
        """A request taken apart, its pieces and its recipe masked before anything is stored of it.

        `clean`: its recipe is known to be.
        """
        base, in_base = self._chain(packed.base)
        head, in_head = self._chain(packed.head)
        recipe, in_recipe = packed.recipe, 0
        if recipe is not None and not clean:
            text = jsontext.dumps(recipe)
            patterns = matching(text, self._suspects.of(text))
            if patterns:
                recipe, in_recipe = masked_value(recipe, patterns)
        count = in_base + in_head + in_recipe
        return (PackedRequest(base, head, recipe) if count else packed), count

    def document(self, body: bytes) -> Masked:
        """A whole body: JSON, or whatever it is."""
        patterns = self._suspects.of(body)
        if not patterns:
            return Masked(body)
        try:
            value, count = masked_value(jsontext.loads(body), patterns)
        except (jsontext.InvalidJSON, RecursionError):
            text, count = masked_text(body.decode("utf-8", "surrogateescape"), patterns)
            return Masked(text.encode("utf-8", "surrogateescape") if count else body, count)
        return Masked(jsontext.dumps(value) if count else body, count)

    def answer(self, body: bytes, looked: Sequence[bytes] | None = None) -> Masked:
        """A raw answer: one JSON document, or a stream of server-sent events.

        `looked`: what `looked_at` gave of it.
        """
        if not is_stream(body):
            return self.document(body)
        texts = looked_at(body) if looked is None else looked
        patterns = list(dict.fromkeys(pattern for text in texts for pattern in self._suspects.of(text)))
        return masked_events(body, patterns) if patterns else Masked(body)

    def bodies(self, bodies: CapturedBodies) -> tuple[CapturedBodies, int]:
        """All texts of an exchange, for a place where they are kept whole (the spool)."""
        received, sent = self.document(bodies.received), self.document(bodies.sent)
        answered, returned = self.answer(bodies.answered), self.answer(bodies.returned)
        masked = replace(
            bodies,
            received=received.text,
            sent=sent.text,
            answered=answered.text,
            returned=returned.text,
            received_json=None if received.count else bodies.received_json,
            sent_json=None if sent.count else bodies.sent_json,
        )
        return masked, received.count + returned.count

    def _chain(self, chain: Chain) -> tuple[Chain, int]:
        """The chain with secrets masked: the same when it has none, else one with other digests."""
        found: list[tuple[int, Any]] = []
        total = 0
        for index, digest in enumerate(chain.digests):
            known = self._look(digest, chain.values[index])
            if known is not None:
                found.append((index, known[0]))
                total += known[1]
        if not found:
            return chain, 0
        values = list(chain.values)
        for index, value in found:
            values[index] = value
        return Chain(values, [v if type(v) is bytes else jsontext.dumps(v) for v in values]), total

    def _look(self, digest: bytes, value: Any) -> tuple[Any, int] | None:
        if digest in self._young:
            return self._young[digest]
        known = self._old[digest] if digest in self._old else self._looked(value)
        with self._lock:
            if len(self._young) >= self._limit:
                self._old, self._young = self._young, {}
            self._young[digest] = known
        return known

    def _looked(self, value: Any) -> tuple[Any, int] | None:
        if type(value) is bytes:
            masked = self.document(value)
            return (masked.text, masked.count) if masked.count else None
        text = jsontext.dumps(value)
        patterns = matching(text, self._suspects.of(text))
        if not patterns:
            return None
        other, count = masked_value(value, patterns)
        return (other, count) if count else None


def looked_at(body: bytes) -> Sequence[bytes]:
    """Where a secret in an answer would show: in all of it, or in what a stream says and around it."""
    return stream_texts(body) if is_stream(body) else (body,)


def is_stream(body: bytes) -> bool:
    """Whether a raw answer is events and not one document."""
    return body[:1] not in (b"{", b"[") and DATA in body


@lru_cache(maxsize=2)
def masker(looks: tuple[SecretLook, ...] = ()) -> Masker:
    """The masker of these patterns of an admin; the same one as long as they are the same."""
    return Masker([of_admin(look) for look in looks])
