"""Condition: the JSON `when` of a mapping, read once; `meets(facts)` says whether a request is meant.

    {"class": ["subagent"], "input_tokens": {"from": 60000}, "images": true, "header": {"x-team": ["a*"]}}

All of it must hold; of a list, one. docs/routing.md, "Conditions", has every fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from typing import Any, Final

from gateway import patterns
from gateway.client_protocol.purpose import CONDITIONS, Task
from gateway.routing.facts import HEADER, TOOL_NAMES, Facts, Needs, version_of
from gateway.routing.predicates import (
    DAY,
    DAYS,
    Between,
    ClientRange,
    Is,
    OneClass,
    OneClient,
    OneOf,
    Predicate,
    Window,
)

MOST_VALUES: Final = 100
LONGEST_TEXT: Final = 200
LARGEST_NUMBER: Final = 1_000_000_000
UTC: Final = "UTC"
# in the names of headers that carry credentials, or may: whole words, and what may stand anywhere. Better to
# refuse x-monkey than to keep an x-accesskey
_CREDENTIAL_WORDS: Final = frozenset({"pwd", "pin", "otp", "sig", "sid"})
_CREDENTIALS: Final = (
    "auth", "key", "jwt", "pass", "token", "secret", "cookie", "cred", "signature", "bearer", "assertion",
    "ticket", "csrf", "hmac",
)  # fmt: skip
_HEADER_NAME: Final = patterns.compiled(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SEPARATOR: Final = patterns.compiled(r"[^a-z0-9]")
_CLOCK: Final = patterns.compiled(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
_BOUND: Final = patterns.compiled(r"(>=|<)[ ]?([0-9][0-9.]{0,60})")

Zones = Callable[[str], tzinfo | None]
Tests = list[tuple[str, Predicate]]


class Flaw(StrEnum):
    """What is wrong with a condition (sentences: gateway/models/configuration/condition_words.py)."""

    NO_OBJECT = "no object"
    UNKNOWN_FACT = "unknown fact"
    NO_LIST = "no list"
    EMPTY_LIST = "empty list"
    TOO_MANY = "too many"
    NO_TEXT = "no text"
    NO_FLAG = "no flag"
    NO_RANGE = "no range"
    NO_NUMBER = "no number"
    REVERSED = "reversed"
    UNKNOWN_CLASS = "unknown class"
    NO_CLIENT = "no client"
    UNKNOWN_DAY = "unknown day"
    NO_TIME = "no time"
    EMPTY_TIME = "empty time"
    UNKNOWN_ZONE = "unknown zone"
    NO_HEADER = "no header"
    CREDENTIAL_HEADER = "credential header"
    NO_TOOLS = "no tools"


class BadCondition(ValueError):
    """`flaw` of the fact that is called `fact` in the JSON; `detail`: the value or name that is meant."""

    def __init__(self, flaw: Flaw, fact: str = "", detail: str = "") -> None:
        super().__init__(f"{fact}: {flaw} {detail}".strip())
        self.flaw = flaw
        self.fact = fact
        self.detail = detail[:LONGEST_TEXT]


@dataclass(frozen=True, slots=True)
class Condition:
    """`tests`: fact and what is asked of it; all must hold. `flaw`: it takes nothing, because of this."""

    tests: tuple[tuple[str, Predicate], ...] = ()
    flaw: BadCondition | None = None

    def meets(self, facts: Facts) -> bool:
        return self.flaw is None and all(test.meets(value_of(fact, facts)) for fact, test in self.tests)

    def unmet(self, facts: Facts) -> tuple[str, ...]:
        """The facts that are not as the condition asks, by their names in the JSON."""
        found = (fact for fact, test in self.tests if not test.meets(value_of(fact, facts)))
        return tuple(dict.fromkeys(written_as(fact) for fact in found))

    def covers(self, other: Condition) -> bool:
        """Whether each request that meets `other` meets this one; False is no proof of the contrary."""
        if self.flaw is not None:
            return False
        asked = dict(other.tests)
        if Task.SAFEGUARDS in other.classes - self.classes:
            # the gateway's own checks go only where a condition names them
            return False
        return all(fact in asked and test.covers(asked[fact]) for fact, test in self.tests)

    @property
    def classes(self) -> frozenset[str]:
        """What requests must be for; empty when that does not matter."""
        return frozenset(name for _, test in self.tests_of("class") for name in test.classes)

    @property
    def always(self) -> bool:
        """Whether every request meets it."""
        return not self.tests and self.flaw is None

    @property
    def needs(self) -> Needs:
        tools = tuple(name for _, test in self.tests_of(TOOL_NAMES) for name in test.patterns)
        return Needs(frozenset(fact for fact, _ in self.tests), tools)

    def tests_of(self, fact: str) -> list[tuple[str, Any]]:
        return [(name, test) for name, test in self.tests if name == fact]


ALWAYS: Final = Condition()


def compiled(when: Any, zone_of: Zones) -> Condition:
    """Read the JSON of a condition; `zone_of` finds a time zone by its name. Raises BadCondition."""
    if not isinstance(when, dict):
        raise BadCondition(Flaw.NO_OBJECT)
    tests: Tests = []
    for fact in in_order(when):
        wanted = when[fact]
        if fact == "time":
            tests.append((fact, _window(wanted, zone_of)))
        elif fact in _READERS:
            tests += _READERS[fact](fact, wanted)
        else:
            raise BadCondition(Flaw.UNKNOWN_FACT, detail=str(fact))
    asked = dict(tests)
    count = asked.get("tools")
    if isinstance(count, Between) and count.high == 0:
        unoffered = [Is(True) == asked.get("web_search"), TOOL_NAMES in asked, bool(count.low)]
        if any(unoffered):
            raise BadCondition(Flaw.NO_TOOLS, "tools")
    return Condition(tuple(tests))


def condition_of(when: Any, zone_of: Zones) -> Condition:
    """The same for what is stored: a condition that cannot be read takes no request, and says why."""
    try:
        return compiled(when, zone_of)
    except BadCondition as problem:
        return Condition(flaw=problem)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of facts, as conditions and the history write them, in the order in which people are told them.

    PostgreSQL keeps no order of a JSON object's members.
    """
    return sorted(names, key=lambda name: (_PLACES.get(name.partition(".")[0], len(_PLACES)), name))


