"""What a provider's refusal teaches about its options (docs/reliability.md, "Options that learn").

A provider that answers 400 to a parameter often says which one. `lesson` looks that up in a table of
wordings (refusal_patterns.json beside this file) and names one profile option with the value it should
have; whether that was right is known when the changed request is answered. A request that does not fit
the context window teaches nothing here, because the client has to shorten it; `told_window` keeps the
window it names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, Final, NamedTuple

from gateway import patterns
from gateway.conversion.errors.error_body import parsed_body, read
from gateway.conversion.errors.error_limits import LEAST_OUTPUT, told_limits
from gateway.conversion.errors.overflow import overflow_in, too_large_for_a_minute, wordings
from gateway.conversion.errors.refusal_rules import (
    RULES,
    MatchedRefusal,
    Refusal,
    Rule,
    cap_of,
    value_of,
    was_sent,
)
from gateway.conversion.profile import DEFAULTS, Profile
from gateway.masking.redaction import masked
from gateway.wire.messages import JSONObject

# Providers say what they do not want in the beginning, and echo what they were sent; many expressions over
# long texts would hold up other exchanges.
MAX_SCANNED: Final = 1000
MAX_TEXTS: Final = 10
MAX_BODY: Final = 3000
MAX_WORDS: Final = 500

_STATUSES: Final = (400, 422)
_REFUSAL_CODES: Final = patterns.compiled(
    r"(?:unsupported|unknown|unrecogni[sz]ed|invalid)_(?:parameter|argument|field|value)", patterns.IGNORECASE
)


class Lesson(NamedTuple):
    """One option of a profile that should change: `old` and `new` as in JSON, `words` the provider's.

    `lasting`: False when it holds for this request alone.
    """

    option: str
    old: Any
    new: Any
    words: str = ""
    lasting: bool = True


def lesson(status: int, body: bytes, profile: Profile, sent: Mapping[str, object]) -> Lesson | None:
    """The option to change after an error answer, None when it names none that could help.

    `body`: of the error answer; `sent`: the request's body that was refused, converted
    with `profile`. Never raises.
    """
    parsed = parsed_body(body)
    raw = "" if parsed is not None else body.decode("utf-8", "replace")
    said = read(parsed, raw)
    if overflow_in(said.words, said.texts, said.body) is not None:
        return None
    texts = tuple(dict.fromkeys((*_texts(parsed), *_short(said.texts))))
    refusal = Refusal(body[:MAX_BODY], _first(texts), profile, sent, _codes(said.words))
    return next((found for entry in _ENTRIES if (found := entry.taught(status, refusal)) is not None), None)


def told_window(body: bytes, profile: Profile) -> Lesson | None:
    """The context window that a refusal names, when the profile says otherwise."""
    window = told_limits(body[:MAX_BODY]).get("context_window")
    if window is None or window == profile.context_window:
        return None
    words = masked(body[:MAX_SCANNED].decode("utf-8", "replace"))[:MAX_WORDS]
    return Lesson("context_window", profile.context_window, window, words)


def fitted_to_minute(body: bytes, profile: Profile, sent: Mapping[str, object]) -> Lesson | None:
    """A cap with which a request fits a minute's allowance that counts the cap too; None when none is told.

    `body`: of a refusal of which `upstream_error` said that the input fits; `sent`: what was refused.
    """
    parsed = parsed_body(body)
    texts = read(parsed, "" if parsed is not None else body.decode("utf-8", "replace")).texts
    found = too_large_for_a_minute(texts, max_tokens=cap_of(sent) or 0)
    if found is None or found.input is None or found.window is None or not found.output:
        return None
    room = found.window - found.input
    if room < LEAST_OUTPUT:
        return None
    return Lesson("max_output_tokens", profile.max_output_tokens, room, masked(texts[0])[:MAX_WORDS], False)


def with_options(profile: Profile, options: Mapping[str, object]) -> Profile:
    """The profile with options changed, given as in JSON; null means back to the default."""
    changed: dict[str, Any] = {
        name: getattr(DEFAULTS, name) if value is None else tuple(value) if type(value) is list else value
        for name, value in options.items()
    }
    return dataclasses.replace(profile, **changed)


def compile_all() -> None:
    """Compile now what waits for a text that needs it, so that every expression is registered."""
    for entry in _ENTRIES:
        entry.compile()


def _short(texts: list[str]) -> Iterator[str]:
    return (text[:MAX_SCANNED] for text in texts)


def _texts(value: Any, depth: int = 4) -> Iterator[str]:
    """The parameter that an error names in a field, which its message may leave out."""
    if isinstance(value, dict) and depth:
        code, param = value.get("code"), value.get("param")
        if isinstance(param, str) and isinstance(code, str) and _REFUSAL_CODES.fullmatch(code):
            what = f"{code.lower().replace('_', ' ')}: {param[:100]}"
            yield f"{what}: {value.get('message', '')}"[:MAX_SCANNED]
        yield from _texts(value.get("error"), depth - 1)


def _codes(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word[:100] for word in islice(words, MAX_TEXTS))


def _first(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The first texts, together no longer than two of the longest."""
    kept, room = [], 2 * MAX_SCANNED
    for text in texts[:MAX_TEXTS]:
        kept.append(text[:room])
        room -= len(kept[-1])
        if room <= 0:
            break
    return tuple(kept)


