"""Client keys: issued and shown once, rotated and revoked, not deleted; owners see their own."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.keys import device_page
from gateway.admin.keys.key_issuing import Issued, KeyIssuing, own_sign_in, rotates_own
from gateway.admin.keys.key_limits import LIMIT_ROWS, KeyLimitPages
from gateway.admin.keys.key_policy import policy_of
from gateway.admin.keys.key_usage import in_words, shown_budgets, usage_of, with_spent
from gateway.admin.keys.refused_keys import refusals_of
from gateway.admin.ui.base import EmptyState
from gateway.admin.ui.fields import LinesField
from gateway.admin.ui.html_format import NOTHING, ago, badge, code, dollars, number, state_badge, time_column
from gateway.history.access import owned_keys, owns_keys
from gateway.limits.spent import budgets_of_keys
from gateway.models import ClientKey, Origin, RequestLog
from gateway.models.history.hourly_total import COST_UNIT
from gateway.watch.attention import NEARLY

# the request attribute that holds the key between saving and the redirect
_ISSUED = "_issued_client_key"
_WHO: Final = ("name", "user", "owner", "expires_at")
_WHAT: Final = ("allowed_models", "capture")
# for people who may only look
_WHO_SHOWN: Final = ("name", "owner_is", "expires_at")
_WHAT_SHOWN: Final = ("models_are", "capture")
_FACTS: Final = (
    "shown",
    "state_now",
    "created",
    "last_used",
    "revoked_at",
    "rotated_to",
    "origin",
    "address",
    "client",
)


class ClientKeyForm(forms.ModelForm):
    allowed_models = LinesField(
        label=gettext_lazy("Allowed models"),
        help_text=gettext_lazy(
            "One a line: names or patterns with * of the models it may ask for. Empty: all."
        ),
    )

    class Meta:
        model = ClientKey
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets choose


@admin.register(ClientKey)
class ClientKeyAdmin(KeyIssuing, KeyLimitPages):
    form = ClientKeyForm
    change_form_template = "admin/gateway/clientkey/change_form.html"
    change_list_template = "admin/gateway/clientkey/change_list.html"
    list_display = (
        "name", "key_shown", "owner_is", "state_now", "spent_shown", "budget_shown",
        time_column("last_used", gettext_lazy("last used")),
        time_column("expires_at", gettext_lazy("expires")), time_column("created", gettext_lazy("created")),
        "origin",
    )  # fmt: skip
    list_filter = ("origin", "revoked_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("name", "owner", "user__username", "=last_four", "^prefix")
    actions = ("set_limits", "revoke")
    readonly_fields = (*_FACTS, "owner_is", "models_are")
    empty_state = EmptyState(
        gettext_lazy("No client keys yet"),
        gettext_lazy(
            "Issue one for each person or machine, so that the history says who asked, and limits hold for "
            "each."
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: ClientKey | None = None) -> Any:
        may_change = self.has_change_permission(request, obj) if obj else True
        who, what = (_WHO, _WHAT) if may_change else (_WHO_SHOWN, _WHAT_SHOWN)
        fields = (
            (None, {"fields": who}),
            (gettext_lazy("What it may do, and what is kept"), {"fields": what}),
            (
                gettext_lazy("Limits"),
                {
                    "fields": LIMIT_ROWS,
                    "classes": ("collapse",),
                    "description": gettext_lazy("Empty: no limit. They hold from the next request on."),
                },
            ),
        )
        return (*fields, (gettext_lazy("Facts"), {"fields": _FACTS})) if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: ClientKey | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if self.may_set(request, "user_id") else (*fields, "user")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClientKey]:
        queryset: QuerySet[ClientKey] = with_spent(super().get_queryset(request))
        return queryset if _sees_all(request) else queryset.filter(pk__in=owned_keys(request.user))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with the budgets of each row (`budgets`)."""
        changelist = super().get_changelist_instance(request)
        found = budgets_of_keys(changelist.result_list)
        for record in changelist.result_list:
            record.budgets = found.get(record.pk, [])
        return changelist

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or owns_keys(request.user)

    def has_view_permission(self, request: HttpRequest, obj: ClientKey | None = None) -> bool:
        """Owners see their own keys, and the list shows them no others."""
        if super().has_view_permission(request, obj):
            return True
        return owns_keys(request.user) if obj is None else obj.user_id == request.user.pk

    def has_delete_permission(self, request: HttpRequest, obj: ClientKey | None = None) -> bool:
        """A key that was used can only be revoked, so that the history keeps its owner."""
        return super().has_delete_permission(request, obj) and (obj is None or _unused(obj))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without deletion in bulk: some of the chosen keys will have been used, and can only be revoked."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def has_change_permission(self, request: HttpRequest, obj: ClientKey | None = None) -> bool:
        kept = obj is not None and obj.origin == Origin.ENVIRONMENT
        return super().has_change_permission(request, obj) and not kept

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.device_view)
        return [path("device/", view, name="gateway_clientkey_device"), *super().get_urls()]

    def device_view(self, request: HttpRequest) -> HttpResponse:
        """The page on which a person approves a machine by the code it shows."""
        return device_page.page(self, request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        context = {
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            **(extra_context or {}),
        }
        return super().add_view(request, form_url, context)

    def save_model(self, request: HttpRequest, obj: ClientKey, form: Any, change: bool) -> None:
        if not change:
            setattr(request, _ISSUED, obj.set_new_key())
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: ClientKey, *_: Any, **__: Any) -> HttpResponse:
        key: str = getattr(request, _ISSUED)
        return self.shown_once(request, [Issued(obj.pk, obj.name, obj.owner_name, key)])

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        obj = options.get("obj")
        if obj is not None:
            context["usage"] = [
                {
                    "title": usage.title,
                    "requests": number(usage.requests),
                    "input": number(usage.input_tokens),
                    "output": number(usage.output_tokens),
                    "cost": dollars(usage.cost),
                    "unpriced": usage.unpriced,
                }
                for usage in usage_of(obj)
            ]
            context["budgets"] = shown_budgets(obj)
            context["may_rotate"] = obj.state() == "active" and (
                self.has_change_permission(request, obj) or rotates_own(request, obj)
            )
            context["may_revoke"] = obj.state() == "active" and (
                self.has_change_permission(request, obj) or own_sign_in(request, obj)
            )
            context["may_rotate"] &= obj.origin != Origin.SIGN_IN
            context["policy"] = policy_of(obj)
            context["refusals"] = [
                {"reason": one.reason, "times": number(one.times), "last": ago(one.last_at)}
                for one in refusals_of(obj.pk)
            ]
        return super().render_change_form(request, context, *args, **options)

    @admin.action(description=gettext_lazy("Revoke the selected client keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ClientKey]) -> None:
        self.revoke_all(request, [record for record in queryset if record.origin != Origin.ENVIRONMENT])

    @admin.display(description=gettext_lazy("key"))
    def shown(self, record: ClientKey) -> str:
        return record.shown

    @admin.display(description=gettext_lazy("key"))
    def key_shown(self, record: ClientKey) -> str:
        return code(record.shown)

    @admin.display(description=gettext_lazy("owner"), ordering="user__username")
    def owner_is(self, record: ClientKey) -> str:
        return record.owner_name or NOTHING

    @admin.display(description=gettext_lazy("cost, 30 days"), ordering="spent")
    def spent_shown(self, record: Any) -> str:
        return dollars(record.spent * COST_UNIT) if record.spent else NOTHING

    @admin.display(description=gettext_lazy("budget"))
    def budget_shown(self, record: Any) -> str:
        """The budget of which the largest share is used, and that share."""
        fullest = max(record.budgets, key=lambda budget: budget.share, default=None)
        if fullest is None:
            return NOTHING
        percent = round(100 * fullest.share)
        words = _("%(used)s of %(limit)s, begins anew %(end)s") % {
            "used": in_words(fullest, fullest.used),
            "limit": in_words(fullest, fullest.limit),
            "end": f"{fullest.period.end:%Y-%m-%d %H:%M} UTC",
        }
        return badge(f"{percent} %", "warn" if fullest.share >= NEARLY else "plain", words)

    @admin.display(description=gettext_lazy("allowed models"))
    def models_are(self, record: ClientKey) -> str:
        return ", ".join(map(str, record.allowed_models)) or _("all")

    @admin.display(description=gettext_lazy("state"))
    def state_now(self, record: ClientKey) -> str:
        state = record.state()
        if state == "active" and record.rotated_to_id is not None:
            return badge(_("rotated, still valid"), "warn")
        if state == "active" and record.is_short:
            return badge(_("short, can be guessed: rotate it"), "warn")
        return state_badge(state)


def _sees_all(request: HttpRequest) -> bool:
    return request.user.has_perm("gateway.view_clientkey") or request.user.has_perm(
        "gateway.change_clientkey"
    )


def _unused(record: ClientKey) -> bool:
    kept = record.origin == Origin.ENVIRONMENT or record.last_used is not None
    return not kept and not RequestLog.objects.filter(client_key=record).exists()
