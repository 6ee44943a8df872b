"""Filters by the facts of requests. Like the others, none of them scans the large table for what is rare."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any, ClassVar, Final

from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.list_filters import MOST_COUNTED, ConditionsFilter, FieldFilter, ParameterFilter
from gateway.admin.ui.sanitize import inert
from gateway.conversion.validation.block_checks import EFFORTS
from gateway.history.access import VIEW_ALL
from gateway.history.totals.contributions import DAY, HOUR, origins
from gateway.models import ClientKey, DailyOrigin
from gateway.models.history.hourly_total import OTHER, OriginKind
from gateway.models.history.request_log import RARE

# user agents among which those of one client are looked for
MOST_AGENTS: Final = 1_000
MOST_CLIENTS: Final = 200
CLIENTS_OF_DAYS: Final = 7
_LARGEST: Final = 2_000_000_000
# from one user agent to the next with the index
_AGENTS: Final = """
WITH RECURSIVE agents (name) AS (
    SELECT MIN(client) FROM gateway_requestlog
    UNION ALL
    SELECT (SELECT MIN(client) FROM gateway_requestlog WHERE client > agents.name)
    FROM agents WHERE agents.name IS NOT NULL
)
SELECT name FROM agents WHERE name IS NOT NULL LIMIT %s
"""


class SlowFilter(ConditionsFilter):
    title = _("slow")
    parameter_name = "slow"
    CONDITIONS: ClassVar[dict[str, tuple[Any, Q]]] = {
        "10": (_("10 seconds or more"), RARE["slow"]),
        "30": (_("30 seconds or more"), RARE["slow"] & Q(duration_ms__gte=30_000)),
        "60": (_("a minute or more"), RARE["minute"]),
        "300": (_("5 minutes or more"), RARE["minute"] & Q(duration_ms__gte=300_000)),
    }

    def condition(self, value: str) -> Q | None:
        if not value.isdecimal() or len(value) > 6:
            return None
        seconds = int(value)
        longer = Q(duration_ms__gte=seconds * 1000)
        if seconds < 10:
            return longer
        return RARE["slow"] & longer if seconds < 60 else RARE["minute"] & longer


class WithFilter(ConditionsFilter):
    """What a request has: one or several names, separated by commas; choosing one adds or removes it."""

    multiple = True
    title = _("with")
    parameter_name = "with"
    CONDITIONS: ClassVar[dict[str, tuple[Any, Q]]] = {
        "tools": (_("tools called"), RARE["tools"]),
        "images": (_("images"), RARE["images"]),
        "pdfs": (_("PDFs"), RARE["pdfs"]),
        "thinking": (_("thinking asked for"), RARE["thinking"]),
        "web_search": (_("web search"), RARE["web_search"]),
        "structured_output": (_("structured output"), RARE["structured"]),
        "ledger": (_("ledger entries"), RARE["ledger"]),
        "retries": (_("retries"), RARE["retried"]),
        "masked": (_("masked secrets"), RARE["masked"]),
        "replays": (_("being a replay"), RARE["replay"]),
    }

    def conditions(self) -> Q | None:
        """All of them hold: one Q after the other, so that the database sees each partial index."""
        chosen = [name for name in self.CONDITIONS if name in self.values()]
        return reduce(and_, (self.CONDITIONS[name][1] for name in chosen), Q()) or None


class WithoutFilter(ConditionsFilter):
    """What a request lacks. Where most requests lack it, combine it with another filter or a time."""

    title = _("without")
    parameter_name = "without"
    CONDITIONS: ClassVar[dict[str, tuple[Any, Q]]] = {
        "tools": (_("tools called"), Q(tool_count=0)),
        "images": (_("images"), Q(has_images=False)),
        "ledger": (_("ledger entries"), Q(ledger_count=0)),
        "offered": (_("tools offered"), RARE["toolless"]),
        "streaming": (_("streaming"), RARE["whole"]),
    }


class EffortFilter(FieldFilter):
    multiple = True
    title = _("effort")
    parameter_name = field = "effort"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(name, name) for name in EFFORTS]

    def condition(self, value: str) -> Q | None:
        return ~Q(effort="") & Q(effort=value)


class InputTokensFilter(ConditionsFilter):
    """Input tokens as estimated before routing: FROM..TO, either of which may be left out."""

    title = _("input tokens (estimated)")
    parameter_name = "estimated"
    CONDITIONS: ClassVar[dict[str, tuple[Any, Q]]] = {
        "..2000": (_("up to 2,000"), Q(estimated_input_tokens__lte=2_000)),
        "20000..": (_("20,000 or more"), Q(estimated_input_tokens__gte=20_000)),
        "60000..": (_("60,000 or more"), Q(estimated_input_tokens__gte=60_000)),
        "100000..": (_("100,000 or more"), RARE["large"]),
        "200000..": (_("200,000 or more"), RARE["large"] & Q(estimated_input_tokens__gte=200_000)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        value = request.GET.get(str(self.parameter_name), "")
        own = [(value, inert(value))] if value and value not in self.CONDITIONS else []
        return [*super().lookups(request, model_admin), *own]

    def condition(self, value: str) -> Q | None:
        start, dots, end = value.partition("..")
        if not dots or not (start or end) or not all(map(_is_number, filter(None, (start, end)))):
            return None
        least = Q(estimated_input_tokens__gte=int(start)) if start else Q()
        most = Q(estimated_input_tokens__lte=int(end)) if end else Q()
        large = RARE["large"] if start and int(start) >= 100_000 else Q()
        small = RARE["small"] if end and int(end) <= 1_000 else Q()
        return large & small & least & most


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _LARGEST


class GroupFilter(ParameterFilter):
    """The requests with keys of people who are in a group now."""

    multiple = True
    title = _("group")
    parameter_name = "group"
    counted = "client_key_id"

    @classmethod
    def counts(cls, rows: QuerySet[Any]) -> tuple[dict[str, int], bool]:
        groups_of: dict[int, list[str]] = {}
        for pk, name in ClientKey.objects.filter(~Q(user__groups=None)).values_list(
            "pk", "user__groups__name"
        ):
            groups_of.setdefault(pk, []).append(name)
        return counted_by_key(rows, groups_of)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(name, name) for name in Group.objects.order_by("name").values_list("name", flat=True)]

    def condition(self, value: str) -> Q | None:
        keys = list(ClientKey.objects.filter(user__groups__name=value).values_list("pk", flat=True))
        return Q(client_key_id=keys[0]) if len(keys) == 1 else Q(client_key_id__in=keys)


def counted_by_key(rows: QuerySet[Any], names_of: Mapping[int, Sequence[str]]) -> tuple[dict[str, int], bool]:
    """`ParameterFilter.counts` where the client key says the values: by the key's primary key."""
    stored = list(rows.values_list("client_key_id", flat=True)[: MOST_COUNTED + 1])
    found = Counter(name for pk in stored[:MOST_COUNTED] for name in names_of.get(pk, ()))
    return dict(found), len(stored) <= MOST_COUNTED


