"""The filters of the history. None of them reads distinct values from the large table.

Partial indexes (models/history/request_log.py) find rare rows. A condition repeats that of its index, because
SQLite uses the index only then.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from gateway.admin.requests.facts.fact_filters import (
    ClientFilter,
    EffortFilter,
    GroupFilter,
    InputTokensFilter,
    SlowFilter,
    WithFilter,
    WithoutFilter,
    counted_by_key,
)
from gateway.admin.ui.list_filters import FieldFilter, LinkedFilter, ParameterFilter, TimeFilter
from gateway.admin.ui.sanitize import inert
from gateway.client_protocol.purpose import CHECKS, RequestClass, Task
from gateway.history.access import VIEW_ALL, owned_keys
from gateway.history.caching.report import about_of
from gateway.history.totals.contributions import DAY, FAILED, HOUR
from gateway.models import CacheMiss, ClientKey, DailyTotal, Problem, Provider
from gateway.models.history.cache_miss import Culprit
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
MODELS_OF_DAYS: Final = 7


class OldTimeFilter(TimeFilter):
    """`?time=7d`, the former spelling, for addresses that people have saved."""

    parameter_name = "time"

    def is_offered(self) -> bool:
        return bool(self.value())


class KeyFilter(ParameterFilter):
    multiple = True
    title = _("client key")
    parameter_name = "key"
    counted = "client_key_id"

    @classmethod
    def value_of(cls, stored: Any) -> str:
        return "none" if stored is None else str(stored)

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


class OwnerFilter(ParameterFilter):
    multiple = True
    title = _("owner")
    parameter_name = "owner"
    counted = "client_key_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        owned = ClientKey.objects.exclude(owner="", user=None).select_related("user")
        return [(name, name) for name in sorted({key.owner_name for key in owned})]

    @classmethod
    def counts(cls, rows: QuerySet[Any]) -> tuple[dict[str, int], bool]:
        keys = ClientKey.objects.exclude(owner="", user=None).select_related("user")
        return counted_by_key(rows, {key.pk: [key.owner_name] for key in keys})

    def condition(self, value: str) -> Q | None:
        theirs = Q(user__username=value) | Q(user=None, owner=value)
        keys = list(ClientKey.objects.filter(theirs).values_list("pk", flat=True))
        return Q(client_key_id=keys[0]) if len(keys) == 1 else Q(client_key_id__in=keys)


class ProviderFilter(FieldFilter):
    """The configured providers; ?provider=SLUG in the address also finds a former one."""

    multiple = True
    title = _("provider")
    parameter_name = field = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return list(Provider.objects.order_by("name").values_list("slug", "name"))


class ModelFilter(FieldFilter):
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


class StatusFilter(ParameterFilter):
    """A class of statuses or an exact one."""

    multiple = True
    title = _("status")
    parameter_name = "status"
    counted = "status"
    CLASSES: ClassVar[dict[str, Q]] = {"4xx": RARE["refused"], "5xx": RARE["failed"]}

    @classmethod
    def value_of(cls, stored: Any) -> str:
        return f"{(stored or 0) // 100}xx"

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


class StateFilter(FieldFilter):
    """The state of a request; `failed` stands for every failed end."""

    multiple = True
    title = _("end")
    parameter_name = field = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("failed", _("any failure")), *model_admin.model._meta.get_field("state").choices]

    @classmethod
    def counts(cls, rows: QuerySet[Any]) -> tuple[dict[str, int], bool]:
        found, whole = super().counts(rows)
        return {**found, "failed": sum(found.get(state, 0) for state in FAILED)}, whole

    def condition(self, value: str) -> Q | None:
        return Q(state__in=sorted(FAILED)) if value == "failed" else super().condition(value)


class ProblemFilter(ParameterFilter):
    """The requests of one problem; offered only where the problem's page leads."""

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


class ErrorTypeFilter(ParameterFilter):
    multiple = True
    title = _("error type")
    parameter_name = "error"
    counted = "error_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(name, name) for name in ERROR_TYPES]

    def condition(self, value: str) -> Q | None:
        return ~Q(error_type="") & Q(error_type=value)


