"""ConditionIndex: which of many conditions a request meets, without asking one after the other.

For each fact that is asked about, the conditions are bits of a number: those that its value meets, or that
do not ask about it. A condition whose bit is in all of them is met. Which bits a value has is worked out
when it is first seen, times by the minute; those of numbers are worked out before, for each stretch between
two bounds. So the time depends on the number of facts, not of conditions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import and_, attrgetter
from typing import Any, Final, NamedTuple

from gateway.routing.conditions import Condition, value_of
from gateway.routing.facts import HEADER, TOOL_NAMES, Facts
from gateway.routing.predicates import Between, Predicate

# values of one fact; clients can make up names of agents, headers and tools
_MOST_VALUES: Final = 512
_PURPOSE: Final = ("purpose.request_class", "purpose.task")
# facts that are looked up as one: those with few values, and those that belong to one client
_TOGETHER: Final = (
    frozenset(
        {
            "class",
            "agent_type",
            "images",
            "pdfs",
            "thinking",
            "effort",
            "web_search",
            "structured_output",
            "streamed",
        }
    ),
    frozenset({"key", "owner", "client"}),
)
# facts whose attribute is not called as they are
_ATTRIBUTES: Final = {
    "agent_type": "purpose.agent_type",
    TOOL_NAMES: "tool_names",
    "group": "groups",
}


class ValuePart(NamedTuple):
    """One fact, or several as one: how it is read, the sets of conditions by its value, and how one more is
    worked out."""

    read: Callable[[Facts], Any]
    known: dict[Any, int]
    learn: Callable[[Any, Facts], int]


class NumberPart(NamedTuple):
    """A fact that is a number: the bounds, and the set of conditions of each stretch between two of them; the
    last one is that of no number."""

    read: Callable[[Facts], Any]
    bounds: list[int]
    places: list[int]


class IndexParts(NamedTuple):
    """What is asked of a request, for `met`."""

    values: tuple[ValuePart, ...] = ()
    numbers: tuple[NumberPart, ...] = ()


class _FactIndex:
    """The conditions by the values of one fact."""

    __slots__ = ("_fact", "_tests", "_unasked", "part")

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
        self.part: ValuePart | NumberPart = self._numbers() or _values([fact], [self])

    def met(self, facts: Facts) -> int:
        """The conditions that these facts meet as far as this one is concerned."""
        return self._met(value_of(self._fact, facts))

    def _met(self, value: Any) -> int:
        found = self._unasked
        for test, places in self._tests.items():
            if test.meets(value):
                found |= places
        return found

    def _numbers(self) -> NumberPart | None:
        asked = [test for test in self._tests if isinstance(test, Between)]
        if not asked:
            return None
        bounds = sorted(
            {one.low for one in asked if one.low is not None}
            | {one.high + 1 for one in asked if one.high is not None}
        )
        # a number meets the same questions as any other between the same two bounds
        first = bounds[0] - 1 if bounds else 0
        places = [self._met(number) for number in (first, *bounds, None)]
        return NumberPart(_getter(self._fact), bounds, places)


class ConditionIndex:
    """Conditions are meant by their places; a set of them is an integer with their bits."""

    __slots__ = ("_facts", "_together")

    def __init__(self, conditions: Sequence[Condition]) -> None:
        names = dict.fromkeys(fact for one in conditions for fact, _ in one.tests)
        self._facts = {name: _FactIndex(name, conditions) for name in names}
        self._together: dict[tuple[str, ...], ValuePart] = {}

    def of(self, facts: Iterable[str]) -> IndexParts:
        """The parts for these facts, which `met` is given."""
        wanted = sorted(facts)
        values: list[ValuePart] = []
        for group in _TOGETHER:
            some = tuple(fact for fact in wanted if fact in group)
            if len(some) < 2:
                continue
            if some not in self._together:
                self._together[some] = _values(some, [self._facts[fact] for fact in some])
            values.append(self._together[some])
            wanted = [fact for fact in wanted if fact not in some]
        parts = [self._facts[fact].part for fact in wanted]
        return IndexParts(
            (*values, *(part for part in parts if isinstance(part, ValuePart))),
            tuple(part for part in parts if isinstance(part, NumberPart)),
        )


def met(facts: Facts, parts: IndexParts) -> int:
    """The conditions that these facts meet as far as the facts of `parts` are concerned; -1: all."""
    values, numbers = parts
    left = -1
    for read, known, learn in values:
        value = read(facts)
        places = known.get(value)
        left &= learn(value, facts) if places is None else places
    for read, bounds, by_stretch in numbers:
        value = read(facts)
        left &= by_stretch[-1 if value is None else bisect_right(bounds, value)]
    return left


def _values(names: Sequence[str], indexes: Sequence[_FactIndex]) -> ValuePart:
    known: dict[Any, int] = {}

    def learn(value: Any, facts: Facts) -> int:
        return _remembered(known, value, reduce(and_, (index.met(facts) for index in indexes)))

    return ValuePart(_getter(*names), known, learn)


def _remembered(known: dict[Any, int], key: Any, places: int) -> int:
    if len(known) >= _MOST_VALUES:
        known.clear()
    known[key] = places
    return places


def _getter(*names: str) -> Callable[[Facts], Any]:
    name = names[0]
    if name.startswith(HEADER):
        header = name.removeprefix(HEADER)
        return lambda facts: facts.headers.get(header, "")
    if name == "time":
        return _minute
    attributes = (_PURPOSE if one == "class" else (_ATTRIBUTES.get(one, one),) for one in names)
    return attrgetter(*(attribute for some in attributes for attribute in some))


def _minute(facts: Facts) -> Any:
    # datetime.timestamp() takes three times as long
    value = facts.moment
    if value is None:
        return None
    minute = (value.toordinal() * 24 + value.hour) * 60 + value.minute
    offset = value.utcoffset()
    return (minute, offset) if offset else minute
