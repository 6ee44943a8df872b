"""Secrets removed from a text, a JSON value, or a stream of events (pure).

In a stream a secret may be spread over many events. The texts of one block are joined for the search,
and what is found is removed from each event it touches. A text that takes too long to search is removed
as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.history.secrets.secret_search import OutOfTime, Work, secrets_in
from gateway.masking.kinds import SecretKind
from gateway.wire.stored_stream import StreamLines

# replaces a text that could not be searched
WHOLE_NAME: Final = "whole-text"
WHOLE: Final = f"[masked:{WHOLE_NAME}]"
# identifies the blocks of one stream
_PLACES: Final = ("index", "output_index", "content_index", "item_id")


@dataclass(frozen=True, slots=True)
class Masked:
    """A text, and how many secrets were removed from it."""

    text: bytes
    count: int = 0


def masked_text(text: str, patterns: Sequence[SecretKind], work: Work) -> tuple[str, int]:
    try:
        spans = secrets_in(text, patterns, work)
    except OutOfTime:
        work.whole += 1
        return WHOLE, 1
    if not spans:
        return text, 0
    parts, place = [], 0
    for start, end, name in spans:
        parts += [text[place:start], _mark(name)]
        place = end
    return "".join([*parts, text[place:]]), len(spans)


def _mark(name: str) -> str:
    return f"[masked:{name}]"


def masked_value(value: Any, patterns: Sequence[SecretKind], work: Work) -> tuple[Any, int]:
    """A JSON value with masked texts; the same object when it has no secret."""
    kind = type(value)
    if kind is str:
        return masked_text(value, patterns, work)
    if kind is dict:
        pairs: dict[str, Any] = {}
        numbers: dict[str, int] = {}
        count = 0
        for key, item in value.items():
            name, in_key = masked_text(key, patterns, work)
            masked, in_item = masked_value(item, patterns, work)
            pairs[_free(name, numbers, pairs, value) if in_key else name] = masked
            count += in_key + in_item
        return (pairs if count else value), count
    if kind is list:
        items = [masked_value(item, patterns, work) for item in value]
        count = sum(number for _, number in items)
        return ([item for item, _ in items] if count else value), count
    return value, 0


def _free(name: str, numbers: dict[str, int], *taken: dict[str, Any]) -> str:
    """`name`, or with a number behind it: two keys that are masked alike stay two.

    `numbers`: where the search goes on for each name, so that a million keys are no million searches.
    """
    number = numbers.get(name, 1)
    free = name if number == 1 else f"{name} {number}"
    while any(free in keys for keys in taken):
        number += 1
        free = f"{name} {number}"
    numbers[name] = number
    return free


class _Fragment(NamedTuple):
    """One text in one event: the number of its line, the object that holds it, and its key there."""

    line: int
    holder: Any
    key: Any


def masked_events(body: bytes, patterns: Sequence[SecretKind], work: Work) -> Masked:
    lines = StreamLines(body)
    texts: dict[tuple[Any, ...], list[_Fragment]] = {}
    for number, value in lines.values.items():
        for path, holder, key in _texts(value, ()):
            texts.setdefault(path, []).append(_Fragment(number, holder, key))
    count, changed = 0, set()
    for fragments in texts.values():
        found, touched = _mask_fragments(fragments, patterns, work)
        count += found
        changed |= touched
    for number, value in lines.values.items():
        found = _mask_keys(value, patterns, work)
        if found:
            count += found
            changed.add(number)
    for number in changed:
        lines.write(number)
    for number, line in lines.others():
        text, found = masked_text(line, patterns, work)
        if found:
            lines.replace(number, text)
            count += found
    return Masked(lines.text() if count else body, count)


def _mask_fragments(
    fragments: Sequence[_Fragment], patterns: Sequence[SecretKind], work: Work
) -> tuple[int, set[int]]:
    """Mask in texts that follow each other; returns how many secrets, and the lines that changed."""
    parts = [fragment.holder[fragment.key] for fragment in fragments]
    text = "".join(parts)
    try:
        spans = secrets_in(text, patterns, work)
    except OutOfTime:
        work.whole += 1
        spans = [(0, len(text), WHOLE_NAME)]
    touched = set()
    place = first_span = 0
    for fragment, part in zip(fragments, parts, strict=True):
        if first_span == len(spans):
            break
        kept, inside = [], 0
        for index in range(first_span, len(spans)):
            start, end, name = spans[index]
            first, last = max(start - place, 0), min(end - place, len(part))
            if start - place >= len(part):
                break
            if first < last:
                # the mask stands where the secret begins
                kept += [part[inside:first], _mark(name) if start >= place else ""]
                inside = last
            if end - place <= len(part):
                first_span = index + 1
        if inside:
            fragment.holder[fragment.key] = "".join([*kept, part[inside:]])
            touched.add(fragment.line)
        place += len(part)
    return len(spans), touched


def _mask_keys(value: Any, patterns: Sequence[SecretKind], work: Work) -> int:
    """Mask the keys of a JSON value in place; returns how many secrets."""
    count = 0
    if type(value) is dict:
        numbers: dict[str, int] = {}
        for key in [*value]:
            count += _mask_keys(value[key], patterns, work)
            name, found = masked_text(key, patterns, work)
            if found:
                count += found
                value[_free(name, numbers, value)] = value.pop(key)
    elif type(value) is list:
        for item in value:
            count += _mask_keys(item, patterns, work)
    return count


def _texts(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """(path, holder, key) of each text; the texts of one block have the same path in all events."""
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
                # an element that names its index is known by that, wherever it is in the list
                named = type(item) is dict and type(item.get("index")) is int
                yield from _texts(item, path if named else (*path, index))
