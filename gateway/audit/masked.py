"""Secrets are taken out of a text, a JSON value, or a stream of events (pure).

In a stream a secret may be spread over many events. The texts of one block are
joined for the search, and what is found is taken out of each event it touches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.audit.secret_patterns import Pattern
from gateway.wire import jsontext

DATA: Final = b"data:"
# what tells the blocks of one stream apart
_PLACES: Final = ("index", "output_index", "content_index", "item_id")


@dataclass(frozen=True, slots=True)
class Masked:
    """A text, and how many secrets were taken out of it."""

    text: bytes
    count: int = 0


def masked_text(text: str, patterns: Sequence[Pattern]) -> tuple[str, int]:
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


def masked_value(value: Any, patterns: Sequence[Pattern]) -> tuple[Any, int]:
    """A JSON value with masked texts; the same object when it has no secret."""
    kind = type(value)
    if kind is str:
        return masked_text(value, patterns)
    if kind is dict:
        pairs = {key: masked_value(item, patterns) for key, item in value.items()}
        count = sum(number for _, number in pairs.values())
        return ({key: item for key, (item, _) in pairs.items()} if count else value), count
    if kind is list:
        items = [masked_value(item, patterns) for item in value]
        count = sum(number for _, number in items)
        return ([item for item, _ in items] if count else value), count
    return value, 0


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


class _Fragment(NamedTuple):
    """One text in one event: the line, the object that holds it, and its key there."""

    line: int
    holder: Any
    key: Any


def masked_events(body: bytes, patterns: Sequence[Pattern]) -> Masked:
    lines = body.split(b"\n")
    values: dict[int, Any] = {}
    texts: dict[tuple[Any, ...], list[_Fragment]] = {}
    for number, line in enumerate(lines):
        if line.startswith(DATA):
            try:
                values[number] = jsontext.loads(line[len(DATA) :].strip())
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
            text, found = masked_text(line.decode("utf-8", "surrogateescape"), patterns)
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
