"""What needs attention now: short items, each with the next step, for the dashboard and for notices.

A source is a function from the present time to items; a new subject adds one to SOURCES. `key` names an item
from one look to the next, whatever its numbers are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Count, Max, Sum
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gateway.conf import gateway_conf
from gateway.config.health_records import FORGET_AFTER
from gateway.config.model_lifecycle.lifecycle import NOTICE
from gateway.config.model_lifecycle.targets import ending_targets, ending_text
from gateway.config.snapshot.loader import anonymous_allowed
from gateway.config.snapshot.rules import mapping_rules
from gateway.history.disk_need import PROPOSED_DAYS, oldest_contents, size_of_database
from gateway.history.record import spool
from gateway.history.totals.contributions import hour_of
from gateway.history.totals.dashboard import recent, unpriced_models
from gateway.limits.spent import budgets_of
from gateway.models import (
    ClientKey,
    Decision,
    EmergencyStop,
    LearntOption,
    Problem,
    Provider,
    ProviderCredential,
    Ramp,
    RefusedKey,
    RequestLog,
    Retention,
    SetAsideTarget,
)
from gateway.models.configuration.ramp import RampState
from gateway.models.history.request_log import RARE
from gateway.models.operation.problem import ProblemState
from gateway.watch.guards import tripped_text

Urgency = Literal["problem", "warning", "hint"]
_FEW: Final = 5
_MANY: Final = 200
_OFTEN: Final = 0.5
_SOON: Final = timedelta(days=7)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
PROPOSED: Final = timedelta(days=PROPOSED_DAYS)
# bytes; a choice, not a limit that was measured
OUTGROWN: Final = 20 * 1024**3
# of a budget: from here on it needs attention
NEARLY: Final = 0.8


@dataclass(frozen=True, slots=True)
class Item:
    """One sentence, where to go, how urgent it is, and `key`, which names it from one look to the next."""

    key: str
    text: str
    url: str = ""
    urgency: Urgency = "warning"


def items(now: datetime) -> list[Item]:
    """All items of all sources, the urgent ones first."""
    order = {"problem": 0, "warning": 1, "hint": 2}
    found = [item for source in SOURCES for item in source(now)]
    return sorted(found, key=lambda item: order[item.urgency])


def failing_providers(now: datetime) -> Iterator[Item]:
    for slug, numbers in recent(1, now).items():
        if slug and numbers.failed >= _FEW and numbers.failed_share >= _OFTEN:
            text = _("%(provider)s fails: %(failed)d of %(requests)d requests since the last full hour.")
            since = now.replace(minute=0, second=0, microsecond=0) - _HOUR
            yield Item(
                f"failing:{slug}",
                text % {"provider": slug, "failed": numbers.failed, "requests": numbers.requests},
                _page("requestlog") + f"?provider={slug}&state=failed&range={_since(since)}",
                "problem",
            )


def credentials_set_aside(now: datetime) -> Iterator[Item]:
    for credential in ProviderCredential.objects.filter(set_aside_since__isnull=False).select_related(
        "provider"
    ):
        if credential.is_set_aside:
            text = _("%(credential)s of %(provider)s was refused and is not used: %(reason)s")
            yield Item(
                f"credential:{credential.pk}",
                text
                % {
                    "credential": credential.shown_label,
                    "provider": credential.provider.name,
                    "reason": credential.set_aside_reason,
                },
                _page("provider", credential.provider_id, "change"),
                "problem",
            )


def options_that_wait(now: datetime) -> Iterator[Item]:
    number = LearntOption.objects.filter(decision=Decision.PROPOSED).count()
    if number:
        text = ngettext(
            "%(number)d option was learnt from a provider's refusal and waits for your word.",
            "%(number)d options were learnt from providers' refusals and wait for your word.",
            number,
        )
        link = _page("learntoption") + f"?decision__exact={Decision.PROPOSED}"
        yield Item("options", text % {"number": number}, link)


def spool_not_empty(now: datetime) -> Iterator[Item]:
    files = [path for path in gateway_conf().spool_folder.glob(f"*{spool.SUFFIX}") if path.stat().st_size]
    if files:
        yield Item(
            "spool",
            _("The database did not answer in time: %(files)d spool files wait to be written to the history.")
            % {"files": len(files)},
            urgency="problem",
        )


def anonymous_access(now: datetime) -> Iterator[Item]:
    if anonymous_allowed(gateway_conf(), ClientKey.unretired().exists()):
        text = _(
            "Requests without a client key are served. Issue keys and set ALLOW_ANONYMOUS=false to end that."
        )
        yield Item("anonymous", text, _page("clientkey", "add"))


def unpriced(now: datetime) -> Iterator[Item]:
    known = set(Provider.objects.values_list("slug", flat=True))
    for provider, model, number in unpriced_models(168, now)[:3]:
        if provider in known or not known:
            yield Item(
                f"unpriced:{provider}:{model}",
                ngettext(
                    "%(model)s of %(provider)s has no price: the cost of %(number)d request is unknown.",
                    "%(model)s of %(provider)s has no price: the cost of %(number)d requests is unknown.",
                    number,
                )
                % {"model": model, "provider": provider, "number": number},
                _page("modelprice", "add") + f"?{urlencode({'model': model})}",
                "hint",
            )


def keys_that_expire(now: datetime) -> Iterator[Item]:
    soon = ClientKey.objects.filter(revoked_at=None, expires_at__gt=now, expires_at__lt=now + _SOON)
    for key in soon.order_by("expires_at")[:5]:
        yield Item(
            f"expires:{key.pk}",
            _("The client key %(key)s expires on %(day)s.")
            % {"key": key, "day": f"{key.expires_at:%Y-%m-%d}"},
            _page("clientkey", key.pk, "change"),
            "hint",
        )


def budgets_nearly_used(now: datetime) -> Iterator[Item]:
    """Keys that have little left of a budget; they are few, and each is one sum over its days."""
    text = _("The client key %(key)s has used %(percent)d %% of its budget; it begins anew on %(day)s.")
    keys = ClientKey.objects.filter(revoked_at=None).exclude(spend_budget=None, token_budget=None)
    for key in keys.order_by("pk")[:_MANY]:
        for budget in budgets_of(key, now.timestamp()):
            if budget.share >= NEARLY:
                facts = {"percent": round(100 * budget.share), "day": f"{budget.period.end:%Y-%m-%d}"}
                yield Item(
                    f"budget:{key.pk}:{budget.unit}",
                    text % {"key": key, **facts},
                    _page("clientkey", key.pk, "change"),
                    "problem" if budget.share >= 1 else "warning",
                )


def keys_refused(now: datetime) -> Iterator[Item]:
    """Keys of ours that are still shown though they are refused: somebody waits for help."""
    rows = RefusedKey.objects.order_by("-last_at").filter(last_at__gte=now - _DAY).exclude(client_key_pk=0)
    # one row a day: what is refused around midnight has two
    lately: dict[tuple[int, str], RefusedKey] = {}
    names = dict(ClientKey.objects.filter(pk__in=rows.values("client_key_pk")).values_list("pk", "name"))
    for row in [row for row in rows[:_MANY] if row.client_key_pk in names]:
        first = lately.setdefault((row.client_key_pk, row.reason), row)
        if first is not row:
            first.times += row.times
    for row in list(lately.values())[:_FEW]:
        facts = {"times": row.times, "time": _time(row.last_at), "reason": row.get_reason_display()}
        text = ngettext(
            "The client key %(key)s was refused %(times)d time, last at %(time)s: %(reason)s.",
            "The client key %(key)s was refused %(times)d times, last at %(time)s: %(reason)s.",
            row.times,
        )
        yield Item(
            f"refused:{row.client_key_pk}:{row.reason}",
            text % {"key": names[row.client_key_pk], **facts},
            _page("clientkey", row.client_key_pk, "change"),
        )


def targets_set_aside(now: datetime) -> Iterator[Item]:
    """What some process skips because it failed; one item a target, whatever the number of processes."""
    names = dict(Provider.objects.values_list("slug", "pk"))
    seen: set[tuple[str, str]] = set()
    rows = SetAsideTarget.objects.filter(until__gt=now - FORGET_AFTER, credential="").order_by("since")
    for row in rows[:_MANY]:
        target = (row.provider, row.upstream_model)
        if target in seen or row.provider not in names or len(seen) >= _FEW:
            continue
        seen.add(target)
        text = _(
            "%(model)s of %(provider)s is set aside since %(since)s (failures: %(failures)d): %(reason)s"
        )
        facts = {"model": row.upstream_model, "provider": row.provider, "since": _time(row.since)}
        yield Item(
            f"target:{row.provider}:{row.upstream_model}",
            text % {**facts, "failures": row.failures, "reason": row.reason},
            _page("provider", names[row.provider], "change"),
            "problem",
        )


def mappings_that_lead_nowhere(now: datetime) -> Iterator[Item]:
    """Enabled mappings none of whose targets can be asked."""
    on = dict(Provider.objects.values_list("slug", "enabled"))
    for rule in [rule for rule in mapping_rules() if rule.enabled][:_MANY]:
        enabled = [target for target in rule.targets if target.enabled]
        off = [target for target in enabled if not on.get(target.provider)]
        page = _page("modelmapping", rule.id, "change")
        if not enabled:
            text = _("The mapping %(pattern)s has no enabled target: what it takes is refused.")
            yield Item(f"mapping:{rule.id}", text % {"pattern": rule.pattern}, page, "problem")
        elif off:
            text = _("The mapping %(pattern)s leads to %(provider)s, which is disabled.")
            every = len(off) == len(enabled)
            facts = {
                "pattern": rule.pattern,
                "provider": ", ".join(dict.fromkeys(target.provider for target in off)),
            }
            yield Item(f"mapping:{rule.id}", text % facts, page, "problem" if every else "warning")


def secrets_masked(now: datetime) -> Iterator[Item]:
    """Keys in whose requests of the last day something was masked."""
    rows = RequestLog.objects.order_by().filter(RARE["masked"], started_at__gte=now - _DAY)
    # a key that was renamed within the day is one key
    sums = rows.values_list("client_key_id").annotate(name=Max("key_name"), number=Count("pk"))
    for key, name, number in sums.order_by("-number")[:_FEW]:
        text = ngettext(
            "Secrets were masked in %(number)d request of %(key)s in the last 24 hours.",
            "Secrets were masked in %(number)d requests of %(key)s in the last 24 hours.",
            number,
        )
        yield Item(
            f"masked:{key or 0}",
            text % {"number": number, "key": name or _("nobody known")},
            _page("requestlog") + f"?with=masked&key={key or 'none'}&range={_since(now - _DAY)}",
            "hint",
        )


def problems_lately(now: datetime) -> Iterator[Item]:
    """Open problems of providers that failed often within the hour."""
    hour = hour_of(now)
    recent = Problem.objects.filter(state=ProblemState.OPEN, last_at__gte=now - _HOUR).exclude(provider="")
    sums = recent.filter(hours__hour__gte=hour - 1).annotate(lately=Sum("hours__times"))
    for problem in sums.filter(lately__gte=_FEW).order_by("-lately")[:_FEW]:
        back = _("Back after it was resolved: ") if problem.is_back else ""
        text = _("%(provider)s failed %(times)d times since the last full hour: %(message)s")
        facts = {"provider": problem.provider, "times": problem.lately, "message": str(problem)}
        yield Item(
            f"problem:{problem.pk}",
            back + text % facts,
            _page("problem", problem.pk, "change"),
            "problem" if problem.is_back else "warning",
        )


def _page(record: str, *steps: object) -> str:
    """The address of a page of the console. Not by reverse(): that loads the admin, for which a process that
    serves clients alone has no room."""
    return "/".join(("/admin/gateway", record, *map(str, steps), ""))


def _since(moment: datetime) -> str:
    """A range of the console from a moment on (admin/ui/time_range.py)."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M}Z.."