class StopReasonFilter(ParameterFilter):
    multiple = True
    title = _("stop reason")
    parameter_name = "stop_reason"
    counted = "stop_reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(reason, reason) for reason in STOP_REASONS]

    def condition(self, value: str) -> Q | None:
        return Q(stop_reason=value) if value in USUAL_STOPS else Q(stop_reason=value) & UNUSUAL_STOP


class EndpointFilter(FieldFilter):
    RARELY: ClassVar[dict[str, Q]] = {Endpoint.REPLAY: RARE["replay"], Endpoint.SHADOW: RARE["shadows"]}
    title = _("kind")
    parameter_name = field = "endpoint"

    def condition(self, value: str) -> Q | None:
        return Q(endpoint=value) & self.RARELY.get(value, Q())

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return list(model_admin.model._meta.get_field("endpoint").choices)


class ClassFilter(ParameterFilter):
    """What requests are for; safety checks can be chosen alone."""

    title = _("purpose")
    parameter_name = "class"
    counted = "request_class"

    @classmethod
    def counts(cls, rows: QuerySet[Any]) -> tuple[dict[str, int], bool]:
        found, whole = super().counts(rows)
        # the tasks that can be chosen alone are not told apart here
        return {**dict.fromkeys(CLASSES, 0), **found}, whole

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [*CLASSES.items(), *((task.value, TASKS[task.value]) for task in CHECKS)]

    def condition(self, value: str) -> Q | None:
        if value == Task.CLASSIFIER:
            return RARE["safety"]
        if value == Task.SAFEGUARDS:
            return Q(request_class=RequestClass.AUXILIARY, task=value) & RARE_CLASS
        usual = value in (RequestClass.MAIN, RequestClass.UNKNOWN)
        return Q(request_class=value) if usual else Q(request_class=value) & RARE_CLASS


class PromptFilter(ParameterFilter):
    """The requests of one prompt of a person: ?prompt=ID, to which the session's page links."""

    title = _("prompt")
    parameter_name = "prompt"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        value = request.GET.get(self.parameter_name)
        return [(value, value[:8])] if value else []

    def has_output(self) -> bool:
        return bool(self.lookup_choices)

    def condition(self, value: str) -> Q | None:
        return ~Q(prompt_id="") & Q(prompt_id=value)


class MissedFilter(ParameterFilter):
    """Requests that missed the provider's cache: `any`, or a kind of miss as written by `about_value`."""

    title = _("missed the cache")
    parameter_name = "missed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("any", _("for any reason")), *Culprit.choices]

    def condition(self, value: str) -> Q | None:
        asked = Q() if value == "any" else about_of(value)
        return Q(request_id__in=CacheMiss.objects.filter(asked).order_by().values("log_id"))


class MappingFilter(LinkedFilter):
    title = _("mapping")
    parameter_name = field = "mapping"


HISTORY_FILTERS: Final = (
    TimeFilter, OldTimeFilter, StateFilter, StatusFilter, ErrorTypeFilter, ProblemFilter, KeyFilter,
    OwnerFilter, GroupFilter, ProviderFilter, ModelFilter, UpstreamModelFilter, StopReasonFilter, SlowFilter,
    WithFilter, WithoutFilter, EffortFilter, InputTokensFilter, EndpointFilter, ClassFilter, PromptFilter,
    MissedFilter, ClientFilter, MappingFilter,
)  # fmt: skip

# filters that name other people or the gateway's configuration
_NOT_FOR_OWNERS: Final = (
    OwnerFilter, GroupFilter, ProviderFilter, ModelFilter, UpstreamModelFilter, ProblemFilter, MappingFilter,
)  # fmt: skip


def history_filters(request: HttpRequest) -> list[Any]:
    """The filters of the history; fewer for owners of keys, who see only their own requests."""
    if request.user.has_perm(VIEW_ALL):
        return list(HISTORY_FILTERS)
    return [one for one in HISTORY_FILTERS if one not in _NOT_FOR_OWNERS]
