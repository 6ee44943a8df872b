"""The form that begins a switch or a ramp: the new target, when, in which steps, and the guards."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from gateway.config.ramps import problem_of
from gateway.models import MappingTarget, ModelMapping, Ramp
from gateway.models.configuration.ramp import LONGEST_STEP, MOST_SESSIONS

ROWS: Final = 6
HOUR: Final = 3600
SESSIONS: Final = "sessions"
# name: (label, steps)
PRESETS: Final[dict[str, tuple[Any, list[dict[str, Any]]]]] = {
    "switch": (gettext_lazy("All at once"), [{"share": 100, "seconds": HOUR}]),
    "tenth": (
        gettext_lazy("A tenth first"),
        [{"share": 10, "seconds": HOUR}, {"share": 100, "seconds": HOUR}],
    ),
    "five": (
        gettext_lazy("In five steps"),
        [{"share": share, "seconds": HOUR} for share in (1, 5, 20, 50, 100)],
    ),
}
_UNITS: Final = {
    "60": gettext_lazy("minutes"),
    "3600": gettext_lazy("hours"),
    "86400": gettext_lazy("days"),
    SESSIONS: pgettext_lazy("ramp", "sessions"),
}


class RampForm(forms.ModelForm):
    """A new ramp of `mapping`. `preset`: a key of PRESETS. Steps without a share are ignored."""

    starts_at = forms.DateTimeField(
        label=gettext_lazy("Starts at"),
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local", "class": "gw-input"}, format="%Y-%m-%dT%H:%M"
        ),
    )

    class Meta:
        model = Ramp
        fields = (
            "target", "starts_at", "guard_errors", "guard_first_byte", "guard_tools", "guard_cost",
            "guard_sessions", "guard_minutes",
        )  # fmt: skip

    def __init__(self, mapping: ModelMapping, preset: str, *args: Any, **options: Any) -> None:
        defaults = {"guard_errors": 5, "guard_first_byte": 100, "guard_tools": 10}
        options["instance"] = Ramp(mapping=mapping)
        options["initial"] = {**defaults, **options.get("initial", {})}
        super().__init__(*args, **options)
        targets: Any = self.fields["target"]
        enabled = MappingTarget.objects.filter(mapping=mapping, enabled=True)
        targets.queryset = enabled.select_related("provider")
        targets.empty_label = None
        # the initial values include the model's own empty value
        self.initial["target"] = self.initial.get("target") or enabled.order_by("-position", "-pk").first()
        _label, steps = PRESETS.get(preset, PRESETS["five"])
        for row in range(ROWS):
            self._add_row(row, steps[row] if row < len(steps) else {})
        for name, field in self.fields.items():
            field.widget.attrs.setdefault("class", "gw-input")
            field.widget.attrs["id"] = f"ramp-{name}"

    def _add_row(self, row: int, step: dict[str, Any]) -> None:
        numbers = {"class": "gw-input", "style": "width: 7rem"}
        self.fields[f"share_{row}"] = forms.FloatField(
            label=_("Share of step %(number)d, in percent") % {"number": row + 1},
            required=False,
            initial=step.get("share"),
            widget=forms.NumberInput(attrs={**numbers, "min": "0.1", "max": "100", "step": "0.1"}),
        )
        self.fields[f"length_{row}"] = forms.IntegerField(
            label=_("Length of step %(number)d") % {"number": row + 1},
            required=False,
            min_value=0,
            max_value=MOST_SESSIONS,
            initial=step["seconds"] // HOUR if step else None,
            widget=forms.NumberInput(attrs=numbers),
        )
        self.fields[f"unit_{row}"] = forms.ChoiceField(
            label=_("Unit of step %(number)d") % {"number": row + 1},
            required=False,
            choices=list(_UNITS.items()),
            initial=str(HOUR),
        )

    @property
    def rows(self) -> list[tuple[int, Any, Any, Any]]:
        """For each step its number and the bound fields share, length and unit."""
        return [
            (row + 1, self[f"share_{row}"], self[f"length_{row}"], self[f"unit_{row}"]) for row in range(ROWS)
        ]

    @property
    def guards(self) -> list[Any]:
        return [self[name] for name in self.fields if name.startswith("guard_")]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.instance.steps = [step for row in range(ROWS) if (step := self._step(cleaned, row)) is not None]
        starts_at = cleaned.get("starts_at")
        if starts_at is not None and starts_at < timezone.now():
            self.add_error("starts_at", _("This time is over. Leave it empty to begin at once."))
        if "target" in cleaned and not self.errors:
            self.instance.target = cleaned["target"]
            problem = problem_of(self.instance)
            if problem:
                raise ValidationError(problem)
        return cleaned

    def _step(self, cleaned: dict[str, Any], row: int) -> dict[str, Any] | None:
        share, length = cleaned.get(f"share_{row}"), cleaned.get(f"length_{row}") or 0
        if share is None:
            return None
        step: dict[str, Any] = {"share": int(share) if share == int(share) else share}
        unit = cleaned.get(f"unit_{row}") or str(HOUR)
        if unit == SESSIONS:
            return {**step, "sessions": length}
        seconds = length * int(unit)
        if seconds > LONGEST_STEP:
            self.add_error(f"length_{row}", _("A step lasts at most 30 days."))
            return step
        return {**step, "seconds": seconds}

    def _get_validation_exclusions(self) -> set[str]:
        # the steps are not a field of the form but must be validated; the mapping is given
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"steps", "mapping", "state"}

    def _update_errors(self, errors: ValidationError) -> None:
        # errors of the steps go above the form, since a step has several fields
        found = getattr(errors, "error_dict", None)
        if found is not None:
            for name in set(found) - set(self.fields):
                found.setdefault(NON_FIELD_ERRORS, []).extend(found.pop(name))
        super()._update_errors(errors)  # type: ignore[misc]
