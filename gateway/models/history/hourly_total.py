"""Hourly totals: the numbers of the dashboard, kept beside the log and longer than it.

gateway/history/totals/hourly.py writes them in the transaction of the rows they count.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Final

from django.db import models
from django.utils.translation import gettext_lazy as _

# Upper ends of the buckets of times to first byte, in milliseconds; the last bucket has none. Within
# one, a quantile is off by its width at most: a third of the value, less where most answers begin.
FIRST_BYTE_BOUNDS: Final = (
    50, 100, 150, 200, 300, 400, 500, 700, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 7_000, 10_000,
    15_000, 20_000, 30_000, 60_000,
)  # fmt: skip
BUCKETS: Final = tuple(f"first_byte_{number:02d}" for number in range(len(FIRST_BYTE_BOUNDS) + 1))
# stands for the model names that are not told apart (CountedName)
OTHER: Final = "(other)"
# US dollars; as fine as RequestLog.cost
COST_UNIT: Final = Decimal("1e-10")


class Total(models.Model):
    """The exchanges of some time that have the same key, models, provider, end and class.

    `hour` counts from 1970. `client_key_pk` is 0 without a key; requests that were never routed
    have no provider. `request_class` is what client_protocol.purpose.counted_as says, "" of rows from before
    there were classes. `cost_units` are COST_UNIT each, whole so that sums are exact; `unpriced` counts
    exchanges whose cost is unknown. `first_byte_NN` counts times to first byte up to FIRST_BYTE_BOUNDS[NN],
    `first_byte_ms` and `duration_ms` are sums.
    """

    SLOT: ClassVar[tuple[str, ...]] = (
        "hour", "endpoint", "client_key_pk", "provider", "upstream_model", "asked_model", "state",
        "request_class",
    )  # fmt: skip
    NUMBERS: ClassVar[tuple[str, ...]] = (
        "requests", "retries", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
        "thinking_tokens", "cost_units", "unpriced", "duration_ms", "first_byte_ms", *BUCKETS,
    )  # fmt: skip

    hour = models.PositiveIntegerField()
    endpoint = models.CharField(max_length=20)
    client_key_pk = models.BigIntegerField(default=0)
    provider = models.CharField(max_length=50, default="", blank=True)
    upstream_model = models.CharField(max_length=200, default="", blank=True)
    asked_model = models.CharField(max_length=200, default="", blank=True)
    state = models.CharField(max_length=12)
    request_class = models.CharField(max_length=12, default="", db_default="", blank=True)
    requests = models.BigIntegerField(default=0)
    retries = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    thinking_tokens = models.BigIntegerField(default=0)
    cost_units = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)
    duration_ms = models.BigIntegerField(default=0)
    first_byte_ms = models.BigIntegerField(default=0)

    class Meta:
        abstract = True
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=[
                    "hour", "endpoint", "client_key_pk", "provider", "upstream_model", "asked_model", "state",
                    "request_class",
                ],
                name="%(class)s_slot",
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.hour} {self.provider} {self.upstream_model} {self.state}"


class HourlyTotal(Total):
    """The totals of one hour."""

    class Meta(Total.Meta):
        verbose_name = _("hourly total")
        verbose_name_plural = _("hourly totals")


class DailyTotal(Total):
    """The totals of one day (UTC), for long ranges; `hour` is the first of the day."""

    class Meta(Total.Meta):
        # what a key used of its budget
        indexes: ClassVar[list[Any]] = [models.Index(fields=["client_key_pk", "hour"], name="daily_of_key")]
        verbose_name = _("daily total")
        verbose_name_plural = _("daily totals")


for _bucket in BUCKETS:
    for _model in (HourlyTotal, DailyTotal):
        _model.add_to_class(_bucket, models.BigIntegerField(default=0))


class HourlyLedger(models.Model):
    """How many ledger entries of one code the exchanges with one provider had in one hour.

    Repairs of answers are counted by their kind (`conversion.repairs`), which stands in `code` then.
    """

    SLOT: ClassVar[tuple[str, ...]] = ("hour", "provider", "code")

    hour = models.PositiveIntegerField()
    provider = models.CharField(max_length=50, default="", blank=True)
    code = models.CharField(max_length=12)
    entries = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("hourly ledger total")
        verbose_name_plural = _("hourly ledger totals")
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["hour", "provider", "code"], name="ledger_total_slot")
        ]

    def __str__(self) -> str:
        return f"{self.hour} {self.provider} {self.code}"


class OriginKind(models.TextChoices):
    """Where requests come from; the values are names in `manage.py usage --by`."""

    CLIENT = "client"
    FOLDER = "folder"


class OriginTotal(models.Model):
    """What requests cost that came from the same client, or from the same working folder.

    Only requests that a provider charges for count (history/totals/costs.py). `name`: `claude-cli/2.1.332`,
    or the folder; OTHER stands for those beyond the most that a day tells apart
    (history/totals/counted_origins.py). `owner_id`: the user whose folder it is, so that an erasure finds
    it; 0 for nobody's, and for clients, which are the same for everybody. Requests whose folder is unknown
    have no row of that kind. The other columns are those of Total.
    """

    SLOT: ClassVar[tuple[str, ...]] = ("hour", "kind", "name", "owner_id")
    NUMBERS: ClassVar[tuple[str, ...]] = (
        "requests", "failed", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
        "cost_units", "unpriced",
    )  # fmt: skip

    hour = models.PositiveIntegerField()
    kind = models.CharField(max_length=6, choices=OriginKind.choices)
    name = models.CharField(max_length=200)
    owner_id = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    cost_units = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)

    class Meta:
        abstract = True
        # no page shows these records, so there are no permissions for them
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["hour", "kind", "name", "owner_id"], name="%(class)s_slot")
        ]

    def __str__(self) -> str:
        return f"{self.hour} {self.kind} {self.name}"


class HourlyOrigin(OriginTotal):
    """The totals of one hour."""


class DailyOrigin(OriginTotal):
    """The totals of one day (UTC), for long ranges; `hour` is the first of the day."""


class CountedName(models.Model):
    """A model name that the totals tell apart. There are few: clients can make names up."""

    name = models.CharField(max_length=200, primary_key=True)
    since = models.PositiveIntegerField()

    class Meta:
        verbose_name = _("counted model name")
        verbose_name_plural = _("counted model names")

    def __str__(self) -> str:
        return self.name
