"""The form that starts an evaluation: which steps, which candidate, and the most it may cost."""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.base import Checkboxes, IntegerInput, Select, TextInput
from gateway.client_protocol.purpose import CONDITIONS
from gateway.evaluation.selection import MOST_SESSIONS, StepFilter
from gateway.history.access import VIEW_ALL
from gateway.models import Dataset, MappingTarget, ModelMapping, Provider
from gateway.models.history.request_log import class_words
from gateway.models.operation.evaluation import MOST_AT_ONCE
from gateway.relay.request_replay import ReplayTarget


class TargetField(forms.ModelChoiceField):
    """A target of a mapping; its label names both."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.mapping.pattern} → {obj}"


class DayInput(TextInput):
    input_type = "date"


class EvaluationForm(forms.Form):
    """`user`: whoever fills it in. After is_valid: `wanted`, `candidate`, `chosen_judge`."""

    name = forms.CharField(label=_("Name"), max_length=100, widget=TextInput())
    dataset = forms.ModelChoiceField(
        Dataset.objects.all(), label=_("Dataset"), required=False, widget=Select(),
        empty_label=_("a new one, of the sessions below"),
        help_text=_("The same dataset with another candidate can be compared row by row."),
    )  # fmt: skip
    mapping = forms.ModelChoiceField(
        ModelMapping.objects.order_by("position"), label=_("Served by mapping"), required=False,
        widget=Select(), empty_label=_("any"),
    )  # fmt: skip
    classes = forms.MultipleChoiceField(
        label=_("Requests for"), required=False, widget=Checkboxes(), help_text=_("None chosen: all.")
    )
    owner = forms.ModelChoiceField(
        get_user_model()._default_manager.order_by("username"), label=_("Owner"), required=False,
        widget=Select(), empty_label=_("anybody"),
    )  # fmt: skip
    since = forms.DateField(label=_("From the day"), required=False, widget=DayInput())
    until = forms.DateField(label=_("Up to and including the day"), required=False, widget=DayInput())
    sessions = forms.IntegerField(
        label=_("Sessions"), min_value=1, max_value=MOST_SESSIONS, initial=20, widget=IntegerInput(),
        help_text=_("So many are drawn from those that fit. Every step of theirs is asked."),
    )  # fmt: skip
    seed = forms.IntegerField(
        label=_("Seed"), min_value=0, max_value=2**31 - 1, initial=1, widget=IntegerInput(),
        help_text=_("The same seed draws the same sessions."),
    )  # fmt: skip
    target = TargetField(
        MappingTarget.objects.none(), label=_("Candidate"), required=False, widget=Select(),
        empty_label=_("a provider and model, below"),
    )  # fmt: skip
    provider = forms.ModelChoiceField(
        Provider.objects.filter(enabled=True).order_by("name"), label=_("Or any provider"), required=False,
        widget=Select(),
    )  # fmt: skip
    model = forms.CharField(label=_("and model"), required=False, max_length=200, widget=TextInput())
    spend_cap = forms.DecimalField(
        label=_("Spend at most, in US dollars"), required=False, min_value=Decimal("0.01"), max_digits=10,
        decimal_places=2, widget=TextInput({"inputmode": "decimal"}),
        help_text=_(
            "What a request may cost at most is reserved before it goes out, so the cap holds. Empty: no cap."
        ),
    )  # fmt: skip
    concurrency = forms.IntegerField(
        label=_("Sessions at once"), min_value=1, max_value=MOST_AT_ONCE, initial=4, widget=IntegerInput()
    )
    judge = TargetField(
        MappingTarget.objects.none(), label=_("Judge"), required=False, widget=Select(),
        empty_label=_("none"),
        help_text=_(
            "Rates each divergence without knowing which step was taken. Its cost counts into the cap."
        ),
    )  # fmt: skip

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        targets = MappingTarget.objects.filter(enabled=True, provider__enabled=True, mapping__enabled=True)
        targets = targets.select_related("provider", "mapping").order_by("mapping__position", "position")
        for name in ("target", "judge"):
            field: Any = self.fields[name]
            field.queryset = targets
        classes: Any = self.fields["classes"]
        classes.choices = [(name, class_words(name)) for name in CONDITIONS]
        if not user.has_perm(VIEW_ALL):
            del self.fields["owner"]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not data.get("target") and not data.get("provider"):
            self.add_error("target", _("Choose a candidate."))
        if data.get("since") and data.get("until") and data["since"] > data["until"]:
            self.add_error("until", _("This is before the first day."))
        return data

    @property
    def wanted(self) -> StepFilter:
        data = self.cleaned_data
        mapping, owner = data.get("mapping"), data.get("owner")
        return StepFilter(
            since=_midnight(data.get("since")),
            until=_midnight(data.get("until"), after=True),
            mapping=mapping.pk if mapping else None,
            classes=tuple(data.get("classes", ())),
            owner=owner.pk if owner else None,
            sessions=data["sessions"],
            seed=data["seed"],
        )

    @property
    def candidate(self) -> ReplayTarget:
        target = self.cleaned_data.get("target")
        if target is not None:
            return _chosen(target)
        return ReplayTarget(self.cleaned_data["provider"].slug, self.cleaned_data.get("model", "").strip())

    @property
    def chosen_judge(self) -> ReplayTarget | None:
        target = self.cleaned_data.get("judge")
        return None if target is None else _chosen(target)


def _chosen(target: MappingTarget) -> ReplayTarget:
    return ReplayTarget(target.provider.slug, target.upstream_model, target.mapping_id)


def _midnight(day: Any, *, after: bool = False) -> datetime | None:
    """The start of a day, or its end, in the reader's time zone."""
    if day is None:
        return None
    return timezone.make_aware(datetime.combine(day, time.max if after else time.min))
