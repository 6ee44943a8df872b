"""Growth: tells pieces that are new each time from pieces that repeat everything said so far.

Chat Completions streams deltas. A few providers send in each chunk all that was said until now, longer
each time. The first pieces decide which of the two it is, by one table. A piece that begins with the one
before (a "step") is read as growth only on evidence, because deltas begin like that, too ("ha", "haha";
"1", "10"), and a wrong reading loses what the model said:

    the step                                            counts
    --------------------------------------------------  -----------------------------------------------
    goes on with other words, behind a long beginning   6: nobody writes a beginning twice to go on then
    goes on with other words, behind any other          3: lines of code begin alike ("import os")
    only says the beginning again ("ha", "haha")        2
    is what was said, and no more                       0
    the same behind a step, or a step behind the same   6

At 6 it is growth. A piece that is no step decides for deltas, for good. Until then the steps are held back,
and the end of the text decides for deltas: a few characters twice are better than a few lost. What was
only said again there, and is long, is a repetition.
"""

from __future__ import annotations

from typing import Final

_ENOUGH: Final = 6
# characters of a repeated beginning that are evidence by themselves
_LONG_BEGINNING: Final = 32
_LONG: Final = 7


class Growth:
    """One text of one answer.

    `deltas`: pieces are new each time, which is certain. `grows`: each repeats those before it. While
    neither holds, `rest` may hold back what it was given.
    """

    __slots__ = ("_evidence", "_held", "_said", "deltas", "grows")

    def __init__(self) -> None:
        self._said = ""
        self._held: list[str] = []
        self._evidence = 0
        self.deltas = False
        self.grows = False

    @property
    def holds(self) -> bool:
        """Something waits for `settle`, or for the next piece."""
        return bool(self._held)

    @property
    def holds_news(self) -> bool:
        """More is held back than what was said already."""
        return bool(self._held) and self._held != [self._said]

    def rest(self, text: str) -> str:
        """What of a piece is new, and of those that were held back before it."""
        if self.deltas or not text:
            return text
        said = self._said
        if self.grows or not said:
            self._said = text
            return text.removeprefix(said)
        before = self._held[-1] if self._held else said
        again = text == before
        if not text.startswith(before) or (again and (self._held == [said] or not is_telling(before))):
            self.deltas, self._said = True, ""
            return self._released() + text
        if self._held and (again or self._held == [said]):
            self._evidence = _ENOUGH
        self._held.append(text)
        self._evidence += _evidence(before, text)
        if self._evidence < _ENOUGH:
            return ""
        self.grows, self._said = True, text
        self._held.clear()
        return text.removeprefix(said)

    def settle(self) -> str:
        """What was held back, now that something else follows."""
        if self._held == [self._said]:
            self._held.clear()
        if self._held:
            self.deltas, self._said = True, ""
        return self._released()

    def _released(self) -> str:
        held = "".join(self._held)
        self._held.clear()
        return held


def _evidence(before: str, text: str) -> int:
    more = text[len(before) :]
    if not more:
        return 0
    if before.startswith(more) or more.startswith(before):
        return 2
    return _ENOUGH if len(before) >= _LONG_BEGINNING and is_telling(before) else 3


def is_telling(text: str) -> bool:
    """Nobody begins with this and says it once more: it is long, and not one thing over and over."""
    return len(text) >= _LONG and text not in (text + text)[1:-1]
