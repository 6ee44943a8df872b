"""Filters of lists. Each is a parameter of the address, so an address can be saved as a view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import Case, IntegerField, Q, QuerySet, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui import time_range
from gateway.admin.ui.sanitize import inert

# rows that are counted for the numbers beside the values of a filter
MOST_COUNTED: Final = 5_000
# the most values in one parameter
_MOST_VALUES: Final = 20


def requests_url(asked: Mapping[str, str]) -> str:
    """The address of the list of requests, filtered by parameters; empty ones are left out."""
    given = {name: value for name, value in asked.items() if value}
    address = reverse("admin:gateway_requestlog_changelist")
    return f"{address}?{urlencode(given)}" if given else address


class ParameterFilter(admin.SimpleListFilter):
    """One parameter; `condition` selects the rows for a value, or is None for a value without a meaning.

    `multiple`: the parameter may have several values, separated by commas, and a row must match one of them;
    choosing a value in the menu adds or removes it.
    """

    multiple: ClassVar[bool] = False
    # the column that `counts` looks at; empty: the values of this filter are not counted
    counted: ClassVar[str] = ""

    @classmethod
    def value_of(cls, stored: Any) -> str:
        """The value of the parameter that means what a row has in the column `counted`."""
        return str(stored)

    @classmethod
    def counts(cls, rows: QuerySet[Any]) -> tuple[dict[str, int], bool]:
        """How many of `rows`, the first MOST_COUNTED in their order, each value means, and whether those are
        all of them."""
        stored = list(rows.values_list(cls.counted, flat=True)[: MOST_COUNTED + 1]) if cls.counted else []
        values = (cls.value_of(value) for value in stored[:MOST_COUNTED])
        return dict(Counter(values)), len(stored) <= MOST_COUNTED

    def condition(self, value: str) -> Q | None:
        raise NotImplementedError

    def has_output(self) -> bool:
        # Django does not apply a filter without output
        return True

    def is_offered(self) -> bool:
        """Whether the bar above the list shows the filter."""
        return True

    def values(self) -> list[str]:
        """The chosen values."""
        value = self.value() or ""
        if not self.multiple or value in dict(self.lookup_choices):
            return [value] if value else []
        return [one for one in dict.fromkeys(value.split(",")) if one]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value and "\x00" in value:
            # PostgreSQL stores no text with a NUL and refuses to search for one
            return queryset.none()
        found = self.conditions()
        return queryset if found is None else queryset.filter(found)

    def conditions(self) -> Q | None:
        """The condition for all values together."""
        found = [one for one in map(self.condition, self.values()[:_MOST_VALUES]) if one is not None]
        return reduce(or_, found) if found else None

    def choices(self, changelist: Any) -> Iterator[Any]:
        if not self.multiple:
            every, *choices = super().choices(changelist)
            yield every
            for choice, (value, _title) in zip(choices, self.lookup_choices, strict=True):
                yield {**choice, "value": str(value)}
            return
        values = self.values()
        yield {
            "selected": not values,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": _("All"),
        }
        names = {str(value): title for value, title in self.lookup_choices}
        for value in (*names, *(value for value in values if value not in names)):
            others = [one for one in values if one != value]
            here = others if value in values else [*values, value]
            yield {
                "selected": value in values,
                "value": value,
                "query_string": changelist.get_query_string(
                    {self.parameter_name: ",".join(here)} if here else {}, remove=[self.parameter_name]
                ),
                "display": names.get(value, value),
            }


class ConditionsFilter(ParameterFilter):
    """A fixed choice of conditions: CONDITIONS has title and condition by value."""

    CONDITIONS: ClassVar[Mapping[str, tuple[Any, Q]]] = {}
    counted = "*"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(name, title) for name, (title, _condition) in self.CONDITIONS.items()]

    def condition(self, value: str) -> Q | None:
        return self.CONDITIONS[value][1] if value in self.CONDITIONS else None

    @classmethod
    def counts(cls, rows: QuerySet[Any]) -> tuple[dict[str, int], bool]:
        tests = {
            f"holds_{number}": Case(When(condition, then=1), default=0, output_field=IntegerField())
            for number, (_title, condition) in enumerate(cls.CONDITIONS.values())
        }
        found = list(rows.annotate(**tests).values_list(*tests)[: MOST_COUNTED + 1])
        sums = map(sum, zip(*found[:MOST_COUNTED], strict=True)) if found else [0] * len(tests)
        return dict(zip(cls.CONDITIONS, sums, strict=True)), len(found) <= MOST_COUNTED


class FieldFilter(ParameterFilter):
    """One value of one field."""

    field: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.counted = getattr(cls, "field", "")

    def condition(self, value: str) -> Q | None:
        return Q(**{self.field: value})


class LinkedFilter(FieldFilter):
    """A field without a menu: pages link to one of its values, and the bar shows it then."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        value = request.GET.get(str(self.parameter_name), "")
        return [(value, inert(value))] if value else []

    def is_offered(self) -> bool:
        return bool(self.lookup_choices)


class TimeFilter(ParameterFilter):
    """A time range (admin/ui/time_range.py); the menu offers the named ones."""

    title = _("time")
    parameter_name = time_range.PARAMETER
    moment: ClassVar[str] = "started_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return list(time_range.NAMED.items())

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield from super().choices(changelist)
        found = time_range.time_range(self.value() or "")
        if found is not None and found.token not in time_range.NAMED:
            query = changelist.get_query_string({self.parameter_name: found.token})
            yield {"selected": True, "query_string": query, "display": found.title}

    def condition(self, value: str) -> Q | None:
        found = time_range.time_range(value)
        if found is None:
            return None
        since = {} if found.since is None else {f"{self.moment}__gte": found.since}
        until = {} if found.until is None else {f"{self.moment}__lt": found.until}
        return Q(**since, **until)
