"""Token factors, which are learnt and cannot be edited; a deleted one is learnt again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.html_format import number, time_column
from gateway.models import TokenFactor


@admin.register(TokenFactor)
class TokenFactorAdmin(GatewayModelAdmin):
    list_display = (
        "upstream_model",
        "provider",
        "factor_is",
        "letters_are",
        "cjk_is",
        "overhead",
        "error_is",
        "requests",
        time_column("learnt_at", gettext_lazy("learnt at")),
    )
    list_filter = ("provider",)
    search_fields = ("upstream_model",)
    empty_state = EmptyState(
        gettext_lazy("Nothing learnt yet"),
        gettext_lazy(
            "Once answers of a model have said how many tokens the requests had, the gateway's own count of "
            "that model is corrected, and the factor stands here."
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("factor"), ordering="factor")
    def factor_is(self, record: TokenFactor) -> str:
        return number(record.factor, places=3)

    @admin.display(description=gettext_lazy("other letters"), ordering="letters")
    def letters_are(self, record: TokenFactor) -> str:
        return number(record.letters, "×", places=2)

    @admin.display(description=gettext_lazy("Chinese, Japanese, Korean"), ordering="cjk")
    def cjk_is(self, record: TokenFactor) -> str:
        return number(record.cjk, "×", places=2)

    @admin.display(description=gettext_lazy("median error left"), ordering="error")
    def error_is(self, record: TokenFactor) -> str:
        return number(100 * record.error, "%", places=1)
