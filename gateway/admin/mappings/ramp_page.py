"""How a mapping's sessions are divided, and the page that starts, shows and ends its ramp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.mappings.ramp_form import PRESETS, RampForm
from gateway.config.ramps import begin, begin_step, go_on, pause, roll_back
from gateway.config.snapshot.shares import first_arm, shares_of_mapping
from gateway.history.arms import ArmFigures
from gateway.models import ModelMapping, Ramp
from gateway.models.configuration.ramp import RampState
from gateway.routing.shares import shares_of
from gateway.watch import guards

_EARLIER: Final = 5
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Shared:
    """A target and its present share of the sessions in percent; None for a fallback."""

    target: Any
    share: float | None


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step of a ramp in words; `standing` is past, now or next."""

    share: float
    length: str
    standing: str


def ramp_view(page: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the page. POST `do`: begin, or one of _DONE. `page`: the admin of mappings."""
    mapping = page.get_object(request, str(pk))
    if mapping is None:
        raise Http404
    if not page.has_view_permission(request, mapping):
        raise PermissionDenied
    may_change = page.has_change_permission(request, mapping) and request.user.has_perm("gateway.change_ramp")
    here = reverse(page.page_name("ramp"), args=[pk])
    form = None
    if request.method == "POST":
        if not may_change:
            raise PermissionDenied
        asked = request.POST.get("do", "")
        if asked == "begin":
            form = RampForm(mapping, "", request.POST)
            if form.is_valid():
                _begun(page, request, form.save())
                return HttpResponseRedirect(here)
        else:
            _decide(page, request, mapping, asked)
            return HttpResponseRedirect(here)
    now = timezone.now()
    ramp = mapping.ramps.filter(state__in=["waiting", "running", "paused"]).first()
    preset = request.GET.get("steps", "five")
    context = page.page_context(
        request,
        _("Shares of %(pattern)s") % {"pattern": mapping.pattern},
        mapping=mapping,
        shared=_shared(mapping, now.timestamp()),
        ramp=ramp,
        steps=_steps(ramp) if ramp else (),
        sides=_sides(ramp) if ramp and ramp.state != RampState.WAITING else (),
        next_at=_next_at(ramp) if ramp else None,
        earlier=[(one, guards.tripped_text(one.figures)) for one in _ended(mapping)],
        may_change=may_change,
        form=form or (RampForm(mapping, preset) if may_change and ramp is None else None),
        presets=[(name, label, name == preset) for name, (label, _steps_) in PRESETS.items()],
        timezone=timezone.get_current_timezone_name(),
    )
    return TemplateResponse(request, "admin/gateway/modelmapping/ramp.html", context)


def _begun(page: Any, request: HttpRequest, ramp: Ramp) -> None:
    if ramp.starts_at is None:
        begin(ramp, timezone.now())
        page.message_user(request, _("The ramp has begun."), messages.SUCCESS)
    else:
        page.message_user(request, _("The ramp waits for its time."), messages.SUCCESS)


_DONE: Final[dict[str, tuple[Callable[[Ramp], bool], Any]]] = {
    "start": (lambda ramp: _started_now(ramp), gettext_lazy("The ramp has begun.")),
    "pause": (pause, gettext_lazy("The ramp stays at this step until somebody lets it go on.")),
    "go_on": (lambda ramp: go_on(ramp, timezone.now()), gettext_lazy("The ramp goes on.")),
    "step": (lambda ramp: begin_step(ramp, timezone.now()), gettext_lazy("The next step has begun.")),
    "roll_back": (
        lambda ramp: roll_back(ramp, timezone.now()),
        gettext_lazy("All sessions went back to the other targets."),
    ),
}


def _started_now(ramp: Ramp) -> bool:
    return ramp.state == RampState.WAITING and begin(ramp, timezone.now())


def _decide(page: Any, request: HttpRequest, mapping: ModelMapping, asked: str) -> None:
    """Do what a button says to the ramp that the page showed."""
    do, said = _DONE.get(asked, (None, ""))
    shown = request.POST.get("ramp", ""), request.POST.get("state", ""), request.POST.get("step", "")
    ramp = mapping.ramps.first()
    is_as_shown = ramp is not None and (str(ramp.pk), ramp.state, str(ramp.step)) == shown
    if do is not None and ramp is not None and is_as_shown and ramp.is_active and do(ramp):
        page.message_user(request, said, messages.SUCCESS)
    else:
        text = _("The ramp has changed meanwhile. Nothing was done.")
        page.message_user(request, text, messages.WARNING)


def _shared(mapping: ModelMapping, now: float) -> list[Shared]:
    shares = shares_of_mapping(mapping)
    weights = {first_arm(mapping): 1.0} if shares is None else shares.at(now).weights
    by_arm, found = shares_of(weights), []
    for target in mapping.targets.all():
        share = by_arm.pop(target.arm, None) if target.enabled else None
        found.append(Shared(target, None if share is None else 100 * share))
    return found


def _steps(ramp: Ramp) -> list[StepShown]:
    found = []
    for place, step in enumerate(ramp.steps):
        standing = "next" if place > ramp.step or ramp.state == RampState.WAITING else "past"
        if place == ramp.step and ramp.state != RampState.WAITING:
            standing = "now"
        found.append(StepShown(step["share"], _length(step), standing))
    return found


def _length(step: dict[str, Any]) -> str:
    if step.get("sessions"):
        number = step["sessions"]
        return ngettext("for %(number)d session", "for %(number)d sessions", number) % {"number": number}
    seconds = step.get("seconds", 0)
    if seconds and seconds % _DAY == 0:
        number = seconds // _DAY
        text = ngettext("for %(number)d day", "for %(number)d days", number)
    elif seconds and seconds % _HOUR == 0:
        number = seconds // _HOUR
        text = ngettext("for %(number)d hour", "for %(number)d hours", number)
    else:
        number = -(-seconds // _MINUTE)
        text = ngettext("for %(number)d minute", "for %(number)d minutes", number)
    return text % {"number": number}


def _sides(ramp: Ramp) -> list[tuple[str, ArmFigures, ArmFigures]]:
    """What the guards see over the time they look back, and over the whole step."""
    found = guards.sides(ramp, timezone.now(), with_costs=True)
    minutes = ramp.guard_minutes
    words = [
        ngettext("last %(number)d minute", "last %(number)d minutes", minutes) % {"number": minutes},
        _("this step"),
    ]
    return [(word, side.new, side.others) for word, side in zip(words[-len(found) :], found, strict=True)]


def _next_at(ramp: Ramp) -> Any:
    """When the present step ends by time; None if unknown."""
    if ramp.state != RampState.RUNNING or ramp.step_since is None:
        return None
    step = ramp.steps[ramp.step]
    return None if step.get("sessions") else ramp.step_since + timedelta(seconds=step.get("seconds", 0))


def _ended(mapping: ModelMapping) -> list[Ramp]:
    ended = mapping.ramps.filter(state__in=["done", "rolled_back"])
    return list(ended.select_related("target__provider")[:_EARLIER])
