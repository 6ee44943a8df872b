"""Providers: what the gateway calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Exists, Min, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.admin.providers.provider_conformance import ProviderConformance
from gateway.admin.providers.provider_credentials import (
    CredentialInline,
    bring_credential_back,
    credentials_state,
)
from gateway.admin.providers.provider_form import PROTOCOLS, ProviderForm, stored_headers
from gateway.admin.providers.provider_health import BringBackAdmin
from gateway.admin.providers.provider_repairs import ProviderRepairs
from gateway.admin.ui import time_range
from gateway.admin.ui.base import EmptyState
from gateway.admin.ui.html_format import NOTHING, Tone, ago, badge, milliseconds, number, switch_badge
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.conf import gateway_conf
from gateway.config.health_records import FORGET_AFTER
from gateway.config.presets.presets import Preset, preset, presets
from gateway.config.startup.demo import demo_only
from gateway.config.startup.environment import take_over_provider
from gateway.history.totals.dashboard import recent
from gateway.models import MappingTarget, ModelMapping, Origin, Problem, Provider, SetAsideTarget
from gateway.models.configuration.provider import CERTIFICATES, Auth
from gateway.security.certificate_expiry import expiry

# the share of failed requests in a day from which a provider is marked as bad
_BAD: Final = 0.2
_DAY: Final = timedelta(hours=24)
# mappings that a message names at most
_MOST_NAMED: Final = 10


@admin.register(Provider)
class ProviderAdmin(BringBackAdmin, ProviderRepairs, ProviderConformance):
    form = ProviderForm
    actions = ("bring_back",)
    inlines = (CredentialInline,)
    change_form_template = "admin/gateway/provider/change_form.html"
    change_list_template = "admin/gateway/provider/change_list.html"
    list_display = (
        "name",
        "preset_is",
        "state",
        "lately",
        "last_error",
        "half_within",
        "credential_is",
        "leads_here",
        "try_it",
        "origin",
    )
    list_filter = ("enabled", "origin")
    search_fields = ("name", "slug", "base_url")
    prepopulated_fields = {"slug": ("name",)}
    empty_state = EmptyState(
        _("No providers yet"),
        _("A provider is a service that runs models. Choose a preset, paste the key, and test it."),
    )
    remarks = {
        Origin.ENVIRONMENT: _(
            "This provider is kept in step with the environment (.env) at each start. Take it over to change "
            "it here; its mappings come along, and the environment leaves them alone."
        ),
        Origin.DEMO: _(
            "This is the built-in demo. It answers only as long as no mapping leads to another provider, and "
            "it is removed at the next start after that. Add a provider of your own beside it."
        ),
    }
    # the credentials go between these two
    _first = ("preset", "name")
    _where = ("protocol", "base_url", "enabled")
    _folded = (
        (_("Identity and authentication"), {"fields": ("slug", "auth"), "classes": ("collapse",)}),
        (
            _("Timeouts and tries"),
            {
                "fields": ("connect_timeout", "first_byte_timeout", "silence_timeout", "max_retries"),
                "classes": ("collapse",),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        queryset: QuerySet[Provider] = (
            super().get_queryset(request).prefetch_related("credentials", "targets")
        )
        return queryset

    def get_fieldsets(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        if not self._editable(request, obj):
            way_shown = ("proxy", "ca_certificates", "client_certificate", "certificates_expire")
            shown = ("preset_note", "header_names", "query", *way_shown, "options")
            read = ("protocol_is", *self._where[1:], *shown)
            return ((None, {"fields": self._first}), (None, {"fields": read}), *self._folded)
        fields = ("proxy", "proxy_login", "ca_certificates", "client_certificate", "client_key")
        way = {
            "fields": (*fields, "certificates_expire") if obj else fields,
            "classes": ("collapse",),
        }
        beyond = {"fields": ("options", "headers", "query"), "classes": ("collapse",)}
        first, where = {"fields": self._first}, {"fields": self._where}
        folded = (*self._folded, (_("Proxy and certificates"), way), (_("Beyond the preset"), beyond))
        return ((None, first), (None, where), *folded)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.credential_back_view)
        name = "gateway_provider_credential_back"
        return [path("<int:pk>/credentials/<int:credential>/back/", view, name=name), *super().get_urls()]

    def credential_back_view(self, request: HttpRequest, pk: int, credential: int) -> HttpResponse:
        """POST only: bring back a credential that was set aside."""
        record = self._triable(request, pk)
        if request.method == "POST":
            label = bring_credential_back(record, credential)
            if label:
                self.log_change(request, record, gettext("Brought the credential %s back.") % label)
                text = gettext("%s is used again from now on.") % label
                self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        obj = options.get("obj")
        if self._editable(request, obj):
            context["presets"] = offered_presets()
            context["test_url"] = (
                reverse("admin:gateway_provider_test", args=[obj.pk])
                if obj
                else reverse("admin:gateway_provider_test_unsaved")
            )
        return super().render_change_form(request, context, *args, **options)

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        if self._editable(request, obj):
            return ("certificates_expire",)
        return ("preset_note", "header_names", "protocol_is", "certificates_expire")

    def get_prepopulated_fields(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        return {} if obj else super().get_prepopulated_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # otherwise requests to the real URL would still be answered by the demo
        return super().has_change_permission(request, obj) and not _is_demo(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_demo(obj)

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and not obj.enabled and "enabled" in form.changed_data:
            self._warn_of_mappings(request, obj)
        if not obj.targets.exists():
            text = inert(gettext("No mapping leads to %s yet.") % obj.name)
            models = reverse("admin:gateway_provider_models", args=[obj.pk])
            link = format_html('<a class="gw-link" href="{}">{}</a>', models, gettext("Load its models"))
            self.message_user(request, format_html("{} {}", text, link), messages.WARNING)

    def _warn_of_mappings(self, request: HttpRequest, record: Provider) -> None:
        """Warn which mappings lead nowhere now, and which continue with their next target."""
        usable = MappingTarget.objects.filter(mapping=OuterRef("pk"), enabled=True, provider__enabled=True)
        led_here = ModelMapping.objects.filter(enabled=True, targets__provider=record, targets__enabled=True)
        mappings = led_here.distinct().annotate(goes_on=Exists(usable))
        stuck = [mapping.pattern for mapping in mappings if not mapping.goes_on]
        others = [mapping.pattern for mapping in mappings if mapping.goes_on]
        if stuck:
            text = gettext("These mappings lead nowhere now, and their requests are refused: %s.")
            said = text % ", ".join(map(inert, stuck[:_MOST_NAMED]))
            self.message_user(request, format_html("{} {}", said, _mappings_link(record)), messages.WARNING)
        if others:
            text = gettext("These mappings go on with their next target: %s.")
            self.message_user(request, text % ", ".join(map(inert, others[:_MOST_NAMED])), messages.INFO)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Explains what to do first if mappings lead to the provider, because then it cannot be deleted."""
        record = self.get_object(request, object_id)
        if request.method == "GET" and record is not None and record.targets.exists():
            text = gettext("Mappings lead to %s, so it cannot be deleted. It can be disabled.") % record.name
            said = format_html("{} {}", inert(text), _mappings_link(record))
            self.message_user(request, said, messages.WARNING)
        response: HttpResponse = super().delete_view(request, object_id, extra_context)
        return response

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        obj = form.instance
        if preset(obj.preset).needs_key and obj.auth != Auth.NONE and not obj.credentials.exists():
            text = gettext("%s has no credential yet; requests will fail.")
            self.message_user(request, text % obj.name, messages.WARNING)

    def take_over(self, record: Provider) -> str:
        count = take_over_provider(record)
        text = gettext(
            "%(name)s and %(count)d mappings are now yours; the environment no longer changes them."
        )
        return text % {"name": record.name, "count": count}

    @admin.display(description=_("about the preset"))
    def preset_note(self, record: Provider) -> str:
        known = preset(record.preset)
        if not known.docs:
            return known.shown_note
        return format_html(
            '{} <a class="gw-link" href="{}" rel="noreferrer">{}</a>',
            known.shown_note,
            known.docs,
            gettext("Documentation"),
        )

    @admin.display(description=_("certificates expire"), empty_value="-")
    def certificates_expire(self, record: Provider) -> str | None:
        told = []
        for name, label in CERTIFICATES.items():
            if ends := expiry(getattr(record, name)):
                expired = gettext("expired") if ends <= timezone.now() else ""
                told.append(f"{capfirst(label)}: {ends:%Y-%m-%d} {expired}".strip())
        return "; ".join(told) or None

    @admin.display(description=_("protocol"))
    def protocol_is(self, record: Provider) -> str:
        spoken = record.options.get("protocol") or preset(record.preset).protocol
        return str(dict(PROTOCOLS).get(spoken, spoken))

    @admin.display(description=_("preset"), ordering="preset")
    def preset_is(self, record: Provider) -> str:
        shown = preset(record.preset).shown_label
        return format_html(
            '{}<span class="gw-why" title="{}">{}</span>', shown, record.base_url, record.base_url
        )

    @admin.display(description=_("state"), ordering="enabled")
    def state(self, record: Any) -> str:
        if record.enabled and _is_demo(record) and not demo_only():
            return badge(gettext("stepped back"), title=gettext("A real provider serves."))
        if record.enabled and record.aside:
            since = date_format(timezone.localtime(record.aside), "Y-m-d H:i T")
            return badge(gettext("set aside"), "bad", gettext("since %(since)s") % {"since": since})
        return switch_badge(record.enabled)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, whose rows know their numbers of the last 24 hours (`day`), the newest problem of that
        time (`newest`), and since when a target is set aside (`aside`): one query each."""
        changelist = super().get_changelist_instance(request)
        now = timezone.now()
        found = recent(24, now)
        problems = Problem.objects.filter(last_at__gte=now - _DAY).order_by("last_at")
        may_see = request.user.has_perm("gateway.view_problem")
        newest = {one.provider: one for one in problems} if may_see else {}
        rows = SetAsideTarget.objects.order_by().filter(credential="", until__gt=now - FORGET_AFTER)
        aside = dict(rows.values_list("provider").annotate(since=Min("since")))
        for record in changelist.result_list:
            record.day = found.get(record.slug)
            record.newest = newest.get(record.slug)
            record.aside = aside.get(record.slug)
        return changelist

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        may_test = request.user.has_perm("gateway.change_provider")
        return super().changelist_view(request, {"may_test": may_test, **(extra_context or {})})

    @admin.display(description=_("failed in 24 hours"))
    def lately(self, record: Any) -> str:
        if not record.day:
            return NOTHING
        text = f"{record.day.failed:,} / {record.day.requests:,}"
        tone: Tone = "bad" if record.day.failed_share >= _BAD else "warn" if record.day.failed else "good"
        address = requests_url({"provider": record.slug, "state": "failed", time_range.PARAMETER: "24h"})
        return format_html('<a href="{}">{}</a>', address, badge(text, tone))

    @admin.display(description=_("last error"))
    def last_error(self, record: Any) -> str:
        """The newest problem of 24 hours, which it leads to, and when it was last met."""
        if record.newest is None:
            return NOTHING
        address = reverse("admin:gateway_problem_change", args=[record.newest.pk])
        said = inert(str(record.newest))
        return format_html(
            '<a class="gw-why" href="{}" title="{}">{}</a> {}',
            address,
            said,
            said,
            ago(record.newest.last_at),
        )

    @admin.display(description=_("first byte, half within"))
    def half_within(self, record: Any) -> str:
        return milliseconds(record.day.p50) if record.day else NOTHING

    @admin.display(description=_("credential"))
    def credential_is(self, record: Provider) -> str:
        if record.auth == Auth.NONE:
            return badge(gettext("none needed"))
        return credentials_state(record)

    @admin.display(description=_("mappings"))
    def leads_here(self, record: Provider) -> str:
        count = len({target.mapping_id for target in record.targets.all()})
        return number(count) if count else badge(gettext("none"), "warn", gettext("No mapping leads to it."))

    @admin.display(description=_("try"))
    def try_it(self, record: Provider) -> str:
        url = reverse("admin:gateway_provider_test", args=[record.pk])
        return format_html(
            '<a class="gw-button gw-small" data-test-one href="{}">{}</a>', url, gettext("Test")
        )

    @admin.display(description=_("extra headers"))
    def header_names(self, record: Provider) -> str:
        if record.origin == Origin.ENVIRONMENT:
            names = ", ".join(gateway_conf().custom_headers)
            return gettext("%s (from CUSTOM_HEADER_*)") % names if names else gettext("none")
        return ", ".join(stored_headers(record)[0]) or gettext("none")

    def _editable(self, request: HttpRequest, obj: Provider | None) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)


def _mappings_link(record: Provider) -> str:
    """A link to the mappings that lead to a provider."""
    query = urlencode({"targets__provider__id__exact": record.pk})
    address = f"{reverse('admin:gateway_modelmapping_changelist')}?{query}"
    text = gettext("Give them another target")
    return format_html('<a class="gw-link" href="{}">{}</a>', address, text)


def _is_demo(obj: Any) -> bool:
    return obj is not None and obj.origin == Origin.DEMO


def offered_presets() -> dict[str, dict[str, Any]]:
    """What the form's script needs to know of each preset to fill in the form."""
    return {
        known.slug: {
            "label": known.label,
            "base_url": known.base_url,
            "note": known.shown_note,
            "docs": known.docs,
            "docs_label": gettext("Documentation"),
            "take": gettext("Take it"),
            "needs_key": known.needs_key,
            "endpoints": _endpoints(known),
        }
        for known in presets().values()
        if not known.retired
    }


def _endpoints(known: Preset) -> list[dict[str, Any]]:
    """The endpoint for each protocol of a service; its own comes first, under protocol ""."""
    return [
        {
            "protocol": "" if endpoint.protocol == known.protocol else endpoint.protocol,
            "label": str(dict(PROTOCOLS)[endpoint.protocol]),
            "base_url": endpoint.base_url,
            "note": endpoint.shown_note,
            "recommended": gettext("recommended") if endpoint.protocol == known.recommended else "",
        }
        for endpoint in (known.own, *known.alternatives)
    ]
