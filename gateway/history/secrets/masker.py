"""Secrets in what an exchange said are masked before it is stored (pure; runs in the recorder's threads).

A conversation is sent again with each turn: what was looked at is remembered by its
digest in its place and not looked at again.

Not found are secrets that a tool spreads over several blocks or messages, ones
that are encoded (base64, hex), and those no pattern describes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

from gateway.cache import GenerationalCache
from gateway.history.content.chunking import Chain, PackedRequest
from gateway.history.outcome import CapturedBodies
from gateway.history.secrets.masked import Masked, masked_events, masked_text, masked_value
from gateway.history.secrets.patterns import Suspects, of_admin, of_value
from gateway.history.secrets.secret_search import Work, may_hold
from gateway.masking.kinds import SecretKind
from gateway.routing.snapshot import SecretLook
from gateway.wire import json_bounds, jsontext
from gateway.wire.stored_stream import is_stream, stream_texts

# pieces that are remembered, by their digests
MOST_KNOWN: Final = 120_000


class _Known(NamedTuple):
    """A piece with its secrets masked. `whole`: texts of it that could not be looked through."""

    value: Any
    masked: int
    whole: int


_CLEAN: Final = _Known(None, 0, 0)


class Masker:
    """Masks by the built-in patterns and `more`. Its memory is shared by the threads that use it.

    `work`: what the texts of one exchange may cost together; each call has its own when it is not given.
    """

    def __init__(self, more: Sequence[SecretKind] = (), most: int = MOST_KNOWN) -> None:
        self._suspects = Suspects(more)
        # digest of a piece in its place -> what it became
        self._known: GenerationalCache[bytes, _Known] = GenerationalCache(most)

    def clean(self, texts: Iterable[bytes]) -> bool:
        """Whether none of these texts, JSON or what `looked_at` gives, can hold a secret.

        One look at all of them together takes as long as one at each of the short ones.
        """
        # what the provider said is mostly what the client got
        return not self._suspects.of(b"\n".join(dict.fromkeys(texts)))

    def request(
        self, packed: PackedRequest, work: Work | None = None, *, clean: bool = False
    ) -> tuple[PackedRequest, int]:
        """A request taken apart, its pieces and its recipe masked before anything is stored of it.

        `clean`: its recipe is known to be.
        """
        work = work or Work()
        base, in_base = self._chain(packed.base, work)
        head, in_head = self._chain(packed.head, work)
        recipe, in_recipe = packed.recipe, 0
        if recipe is not None and not clean:
            text = jsontext.dumps(recipe)
            patterns = self._matching(text, work)
            if patterns:
                recipe, in_recipe = masked_value(recipe, patterns, work)
        count = in_base + in_head + in_recipe
        return (PackedRequest(base, head, recipe) if count else packed), count

    def document(self, body: bytes, work: Work | None = None) -> Masked:
        """A whole body: JSON, or whatever it is."""
        work = work or Work()
        patterns = self._suspects.of(body)
        if not patterns:
            return Masked(body)
        try:
            value, count = masked_value(json_bounds.loads(body), patterns, work)
        except (jsontext.InvalidJSON, RecursionError):
            text, count = masked_text(body.decode("utf-8", "surrogateescape"), patterns, work)
            return Masked(text.encode("utf-8", "surrogateescape") if count else body, count)
        return Masked(jsontext.dumps(value) if count else body, count)

    def facts(self, facts: dict[str, Any], work: Work | None = None) -> tuple[dict[str, Any], int]:
        """The facts of a request (RequestLog.facts) with secrets masked in the headers that rules name."""
        headers = facts.get("header")
        if not headers:
            return facts, 0
        masked = self.document(jsontext.dumps(headers), work)
        return (
            ({**facts, "header": jsontext.loads(masked.text)}, masked.count) if masked.count else (facts, 0)
        )

    def text(self, text: str, work: Work | None = None) -> tuple[str, int]:
        """A text that stands by itself, such as an error's message."""
        patterns = self._suspects.of(text.encode("utf-8", "replace")) if text else []
        return masked_text(text, patterns, work or Work()) if patterns else (text, 0)

    def answer(self, body: bytes, looked: Sequence[bytes] | None = None, work: Work | None = None) -> Masked:
        """A raw answer: one JSON document, or a stream of server-sent events.

        `looked`: what `looked_at` gave of it.
        """
        if not is_stream(body):
            return self.document(body, work)
        texts = looked_at(body) if looked is None else looked
        patterns = list(dict.fromkeys(pattern for text in texts for pattern in self._suspects.of(text)))
        return masked_events(body, patterns, work or Work()) if patterns else Masked(body)

    def bodies(self, bodies: CapturedBodies, work: Work | None = None) -> tuple[CapturedBodies, int]:
        """All texts of an exchange, for a place where they are kept whole (the spool)."""
        work = work or Work()
        received, sent = self.document(bodies.received, work), self.document(bodies.sent, work)
        answered = self.answer(bodies.answered, work=work)
        returned = self.answer(bodies.returned, work=work)
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

    def _chain(self, chain: Chain, work: Work) -> tuple[Chain, int]:
        """The chain with secrets masked: the same when it has none, else one with other digests."""
        found: list[tuple[int, Any]] = []
        total = 0
        for index, digest in enumerate(chain.digests):
            known = self._look(digest, chain.values[index], work)
            if known is not _CLEAN:
                found.append((index, known.value))
                total += known.masked
        if not found:
            return chain, 0
        values = list(chain.values)
        for index, value in found:
            values[index] = value
        return Chain(values, [v if type(v) is bytes else jsontext.dumps(v) for v in values]), total

    def _look(self, digest: bytes, value: Any, work: Work) -> _Known:
        known = self._known.get(digest)
        if known is None:
            known = self._looked(value, work)
            self._known.put(digest, known)
        work.whole += known.whole
        return known

    def _looked(self, value: Any, work: Work) -> _Known:
        # what was not looked through is remembered, for each exchange that brings it again
        before = work.whole
        if type(value) is bytes:
            masked = self.document(value, work)
            other, count = masked.text, masked.count
        else:
            text = jsontext.dumps(value)
            patterns = self._matching(text, work)
            other, count = masked_value(value, patterns, work) if patterns else (value, 0)
        whole, work.whole = work.whole - before, before
        return _Known(other, count, whole) if count else _CLEAN

    def _matching(self, json: bytes, work: Work) -> list[SecretKind]:
        """The patterns that may match in the texts of a JSON value."""
        suspects = self._suspects.of(json)
        if not suspects:
            return []
        text = json.decode()
        return [pattern for pattern in suspects if not pattern.in_json or may_hold(text, pattern, work)]


def looked_at(body: bytes) -> Sequence[bytes]:
    """The texts in which a secret of an answer would show: the whole, or what a stream says and the rest."""
    return stream_texts(body) if is_stream(body) else (body,)


@lru_cache(maxsize=2)
def masker(looks: tuple[SecretLook, ...] = (), secrets: tuple[str, ...] = ()) -> Masker:
    """The masker for an admin's patterns and configured values, kept while these stay the same."""
    return Masker([*map(of_value, secrets), *map(of_admin, looks)])
