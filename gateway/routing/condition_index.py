"""ConditionIndex: which of many conditions a request meets, without asking one after the other.

For each fact that is asked about, the conditions are bits of a number: those that its value meets, or that
do not ask about it. A condition whose bit is in all of them is met. Which bits a value has is worked out
when it is first seen; numbers are looked up by the bounds between which they lie, times by the minute. So
the time depends on the number of facts, not of conditions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from gateway.cache import GenerationalCache
from gateway.routing.conditions import Condition, value_of
from gateway.routing.facts import Facts
from gateway.routing.predicates import Between, Predicate, Window

# values of one fact; clients can make up names of agents, headers and tools
_MOST_VALUES: Final = 512


class ConditionIndex:
    """Conditions are meant by their places; a set of them is an integer with their bits."""

    __slots__ = ("_facts",)

    def __init__(self, conditions: Sequence[Condition]) -> None:
        names = dict.fromkeys(fact for one in conditions for fact, _ in one.tests)
        self._facts = {name: _FactIndex(name, conditions) for name in names}

    def met(self, facts: Facts, asked: Iterable[str]) -> int:
        """The conditions that these facts meet as far as the facts `asked` are concerned; -1: all."""
        left = -1
        for name in asked:
            left &= self._facts[name].met(facts)
        return left


class _FactIndex:
    """The conditions by the values of one fact."""

    __slots__ = ("_fact", "_key", "_known", "_tests", "_unasked")

    def __init__(self, fact: str, conditions: Sequence[Condition]) -> None:
        self._fact = fact
        self._unasked = 0
        self._tests: dict[Predicate, int] = {}
        for place, condition in enumerate(conditions):
            asked = [test for name, test in condition.tests if name == fact]
            if not asked:
                self._unasked |= 1 << place
            for test in asked:
                self._tests[test] = self._tests.get(test, 0) | 1 << place
        self._key = _key_of(list(self._tests))
        self._known: GenerationalCache[Any, int] = GenerationalCache(_MOST_VALUES)

    def met(self, facts: Facts) -> int:
        """The bits of the conditions that these facts meet as far as this one is concerned."""
        value = value_of(self._fact, facts)
        key = value if self._key is None else self._key(value)
        known = self._known.get(key)
        if known is None:
            known = self._unasked
            for test, places in self._tests.items():
                if test.meets(value):
                    known |= places
            self._known.put(key, known)
        return known


def _key_of(tests: Sequence[Any]) -> Callable[[Any], Any] | None:
    """What values with the same answers have in common; None: nothing but the value itself."""
    if isinstance(tests[0], Between):
        # a number meets the same questions as any other between the same two cuts
        cuts = sorted(
            {one.low for one in tests if one.low is not None}
            | {one.high + 1 for one in tests if one.high is not None}
        )
        return lambda value: -1 if value is None else bisect_right(cuts, value)
    if isinstance(tests[0], Window):
        return _minute
    return _purpose if hasattr(tests[0], "classes") else None


def _minute(value: datetime | None) -> int:
    return -1 if value is None else int(value.timestamp()) // 60


def _purpose(value: Any) -> tuple[str, str]:
    return value.request_class, value.task
