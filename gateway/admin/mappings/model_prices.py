"""Prices that an admin sets over those of the catalogue, and recomputing costs with them."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.html_format import NOTHING, number, plain
from gateway.config.snapshot.loader import load
from gateway.history.totals.recosting import between, recompute
from gateway.models import ModelPrice

# more would take a page minutes; the command has no limit
MOST_IN_A_PAGE: Final = 50_000


def _price(field: str) -> Any:
    """A column: the price in `field` without trailing zeros."""
    found: Any = ModelPrice._meta.get_field(field)

    @admin.display(description=found.verbose_name, ordering=field)
    def column(record: ModelPrice) -> str:
        value = getattr(record, field)
        return NOTHING if value is None else format_html('<span class="gw-num">{}</span>', plain(value))

    column.__name__ = f"{field}_shown"
    return column


@admin.register(ModelPrice)
class ModelPriceAdmin(GatewayModelAdmin):
    list_display = (
        "model",
        "provider",
        *map(_price, ("input", "output", "cache_read", "cache_write", "request")),
        "tiered",
        "holds",
    )
    list_filter = ("provider",)
    list_select_related = ("provider",)
    search_fields = ("model", "note")
    empty_state = EmptyState(
        gettext_lazy("No prices of your own yet"),
        gettext_lazy(
            "Those of well-known models are built in. Add one for a model that has none, or where yours "
            "differs."
        ),
    )
    actions = ("recompute_costs",)
    fieldsets = (
        (None, {"fields": ("model", "provider", "note")}),
        (
            gettext_lazy("US dollars for a million tokens"),
            {"fields": ("input", "output", "cache_read", "cache_write", "cache_write_1h", "tiers")},
        ),
        (gettext_lazy("US dollars for each request"), {"fields": ("request",)}),
        (
            gettext_lazy("When it holds"),
            {
                "fields": ("valid_from", "valid_to"),
                "description": gettext_lazy(
                    "A price holds for requests that begin in this time. Past requests keep their cost "
                    "until it is computed again: with the action of the list, or manage.py recomputecosts."
                ),
            },
        ),
    )

    @admin.display(description=gettext_lazy("in force"), ordering="valid_from")
    def holds(self, record: ModelPrice) -> str:
        """The days between which it holds, or a dash for always."""
        first, last = (
            date_format(localtime(moment), "Y-m-d") if moment else "…"
            for moment in (record.valid_from, record.valid_to)
        )
        return f"{first} – {last}" if record.valid_from or record.valid_to else NOTHING

    @admin.display(description=gettext_lazy("tiers"))
    def tiered(self, record: ModelPrice) -> str:
        return number(len(record.tiers) or None)

    @admin.action(
        description=gettext_lazy("Compute the costs of past requests again"), permissions=["change"]
    )
    def recompute_costs(self, request: HttpRequest, prices: QuerySet[ModelPrice]) -> None:
        """Recompute the requests that the chosen prices concern."""
        book = load().prices
        for price in prices.select_related("provider"):
            rows = between(
                price.valid_from,
                price.valid_to,
                model=_beginning(price.model),
                provider=price.provider.slug if price.provider else "",
            )
            if rows[MOST_IN_A_PAGE:].exists():
                text = _("%(price)s: there are too many requests for a page. Use: manage.py recomputecosts")
                self.message_user(request, text % {"price": price}, messages.WARNING)
                continue
            told = recompute(rows, book)
            text = ngettext(
                "%(price)s: %(count)d request has a new cost; %(before)s became %(after)s US dollars.",
                "%(price)s: %(count)d requests have a new cost; %(before)s became %(after)s US dollars.",
                told.changed,
            )
            facts: dict[str, Any] = {
                "price": price,
                "count": told.changed,
                "before": f"{told.before:.4f}",
                "after": f"{told.after:.4f}",
            }
            self.message_user(request, text % facts, messages.SUCCESS)


def _beginning(pattern: str) -> str:
    """A pattern up to its first `*`; the price book checks the rest."""
    start, star, _rest = pattern.partition("*")
    return start + star
