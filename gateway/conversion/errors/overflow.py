"""A request that does not fit the context window, in whatever words (specification section 7.1).

Claude Code compacts its conversation when it reads Anthropic's sentence, and
only then; so every provider's sentence is turned into that one. The patterns
are data: overflow_patterns.json beside this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Any, Final, NamedTuple

from gateway.patterns import DOTALL, IGNORECASE, Pattern, compiled, in_order
from gateway.wire import jsontext

_CODES: Final = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"})


class Overflow(NamedTuple):
    """`input` tokens do not fit `window`; with `output` known the input alone may fit."""

    input: int | None = None
    output: int | None = None
    window: int | None = None

    def message(self, *, context_window: int | None, estimated_tokens: int) -> str:
        """Anthropic's sentence; numbers the provider did not give are ours."""
        needed, output, window = self
        if needed is not None and window is not None and output and needed < window < needed + output:
            return (
                f"input length and `max_tokens` exceed context limit: {needed} + {output} > {window}, "
                "decrease input length or `max_tokens` and try again"
            )
        if window is None:
            window = context_window
        if needed is None:
            needed = estimated_tokens
        if window is None:
            window = max(0, needed - 1)
        return f"prompt is too long: {max(needed, window + 1)} tokens > {window} maximum"


def overflow_in(words: set[str], texts: list[str], body: Any) -> Overflow | None:
    """Whether an error is one.

    `words` are its codes and types, `texts` all places where a provider may say
    it, `body` the parsed error (some give the numbers as fields).
    """
    for text in texts:
        found = _PATTERNS.first(text)
        if found is not None:
            return found
    if any(_PATTERNS.denied(text) for text in texts):
        return None
    for text in texts:
        found = _PATTERNS.specific(text)
        if found is not None:
            return _with_fields(found, body)
    if words & _CODES or any(_PATTERNS.general(text) for text in texts):
        return _with_fields(Overflow(), body)
    return None


class _Patterns:
    def __init__(self, data: dict[str, Any]) -> None:
        self._first = [_compiled(pattern) for pattern in data["first"]]
        self._never = [_compiled(pattern) for key in _NEVER for pattern in data[key]]
        self._specific = [_compiled(pattern) for pattern in data["specific"]]
        self._general = [_compiled(pattern) for pattern in data["general"]]

    def first(self, text: str) -> Overflow | None:
        return next(_matches(self._first, text), None)

    def denied(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self._never)

    def specific(self, text: str) -> Overflow | None:
        return next(_matches(self._specific, text), None)

    def general(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self._general)


# what may stand between two parts of a pattern
_BETWEEN: Final = compiled(r"\.\*\??")
_NEVER: Final = ("never", "never_unless_first", "output_only")


def _compiled(pattern: str) -> Pattern[str]:
    return in_order(*_BETWEEN.split(pattern), flags=IGNORECASE | DOTALL)


def _matches(patterns: list[Pattern[str]], text: str) -> Iterator[Overflow]:
    for pattern in patterns:
        found = pattern.search(text)
        if found is not None:
            yield _numbers(found.groupdict())


def _numbers(groups: dict[str, str | None]) -> Overflow:
    numbers = {name: int(digits.replace(",", "") or 0) for name, digits in groups.items() if digits}
    needed = numbers.get("input", numbers.get("total"))
    if needed is not None:
        needed += numbers.get("more", 0)
    return Overflow(needed, numbers.get("output"), numbers.get("window"))


def _with_fields(found: Overflow, body: Any) -> Overflow:
    """llama.cpp gives the numbers as fields, of the body or of its error."""
    error = body.get("error") if isinstance(body, dict) else None
    for place in (body, error):
        if isinstance(place, dict):
            needed, window = place.get("n_prompt_tokens"), place.get("n_ctx")
            if type(needed) is int and type(window) is int:
                return Overflow(needed, found.output, window)
    return found


_PATTERNS: Final = _Patterns(
    jsontext.loads(
        resources.files("gateway.conversion.errors").joinpath("overflow_patterns.json").read_bytes()
    )
)
