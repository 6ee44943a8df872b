"""An expression that an admin writes is tried before it is taken: on texts made against it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

from gateway.patterns.attacks import plain_texts_against, texts_against
from gateway.patterns.linear import LinearPattern

SIZE: Final = 1_000_000
# seconds of CPU for one text of SIZE, and for all of them: somebody waits for the form
LONGEST_TRIAL: Final = 2.0
_LONGEST_IN_ALL: Final = 4.0
# Many matches cost their number, which is no fault of the expression. One that looks to the end of
# the text for each of them is too slow long before.
_MOST_MATCHES: Final = 20_000


def slowest(source: str) -> float | None:
    """The longest time in seconds that finding all matches took; None: the expression matches an empty text.

    It stops at the first text that takes longer than LONGEST_TRIAL. Raises NotLinear, EngineMissing.
    """
    pattern = LinearPattern(source)
    if pattern.matches(""):
        return None
    worst, began = 0.0, time.thread_time()
    for text in _texts(source):
        worst = max(worst, _seconds(pattern, text))
        if worst > LONGEST_TRIAL or time.thread_time() - began > _LONGEST_IN_ALL:
            break
    return worst


def _texts(source: str) -> Iterator[str]:
    yield from plain_texts_against(source, SIZE)
    try:
        yield from texts_against(source, SIZE)
    except (re.error, RecursionError, OverflowError):
        # RE2 has a writing of its own for some things
        return


def _seconds(pattern: LinearPattern, text: str) -> float:
    began = time.thread_time()
    for _ in islice(pattern.spans(text), _MOST_MATCHES):
        if time.thread_time() - began > LONGEST_TRIAL:
            break
    return time.thread_time() - began
