"""A person's client keys with their costs, their limits, and revoking all keys at once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gateway.admin.keys.key_usage import shown_person_budgets, shown_person_limits
from gateway.admin.ui.html_format import ago, code, dollars, state_badge
from gateway.admin.ui.sanitize import inert
from gateway.history.totals.contributions import DAY, hour_of
from gateway.models import ClientKey, DailyTotal, Origin, PersonBudget
from gateway.models.history.hourly_total import COST_UNIT

_DAYS = 30


class PersonPage(admin.ModelAdmin):
    """Part of the page of a user."""

    change_form_template = "admin/gateway/user/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revoke_all_view)
        return [path("<int:pk>/revoke-all/", view, name="auth_user_revoke_all"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data:
            lives = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
            keys = ClientKey.objects.filter(lives, user=obj, revoked_at=None).count()
            self.message_user(request, _sentence(obj, keys), messages.WARNING)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        person = options.get("obj")
        if person is not None and request.user.has_perm("gateway.view_clientkey"):
            keys = list(ClientKey.objects.filter(user=person).order_by("-created"))
            spent = _spent([key.pk for key in keys])
            context["keys"] = [
                {
                    "url": reverse("admin:gateway_clientkey_change", args=[key.pk]),
                    "name": inert(key.name),
                    "shown": code(key.shown),
                    "address": key.address,
                    "client": inert(key.client),
                    "state": state_badge(key.state()),
                    "last_used": ago(key.last_used),
                    "cost": dollars(spent.get(key.pk, 0) * COST_UNIT),
                }
                for key in keys
            ]
            budget = PersonBudget.objects.filter(user=person).first()
            context["budgets"] = [] if budget is None else shown_person_budgets(budget)
            context["person_limits"] = [] if budget is None else shown_person_limits(budget)
            context["set_limits"] = _limits_page(request, person, budget)
            context["cost"] = dollars(sum(spent.values()) * COST_UNIT)
            context["their_requests"] = urlencode({"owner": person.get_username()})
            context["may_revoke"] = any(map(_revocable, keys)) and _may_revoke(request)
        response: HttpResponse = super().render_change_form(request, context, *args, **options)
        return response

    def revoke_all_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: which keys, and what revoking means for them. POST: revoke them."""
        person = self.get_object(request, str(pk))
        if person is None or not _may_revoke(request):
            raise PermissionDenied
        keys = [key for key in ClientKey.objects.filter(user=person) if _revocable(key)]
        address = reverse("admin:auth_user_change", args=[pk])
        if request.method == "POST":
            pages: Any = self.admin_site.get_model_admin(ClientKey)
            pages.revoke_all(request, keys)
            return HttpResponseRedirect(address)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Revoke all keys"),
            "own_title": _("Revoke all keys"),
            "opts": self.opts,
            "person": inert(person.get_username()),
            "keys": [inert(key.name) for key in keys],
            "back": address,
        }
        return TemplateResponse(request, "admin/gateway/user/revoke_all.html", context)


def _may_revoke(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("gateway.change_clientkey"))


def _limits_page(request: HttpRequest, person: Any, limits: PersonBudget | None) -> str:
    """Where the person's limits are set; "" for who may not."""
    if limits is not None and request.user.has_perm("gateway.change_personbudget"):
        return reverse("admin:gateway_personbudget_change", args=[limits.pk])
    if limits is None and request.user.has_perm("gateway.add_personbudget"):
        return f"{reverse('admin:gateway_personbudget_add')}?{urlencode({'user': person.pk})}"
    return ""


def _revocable(key: ClientKey) -> bool:
    return key.revoked_at is None and key.origin != Origin.ENVIRONMENT


def _spent(keys: list[int]) -> dict[int, int]:
    """The cost of each key in the last 30 days, in COST_UNITs."""
    first = hour_of(timezone.now()) - _DAYS * DAY
    rows = DailyTotal.objects.order_by().filter(client_key_pk__in=keys, hour__gte=first)
    return dict(rows.values_list("client_key_pk").annotate(units=Sum("cost_units")))


def _sentence(person: Any, keys: int) -> str:
    if person.is_active:
        text = ngettext(
            "%(name)s may log in again, and %(count)d client key works again.",
            "%(name)s may log in again, and %(count)d client keys work again.",
            keys,
        )
    else:
        text = ngettext(
            "%(name)s can no longer log in. %(count)d client key is refused, and what runs with it ends "
            "within two seconds.",
            "%(name)s can no longer log in. %(count)d client keys are refused, and what runs with them ends "
            "within two seconds.",
            keys,
        )
    return text % {"name": person.get_username(), "count": keys}
