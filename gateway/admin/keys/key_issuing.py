"""Issuing client keys: shown once, after a redirect, so that a reload issues no second one.

Between the form and the page the keys wait in the session, encrypted with a key that only the address of
that page contains; opening the page removes them. Neither the session nor the address is enough to read
them.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.keys.key_lists import BulkForm
from gateway.admin.ui.base import GatewayModelAdmin
from gateway.client_protocol.status_line import setting
from gateway.conf import gateway_conf
from gateway.config.changes import saying
from gateway.config.startup.client_setup_text import base_url, claude_code_lines
from gateway.models import ClientKey, Origin
from gateway.security.encryption import EncryptionError, decrypt, encrypt

_WAITING: Final = "issued_client_keys"
# seconds for which keys wait for their page
_LONGEST_WAIT: Final = 600
GRACES: Final = (
    (0, gettext_lazy("at once")),
    (3600, gettext_lazy("in one hour")),
    (86400, gettext_lazy("in one day")),
    (7 * 86400, gettext_lazy("in seven days")),
)


@dataclass(frozen=True)
class Issued:
    """A new key on its way to the one page that shows it."""

    pk: int
    name: str
    owner: str
    key: str


class KeyIssuing(GatewayModelAdmin):
    """Part of the pages of client keys: the page that shows new ones, rotating, issuing many."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("issued/<str:token>/", wrap(self.issued_view), name="gateway_clientkey_issued"),
            path("issue-many/", wrap(self.bulk_view), name="gateway_clientkey_bulk"),
            path("<int:pk>/rotate/", wrap(self.rotate_view), name="gateway_clientkey_rotate"),
            path("<int:pk>/revoke/", wrap(self.revoke_view), name="gateway_clientkey_revoke"),
            *super().get_urls(),
        ]

    def shown_once(self, request: HttpRequest, issued: list[Issued]) -> HttpResponse:
        """Redirect to the page that shows these keys, once."""
        token = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        text = json.dumps([[one.pk, one.name, one.owner, one.key] for one in issued])
        waiting = {"sealed": encrypt(text, (token,)), "at": time.time()}
        request.session[_WAITING] = waiting
        return HttpResponseRedirect(reverse("admin:gateway_clientkey_issued", args=[token]))

    def issued_view(self, request: HttpRequest, token: str) -> HttpResponse:
        """The page, once: opening it removes the keys from the session."""
        issued = _taken(request, token)
        if not issued:
            text = _("A new key is shown only once. If it was not copied, rotate it: that gives another one.")
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(reverse(self.page_name("changelist")))
        address = base_url(gateway_conf(), request.build_absolute_uri("/"))
        many = len(issued) > 1
        context: dict[str, Any] = {"issued": issued, "many": many, "base_url": address}
        if not many:
            key = issued[0].key
            settings = {"env": {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_AUTH_TOKEN": key}}
            context |= {
                "key": key,
                "lines": "\n".join(claude_code_lines(address, key)),
                "settings": json.dumps(settings, indent=2),
                "status_line": setting(address),
            }
        title = _("The new client keys") if many else _("The new client key")
        # admin_view's never_cache adds no-store, so no browser keeps the page either
        return TemplateResponse(
            request, "admin/gateway/clientkey/issued.html", self.page_context(request, title, **context)
        )

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        """Issue a key for each line of a list or CSV file: all of them, or none."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = BulkForm(
            request.POST or None, request.FILES or None, may_assign=self.may_set(request, "user_id")
        )
        if request.method == "POST" and form.is_valid():
            issued = []
            with transaction.atomic():
                for fields in form.records():
                    record, key = ClientKey.issue(**fields)
                    self.log_addition(request, record, _("Issued with a list."))
                    issued.append(Issued(record.pk, record.name, record.owner_name, key))
            return self.shown_once(request, issued)
        context = self.page_context(request, _("Issue many client keys"), form=form)
        return TemplateResponse(request, "admin/gateway/clientkey/bulk.html", context)

    def rotate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: how long the old one stays valid. POST: the new key."""
        found = self.get_object(request, str(pk))
        # the owner of a key may replace it by a new one with the same limits
        record = found if found is not None and rotates_own(request, found) else self._changeable(request, pk)
        if request.method == "POST":
            grace = request.POST.get("grace", "")
            allowed = {str(seconds): seconds for seconds, _label in GRACES}
            if grace not in allowed or record.state() != "active" or record.origin == Origin.SIGN_IN:
                raise PermissionDenied
            new, key = record.rotate(timedelta(seconds=allowed[grace]))
            self.log_change(request, record, _("Rotated; the new key is %s.") % new.shown)
            self.log_addition(request, new, _("Issued in place of %s.") % record.shown)
            return self.shown_once(request, [Issued(new.pk, new.name, new.owner_name, key)])
        context = self.page_context(
            request, _("Rotate the key"), record=record, original=record, graces=GRACES
        )
        return TemplateResponse(request, "admin/gateway/clientkey/rotate.html", context)

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST only: the button on a key's page. People may also end their own sign-ins."""
        found = self.get_object(request, str(pk))
        record = found if found is not None and own_sign_in(request, found) else self._changeable(request, pk)
        if request.method == "POST":
            self.revoke_all(request, [record])
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[pk]))

    def revoke_all(self, request: HttpRequest, records: list[ClientKey]) -> None:
        """Revoke the keys that are not revoked yet, in one transaction, and report how many."""
        active = [record for record in records if record.revoked_at is None]
        with transaction.atomic():
            # a single write moves the stamp once, so each process reloads once for any number of keys
            chosen = ClientKey.objects.filter(pk__in=[record.pk for record in active], revoked_at=None)
            with saying(_("Revoked.")):
                chosen.update(revoked_at=timezone.now())
        text = ngettext(
            "%(count)d key is revoked and refused from now on.",
            "%(count)d keys are revoked and refused from now on.",
            len(active),
        )
        self.message_user(request, text % {"count": len(active)}, messages.SUCCESS)

    def _changeable(self, request: HttpRequest, pk: int) -> ClientKey:
        record: ClientKey | None = self.get_object(request, str(pk))
        if record is None:
            raise Http404
        if not self.has_change_permission(request, record) or record.origin == Origin.ENVIRONMENT:
            raise PermissionDenied
        return record


def _taken(request: HttpRequest, token: str) -> list[Issued]:
    waiting = request.session.get(_WAITING)
    if not isinstance(waiting, dict) or time.time() - waiting["at"] > _LONGEST_WAIT:
        return []
    try:
        rows = json.loads(decrypt(waiting["sealed"], (token,)))
    except EncryptionError:
        return []
    del request.session[_WAITING]
    return [Issued(*row) for row in rows]


def rotates_own(request: HttpRequest, record: ClientKey) -> bool:
    """Whether this is the person's own key and can be rotated."""
    return record.user_id == request.user.pk and record.origin not in (Origin.ENVIRONMENT, Origin.SIGN_IN)


def own_sign_in(request: HttpRequest, record: ClientKey) -> bool:
    """Whether this is a machine that the person signed in."""
    return record.origin == Origin.SIGN_IN and record.user_id == request.user.pk
