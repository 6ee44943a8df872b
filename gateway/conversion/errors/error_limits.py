"""The limits of a model that a provider's error tells, as profile options to learn.

A refusal often names what would have been allowed: the context window, or the most
output tokens. Both are options of the profile, so what is found here can be a layer of
it (`ConfigSnapshot.learnt`). A limit per minute of a tier is neither, and a number
that cannot be a limit of a model is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway import patterns
from gateway.conversion.errors.overflow import overflow_in
from gateway.wire import jsontext

# smaller numbers are no limits of a model that anybody calls
LEAST_WINDOW: Final = 1_024
LEAST_OUTPUT: Final = 64
MOST: Final = 100_000_000

_NUMBER: Final = r"[`'\"]?(?P<limit>[\d,]+)"
_CAP: Final = r"[`'\"]?max_(?:completion_|output_|new_)?tokens[`'\"]?"
# what providers say of a max_tokens that is too large; the first that matches counts
_OUTPUT: Final = tuple(
    patterns.in_order(*pattern.split(".*?"), flags=patterns.IGNORECASE | patterns.DOTALL)
    for pattern in (
        # DashScope, DeepSeek: the valid range of max_tokens is [1, 8192]
        rf"range of {_CAP} (?:is|should be) \[\s*\d+\s*,\s*{_NUMBER}\s*\]",
        # OpenAI: max_tokens is too large: 64000. This model supports at most 16384 completion tokens
        rf"{_CAP} is too large.*?supports at most {_NUMBER} (?:completion|output) tokens",
        # Anthropic: max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens
        rf"{_CAP}: [\d,]+ > {_NUMBER}, which is the maximum allowed number of output tokens",
        # Groq, Together, Fireworks: max_tokens must be less than or equal to 32768
        rf"{_CAP} (?:must|should|has to) be (?:less than or equal to|at most|no more than|<=) {_NUMBER}",
        # pydantic behind FastAPI
        rf"{_CAP}.{{0,80}}input should be less than or equal to {_NUMBER}",
        # Gemini: supported range is from 1 (inclusive) to 65537 (exclusive)
        r"max_?output_?tokens.*?supported range is from \d+ \(inclusive\) to (?P<above>[\d,]+) \(exclusive\)",
        rf"maximum (?:number of )?(?:output|completion) tokens (?:is|of|for this model is) {_NUMBER}",
    )
)
_PER_MINUTE: Final = patterns.compiled(r"tokens per (?:minute|day)|\bTPM\b|rate limit", patterns.IGNORECASE)


def told_limits(body: bytes) -> dict[str, int]:
    """`context_window` and `max_output_tokens` as far as the body of a refusal tells them."""
    try:
        parsed: Any = jsontext.loads(body)
    except jsontext.InvalidJSON:
        parsed = None
    raw = body.decode("utf-8", "replace")
    texts = [*_strings(parsed), raw] if parsed is not None else [raw]
    if any(_PER_MINUTE.search(text) for text in texts):
        return {}
    found = overflow_in(set(), texts, parsed)
    if found is not None and found.window is not None:
        return {"context_window": found.window} if LEAST_WINDOW <= found.window <= MOST else {}
    output = _output_limit(texts)
    return {} if output is None else {"max_output_tokens": output}


def _output_limit(texts: Iterable[str]) -> int | None:
    for text in texts:
        for pattern in _OUTPUT:
            match = pattern.search(text)
            if match is not None:
                groups = match.groupdict()
                number = _whole(groups.get("limit")) or _whole(groups.get("above")) - 1
                return number if LEAST_OUTPUT <= number <= MOST else None
    return None


def _whole(digits: str | None) -> int:
    return int((digits or "").replace(",", "") or 0)


def _strings(value: Any, depth: int = 6) -> list[str]:
    """All texts of an error, those of JSON inside a text too."""
    if isinstance(value, str):
        return [value]
    if depth == 0:
        return []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in _strings(item, depth - 1)]