def written_as(fact: str) -> str:
    """The name in the JSON of a fact in `tests`."""
    if fact == TOOL_NAMES:
        return "tools.name"
    return f"header.{fact.removeprefix(HEADER)}" if fact.startswith(HEADER) else fact


def value_of(fact: str, facts: Facts) -> Any:
    """What `facts` have under the name of a test."""
    reader = VALUES.get(fact)
    return facts.headers.get(fact.removeprefix(HEADER), "") if reader is None else reader(facts)


def carries_credentials(header: str) -> bool:
    """Whether a header of this name holds a credential, or may; no rule can look at it."""
    name = header.casefold()
    return not _CREDENTIAL_WORDS.isdisjoint(_SEPARATOR.split(name)) or any(
        part in name for part in _CREDENTIALS
    )


VALUES: Final[Mapping[str, Callable[[Facts], Any]]] = {
    "class": lambda facts: facts.purpose,
    "agent_type": lambda facts: facts.purpose.agent_type,
    "input_tokens": lambda facts: facts.input_tokens,
    "images": lambda facts: facts.images,
    "pdfs": lambda facts: facts.pdfs,
    "thinking": lambda facts: facts.thinking,
    "effort": lambda facts: facts.effort,
    "tools": lambda facts: facts.tools,
    TOOL_NAMES: lambda facts: facts.tool_names,
    "web_search": lambda facts: facts.web_search,
    "structured_output": lambda facts: facts.structured_output,
    "streamed": lambda facts: facts.streamed,
    "max_tokens": lambda facts: facts.max_tokens,
    "key": lambda facts: facts.key,
    "owner": lambda facts: facts.owner,
    "group": lambda facts: facts.groups,
    "client": lambda facts: facts.client,
    "time": lambda facts: facts.moment,
}


# the names of tools and of headers come with their kind
_PLACES: Final = {name: place for place, name in enumerate((*VALUES, "tool_names", "header"))}


def _texts(fact: str, wanted: Any) -> tuple[str, ...]:
    if not isinstance(wanted, list):
        raise BadCondition(Flaw.NO_LIST, fact)
    if not wanted:
        raise BadCondition(Flaw.EMPTY_LIST, fact)
    if len(wanted) > MOST_VALUES:
        raise BadCondition(Flaw.TOO_MANY, fact, str(MOST_VALUES))
    for one in wanted:
        if not isinstance(one, str) or not one.strip() or len(one) > LONGEST_TEXT or "\0" in one:
            raise BadCondition(Flaw.NO_TEXT, fact, str(one))
    return tuple(dict.fromkeys(one.strip() for one in wanted))


def _one_of(fact: str, wanted: Any) -> Tests:
    return [(fact, OneOf(_texts(fact, wanted)))]


def _class(fact: str, wanted: Any) -> Tests:
    classes = _texts(fact, wanted)
    unknown = [one for one in classes if one not in CONDITIONS]
    if unknown:
        raise BadCondition(Flaw.UNKNOWN_CLASS, fact, unknown[0])
    return [(fact, OneClass(frozenset(classes)))]


def _flag(fact: str, wanted: Any) -> Tests:
    if not isinstance(wanted, bool):
        raise BadCondition(Flaw.NO_FLAG, fact)
    return [(fact, Is(wanted))]


