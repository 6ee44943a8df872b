"""The limits of a model that a provider's error reveals, as profile options to learn.

A refusal often names what would have been allowed: the context window, or the most output tokens. Both
are profile options, so what is found here can be a layer of it (`ConfigSnapshot.learnt`). A tier's limit
per minute is neither, and a number that cannot be a model's limit is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway import patterns
from gateway.conversion.errors.error_body import parsed_body, read
from gateway.conversion.errors.overflow import compiled_wordings, overflow_in, wordings

# smaller numbers are not limits of any model in use
LEAST_WINDOW: Final = 1_024
LEAST_OUTPUT: Final = 64
MOST: Final = 100_000_000

# what providers say about a max_tokens that is too large; the first match counts
_OUTPUT: Final = compiled_wordings(wordings()["output_limits"])
_PER_MINUTE: Final = patterns.compiled(r"tokens per (?:minute|day)|\bTPM\b|rate limit", patterns.IGNORECASE)


def told_limits(body: bytes) -> dict[str, int]:
    """`context_window` and `max_output_tokens` as far as the body of a refusal names them."""
    parsed = parsed_body(body)
    said = read(parsed, "" if parsed is not None else body.decode("utf-8", "replace"))
    texts = said.texts
    if any(_PER_MINUTE.search(text) for text in texts):
        return {}
    found = overflow_in(said.words, texts, said.body)
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
