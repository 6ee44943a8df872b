"""Evaluations: recorded steps that are kept together, and what a candidate answered to each.

The texts stay where they are: those of recorded steps and of the candidate's answers in the history, those of
steps that were taken in from a file here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Final

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MOST_AT_ONCE: Final = 16


class Dataset(models.Model):
    """A selection of recorded steps, kept under a name.

    `selection`: what it was made with (evaluation/selection.py). `taken_in`: its steps came from a file.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    selection = models.JSONField(_("selection"), default=dict, blank=True)
    taken_in = models.BooleanField(_("taken in from a file"), default=False)
    created = models.DateTimeField(_("created"), default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("created by"),
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-created", "-pk"]
        verbose_name = _("dataset")
        verbose_name_plural = _("datasets")

    def __str__(self) -> str:
        return self.name


class DatasetStep(models.Model):
    """One recorded request of a dataset, in the order of `position`.

    `session` tells the sessions of a dataset apart; the other facts are copies of the request's row.
    `content`: the texts of a step that came from a file (evaluation/datasets.py); empty otherwise.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    session = models.CharField(max_length=170)
    agent_id = models.CharField(max_length=128, blank=True, default="")
    request_id = models.CharField(max_length=64, db_index=True)
    request_class = models.CharField(max_length=12, default="unknown")
    mapping_pk = models.BigIntegerField(null=True, blank=True)
    asked_model = models.CharField(max_length=200, blank=True, default="")
    provider = models.CharField(max_length=50, blank=True, default="")
    upstream_model = models.CharField(max_length=200, blank=True, default="")
    cost = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    first_byte_ms = models.PositiveIntegerField(null=True, blank=True)
    input_tokens = models.PositiveIntegerField(default=0)
    content = models.BinaryField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        ordering: ClassVar[list[str]] = ["position"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["dataset", "position"], name="step_of_dataset"),
        ]

    def __str__(self) -> str:
        return self.request_id


class EvaluationState(models.TextChoices):
    """Where an evaluation is. A worker takes those that are waiting or running."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    PAUSED = "paused", _("paused")
    CANCELLED = "cancelled", _("cancelled")
    CAPPED = "capped", _("stopped by its cap")
    DONE = "done", _("done")


TO_BE_RUN: Final = (EvaluationState.WAITING.value, EvaluationState.RUNNING.value)


class Evaluation(models.Model):
    """The steps of a dataset, asked of one candidate.

    The candidate is a provider and a model; `rule_pk` names the mapping whose options go with them. A judge,
    if there is one, is the same. `spend_cap` in US dollars; None: none. `lost_cost`: what was
    spent on no answer that counts: reserved for requests whose cost never became known, because a process
    died or they were cancelled, and the known cost of failed steps that were asked again. `problem`: why it
    stands.
    """

    name = models.CharField(_("name"), max_length=100)
    dataset = models.ForeignKey(
        Dataset, on_delete=models.CASCADE, related_name="evaluations", verbose_name=_("dataset")
    )
    provider = models.CharField(_("provider"), max_length=50)
    upstream_model = models.CharField(_("upstream model"), max_length=200, blank=True, default="")
    rule_pk = models.BigIntegerField(null=True, blank=True)
    judge_provider = models.CharField(_("judge's provider"), max_length=50, blank=True, default="")
    judge_model = models.CharField(_("judge's model"), max_length=200, blank=True, default="")
    judge_rule_pk = models.BigIntegerField(null=True, blank=True)
    spend_cap = models.DecimalField(
        _("spend cap"),
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.01"))],
    )
    concurrency = models.PositiveSmallIntegerField(
        _("sessions at once"), default=4, validators=[MinValueValidator(1), MaxValueValidator(MOST_AT_ONCE)]
    )
    state = models.CharField(
        _("state"), max_length=12, choices=EvaluationState.choices, default=EvaluationState.WAITING
    )
    problem = models.CharField(_("problem"), max_length=500, blank=True, default="")
    lost_cost = models.DecimalField(max_digits=20, decimal_places=10, default=Decimal(0))
    created = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("started by"),
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-created", "-pk"]
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["created"], name="evaluation_to_run", condition=models.Q(state__in=TO_BE_RUN)
            )
        ]

    def __str__(self) -> str:
        return self.name


class StepState(models.TextChoices):
    """What became of a step. GONE: its texts are not kept any more; FORBIDDEN: not for whoever started it."""

    WAITING = "waiting", _("waiting")
    ASKING = "asking", _("being asked")
    DONE = "done", _("compared")
    FAILED = "failed", _("failed")
    GONE = "gone", _("no longer kept")
    FORBIDDEN = "forbidden", _("not allowed")


class Judgement(models.TextChoices):
    """How a judge rates what the candidate proposed against what was done."""

    BETTER = "better", _("better")
    EQUAL = "equal", _("equal")
    WORSE = "worse", _("worse")
    UNCLEAR = "unclear", _("no clear verdict")


class EvaluationStep(models.Model):
    """One step of an evaluation; written once when its answer was compared.

    `answer_id`: the request id under which the candidate was asked, `judge_id`: the judge; both are written
    before the request goes out, with what it may cost at most. `verdict` and what follows it:
    evaluation/comparison/steps.py.
    """

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="steps")
    recorded = models.ForeignKey(DatasetStep, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=StepState.choices, default=StepState.WAITING)
    answer_id = models.CharField(max_length=64, blank=True, default="", db_index=True)
    reserved = models.DecimalField(max_digits=20, decimal_places=10, default=Decimal(0))
    verdict = models.CharField(max_length=10, blank=True, default="")
    tool = models.CharField(max_length=100, blank=True, default="")
    proposed_tool = models.CharField(max_length=100, blank=True, default="")
    calls = models.PositiveIntegerField(default=0)
    proposed_calls = models.PositiveIntegerField(default=0)
    ratio = models.FloatField(null=True, blank=True)
    overlap = models.FloatField(null=True, blank=True)
    cost = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    first_byte_ms = models.PositiveIntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    cache_read_tokens = models.PositiveIntegerField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True, default="")
    judge_id = models.CharField(max_length=64, blank=True, default="")
    judge_reserved = models.DecimalField(max_digits=20, decimal_places=10, default=Decimal(0))
    judgement = models.CharField(max_length=10, choices=Judgement.choices, blank=True, default="")
    judge_cost = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["evaluation", "recorded"], name="step_of_evaluation"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["evaluation", "state"], name="evaluation_step_state")
        ]

    def __str__(self) -> str:
        return f"{self.evaluation_id}: {self.recorded_id}"
