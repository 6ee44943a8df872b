"""Reasoning of the upstream: where it is read from, and what comes back with it.

Works on a whole message and on the delta of a chunk alike. `ReasoningReader` says which
part of one is thinking and which is visible; `Carrier` collects what the
provider wants to see again, and signs the thinking block with it.

See docs/conversion.md, "Showing thinking" and "Signatures".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from gateway.conversion import provider_state
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.wire.messages import JSONObject

# the place of thinking that was split off the content
TAGGED: Final = "think_tags"

_THINKING_PARTS: Final = ("thinking", "reasoning")
_DETAIL_TEXTS: Final = {"reasoning.text": "text", "reasoning.summary": "summary"}


class ReasoningReader:
    """Splits messages and deltas into thinking and visible text; `places` is the option reasoning_in."""

    __slots__ = ("_keys", "_sources")

    def __init__(self, places: tuple[str, ...]) -> None:
        self._sources = [(place, _PLACES[place]) for place in places if place in _PLACES]
        self._keys = frozenset(_KEYS.get(place, place) for place, _ in self._sources)

    def read(self, piece: Mapping[str, object]) -> tuple[str, str, str]:
        """(thinking, the place it came from, visible text); the first non-empty place alone is read."""
        content = piece.get("content")
        visible = content if type(content) is str else ""
        if type(content) is list or type(content) is dict:
            visible = _joined(content, ("text", "output_text"), "text")
        elif self._keys.isdisjoint(piece):
            return "", "", visible  # nearly every chunk of an answer
        for place, source in self._sources:
            thinking = source(piece)
            if thinking:
                return thinking, place, "" if place == "google_thought" else visible
        return "", "", visible


@lru_cache(maxsize=256)
def reader(places: tuple[str, ...]) -> ReasoningReader:
    """The Reader for `places`, one for all answers."""
    return ReasoningReader(places)


def _field(name: str) -> Callable[[Mapping[str, object]], str]:
    def text(piece: Mapping[str, object]) -> str:
        value = piece.get(name)
        return value if isinstance(value, str) else ""

    return text


def _details(piece: Mapping[str, object]) -> str:
    entries = piece.get("reasoning_details")
    if not isinstance(entries, list):
        return ""
    texts = (
        entry.get(_DETAIL_TEXTS.get(str(entry.get("type")), ""))
        for entry in entries
        if isinstance(entry, dict)
    )
    return "".join(text for text in texts if isinstance(text, str))


def _parts(piece: Mapping[str, object]) -> str:
    return _joined(piece.get("content"), _THINKING_PARTS, "thinking")


def _google_thought(piece: Mapping[str, object]) -> str:
    extra = piece.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    if not isinstance(google, dict) or google.get("thought") is not True:
        return ""
    content = piece.get("content")
    return content if isinstance(content, str) else ""


def _joined(content: object, kinds: tuple[str, ...], key: str) -> str:
    """The texts of the parts of these types. A part's text is a string, or a list of text parts (Mistral).

    A part may stand alone, or be its text.
    """
    if not isinstance(content, list):
        content = [content] if isinstance(content, dict) else []
    texts = []
    for part in content:
        if isinstance(part, str) and "text" in kinds:
            texts.append(part)
        elif isinstance(part, dict) and part.get("type", "text") in kinds:
            value = part.get(key, part.get("text"))
            texts.append(value if isinstance(value, str) else _joined(value, ("text",), "text"))
    return "".join(texts)


_PLACES: Final[dict[str, Callable[[Mapping[str, object]], str]]] = {
    **{name: _field(name) for name in ("reasoning_content", "reasoning", "reasoning_text", "thinking")},
    "reasoning_details": _details,
    "content_parts": _parts,
    "google_thought": _google_thought,
}


# where a place is not a field of that name
_KEYS: Final = {"content_parts": "content_parts", "google_thought": "extra_content"}


class Carrier:
    """Keeps what has to travel with the thinking, until a signature takes it along.

    `note` looks at every message or delta; `signature` empties the carrier.
    """

    __slots__ = (
        "_context",
        "_details",
        "_extras",
        "_ledger",
        "_place",
        "_thinking",
        "_told",
        "_wants_details",
        "_wants_text",
    )

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        fields = context.profile.replay_fields
        self._context = context
        self._ledger = ledger
        self._wants_details = "reasoning_details" in fields
        # an omitted text cannot come back by itself
        self._wants_text = context.thinking_omitted and (
            bool(fields) or context.profile.protocol == "responses"
        )
        self._details: list[JSONObject] = []
        self._extras: JSONObject = {}
        self._thinking: list[str] = []
        self._place = ""
        self._told = False

    @property
    def loaded(self) -> bool:
        """There is opaque data which no signature has taken yet."""
        return bool(self._details or self._extras)

    @property
    def needed(self) -> bool:
        """Some of it is a signature or encrypted: providers refuse the next turn of a call without it."""
        return bool(self._extras) or any("data" in entry or "signature" in entry for entry in self._details)

    @property
    def idle(self) -> bool:
        """`note` has nothing to look for."""
        return not self._wants_details and not self._context.profile.message_extras

    def note(self, piece: Mapping[str, object], *, whole: bool = False, grown: bool = False) -> None:
        """Keep the opaque data of a delta, or of a whole message: its entries are whole, too.

        `grown`: texts begin with what was said before.
        """
        if self._wants_details and isinstance(entries := piece.get("reasoning_details"), list):
            for entry in entries:
                if isinstance(entry, dict):
                    self._keep(entry, whole, grown)
        for key in self._context.profile.message_extras:
            value = piece.get(key)
            if value is not None:
                self._extras[key] = value

    def said(self, thinking: str, place: str) -> None:
        """Remember where thinking came from, and the text itself when the client will not carry it."""
        self._place = self._place or place
        if self._wants_text:
            self._thinking.append(thinking)

    def not_shown(self) -> None:
        """There was reasoning, and the client did not ask for it (docs/conversion.md, "Showing thinking")."""
        if not self._told:
            self._told = True
            self._ledger.dropped("content.thinking", "thinking was not asked for")

    def signature(self, sealed: Mapping[str, object] | None = None) -> str:
        """Sign a thinking block with what was collected since the last one, and with what is its own."""
        payload: JSONObject = {
            "p": self._context.profile.provider,
            "m": self._context.profile.upstream_model or self._context.model,
        }
        if self._place:
            payload["f"] = self._place
        if self._details:
            payload["rd"] = self._details
        if self._thinking:
            payload["t"] = "".join(self._thinking)
        if self._extras:
            payload["x"] = self._extras
        payload.update(sealed or {})
        signed, complete = provider_state.signature(payload, self._context.seal)
        if not complete:
            self._ledger.dropped(
                "content.thinking.signature", "the provider's opaque data is too large to carry"
            )
        self._details, self._extras, self._thinking, self._place = [], {}, [], ""
        return signed

    def _keep(self, entry: Mapping[str, object], whole: bool, grown: bool) -> None:
        """Pieces of one streamed entry become one entry again."""
        last = self._details[-1] if self._details else None
        text = _DETAIL_TEXTS.get(str(entry.get("type")))
        if (
            whole
            or last is None
            or text is None
            or last.get("type") != entry.get("type")
            or last.get("index") != entry.get("index")
            or (entry.get("id") is not None and last.get("id") not in (None, entry["id"]))
        ):
            self._details.append(dict(entry))
            return
        for key, value in entry.items():
            if key == text and isinstance(value, str) and isinstance(last.get(key), str):
                last[key] = value if grown and value.startswith(last[key]) else last[key] + value
            elif value is not None:
                last[key] = value
