"""recomputecosts: computes the cost of past requests again, with the prices in force now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.config.snapshot.loader import load
from gateway.history.totals.recosting import between, recompute
from gateway.management.moments import moment


class Command(BaseCommand):
    help = str(
        gettext_lazy("Compute the cost of past requests again, with the prices that are set for their time.")
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="since", help=_("Requests from this moment on. Default: all."))
        parser.add_argument("--to", dest="until", help=_("Requests before this moment. Default: all."))
        parser.add_argument(
            "--model", default="", help=_("An upstream model, or its beginning and *. Default: all.")
        )
        parser.add_argument("--provider", default="", help=_("A provider's slug. Default: all."))

    def handle(self, *_args: Any, **given: Any) -> None:
        rows = between(
            moment(given["since"]),
            moment(given["until"]),
            model=given["model"],
            provider=given["provider"],
        )
        told = recompute(rows, load().prices)
        self.stdout.write(
            _("%(looked_at)d requests, %(changed)d changed: %(before)s became %(after)s US dollars.")
            % {
                "looked_at": told.looked_at,
                "changed": told.changed,
                "before": f"{told.before:.6f}",
                "after": f"{told.after:.6f}",
            }
        )
        if told.unpriced:
            self.stdout.write(
                _("%d have no price: set one with manage.py setprice or in admin.") % told.unpriced
            )
        if told.kept:
            self.stdout.write(
                _("%d keep their cost, because their provider is not configured any more.") % told.kept
            )
