"""A request that does not fit the context window, in whatever words.

Claude Code compacts its conversation when it reads Anthropic's sentence, and only then; so every
provider's sentence is turned into that one. The wordings are data: refusal_patterns.json beside this file.

See docs/conversion.md, "Context overflow".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any, Final, NamedTuple

from gateway.patterns import DOTALL, IGNORECASE, Match, Pattern, compiled, in_order
from gateway.wire import jsontext


class Overflow(NamedTuple):
    """`input` tokens do not fit `window`; with `output` known the input alone may fit.

    `at_least`: the provider stopped counting at `input`.
    """

    input: int | None = None
    output: int | None = None
    window: int | None = None
    at_least: bool = False

    def message(self, *, context_window: int | None, estimated_tokens: int) -> str:
        """Anthropic's sentence; numbers the provider did not give are ours."""
        needed, output, window, at_least = self
        if needed is not None and at_least:
            needed = max(needed, estimated_tokens)
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


def overflow_in(words: set[str], texts: list[str], body: object) -> Overflow | None:
    """Whether an error is an overflow.

    `words` are its codes and types, `texts` what the provider says without what it echoes (`error_body`),
    `body` the parsed error (some give the numbers as fields).
    """
    found = too_large_for_a_minute(texts)
    if found is not None:
        return found
    texts = [without_names(text) for text in texts]
    if any(_found(_NEVER, text) for text in texts):
        return None
    for text in texts:
        match = next(_matches(_SPECIFIC, text), None)
        if match is not None:
            return _with_fields(match, body)
    if words & _CODES:
        return _with_fields(Overflow(), body)
    if any(_found(_NEVER_WITHOUT_NUMBERS, text) for text in texts):
        return None
    for text in texts:
        match = next(_matches(_GENERAL, text), None)
        if match is not None:
            return _with_fields(match, body)
    return None


def without_names(text: str) -> str:
    """A text without the names that somebody else chose: of tools, properties, ids.

    `compact_when_context_length_exceeded` is a tool's name and says nothing about the request. A word with an
    underscore is read only where it is one of the provider's own (`names` in the file of wordings).
    """
    return _QUOTED_NAME.sub("\u2026", _WORD.sub(_provider_word, text))


def _provider_word(found: Match[str]) -> str:
    word = found["word"].lower()
    if "_" not in word or word in _EVERYWHERE:
        return found[0]
    before = found.string[max(0, found.start() - _BEFORE) : found.start()]
    if found["open"] and found["close"]:
        known = word in _PLAIN and _CODE_BEFORE.search(before) is not None
    else:
        known = word in _PLAIN and _NAME_BEFORE.search(before) is None
    return found[0] if known else "\u2026"


def too_large_for_a_minute(
    texts: Iterable[str], *, max_tokens: int = 0, estimated_tokens: int = 0
) -> Overflow | None:
    """A request that alone exceeds what may be asked in a minute: waiting does not help.

    Most providers count `max_tokens`, as it was sent, with the input. What they say is requested is taken
    for the sum or for the input alone, whichever puts the input closer to our estimate. Where the input alone
    does not fit either, their numbers stay as they are: a client has to give up what is between the two.
    """
    for text in texts:
        for found in _matches(_MINUTE, text):
            requested, limit = found.input, found.window
            if requested is None or limit is None or requested <= limit:
                continue
            alone = requested - max_tokens
            is_sum = abs(alone - estimated_tokens) < abs(requested - estimated_tokens)
            if max_tokens and 0 < alone <= limit and is_sum:
                return Overflow(alone, max_tokens, limit)
            return found
    return None


def wordings() -> Mapping[str, Any]:
    """The file of wordings."""
    data: Mapping[str, Any] = jsontext.loads(
        resources.files("gateway.conversion.errors").joinpath("refusal_patterns.json").read_bytes()
    )
    return data


# the separator between two parts of a pattern
_BETWEEN: Final = compiled(r"\.\*\??")


def compiled_wordings(entries: Iterable[Mapping[str, str]]) -> tuple[Pattern[str], ...]:
    """The patterns of a list of wordings."""
    return tuple(in_order(*_BETWEEN.split(entry["pattern"]), flags=IGNORECASE | DOTALL) for entry in entries)


_DATA: Final[Mapping[str, Any]] = wordings()["overflow"]
_CODES: Final = frozenset(_DATA["codes"])
_EVERYWHERE: Final = frozenset(_DATA["names"]["everywhere"])
_PLAIN: Final = _CODES.union(_DATA["names"]["plain"])
_WORD: Final = compiled(r"(?<![\w-])(?P<open>[\"'`]?)(?P<word>(?<![\w-])[\w-]{1,200}+)(?P<close>[\"'`]?)")
_THINGS: Final = r"(?:tool|function|parameter|property|argument|field|key|name|id)s?"
# characters before a word that tell whose it is
_BEFORE: Final = 24
_NAME_BEFORE: Final = compiled(rf"(?:\b{_THINGS}:? ?|[.\[/])[\"'`]?\Z", IGNORECASE)
_CODE_BEFORE: Final = compiled(r"\b(?:code|type|error|status)[\"'`]?\s?[:=]\s?\Z", IGNORECASE)
_QUOTED_NAME: Final = compiled(
    rf"\b{_THINGS}:? (?:\"[^\"\n]{{1,80}}\"|'[^'\n]{{1,80}}'|`[^`\n]{{1,80}}`)", IGNORECASE
)
_MINUTE: Final = compiled_wordings(_DATA["minute"])
_NEVER: Final = compiled_wordings(_DATA["never"])
_NEVER_WITHOUT_NUMBERS: Final = compiled_wordings(_DATA["never_without_numbers"])
_SPECIFIC: Final = compiled_wordings(_DATA["specific"])
_GENERAL: Final = compiled_wordings(_DATA["general"])


def _found(patterns: Iterable[Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


def _matches(patterns: Iterable[Pattern[str]], text: str) -> Iterator[Overflow]:
    for pattern in patterns:
        found = pattern.search(text)
        if found is not None:
            yield _numbers(found.groupdict())


def _numbers(groups: dict[str, str | None]) -> Overflow:
    numbers = {name: int(digits.replace(",", "")[:12] or 0) for name, digits in groups.items() if digits}
    needed = numbers.get("input", numbers.get("least", numbers.get("total")))
    if needed is not None:
        needed += numbers.get("more", 0)
    window = numbers.get("window", _of_thousands(numbers.get("window_k")))
    return Overflow(needed, numbers.get("output"), window, "least" in numbers)


def _of_thousands(number: int | None) -> int | None:
    """A window told as 256K, which is 256 * 1024; 200K is 200,000."""
    if number is None:
        return None
    return number * (1024 if number & (number - 1) == 0 else 1000)


def _with_fields(found: Overflow, body: Any) -> Overflow:
    """llama.cpp gives the numbers as fields, of the body or of its error."""
    error = body.get("error") if isinstance(body, dict) else None
    for place in (body, error):
        if isinstance(place, dict):
            needed, window = place.get("n_prompt_tokens"), place.get("n_ctx")
            if type(needed) is int and type(window) is int:
                return Overflow(needed, found.output, window)
    return found