# --- the table -------------------------------------------------------------------------------


class _NamedField:
    """A field as an expression, and every way to refuse it.

    The ways are compiled when a text first names the field: all of them together would add 0.2 s of CPU to
    every start, and most processes meet none.
    """

    def __init__(self, name: str, refusals: list[str], quotes: str) -> None:
        self.name = _compiled(name)
        self._sources = [
            refusal.replace("NAME", rf"(?<![a-z_]){quotes}{name}{quotes}") for refusal in refusals
        ]

    @cached_property
    def refusals(self) -> tuple[patterns.Pattern[str], ...]:
        return tuple(map(_compiled, self._sources))


class _Entry:
    """One entry of the table."""

    def __init__(self, entry: JSONObject, data: Mapping[str, Any]) -> None:
        self._option: str = entry["option"]
        self._from: list[Any] | None = entry.get("from")
        self._to: Any = entry.get("to")
        self._statuses = frozenset(entry.get("statuses", _STATUSES))
        names: list[str] = entry.get("names", [])
        self._sent: str = entry.get("sent") or names[0]
        self._rule: Rule | None = RULES[entry["rule"]] if "rule" in entry else None
        self._patterns = tuple(_compiled(pattern) for pattern in entry.get("patterns", []))
        said = data["removals"] if entry.get("only_removals") else [*data["removals"], *data["refusals"]]
        self._named = tuple(_NamedField(name, said, data["quotes"]) for name in names)
        never = data["exceptions"][entry["never"]] if "never" in entry else ()
        self._never = tuple(_compiled(pattern) for pattern in never)

    def taught(self, status: int, refusal: Refusal) -> Lesson | None:
        old = value_of(refusal.profile, self._option)
        if status not in self._statuses or (self._from is not None and old not in self._from):
            return None
        if not was_sent(self._sent, refusal.sent):
            return None
        found = self._found(refusal) if self._patterns or self._named else MatchedRefusal("", None)
        if found is None:
            return None
        if self._rule is None:
            option, new = self._option, self._to
        else:
            told = self._rule(refusal, found, self._option, self._to)
            if told is None:
                return None
            option, new = told
        old = value_of(refusal.profile, option)
        if new == old:
            return None
        words = found.text or " ".join(refusal.texts)
        return Lesson(option, old, new, masked(words)[:MAX_WORDS])

    def _found(self, refusal: Refusal) -> MatchedRefusal | None:
        for text in refusal.texts:
            for pattern in self._candidates(text):
                match = pattern.search(text)
                if match is not None:
                    return None if self._is_exception(refusal) else MatchedRefusal(text, match)
        return None

    def _is_exception(self, refusal: Refusal) -> bool:
        """Whether any text or code says that the refusal is about this one request."""
        said = (*refusal.texts, *refusal.codes)
        return any(pattern.search(text) is not None for pattern in self._never for text in said)

    def _candidates(self, text: str) -> Iterator[patterns.Pattern[str]]:
        yield from self._patterns
        for field in self._named:
            # most texts do not name the field at all
            if field.name.search(text):
                yield from field.refusals

    def compile(self) -> None:
        for field in self._named:
            _ = field.refusals


def _compiled(pattern: str) -> patterns.Pattern[str]:
    return patterns.compiled(pattern, patterns.IGNORECASE | patterns.DOTALL)


def _read() -> tuple[_Entry, ...]:
    data = wordings()
    return tuple(_Entry(entry, data) for entry in data["lessons"])


_ENTRIES: Final = _read()