def _time(moment: datetime) -> str:
    return date_format(localtime(moment), "Y-m-d H:i T")


def ramps_rolled_back(now: datetime) -> Iterator[Item]:
    """Mappings whose newest ramp was ended by a guard within the last week."""
    ended = Ramp.objects.filter(state=RampState.ROLLED_BACK, ended_at__gte=now - _WEEK).exclude(figures={})
    newest = Ramp.objects.order_by().values("mapping").annotate(newest=Max("pk")).values("newest")
    for ramp in ended.filter(pk__in=newest).select_related("mapping", "target__provider")[:_MANY]:
        text = _("%(pattern)s: all sessions went back from %(target)s at %(time)s. %(guard)s")
        facts = {"pattern": ramp.mapping.pattern, "target": ramp.target, "guard": tripped_text(ramp.figures)}
        yield Item(
            f"ramp:{ramp.pk}",
            text % {**facts, "time": _time(ramp.ended_at)},
            _page("modelmapping", ramp.mapping_id, "ramp"),
            "problem",
        )


def models_that_end(now: datetime) -> Iterator[Item]:
    """One item for each target of a mapping, more urgent as the end comes nearer."""
    today = now.date()
    urgencies: tuple[Urgency, ...] = ("hint", "warning", "problem")
    for target, life in ending_targets(today):
        yield Item(
            f"ending:{target.pk}:{life.model}",
            f"{target.mapping.pattern}: {ending_text(life, today)}",
            _page("modelmapping", target.mapping_id, "change"),
            urgencies[sum(life.days(today) <= days for days in NOTICE) - 1],
        )


