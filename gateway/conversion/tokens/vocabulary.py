"""From a text to a number of tokens; the only place that knows toktok.

A lexical rule counts unless an option of the profile names a vocabulary, which is exact
for models that use it: o200k_base, OpenAI's since gpt-4o, is what the presets of OpenAI
name. It takes 63 MB of each process. For other models it is hardly nearer than the rule
(docs/conversion.md, "The estimate"), so a process that asks none of OpenAI's does not load it. It is
compiled into the package, so nothing is ever downloaded; where no wheel of the package
exists, the rule counts there too. What differs per model is learnt as a factor.

Only the rule tells classes of text apart (`token_classes`): a vocabulary's count is
taken for what it is, because it is named for models that use it.

A text of more than 64 K characters is counted by samples: 48 pieces from all over
it. That bounds the time of one text, and is within 3 % of the whole.
"""

from __future__ import annotations

import math
from typing import Any, Final

from gateway.conversion.token_counts import TokenCounts
from gateway.conversion.tokens.lexical_rule import lexical_tokens

toktok: Any
try:
    import toktok
except ImportError:  # no wheel for this system
    toktok = None

RULE: Final = "none"
LONG: Final = 65_536
_SAMPLES: Final = 48
_SAMPLE: Final = 1_024

_loaded: Final[set[str]] = set()


def available() -> bool:
    """Whether a real vocabulary can count here."""
    return toktok is not None


def ready(vocabulary: str) -> bool:
    """Whether counting begins at once; else the first text takes half a second (`prepare`)."""
    return vocabulary == RULE or toktok is None or vocabulary in _loaded


def prepare(vocabulary: str) -> None:
    """Load a vocabulary now: it takes half a second, during which nothing else runs."""
    text_tokens("", vocabulary)


def text_tokens(text: str, vocabulary: str = RULE) -> TokenCounts:
    """The tokens of a text by the rule or a vocabulary (o200k_base, cl100k_base); long ones by samples."""
    if len(text) <= LONG:
        return _counted([text], vocabulary)
    step = (len(text) - _SAMPLE) / (_SAMPLES - 1)
    samples = [text[(start := int(place * step)) : start + _SAMPLE] for place in range(_SAMPLES)]
    larger = len(text) / (_SAMPLES * _SAMPLE)
    total, letters, cjk = _counted(samples, vocabulary)
    return TokenCounts(math.ceil(total * larger), int(letters * larger), int(cjk * larger))


def _counted(texts: list[str], vocabulary: str) -> TokenCounts:
    if vocabulary == RULE or toktok is None:
        return TokenCounts.unpacked(sum(lexical_tokens(text).packed for text in texts))
    try:
        return _by_vocabulary(texts, vocabulary)
    except UnicodeEncodeError:
        # a lone surrogate, which JSON can carry
        return _by_vocabulary([text.encode("utf-8", "replace").decode("utf-8") for text in texts], vocabulary)


def _by_vocabulary(texts: list[str], vocabulary: str) -> TokenCounts:
    tokens: int = sum(toktok.batch_count(texts, vocabulary, threads=1))
    _loaded.add(vocabulary)
    return TokenCounts(tokens)
