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
from functools import reduce
from operator import and_, attrgetter
from typing import Any, Final, NamedTuple

from gateway.routing.conditions import Condition, value_of
from gateway.routing.facts import HEADER, TOOL_NAMES, Facts
from gateway.routing.predicates import Between, Predicate

# values of one fact; clients can make up names of agents, headers and tools
_MOST_VALUES: Final = 512
_PURPOSE: Final = ("purpose.request_class", "purpose.task")
# facts with so few values that several are looked up as one
_FEW: Final = frozenset(
    {"class", "images", "pdfs", "thinking", "effort", "web_search", "structured_output", "streamed"}
)
# facts whose attribute is not called as they are
_ATTRIBUTES: Final = {
    "agent_type": "purpose.agent_type",
    TOOL_NAMES: "tool_names",
    "group": "groups",
    "time": "moment",
}


class IndexPart(NamedTuple):
    """One fact: how it is read, what its values with the same answers have in common (None: themselves), the
    sets of conditions by that, and how one more is worked out."""

    read: Callable[[Facts], Any]
    key: Callable[[Any], Any] | None
    known: dict[Any, int]
    learn: Callable[[Any, Facts], int]


class _FactIndex:
    """The conditions by the values of one fact."""

    __slots__ = ("_fact", "_known", "_tests", "_unasked", "part")

    def __init__(self, fact: str, conditions: Sequence[Condition]) -> None:
        self._fact = fact
        self._unasked = 0
        self._tests: dict[Predicate, int] = {}
        for place, condition in enumerate(conditions):
            asked = dict(condition.tests).get(fact)
            if asked is None:
                self._unasked |= 1 << place
            else:
                self._tests[asked] = self._tests.get(asked, 0) | 1 << place
        self._known: dict[Any, int] = {}
        self.part = IndexPart(_getter(fact), _key(fact, list(self._tests)), self._known, self._learn)

    def met(self, facts: Facts) -> int:
        """The conditions that these facts meet as far as this one is concerned."""
        value, found = value_of(self._fact, facts), self._unasked
        for test, places in self._tests.items():
            if test.meets(value):
                found |= places
        return found

    def _learn(self, key: Any, facts: Facts) -> int:
        return _remembered(self._known, key, self.met(facts))


class ConditionIndex:
    """Conditions are meant by their places; a set of them is an integer with their bits."""

    __slots__ = ("_facts", "_together")

    def __init__(self, conditions: Sequence[Condition]) -> None:
        names = dict.fromkeys(fact for one in conditions for fact, _ in one.tests)
        self._facts = {name: _FactIndex(name, conditions) for name in names}
        self._together: dict[tuple[str, ...], IndexPart] = {}

    def of(self, facts: Iterable[str]) -> tuple[IndexPart, ...]:
        """The parts for these facts, which `met` is given."""
        wanted = sorted(facts)
        few = tuple(fact for fact in wanted if fact in _FEW)
        if len(few) < 2:
            return tuple(self._facts[fact].part for fact in wanted)
        if few not in self._together:
            self._together[few] = _together(few, [self._facts[fact] for fact in few])
        return (self._together[few], *(self._facts[fact].part for fact in wanted if fact not in few))


def met(facts: Facts, parts: Iterable[IndexPart]) -> int:
    """The conditions that these facts meet as far as the facts of `parts` are concerned; -1: all."""
    left = -1
    for read, key, known, learn in parts:
        value = read(facts) if key is None else key(read(facts))
        places = known.get(value)
        left &= learn(value, facts) if places is None else places
    return left


def _together(names: Sequence[str], indexes: Sequence[_FactIndex]) -> IndexPart:
    attributes = [
        attribute
        for name in names
        for attribute in (_PURPOSE if name == "class" else (_ATTRIBUTES.get(name, name),))
    ]
    known: dict[Any, int] = {}

    def learn(key: Any, facts: Facts) -> int:
        return _remembered(known, key, reduce(and_, (index.met(facts) for index in indexes)))

    return IndexPart(attrgetter(*attributes), None, known, learn)


def _remembered(known: dict[Any, int], key: Any, places: int) -> int:
    if len(known) >= _MOST_VALUES:
        known.clear()
    known[key] = places
    return places


def _getter(fact: str) -> Callable[[Facts], Any]:
    if fact.startswith(HEADER):
        name = fact.removeprefix(HEADER)
        return lambda facts: facts.headers.get(name, "")
    if fact == "class":
        return attrgetter(*_PURPOSE)
    return attrgetter(_ATTRIBUTES.get(fact, fact))


def _key(fact: str, tests: Sequence[Any]) -> Callable[[Any], Any] | None:
    """What values with the same answers have in common; None: nothing but the value itself."""
    if isinstance(tests[0], Between):
        # a number meets the same questions as any other between the same two cuts
        cuts = sorted(
            {one.low for one in tests if one.low is not None}
            | {one.high + 1 for one in tests if one.high is not None}
        )
        return lambda value: -1 if value is None else bisect_right(cuts, value)
    return _minute if fact == "time" else None


def _minute(value: datetime | None) -> Any:
    # datetime.timestamp() takes three times as long
    if value is None:
        return None
    return (value.toordinal() * 24 + value.hour) * 60 + value.minute, value.utcoffset()
