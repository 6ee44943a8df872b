"""Ramp: a target of a mapping gets the sessions step by step, or all at one time."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gateway.models.base import ConfigRecord
from gateway.models.configuration.model_mapping import MappingTarget, ModelMapping

MOST_STEPS: Final = 20
# percent
SMALLEST_SHARE: Final = 0.1
# seconds
LONGEST_STEP: Final = 30 * 86_400
MOST_SESSIONS: Final = 1_000_000


class RampState(models.TextChoices):
    """How a ramp stands. The last two are ends."""

    WAITING = "waiting", pgettext_lazy("ramp", "waiting")
    RUNNING = "running", pgettext_lazy("ramp", "running")
    PAUSED = "paused", pgettext_lazy("ramp", "paused")
    DONE = "done", pgettext_lazy("ramp", "done")
    ROLLED_BACK = "rolled_back", pgettext_lazy("ramp", "rolled back")


ACTIVE: Final = (RampState.WAITING, RampState.RUNNING, RampState.PAUSED)


def steps_problem(steps: Any) -> Any:
    """What is wrong with the steps of a ramp, in a sentence; "" if nothing."""
    if not isinstance(steps, list) or not 1 <= len(steps) <= MOST_STEPS:
        return _("Enter a list of 1 to %(most)d steps.") % {"most": MOST_STEPS}
    last = 0.0
    for step in steps:
        if not isinstance(step, dict) or not {"share"} <= step.keys() <= {"share", "seconds", "sessions"}:
            return _("A step has a share, and seconds or sessions or neither.")
        if {"seconds", "sessions"} <= step.keys():
            return _("A step lasts for a time or for a number of sessions, not both.")
        share = step["share"]
        if not _number(share) or not SMALLEST_SHARE <= share <= 100:
            return _("A share is a number from 0.1 to 100, in percent.")
        if share <= last:
            return _("Each share is larger than the one before it.")
        last = share
        for name, most in (("seconds", LONGEST_STEP), ("sessions", MOST_SESSIONS)):
            value = step.get(name, 0)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
                return _("%(name)s is a whole number up to %(most)d.") % {"name": name, "most": most}
    return ""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Ramp(ConfigRecord):
    """The way of a mapping's sessions to one of its targets, the new arm.

    `starts_at` None: at once. `steps`: [{"share": percent of the sessions, "seconds" or "sessions": how long
    it lasts}], in order; one step of 100 is a switch. A step's `sessions` are those whose first request in
    the new arm was in it. `step`: the index of the one under way, since `step_since`. A ramp that ended has
    no influence: what came of it stands in the weights of the targets. `figures`: those of both arms when a
    guard ended it (history/arms.py), with the `guard`.

    The guards compare the new arm with the others; empty: not watched. A guard judges only once the new
    arm had `guard_sessions` sessions, and a step does not end before.
    """

    edited_with: ClassVar[str] = "mapping"

    mapping = models.ForeignKey(
        ModelMapping, on_delete=models.CASCADE, related_name="ramps", verbose_name=_("model mapping")
    )
    target = models.ForeignKey(
        MappingTarget, on_delete=models.CASCADE, related_name="ramps", verbose_name=_("new target")
    )
    starts_at = models.DateTimeField(_("starts at"), null=True, blank=True, help_text=_("Empty: at once."))
    steps = models.JSONField(_("steps"), default=list)
    guard_errors = models.FloatField(
        _("failures"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text=_("Percentage points more than the other targets."),
    )
    guard_first_byte = models.FloatField(
        _("first byte"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(10_000)],
        help_text=_("Percent slower than the other targets, for 95 of 100 requests."),
    )
    guard_tools = models.FloatField(
        _("failed tool calls"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text=_("Percentage points more than the other targets."),
    )
    guard_cost = models.FloatField(
        _("cost of a session"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(10_000)],
        help_text=_("Percent more than with the other targets."),
    )
    guard_sessions = models.PositiveIntegerField(
        _("sessions before a guard judges"), default=10, validators=[MinValueValidator(1)]
    )
    guard_minutes = models.PositiveIntegerField(
        _("minutes that a guard looks back"),
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(1440)],
        help_text=_("It also looks at the whole step."),
    )
    state = models.CharField(
        _("state"), max_length=12, choices=RampState.choices, default=RampState.WAITING, editable=False
    )
    step = models.PositiveSmallIntegerField(_("step"), default=0, editable=False)
    step_since = models.DateTimeField(_("step since"), null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True, editable=False)
    figures = models.JSONField(_("figures"), default=dict, blank=True, editable=False)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("ramp")
        verbose_name_plural = _("ramps")
        constraints = [
            models.UniqueConstraint(
                fields=["mapping"],
                condition=Q(state__in=["waiting", "running", "paused"]),
                name="one_ramp_of_mapping",
                violation_error_message=_("The mapping has a ramp already. End it first."),
            )
        ]

    def __str__(self) -> str:
        readable = not steps_problem(self.steps)
        shares = [f"{number_format(step['share'])} %" for step in self.steps] if readable else ["?"]
        return f"{self.target.upstream_model or self.target.provider.slug}: {', '.join(shares)}"

    def clean(self) -> None:
        super().clean()
        problem = steps_problem(self.steps)
        if problem:
            raise ValidationError({"steps": problem})
        if self.target_id is not None and self.target.mapping_id != self.mapping_id:
            raise ValidationError({"target": _("This target belongs to another mapping.")})

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def share(self) -> float:
        """The new arm's share in the step under way, in percent."""
        return float(self.steps[min(self.step, len(self.steps) - 1)]["share"])

    @property
    def is_guarded(self) -> bool:
        guards = (self.guard_errors, self.guard_first_byte, self.guard_tools, self.guard_cost)
        return any(guard is not None for guard in guards)
