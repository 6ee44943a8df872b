"""Secrets in texts are masked before the texts are stored (pure; runs in the recorder's threads).

Each pattern has literals, and only a text that has one of them is looked at
closely, so a text without secrets costs a few searches for short texts. A
conversation is sent again with each turn: what was looked at is remembered by
its digest in its place and not looked at again.

In a stream a secret may be spread over many events. The texts of one block are
joined for the search, and what is found is taken out of each event it touches.
Not found are secrets that a tool spreads over several blocks or messages, ones
that are encoded (base64, hex), and those no pattern describes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

from gateway.audit.outcome import CapturedBodies
from gateway.audit.packing import Chain, PackedRequest
from gateway.routing.snapshot import SecretLook
from gateway.wire import jsontext

# chains' digests that are remembered in one generation
GENERATION: Final = 60_000
_DELTAS: Final = re.compile(
    rb'"(?:text|thinking|partial_json|content|reasoning_content|reasoning|arguments|delta|refusal)"'
    rb'\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"'
)
# what tells the blocks of one stream apart
_PLACES: Final = ("index", "output_index", "content_index", "item_id")
_DATA: Final = b"data:"


class Pattern(NamedTuple):
    """`literals`: every match has one of them (none: each text is searched). A group 1 is what is masked.

    `in_json`: what it matches in a text it matches in its JSON too, so most are done with there.
    """

    name: str
    regex: re.Pattern[str]
    literals: tuple[bytes, ...]
    in_json: bool = False


def _built_in(name: str, regex: str, *literals: str) -> Pattern:
    # before an api-key may be the n of an escaped new line
    return Pattern(
        name, re.compile(regex), tuple(literal.encode() for literal in literals), in_json=name != "api-key"
    )


_KEY_END: Final = r"(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{20,}"
BUILT_IN: Final = (
    _built_in("anthropic-key", r"sk-ant-[A-Za-z0-9_-]{20,}", "sk-ant-"),
    _built_in("api-key", rf"sk-(?<![A-Za-z0-9]sk-){_KEY_END}", "sk-"),
    _built_in("gateway-key", r"ccp_[A-Za-z0-9_-]{20,}", "ccp_"),
    _built_in("aws-key", r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", "AKIA", "ASIA"),
    _built_in(
        "aws-secret",
        r"(?i:secret_?access_?key)[\"'\\]*\s*[=:]\s*[\"'\\]*([A-Za-z0-9/+=]{40})(?![A-Za-z0-9/+=])",
        "ecret_access_key", "ECRET_ACCESS_KEY", "ecretAccessKey",
    ),
    _built_in("github-token", r"gh[pousr]_[A-Za-z0-9]{36,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _built_in("github-token", r"github_pat_[A-Za-z0-9_]{40,}", "github_pat_"),
    _built_in("gitlab-token", r"glpat-[A-Za-z0-9_-]{20,}", "glpat-"),
    _built_in("slack-token", r"xox[abeprs]-[A-Za-z0-9-]{10,}", *(f"xox{kind}-" for kind in "abeprs")),
    _built_in("google-key", r"AIza[A-Za-z0-9_-]{35}", "AIza"),
    _built_in("stripe-key", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}", "k_live_", "k_test_"),
    _built_in("groq-key", r"gsk_[A-Za-z0-9]{40,}", "gsk_"),
    _built_in("huggingface-token", r"hf_[A-Za-z0-9]{30,}", "hf_"),
    _built_in("npm-token", r"npm_[A-Za-z0-9]{36,}", "npm_"),
    _built_in("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", ".eyJ"),
    _built_in(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|\s)*"
        r"(?:[A-Za-z-]+: [^\n\\]*(?:\\[nr]|\s)+)*"
        r"(?:[A-Za-z0-9+/=]{16,}(?:\\[nr]|\s)*)+[A-Za-z0-9+/=]*(?:\\[nr]|\s)*"
        r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)?",
        "PRIVATE KEY",
    ),
    _built_in(
        "authorization",
        r"(?i:uthorization|x-api-key)[\"'\\]*\s*[:=]\s*[\"'\\]*(?i:bearer |basic )?"
        r"((?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{20,})",
        "uthorization", "UTHORIZATION", "-api-key", "-Api-Key", "-API-Key", "-API-KEY",
    ),
    _built_in("password", r"://[^\s/:@\"'<>\\]{1,80}:([^\s/:@\"'<>\\]{3,200})@", "://"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Masked:
    """A text, and how many secrets were taken out of it."""

    text: bytes
    count: int = 0


class _Plain:
    """Literals that are looked for one by one."""

    def __init__(self) -> None:
        self._literals: dict[bytes, list[Pattern]] = {}

    def add(self, literal: bytes, pattern: Pattern) -> None:
        self._literals.setdefault(literal, []).append(pattern)

    def patterns(self, text: bytes) -> list[Pattern]:
        return [
            pattern for literal, patterns in self._literals.items() if literal in text for pattern in patterns
        ]


class _Divided:
    """Literals with a divider in them: most texts are done with after one split for all of them.

    Looking for 25 short literals one by one takes three times as long.
    """

    def __init__(self, divider: bytes) -> None:
        self.divider = divider
        # what stands before a divider in a literal -> the literals
        self._ends: dict[bytes, _Plain] = {}
        self._every: tuple[bytes, ...] = ()

    def add(self, literal: bytes, pattern: Pattern) -> None:
        end = max(literal.split(self.divider)[:-1], key=len)
        self._ends.setdefault(end, _Plain()).add(literal, pattern)
        self._every = tuple(self._ends)

    def patterns(self, text: bytes) -> list[Pattern]:
        every = self._every
        parts = text.split(self.divider)
        parts.pop()
        near = [part for part in parts if part.endswith(every)]
        if not near:
            return []
        return [
            pattern
            for end, literals in self._ends.items()
            if any(part.endswith(end) for part in near)
            for pattern in literals.patterns(text)
        ]


class Masker:
    """Masks by the built-in patterns and `more`. Its memory is shared by the threads that use it."""

    def __init__(self, more: Sequence[Pattern] = (), generation: int = GENERATION) -> None:
        self.patterns = (*BUILT_IN, *more)
        self._always = [pattern for pattern in more if not pattern.literals]
        literals = [(literal, pattern) for pattern in self.patterns for literal in pattern.literals]
        dash, underscore = _Divided(b"-"), _Divided(b"_")
        self._plain, self._divided = _Plain(), (dash, underscore)
        for literal, pattern in literals:
            divided = next((one for one in (underscore, dash) if one.divider in literal), None)
            (divided or self._plain).add(literal, pattern)
        self._limit = generation
        self._lock = threading.Lock()
        # digest of a piece in its place -> (masked value, count), or None when it had no secret
        self._young: dict[bytes, tuple[Any, int] | None] = {}
        self._old: dict[bytes, tuple[Any, int] | None] = {}

    def suspected(self, text: bytes) -> list[Pattern]:
        """The patterns that may match somewhere in the text."""
        found = self._plain.patterns(text)
        for divided in self._divided:
            found += divided.patterns(text)
        return list(dict.fromkeys([*found, *self._always])) if found else self._always

    def request(self, packed: PackedRequest) -> tuple[PackedRequest, int]:
        """A request taken apart, its pieces and its recipe masked before anything is stored of it."""
        base, in_base = self._chain(packed.base)
        head, in_head = self._chain(packed.head)
        recipe, in_recipe = packed.recipe, 0
        if recipe is not None:
            text = jsontext.dumps(recipe)
            patterns = _matching(text, self.suspected(text))
            if patterns:
                recipe, in_recipe = _masked_value(recipe, patterns)
        count = in_base + in_head + in_recipe
        return (PackedRequest(base, head, recipe) if count else packed), count

    def document(self, body: bytes) -> Masked:
        """A whole body: JSON, or whatever it is."""
        patterns = self.suspected(body)
        if not patterns:
            return Masked(body)
        try:
            value, count = _masked_value(jsontext.loads(body), patterns)
        except (jsontext.InvalidJSON, RecursionError):
            text, count = _masked_text(body.decode("utf-8", "surrogateescape"), patterns)
            return Masked(text.encode("utf-8", "surrogateescape") if count else body, count)
        return Masked(jsontext.dumps(value) if count else body, count)

    def answer(self, body: bytes) -> Masked:
        """A raw answer: one JSON document, or a stream of server-sent events."""
        if body[:1] in (b"{", b"[") or _DATA not in body:
            return self.document(body)
        joined = b"".join(_DELTAS.findall(body))
        patterns = list(dict.fromkeys([*self.suspected(body), *self.suspected(joined)]))
        return _masked_events(body, patterns) if patterns else Masked(body)

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
        patterns = _matching(text, self.suspected(text))
        if not patterns:
            return None
        other, count = _masked_value(value, patterns)
        return (other, count) if count else None


@lru_cache(maxsize=2)
def masker(looks: tuple[SecretLook, ...] = ()) -> Masker:
    """The masker of these patterns of an admin; the same one as long as they are the same."""
    return Masker(
        [
            Pattern(look.name, re.compile(look.pattern), (look.literal.encode(),) if look.literal else ())
            for look in looks
        ]
    )


def names(looks: Iterable[SecretLook] = ()) -> list[str]:
    """What is masked, by name, for people."""
    return list(dict.fromkeys([*(pattern.name for pattern in BUILT_IN), *(look.name for look in looks)]))


def _spans(text: str, patterns: Sequence[Pattern]) -> list[tuple[int, int, str]]:
    """Where secrets are, in order and apart from each other."""
    found: list[tuple[int, int, str]] = []
    for pattern in patterns:
        group = 1 if pattern.regex.groups else 0
        for match in pattern.regex.finditer(text):
            start, end = match.span(group)
            if start < end and all(end <= before or start >= after for before, after, _ in found):
                found.append((start, end, pattern.name))
    return sorted(found)


def _matching(json: bytes, patterns: Sequence[Pattern]) -> list[Pattern]:
    """Those of the patterns that may match in the texts of a JSON value."""
    if not patterns:
        return []
    text = json.decode()
    return [pattern for pattern in patterns if not pattern.in_json or pattern.regex.search(text)]


def _masked_text(text: str, patterns: Sequence[Pattern]) -> tuple[str, int]:
    spans = _spans(text, patterns)
    if not spans:
        return text, 0
    parts, place = [], 0
    for start, end, name in spans:
        parts += [text[place:start], _mark(name)]
        place = end
    return "".join([*parts, text[place:]]), len(spans)


def _mark(name: str) -> str:
    return f"[masked:{name}]"


def _masked_value(value: Any, patterns: Sequence[Pattern]) -> tuple[Any, int]:
    """A JSON value with masked texts; the same object when it has no secret."""
    kind = type(value)
    if kind is str:
        return _masked_text(value, patterns)
    if kind is dict:
        pairs = {key: _masked_value(item, patterns) for key, item in value.items()}
        count = sum(number for _, number in pairs.values())
        return ({key: item for key, (item, _) in pairs.items()} if count else value), count
    if kind is list:
        items = [_masked_value(item, patterns) for item in value]
        count = sum(number for _, number in items)
        return ([item for item, _ in items] if count else value), count
    return value, 0


# --- streams ----------------------------------------------------------------------


class _Fragment(NamedTuple):
    """One text in one event: the line, the object that holds it, and its key there."""

    line: int
    holder: Any
    key: Any


def _masked_events(body: bytes, patterns: Sequence[Pattern]) -> Masked:
    lines = body.split(b"\n")
    values: dict[int, Any] = {}
    texts: dict[tuple[Any, ...], list[_Fragment]] = {}
    for number, line in enumerate(lines):
        if line.startswith(_DATA):
            try:
                values[number] = jsontext.loads(line[len(_DATA) :].strip())
            except (jsontext.InvalidJSON, RecursionError):
                continue
            for path, holder, key in _texts(values[number], ()):
                texts.setdefault(path, []).append(_Fragment(number, holder, key))
    count, changed = 0, set()
    for fragments in texts.values():
        found, touched = _mask_fragments(fragments, patterns)
        count += found
        changed |= touched
    for number in changed:
        end = b"\r" if lines[number].endswith(b"\r") else b""
        lines[number] = b"data: " + jsontext.dumps(values[number]) + end
    for number, line in enumerate(lines):
        if number not in values and line:
            text, found = _masked_text(line.decode("utf-8", "surrogateescape"), patterns)
            if found:
                lines[number] = text.encode("utf-8", "surrogateescape")
                count += found
    return Masked(b"\n".join(lines) if count else body, count)


def _mask_fragments(fragments: Sequence[_Fragment], patterns: Sequence[Pattern]) -> tuple[int, set[int]]:
    """Mask in texts that follow each other; how many secrets, and the lines that changed."""
    parts = [fragment.holder[fragment.key] for fragment in fragments]
    spans = _spans("".join(parts), patterns)
    if not spans:
        return 0, set()
    touched = set()
    place = 0
    for fragment, part in zip(fragments, parts, strict=True):
        kept, inside = [], 0
        for start, end, name in spans:
            first, last = max(start - place, 0), min(end - place, len(part))
            if first >= last:
                continue
            # the mark stands where the secret begins
            kept += [part[inside:first], _mark(name) if start >= place else ""]
            inside = last
        if inside:
            fragment.holder[fragment.key] = "".join([*kept, part[inside:]])
            touched.add(fragment.line)
        place += len(part)
    return len(spans), touched


def _texts(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """(path, holder, key) of each text; the paths of one block's texts are the same in all events."""
    if type(value) is dict:
        path = (*path, *(value[name] for name in _PLACES if type(value.get(name)) in (int, str)))
        for key, item in value.items():
            if type(item) is str:
                yield (*path, key), value, key
            else:
                yield from _texts(item, (*path, key))
    elif type(value) is list:
        for index, item in enumerate(value):
            if type(item) is str:
                yield (*path, index), value, index
            else:
                # an element that says its index stands by it, wherever it is in the list
                named = type(item) is dict and type(item.get("index")) is int
                yield from _texts(item, path if named else (*path, index))
