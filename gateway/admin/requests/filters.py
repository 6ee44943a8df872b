"""Filters of the history that read no distinct values from the big table.

Each is a parameter of the address, so an address is a saved view. Rare rows are
found through partial indexes (models/history/request_log.py); what such an index is for is
said in the condition again, because SQLite uses it only then.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import and_, or_
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui import time_range
from gateway.admin.ui.sanitize import inert
from gateway.client_protocol.purpose import RequestClass, Task
from gateway.history.access import VIEW_ALL, owned_keys
from gateway.history.totals.contributions import DAY, HOUR
from gateway.history.totals.dashboard import FAILED
from gateway.models import ClientKey, DailyTotal, Problem, Provider
from gateway.models.history.request_log import (
    CLASSES,
    RARE,
    RARE_CLASS,
    TASKS,
    UNUSUAL_STOP,
    USUAL_STOPS,
    Endpoint,
)

STOP_REASONS: Final = (
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "refusal",
    "pause_turn",
    "model_context_window_exceeded",
)
ERROR_TYPES: Final = (
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "overloaded_error",
    "api_error",
)
MOST_MODELS: Final = 200
# in one parameter
_MOST_VALUES: Final = 20
MODELS_OF_DAYS: Final = 7


class _Filter(admin.SimpleListFilter):
    """One parameter; `condition` says what its value means, None: nothing.

    `multiple`: the parameter may have several values with commas between, of which a row needs one; a
    choice adds its value or takes it away.
    """

    multiple: ClassVar[bool] = False

    def condition(self, value: str) -> Q | None:
        raise NotImplementedError

    def has_output(self) -> bool:
        # one without is not asked at all
        return True

    def is_offered(self) -> bool:
        """Whether the bar above the list has it."""
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
            # no text in PostgreSQL has one, and it refuses to look
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


class _FieldFilter(_Filter):
    """One value of one field."""

    field: ClassVar[str]

    def condition(self, value: str) -> Q | None:
        return Q(**{self.field: value})


class TimeFilter(_Filter):
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


class OldTimeFilter(TimeFilter):
    """`?time=7d`, as addresses said it that somebody may have kept."""

    parameter_name = "time"

    def is_offered(self) -> bool:
        return bool(self.value())


class SessionTimeFilter(TimeFilter):
    """When a session was last heard of."""

    moment = "last_at"


class KeyFilter(_Filter):
    multiple = True
    title = _("client key")
    parameter_name = "key"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        own = {} if request.user.has_perm(VIEW_ALL) else {"pk__in": owned_keys(request.user)}
        keys = ClientKey.objects.filter(**own).order_by("name", "pk").values_list("pk", "name", "last_four")
        return [
            *((str(pk), f"{name} …{last}" if last else name) for pk, name, last in keys),
            ("none", _("without a key")),
        ]

    def condition(self, value: str) -> Q | None:
        if value == "none":
            return Q(client_key_id__isnull=True)
        return Q(client_key_id=int(value)) if value.isdecimal() and len(value) < 18 else Q(pk__in=[])


class OwnerFilter(_Filter):
    multiple = True
    title = _("owner")
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        owned = ClientKey.objects.exclude(owner="", user=None).select_related("user")
        return [(name, name) for name in sorted({key.owner_name for key in owned})]

    def condition(self, value: str) -> Q | None:
        theirs = Q(user__username=value) | Q(user=None, owner=value)
        keys = list(ClientKey.objects.filter(theirs).values_list("pk", flat=True))
        return Q(client_key_id=keys[0]) if len(keys) == 1 else Q(client_key_id__in=keys)


class ProviderFilter(_FieldFilter):
    """The providers that are configured now; ?provider=SLUG in the address finds an older one too."""

    multiple = True
    title = _("provider")
    parameter_name = field = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return list(Provider.objects.order_by("name").values_list("slug", "name"))


class ModelFilter(_FieldFilter):
    """The models asked for in the last week, from the daily totals."""

    multiple = True
    title = _("asked model")
    parameter_name = "model"
    field = "asked_model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        totals = DailyTotal.objects.filter(hour__gte=_first_hour_of_days(MODELS_OF_DAYS)).exclude(
            **{self.field: ""}
        )
        names = totals.order_by(self.field).values_list(self.field, flat=True).distinct()
        return [(name, name) for name in names[:MOST_MODELS]]


def _first_hour_of_days(days: int) -> int:
    """The first hour of the day that many days ago, as the daily totals count."""
    hour = int(time.time()) // HOUR - days * DAY
    return hour - hour % DAY


class UpstreamModelFilter(ModelFilter):
    title = _("upstream model")
    parameter_name = field = "upstream_model"


class StatusFilter(_Filter):
    """A class, or an exact status."""

    multiple = True
    title = _("status")
    parameter_name = "status"
    CLASSES: ClassVar[dict[str, Q]] = {"4xx": RARE["refused"], "5xx": RARE["failed"]}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("2xx", _("2xx answered")), ("4xx", _("4xx refused")), ("5xx", _("5xx failed"))]

    def condition(self, value: str) -> Q | None:
        if value == "2xx":
            return Q(status__gte=200, status__lt=300)
        if value in self.CLASSES:
            return self.CLASSES[value]
        if value.isdecimal() and len(value) == 3:
            return self.CLASSES.get(f"{value[0]}xx", Q()) & Q(status=int(value))
        return None


class StateFilter(_FieldFilter):
    """How it stands; `failed` is every end that is a failure."""

    multiple = True
    title = _("end")
    parameter_name = field = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("failed", _("any failure")), *model_admin.model._meta.get_field("state").choices]

    def condition(self, value: str) -> Q | None:
        return Q(state__in=sorted(FAILED)) if value == "failed" else super().condition(value)


class ProblemFilter(_Filter):
    """The requests of one problem; offered only where it is chosen, by the page of that problem."""

    title = _("problem")
    parameter_name = "problem"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        chosen = request.GET.get(self.parameter_name, "")
        problem = Problem.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
        return [] if problem is None else [(chosen, inert(str(problem)))]

    def is_offered(self) -> bool:
        return bool(self.lookup_choices)

    def condition(self, value: str) -> Q | None:
        if not value.isdecimal() or len(value) > 18:
            return Q(pk__in=[])
        return ~Q(problem_id=None) & Q(problem_id=int(value))


class ErrorTypeFilter(_Filter):
    multiple = True
    title = _("error type")
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(name, name) for name in ERROR_TYPES]

    def condition(self, value: str) -> Q | None:
        return ~Q(error_type="") & Q(error_type=value)


class StopReasonFilter(_Filter):
    multiple = True
    title = _("stop reason")
    parameter_name = "stop_reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(reason, reason) for reason in STOP_REASONS]

    def condition(self, value: str) -> Q | None:
        return Q(stop_reason=value) if value in USUAL_STOPS else Q(stop_reason=value) & UNUSUAL_STOP


class SlowFilter(_Filter):
    title = _("slow")
    parameter_name = "slow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [
            ("10", _("10 seconds or more")),
            ("30", _("30 seconds or more")),
            ("60", _("a minute or more")),
            ("300", _("5 minutes or more")),
        ]

    def condition(self, value: str) -> Q | None:
        if not value.isdecimal() or len(value) > 6:
            return None
        seconds = int(value)
        longer = Q(duration_ms__gte=seconds * 1000)
        if seconds < 10:
            return longer
        return RARE["slow"] & longer if seconds < 60 else RARE["minute"] & longer


class WithFilter(_Filter):
    """Things that a request has: a name, or several with commas between; a choice adds or takes away."""

    multiple = True
    title = _("with")
    parameter_name = "with"
    CONDITIONS: ClassVar[dict[str, tuple[Any, Q]]] = {
        "tools": (_("tools called"), RARE["tools"]),
        "images": (_("images"), RARE["images"]),
        "ledger": (_("ledger entries"), RARE["ledger"]),
        "retries": (_("retries"), RARE["retried"]),
        "masked": (_("masked secrets"), RARE["masked"]),
        "replays": (_("being a replay"), RARE["replay"]),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(name, title) for name, (title, _condition) in self.CONDITIONS.items()]

    def condition(self, value: str) -> Q | None:
        return self.CONDITIONS[value][1] if value in self.CONDITIONS else None

    def conditions(self) -> Q | None:
        """All of them hold: one Q after the other, so that each partial index is seen."""
        chosen = [name for name in self.CONDITIONS if name in self.values()]
        return reduce(and_, (self.CONDITIONS[name][1] for name in chosen), Q()) or None


class WithoutFilter(_Filter):
    """What a request lacks; most lack it, so this is for use beside another filter or a time."""

    title = _("without")
    parameter_name = "without"
    CONDITIONS: ClassVar[dict[str, tuple[Any, Q]]] = {
        "tools": (_("tools called"), Q(tool_count=0)),
        "images": (_("images"), Q(has_images=False)),
        "ledger": (_("ledger entries"), Q(ledger_count=0)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(name, title) for name, (title, _condition) in self.CONDITIONS.items()]

    def condition(self, value: str) -> Q | None:
        return self.CONDITIONS[value][1] if value in self.CONDITIONS else None


class EndpointFilter(_FieldFilter):
    title = _("kind")
    parameter_name = field = "endpoint"

    def condition(self, value: str) -> Q | None:
        return Q(endpoint=value) & RARE["replay"] if value == Endpoint.REPLAY else Q(endpoint=value)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return list(model_admin.model._meta.get_field("endpoint").choices)


class ClassFilter(_Filter):
    """What requests are for; the safety checks of clients can be seen alone."""

    title = _("purpose")
    parameter_name = "class"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [*CLASSES.items(), (Task.CLASSIFIER.value, TASKS[Task.CLASSIFIER.value])]

    def condition(self, value: str) -> Q | None:
        if value == Task.CLASSIFIER:
            return RARE["safety"]
        usual = value in (RequestClass.MAIN, RequestClass.UNKNOWN)
        return Q(request_class=value) if usual else Q(request_class=value) & RARE_CLASS


class PromptFilter(_Filter):
    """The requests of one prompt of a person; ?prompt=ID in the address, as the session's page has it."""

    title = _("prompt")
    parameter_name = "prompt"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        value = request.GET.get(self.parameter_name)
        return [(value, value[:8])] if value else []

    def has_output(self) -> bool:
        return bool(self.lookup_choices)

    def condition(self, value: str) -> Q | None:
        return ~Q(prompt_id="") & Q(prompt_id=value)


HISTORY_FILTERS: Final = (
    TimeFilter,
    OldTimeFilter,
    StateFilter,
    StatusFilter,
    ErrorTypeFilter,
    ProblemFilter,
    KeyFilter,
    OwnerFilter,
    ProviderFilter,
    ModelFilter,
    UpstreamModelFilter,
    StopReasonFilter,
    SlowFilter,
    WithFilter,
    WithoutFilter,
    EndpointFilter,
    ClassFilter,
    PromptFilter,
)

# what names other people, or what the gateway has
_NOT_FOR_OWNERS: Final = (OwnerFilter, ProviderFilter, ModelFilter, UpstreamModelFilter, ProblemFilter)


def history_filters(request: HttpRequest) -> list[Any]:
    """The filters of the history; owners of keys, who see their own requests alone, get fewer."""
    if request.user.has_perm(VIEW_ALL):
        return list(HISTORY_FILTERS)
    return [one for one in HISTORY_FILTERS if one not in _NOT_FOR_OWNERS]
