"""What a condition asks of one fact: a value with `meets`, `covers`, and whether it can be met at all.

Equal questions are equal values, so that the rules of a snapshot share them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final, Protocol

from gateway.client_protocol.purpose import Purpose, RequestClass, Task
from gateway.patterns import Pattern, wildcard
from gateway.routing import names
from gateway.routing.facts import Client

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY: Final = 24 * 60
_WEEK: Final = 7 * DAY


class Predicate(Protocol):
    """A question about one fact; `value` is what the request has, None or empty when that is not known."""

    def meets(self, value: Any) -> bool:
        """Whether this value is what is asked for."""

    def covers(self, other: Any) -> bool:
        """Whether each value that meets `other`, a question of the same kind, meets this one too."""


@dataclass(frozen=True, slots=True)
class OneClass:
    """What the request is for: one of client_protocol.purpose.CONDITIONS."""

    classes: frozenset[str]

    def meets(self, value: Purpose) -> bool:
        return value.request_class in self.classes or value.task in self.classes

    def covers(self, other: OneClass) -> bool:
        # the client's safety check is an auxiliary request
        also = {Task.CLASSIFIER} if RequestClass.AUXILIARY in self.classes else set()
        return other.classes <= self.classes | also


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text, or one text of a set, is among names and patterns with `*`. Case is ignored."""

    patterns: tuple[str, ...]
    _exact: frozenset[str] = field(init=False, repr=False, compare=False)
    _wild: tuple[Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact = frozenset(one.casefold() for one in self.patterns if not names.is_wildcard(one))
        object.__setattr__(self, "_exact", exact)
        wild = tuple(wildcard(one) for one in self.patterns if names.is_wildcard(one))
        object.__setattr__(self, "_wild", wild)

    def meets(self, value: str | frozenset[str]) -> bool:
        return self._means(value) if isinstance(value, str) else any(map(self._means, value))

    def _means(self, text: str) -> bool:
        if not text:
            return False
        return text.casefold() in self._exact or any(one.fullmatch(text) for one in self._wild)

    def covers(self, other: OneOf) -> bool:
        return all(any(names.covers(mine, one) for mine in self.patterns) for one in other.patterns)


@dataclass(frozen=True, slots=True)
class Is:
    """Yes or no."""

    wanted: bool

    def meets(self, value: bool | None) -> bool:
        return value is self.wanted

    def covers(self, other: Is) -> bool:
        return self.wanted is other.wanted


@dataclass(frozen=True, slots=True)
class Between:
    """A number from `low` to `high`, both included; None: no bound."""

    low: int | None = None
    high: int | None = None

    def meets(self, value: int | None) -> bool:
        if value is None:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def covers(self, other: Between) -> bool:
        return (self.low is None or (other.low is not None and other.low >= self.low)) and (
            self.high is None or (other.high is not None and other.high <= self.high)
        )


Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClientRange:
    """Clients of one name (or pattern), from a version on and below another; None: of any version."""

    name: str
    least: Version | None = None
    below: Version | None = None

    def means(self, client: Client) -> bool:
        if not client.name or not names.matches(self.name, client.name):
            return False
        if self.least is None and self.below is None:
            return True
        version = _trimmed(client.version)
        return (
            bool(client.version)
            and (self.least is None or version >= _trimmed(self.least))
            and (self.below is None or version < _trimmed(self.below))
        )

    @property
    def empty(self) -> bool:
        """Whether no version is meant."""
        return (
            self.least is not None and self.below is not None and _trimmed(self.least) >= _trimmed(self.below)
        )

    def takes_all_of(self, other: ClientRange) -> bool:
        least, below = self.least, self.below
        return (
            names.covers(self.name, other.name)
            and (least is None or (other.least is not None and _trimmed(other.least) >= _trimmed(least)))
            and (below is None or (other.below is not None and _trimmed(other.below) <= _trimmed(below)))
        )


@dataclass(frozen=True, slots=True)
class OneClient:
    """The client is one of these."""

    ranges: tuple[ClientRange, ...]

    def meets(self, value: Client) -> bool:
        return any(one.means(value) for one in self.ranges)

    def covers(self, other: OneClient) -> bool:
        return all(any(mine.takes_all_of(one) for mine in self.ranges) for one in other.ranges)


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the week in a time zone. `days` are those on which the window begins, 0 is Monday.

    From minute `start` of the day on and before minute `end`; one that ends earlier than it starts goes on
    into the next day.
    """

    days: frozenset[int]
    start: int
    end: int
    zone_name: str
    zone: tzinfo

    def meets(self, value: datetime | None) -> bool:
        if value is None:
            return False
        local = value.astimezone(self.zone)
        day, minute = local.weekday(), local.hour * 60 + local.minute
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or (
            (day - 1) % 7 in self.days and minute < self.end
        )

    def covers(self, other: Window) -> bool:
        return self.zone_name == other.zone_name and other.minutes() <= self.minutes()

    def minutes(self) -> frozenset[int]:
        """The minutes of the week that it has."""
        length = self.end - self.start if self.start < self.end else self.end + DAY - self.start
        return frozenset(_minutes_from(self.days, self.start, length))


def _minutes_from(days: Iterable[int], start: int, length: int) -> Iterable[int]:
    for day in days:
        first = day * DAY + start
        for minute in range(first, first + length):
            yield minute % _WEEK


def _trimmed(version: Version) -> Version:
    """Without final zeros: 2.1 and 2.1.0 are one version."""
    end = len(version)
    while end and version[end - 1] == 0:
        end -= 1
    return version[:end]