def emergency_stop(now: datetime) -> Iterator[Item]:
    reason = EmergencyStop.reason_now()
    if reason is not None:
        text = _("The emergency stop is on: every new request is refused. %(reason)s") % {"reason": reason}
        yield Item("stopped", text.strip(), _page("emergencystop", EmergencyStop.ROW, "change"), "problem")


def retention_not_decided(now: datetime) -> Iterator[Item]:
    """Contents older than what is proposed, and nobody has said how long they are to be kept."""
    if Retention.objects.exists():
        return
    oldest = oldest_contents(now, None)
    if oldest is not None and oldest < now - PROPOSED:
        text = _("Contents are kept for ever, and some are older than %(days)d days. Decide how long.")
        yield Item("retention", text % {"days": PROPOSED.days}, _page("retention"), "hint")


def sqlite_outgrown(now: datetime) -> Iterator[Item]:
    if connection.vendor == "sqlite" and size_of_database() > OUTGROWN:
        text = _("The SQLite database is larger than %(size)s: move to PostgreSQL (docs/runbook.md).")
        yield Item("sqlite", text % {"size": f"{OUTGROWN >> 30} GB"}, urgency="hint")


SOURCES: list[Callable[[datetime], Iterable[Item]]] = [
    emergency_stop,
    failing_providers,
    problems_lately,
    targets_set_aside,
    credentials_set_aside,
    mappings_that_lead_nowhere,
    secrets_masked,
    options_that_wait,
    spool_not_empty,
    anonymous_access,
    unpriced,
    keys_that_expire,
    budgets_nearly_used,
    keys_refused,
    models_that_end,
    ramps_rolled_back,
    retention_not_decided,
    sqlite_outgrown,
]
