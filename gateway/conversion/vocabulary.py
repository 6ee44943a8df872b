"""From a text to a number of tokens, with a real vocabulary; the only place that knows toktok.

The vocabulary is o200k_base (OpenAI's since gpt-4o): exact there, and near the
others; what differs per model is learnt as a factor (`token_factor`). It is compiled
into the package, so nothing is ever downloaded. Where no wheel of the package exists,
`lexical_tokens` counts instead.

A text of more than 64 K characters is counted by samples: 48 pieces from all over
it. That bounds the time of one text, and is within 3 % of the whole.
"""

from __future__ import annotations

import math
from typing import Any, Final

from gateway.conversion.lexical import lexical_tokens

toktok: Any
try:
    import toktok
except ImportError:  # no wheel for this system
    toktok = None

VOCABULARY: Final = "o200k_base"
LONG: Final = 65_536
_SAMPLES: Final = 48
_SAMPLE: Final = 1_024


def available() -> bool:
    """Whether a real vocabulary counts here."""
    return toktok is not None


def prepare() -> None:
    """Load the vocabulary now: it takes half a second, during which nothing else runs."""
    vocabulary_tokens("")


def vocabulary_tokens(text: str) -> int:
    """The tokens of a text; a long one is sampled."""
    if toktok is None:
        return lexical_tokens(text)
    if len(text) <= LONG:
        return sum(_counted([text]))
    step = (len(text) - _SAMPLE) / (_SAMPLES - 1)
    samples = [text[(start := int(place * step)) : start + _SAMPLE] for place in range(_SAMPLES)]
    return math.ceil(sum(_counted(samples)) * len(text) / (_SAMPLES * _SAMPLE))


def _counted(texts: list[str]) -> list[int]:
    counts: list[int]
    try:
        counts = toktok.batch_count(texts, VOCABULARY, threads=1)
    except UnicodeEncodeError:
        # a lone surrogate, which JSON can carry
        whole = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        counts = toktok.batch_count(whole, VOCABULARY, threads=1)
    return counts
