"""Filters of lists, each a parameter of the address, so an address is a saved view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui import time_range

# in one parameter
_MOST_VALUES: Final = 20


class ParameterFilter(admin.SimpleListFilter):
    """One parameter; `condition` gives the rows that a value means, None for a value that means nothing.

    `multiple`: the parameter may have several values, separated by commas, and a row must match one of them;
    choosing a value in the menu adds or removes it.
    """

    multiple: ClassVar[bool] = False

    def condition(self, value: str) -> Q | None:
        raise NotImplementedError

    def has_output(self) -> bool:
        # Django leaves a filter without output out of the query
        return True

    def is_offered(self) -> bool:
        """Whether the bar above the list shows it."""
        return True

    def values(self) -> list[str]:
        """The values that are asked for."""
        value = self.value() or ""
        if not self.multiple or value in dict(self.lookup_choices):
            return [value] if value else []
        return [one for one in dict.fromkeys(value.split(",")) if one]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value and "\x00" in value:
            # no text in PostgreSQL has a NUL, and it refuses to search for one
            return queryset.none()
        found = self.conditions()
        return queryset if found is None else queryset.filter(found)

    def conditions(self) -> Q | None:
        """What all values mean together."""
        found = [one for one in map(self.condition, self.values()[:_MOST_VALUES]) if one is not None]
        return reduce(or_, found) if found else None

    def choices(self, changelist: Any) -> Iterator[Any]:
        if not self.multiple:
            yield from super().choices(changelist)
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
                "query_string": changelist.get_query_string(
                    {self.parameter_name: ",".join(here)} if here else {}, remove=[self.parameter_name]
                ),
                "display": names.get(value, value),
            }


class FieldFilter(ParameterFilter):
    """One value of one field."""

    field: ClassVar[str]

    def condition(self, value: str) -> Q | None:
        return Q(**{self.field: value})


class TimeFilter(ParameterFilter):
    """A range of the console (admin/ui/time_range.py); the list names some of them."""

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
