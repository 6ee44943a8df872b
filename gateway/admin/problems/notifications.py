"""Notification channels: webhooks and mail, with a test and the latest notices."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.providers.provider_credentials import asked_again
from gateway.admin.ui.base import EmptyState, GatewayModelAdmin
from gateway.admin.ui.fields import LinesField, SecretField
from gateway.admin.ui.html_format import NOTHING, Tone, ago, badge
from gateway.admin.ui.sanitize import inert
from gateway.models import Delivery, NotificationChannel, Sealed
from gateway.models.operation.notification import ChannelKind, DeliveryState
from gateway.security.destinations import origin_of
from gateway.watch import delivery, notices

_TONES: Final[dict[str, Tone]] = {"sent": "good", "failed": "bad", "waiting": "info"}
_EVENTS: Final = {
    notices.BEGAN: gettext_lazy("began"),
    notices.ENDED: gettext_lazy("over"),
    notices.TEST: gettext_lazy("test"),
}
_LISTED: Final = 20


class ChannelForm(forms.ModelForm):
    """An empty secret keeps the stored one."""

    secret = SecretField(
        label=gettext_lazy("Secret"),
        help_text=gettext_lazy(
            "Signs each notice, so that the receiver knows whom it comes from. Empty: as it is stored."
        ),
    )
    addresses = LinesField(
        label=gettext_lazy("Mail addresses"), help_text=gettext_lazy("One a line; for mail.")
    )

    class Meta:
        model = NotificationChannel
        fields = ("name", "kind", "url", "secret", "addresses", "least", "enabled")

    def clean_secret(self) -> Sealed | str:
        typed: str = self.cleaned_data["secret"]
        # the record encrypts it for the address that is saved with it
        return typed or self.instance.secret

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        stored, saved = cleaned.get("secret"), self.instance.secret_origin
        if isinstance(stored, Sealed) and stored and saved != origin_of(cleaned.get("url", "")):
            self.add_error("secret", asked_again(saved))
        return cleaned


@admin.register(NotificationChannel)
class NotificationChannelAdmin(GatewayModelAdmin):
    form = ChannelForm
    change_form_template = "admin/gateway/notificationchannel/change_form.html"
    list_display = ("name", "kind", "leads_to", "least", "enabled", "last_is")
    list_filter = ("kind", "enabled")
    empty_state = EmptyState(
        gettext_lazy("Nobody is notified outside this console"),
        gettext_lazy(
            "Add a webhook (of Slack, Mattermost or your own) or mail addresses: they hear what needs "
            "attention when it begins, and when it is over."
        ),
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Who may only look sees where an address leads, as in the list."""
        fields = list(super().get_fields(request, obj))
        if obj is None or self.has_change_permission(request, obj):
            return fields
        return ["leads_to" if name == "url" else name for name in fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), "leads_to"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.test_view)
        return [path("<int:pk>/test/", view, name="gateway_notificationchannel_test"), *super().get_urls()]

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST only: send a test now and report the result."""
        channel = self.get_object(request, str(pk))
        if channel is None or not self.has_change_permission(request, channel):
            raise PermissionDenied
        if request.method == "POST":
            now = timezone.now()
            sent = Delivery.objects.create(channel=channel, event=notices.TEST, tries=1)
            delivery.settle(sent, now)
            if sent.state == DeliveryState.SENT:
                self.message_user(request, _("The test was sent."), messages.SUCCESS)
            else:
                self.message_user(request, inert(sent.problem), messages.ERROR)
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        channel = options.get("obj")
        if channel is not None:
            context["sent"] = [
                {
                    "when": ago(one.made_at),
                    "event": _EVENTS.get(one.event, one.event),
                    "text": inert(one.notice.text) if one.notice else _("a test"),
                    "state": badge(one.get_state_display(), _TONES.get(one.state, "plain")),
                    "problem": inert(one.problem),
                }
                for one in channel.deliveries.select_related("notice")[:_LISTED]
            ]
            context["may_test"] = self.has_change_permission(request, channel)
        return super().render_change_form(request, context, *args, **options)

    @admin.display(description=gettext_lazy("leads to"))
    def leads_to(self, channel: NotificationChannel) -> str:
        if channel.kind == ChannelKind.MAIL:
            return inert(", ".join(channel.addresses))
        # the path of such an address is often a secret
        return inert(origin_of(channel.url))

    @admin.display(description=gettext_lazy("last notice"))
    def last_is(self, channel: NotificationChannel) -> SafeString:
        last = channel.deliveries.first()
        if last is None:
            return NOTHING
        state = badge(last.get_state_display(), _TONES.get(last.state, "plain"), inert(last.problem))
        return format_html("<span>{} {}</span>", state, ago(last.made_at))