def _range(fact: str, wanted: Any, more: Iterable[str] = ()) -> Tests:
    if not isinstance(wanted, dict) or not wanted or not wanted.keys() <= {"from", "to", *more}:
        raise BadCondition(Flaw.NO_RANGE, fact)
    low, high = (_number(fact, wanted[end]) if end in wanted else None for end in ("from", "to"))
    if low is not None and high is not None and low > high:
        raise BadCondition(Flaw.REVERSED, fact)
    return [] if low is None and high is None else [(fact, Between(low, high))]


def _number(fact: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_NUMBER:
        raise BadCondition(Flaw.NO_NUMBER, fact, str(value))
    return value


def _tools(fact: str, wanted: Any) -> Tests:
    tests = _range(fact, wanted, ["name"])
    return [*tests, (TOOL_NAMES, OneOf(_texts("tools.name", wanted["name"])))] if "name" in wanted else tests


def _client(fact: str, wanted: Any) -> Tests:
    return [(fact, OneClient(tuple(map(client_range, _texts(fact, wanted)))))]


def client_range(text: str) -> ClientRange:
    """`claude-cli >=2.1.300 <2.2` as a value. Raises BadCondition."""
    name, *bounds = text.replace(">= ", ">=").replace("< ", "<").split()
    found: dict[str, tuple[int, ...]] = {}
    for bound in bounds:
        read = _BOUND.fullmatch(bound)
        version = version_of(read.group(2)) if read else None
        if read is None or version is None or read.group(1) in found:
            raise BadCondition(Flaw.NO_CLIENT, "client", text)
        found[read.group(1)] = version
    if any(sign in name for sign in "<>="):
        raise BadCondition(Flaw.NO_CLIENT, "client", text)
    made = ClientRange(name, found.get(">="), found.get("<"))
    if made.empty:
        raise BadCondition(Flaw.REVERSED, "client")
    return made


def _headers(fact: str, wanted: Any) -> Tests:
    if not isinstance(wanted, dict) or not wanted or len(wanted) > MOST_VALUES:
        raise BadCondition(Flaw.NO_HEADER, fact)
    tests: Tests = []
    for given, values in wanted.items():
        name = str(given).casefold()
        if _HEADER_NAME.fullmatch(name) is None:
            raise BadCondition(Flaw.NO_HEADER, fact, str(given))
        if carries_credentials(name):
            raise BadCondition(Flaw.CREDENTIAL_HEADER, fact, str(given))
        if any(HEADER + name == known for known, _ in tests):
            raise BadCondition(Flaw.NO_HEADER, fact, str(given))
        tests.append((HEADER + name, OneOf(_texts(f"header.{name}", values))))
    return tests


def _window(wanted: Any, zone_of: Zones) -> Window:
    if not isinstance(wanted, dict) or not wanted or not wanted.keys() <= {"days", "from", "to", "zone"}:
        raise BadCondition(Flaw.NO_TIME, "time")
    days = _texts("time.days", wanted["days"]) if "days" in wanted else DAYS
    unknown = [day for day in days if day not in DAYS]
    if unknown:
        raise BadCondition(Flaw.UNKNOWN_DAY, "time.days", unknown[0])
    if ("from" in wanted) != ("to" in wanted):
        raise BadCondition(Flaw.NO_TIME, "time")
    start, end = _minute(wanted.get("from", "00:00")), _minute(wanted.get("to", "24:00"))
    if start in (end, DAY):
        raise BadCondition(Flaw.EMPTY_TIME, "time")
    name = wanted.get("zone", UTC)
    zone = zone_of(name) if isinstance(name, str) else None
    if zone is None:
        raise BadCondition(Flaw.UNKNOWN_ZONE, "time.zone", str(name))
    return Window(frozenset(map(DAYS.index, days)), start, end, name, zone)


def _minute(text: Any) -> int:
    found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    minute = int(found.group(1)) * 60 + int(found.group(2)) if found else DAY + 1
    if minute > DAY:
        raise BadCondition(Flaw.NO_TIME, "time", str(text))
    return minute


_READERS: Final[Mapping[str, Callable[[str, Any], Tests]]] = {
    "class": _class,
    "agent_type": _one_of,
    "input_tokens": _range,
    "images": _flag,
    "pdfs": _flag,
    "thinking": _flag,
    "effort": _one_of,
    "tools": _tools,
    "web_search": _flag,
    "structured_output": _flag,
    "streamed": _flag,
    "max_tokens": _range,
    "key": _one_of,
    "owner": _one_of,
    "group": _one_of,
    "client": _client,
    "header": _headers,
}
# the names of a condition's JSON
FACTS: Final = (*_READERS, "time")
