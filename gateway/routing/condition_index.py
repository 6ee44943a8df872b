"""ConditionIndex: which of many conditions a request meets, without asking one after the other.

For each fact that is asked about, the conditions are bits of a number: those that its value meets, or that
do not ask about it. A condition whose bit is in all of them is met. Which bits a value has is worked out
when it is first seen, times by the minute; those of numbers are worked out before, for each stretch between
two bounds. So the time depends on the number of facts, not of conditions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_, attrgetter
from typing import Any, Final

from gateway.routing.conditions import Condition, value_of
from gateway.routing.facts import HEADER, TOOL_NAMES, Facts
from gateway.routing.predicates import Between, Predicate

# values of one fact; clients can make up names of agents, headers and tools
_MOST_VALUES: Final = 512
_MINUTE: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _kind(facts: Facts) -> Any:
    purpose = facts.purpose
    return (
        purpose.request_class,
        purpose.task,
        purpose.agent_type,
        facts.images,
        facts.pdfs,
        facts.thinking,
        facts.effort,
        facts.web_search,
        facts.structured_output,
        facts.streamed,
    )


def _asker(facts: Facts) -> Any:
    return (facts.key, facts.owner, facts.client)


# facts that are looked up as one, all of them as soon as two are asked about: those with few values, and
# those that belong to one client. Written out, because attrgetter takes three times as long for as many
_TOGETHER: Final[tuple[tuple[frozenset[str], Callable[[Facts], Any]], ...]] = (
    (
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
        _kind,
    ),
    (frozenset({"key", "owner", "client"}), _asker),
)
# facts whose attributes are not called as they are
_ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "class": ("purpose.request_class", "purpose.task"),
    "agent_type": ("purpose.agent_type",),
    TOOL_NAMES: ("tool_names",),
    "group": ("groups",),
}


# Plain tuples: `met` unpacks each for each request, and a NamedTuple takes four times as long.
# One fact, or several as one: how it is read, the sets of conditions by its value, and how one more is
# worked out
ValuePart = tuple[Callable[[Facts], Any], dict[Any, int], Callable[[Any, Facts], int]]
# A fact that is a number: how it is read, the bounds, and the set of conditions of each stretch between two
# of them; the last one is that of no number
NumberPart = tuple[Callable[[Facts], Any], list[int], list[int]]
# What is asked of a request, for `met`
IndexParts = tuple[tuple[ValuePart, ...], tuple[NumberPart, ...]]
NOTHING_ASKED: Final[IndexParts] = ((), ())


class _FactIndex:
    """The conditions by the values of one fact."""

    __slots__ = ("_fact", "_tests", "_unasked", "number", "value")

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
        self.number = self._numbers()
        self.value = None if self.number else _values(_getter(fact), [self])

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
        return _getter(self._fact), bounds, places


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
        for group, read in _TOGETHER:
            some = tuple(fact for fact in wanted if fact in group)
            if len(some) < 2:
                continue
            if some not in self._together:
                self._together[some] = _values(read, [self._facts[fact] for fact in some])
            values.append(self._together[some])
            wanted = [fact for fact in wanted if fact not in some]
        indexes = [self._facts[fact] for fact in wanted]
        values += [index.value for index in indexes if index.value is not None]
        return tuple(values), tuple(index.number for index in indexes if index.number is not None)


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


def _values(read: Callable[[Facts], Any], indexes: Sequence[_FactIndex]) -> ValuePart:
    known: dict[Any, int] = {}

    def learn(value: Any, facts: Facts) -> int:
        return _remembered(known, value, reduce(and_, (index.met(facts) for index in indexes)))

    return read, known, learn


def _remembered(known: dict[Any, int], key: Any, places: int) -> int:
    if len(known) >= _MOST_VALUES:
        known.clear()
    known[key] = places
    return places


def _getter(name: str) -> Callable[[Facts], Any]:
    if name.startswith(HEADER):
        header = name.removeprefix(HEADER)
        return lambda facts: facts.headers.get(header, "")
    if name == "time":
        return _minutes()
    return attrgetter(*_ATTRIBUTES.get(name, (name,)))


def _minutes() -> Callable[[Facts], Any]:
    """A reader of the minute in which a request came, which remembers the last one.

    Most requests come in the same minute as the one before, and to see that takes an eighth of the time
    that it takes to work the minute out.
    """
    last = (_LONG_AGO, _LONG_AGO)

    def read(facts: Facts) -> Any:
        nonlocal last
        moment = facts.moment
        if moment is None:
            return None
        beginning, end = last
        if not beginning <= moment < end:
            beginning = moment.astimezone(UTC).replace(second=0, microsecond=0)
            last = (beginning, beginning + _MINUTE)
        return beginning

    return read
