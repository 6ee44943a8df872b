"""tokenerror: how far the gateway's token estimates are from what providers counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from statistics import median, quantiles
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.history.outcome import OK
from gateway.management.moments import moment
from gateway.management.numbers import whole
from gateway.models import RequestLog


class Command(BaseCommand):
    help = str(
        gettext_lazy(
            "Compare the estimated input tokens of past requests with what the providers counted, per model. "
            "The bias is the median with its sign: below 0 the estimate is too low."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", default="", help=_("An upstream model. Default: all."))
        parser.add_argument("--since", help=_("Requests from this moment on. Default: all."))
        parser.add_argument(
            "--skip", type=whole(0), default=0, help=_("Leave out the first requests of each model.")
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        errors = _errors(given["model"], moment(given["since"]))
        lines = [
            _line(provider, model, found[given["skip"] :])
            for (provider, model), found in sorted(errors.items())
            if len(found) > given["skip"]
        ]
        if not lines:
            self.stdout.write(_("No request with an estimate and a provider's count."))
            return
        head = (_("provider"), _("model"), "n", _("median"), "p90", _("bias"))
        for line in (head, *lines):
            self.stdout.write("{:16} {:40} {:>6} {:>8} {:>8} {:>8}".format(*line).rstrip())


def _errors(model: str, since: datetime | None) -> dict[tuple[str, str], list[float]]:
    """The error of each request with its sign, as a share, oldest first, by model."""
    errors = defaultdict(list)
    for provider, name, estimate, real in _counted(model, since):
        errors[provider, name].append(estimate / real - 1)
    return errors


def _counted(model: str, since: datetime | None) -> Iterator[tuple[str, str, int, int]]:
    rows = RequestLog.objects.filter(
        state=OK,
        endpoint="messages",
        usage_estimated=False,
        estimated_input_tokens__gt=0,
        input_tokens__isnull=False,
        attempts__gt=0,
    ).order_by("started_at", "pk")
    if model:
        rows = rows.filter(upstream_model=model)
    if since is not None:
        rows = rows.filter(started_at__gte=since)
    names = (
        "provider", "upstream_model", "estimated_input_tokens", "input_tokens",
        "cache_read_tokens", "cache_write_tokens",
    )  # fmt: skip
    for provider, name, estimate, plain, read, written in rows.values_list(*names).iterator():
        real = plain + (read or 0) + (written or 0)
        if real:
            yield provider, name, estimate, real


def _line(provider: str, model: str, errors: list[float]) -> tuple[str, ...]:
    shares = [abs(error) for error in errors]
    p90 = quantiles(shares, n=10)[-1] if len(shares) > 1 else shares[0]
    return (
        provider[:16],
        model[:40],
        str(len(errors)),
        f"{median(shares):.1%}",
        f"{p90:.1%}",
        f"{median(errors):+.1%}",
    )
