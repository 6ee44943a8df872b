"""How good a model is here: totals by mapping, target and class, and what they were made of.

gateway/history/outcomes/counting.py writes them after an exchange has ended. What each figure means stands
in docs/outcomes.md, "What is counted".
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.history.hourly_total import BUCKETS

# the class of rows that count sessions and prompts whatever their requests were for: one prompt has
# requests of several classes, so these numbers cannot be added up over classes
EVERY_CLASS: Final = "*"
# numbers of EVERY_CLASS; the same numbers of one class are beside its other numbers
UNIT_NUMBERS: Final = (
    "sessions", "priced_sessions", "session_cost", "session_cost_sq",
    "prompts", "prompt_turns", "prompt_turns_sq", "prompt_tokens", "prompt_tokens_sq",
    "priced_prompts", "prompt_cost", "prompt_cost_sq",
)  # fmt: skip
# numbers of single requests, which add up over classes
REQUEST_NUMBERS: Final = (
    "requests", "answered", "failed", "cancelled", "attempts", "failed_attempts", "refused", "cut",
    "calls", "calls_sq", "repaired", "checked_calls", "unknown_tools",
    "results", "errors", "rejected", "compared", "invalid_arguments", "loops",
    "followed", "interruptions", "compactions",
    "cached_requests", "input_tokens", "input_tokens_sq", "cached_tokens", "cached_tokens_sq",
    "cached_by_input", "timed_requests", "timed_tokens", "timed_tokens_sq", "timed_ms",
    "timed_ms_sq", "tokens_by_ms", "cost_units", "unpriced", *BUCKETS,
)  # fmt: skip
# numbers of one tool; they have the same meaning as above
TOOL_NUMBERS: Final = (
    "calls", "checked_calls", "unknown_tools", "results", "errors", "rejected", "compared",
    "invalid_arguments", "loops",
)  # fmt: skip


class OutcomeTotal(models.Model):
    """Sums over requests of some time with the same mapping, target and class; `hour` counts from 1970.

    `mapping` is a copy of the pattern, `mapping_pk` 0 where none is known. A number that ends in `_sq` is a
    sum of squares, `cached_by_input` and `tokens_by_ms` are sums of products. `session_cost` and
    `prompt_cost` are in COST_UNIT, their squares in squares of 1e-5 US dollars, so that they fit.
    """

    SLOT: ClassVar[tuple[str, ...]] = (
        "hour", "mapping_pk", "mapping", "provider", "upstream_model", "request_class",
    )  # fmt: skip
    NUMBERS: ClassVar[tuple[str, ...]] = (*REQUEST_NUMBERS, *UNIT_NUMBERS)

    hour = models.PositiveIntegerField()
    mapping_pk = models.BigIntegerField(default=0)
    mapping = models.CharField(max_length=200, default="", blank=True)
    provider = models.CharField(max_length=50, default="", blank=True)
    upstream_model = models.CharField(max_length=200, default="", blank=True)
    request_class = models.CharField(max_length=12, default="", blank=True)

    class Meta:
        abstract = True
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["hour", "mapping_pk", "mapping", "provider", "upstream_model", "request_class"],
                name="%(class)s_slot",
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour} {self.mapping} {self.provider} {self.upstream_model} {self.request_class}"


class HourlyOutcome(OutcomeTotal):
    """The totals of one hour."""

    class Meta(OutcomeTotal.Meta):
        verbose_name = _("hourly outcome")
        verbose_name_plural = _("hourly outcomes")


class DailyOutcome(OutcomeTotal):
    """The totals of one day (UTC), for long ranges; `hour` is the first of the day."""

    class Meta(OutcomeTotal.Meta):
        # no page shows these records, so there are no permissions for them
        default_permissions: ClassVar[tuple[str, ...]] = ()


class ToolTotal(models.Model):
    """The same for the calls of one tool. Tools beyond the first few hundred names are one, OTHER."""

    SLOT: ClassVar[tuple[str, ...]] = (*OutcomeTotal.SLOT, "tool")
    NUMBERS: ClassVar[tuple[str, ...]] = TOOL_NUMBERS

    hour = models.PositiveIntegerField()
    mapping_pk = models.BigIntegerField(default=0)
    mapping = models.CharField(max_length=200, default="", blank=True)
    provider = models.CharField(max_length=50, default="", blank=True)
    upstream_model = models.CharField(max_length=200, default="", blank=True)
    request_class = models.CharField(max_length=12, default="", blank=True)
    tool = models.CharField(max_length=100, default="", blank=True)

    class Meta:
        abstract = True
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=[
                    "hour",
                    "mapping_pk",
                    "mapping",
                    "provider",
                    "upstream_model",
                    "request_class",
                    "tool",
                ],
                name="%(class)s_slot",
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour} {self.mapping} {self.provider} {self.upstream_model} {self.tool}"


class HourlyTool(ToolTotal):
    """The totals of one hour."""

    class Meta(ToolTotal.Meta):
        pass


class DailyTool(ToolTotal):
    """The totals of one day (UTC)."""

    class Meta(ToolTotal.Meta):
        pass


for _models, _names in (
    ((HourlyOutcome, DailyOutcome), OutcomeTotal.NUMBERS),
    ((HourlyTool, DailyTool), ToolTotal.NUMBERS),
):
    for _model in _models:
        for _name in _names:
            _model.add_to_class(_name, models.BigIntegerField(default=0))


class CountedTurn(models.Model):
    """What one request said, and what it counts for: so that it is counted once, however often it is looked
    at.

    `facts` and `counted` are JSON (history/outcomes/turn_facts.py, history/outcomes/attribution.py).
    `prompt`: what the request worked for. `told_of`: the request whose calls' results it brought.
    """

    request_id = models.CharField(max_length=64, primary_key=True)
    prompt = models.CharField(max_length=80, default="", blank=True)
    told_of = models.CharField(max_length=64, default="", blank=True)
    facts = models.TextField()
    counted = models.TextField()

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return self.request_id


class CountedUnit(models.Model):
    """One session or one prompt at one target: its sums so far, which the totals count as one.

    `digest` names it (history/outcomes/units.py). `hours`: JSON, how many of its requests began in which
    hour; it counts in the first. `last`: the latest of them.
    """

    digest = models.BinaryField(primary_key=True, max_length=16)
    hours = models.TextField()
    turns = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    cost_units = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)
    last = models.PositiveIntegerField(db_index=True)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return bytes(self.digest).hex()


class CountedTool(models.Model):
    """A tool's name that the totals tell apart. There are few: clients can make names up."""

    name = models.CharField(max_length=100, primary_key=True)

    class Meta:
        # no page shows these records, so there are no permissions for them
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return self.name