class ClientFilter(ParameterFilter):
    """A client with its version, as the totals call it (`claude-cli/2.1.332`), or a whole user agent.

    The menu has those of the last week.
    """

    title = _("client")
    parameter_name = "client"
    counted = "client"

    @classmethod
    def value_of(cls, stored: Any) -> str:
        return _client_name(stored or "")

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        value = request.GET.get(str(self.parameter_name), "")
        names = _clients_of_late() if request.user.has_perm(VIEW_ALL) else []
        return [(name, inert(name)) for name in dict.fromkeys([*names, *([value] if value else [])])]

    def is_offered(self) -> bool:
        return bool(self.lookup_choices)

    def condition(self, value: str) -> Q | None:
        agents = [agent for agent in _agents() if value in (agent, _client_name(agent))]
        return Q(client__in=agents) if len(agents) > 1 else Q(client=agents[0] if agents else value)


def _client_name(user_agent: str) -> str:
    return next((name for kind, name in origins(user_agent, "") if kind == OriginKind.CLIENT), "")


def _clients_of_late() -> list[str]:
    hour = int(time.time()) // HOUR - CLIENTS_OF_DAYS * DAY
    late = DailyOrigin.objects.filter(kind=OriginKind.CLIENT, hour__gte=hour - hour % DAY).exclude(name=OTHER)
    return list(late.order_by("name").values_list("name", flat=True).distinct()[:MOST_CLIENTS])


def _agents() -> list[str]:
    """All user agents of the history, without reading its rows."""
    with connection.cursor() as cursor:
        cursor.execute(_AGENTS, [MOST_AGENTS])
        return [name for (name,) in cursor.fetchall()]
