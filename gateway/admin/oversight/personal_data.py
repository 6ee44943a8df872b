"""What is kept of a person: exported as a file or erased, from their page."""

from __future__ import annotations

import time
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from gateway.admin.downloads import streamed_download
from gateway.admin.ui.sanitize import inert
from gateway.conf import gateway_conf
from gateway.config.changes import note_sentence
from gateway.history.access import may_read_all
from gateway.models import Erasure
from gateway.personal_data.erasure import MayNotErase, begin, carry_on, holds_of, requests_of
from gateway.personal_data.export import person_lines

EXPORT: Final = "gateway.export_person"
ERASE: Final = "gateway.erase_person"
# how long a page may take; a background process erases the rest
_SECONDS: Final = 5.0


class PersonalData(admin.ModelAdmin):
    """Part of the page of a user."""

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path("<int:pk>/export/", site.admin_view(self.export_view), name="auth_user_export"),
            path("<int:pk>/erase/", site.admin_view(self.erase_view), name="auth_user_erase"),
            *super().get_urls(),
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        person = options.get("obj")
        if person is not None:
            context["may_export"] = request.user.has_perm(EXPORT)
            context["may_erase"] = request.user.has_perm(ERASE) and person.pk != request.user.pk
            if context["may_export"] or context["may_erase"]:
                context["erasure"] = Erasure.objects.filter(user_pk=person.pk).first()
                context["kept_requests"] = requests_of(person.pk).count()
        response: HttpResponse = super().render_change_form(request, context, *args, **options)
        return response

    def export_view(self, request: HttpRequest, pk: int) -> HttpResponse | StreamingHttpResponse:
        """POST: everything that is kept of the person; contents for those who may read them."""
        person = self._person(request, pk, EXPORT)
        if request.method != "POST":
            return HttpResponseRedirect(reverse("admin:auth_user_change", args=[pk]))
        note_sentence(person, _("What is kept of the person was exported."))
        lines = person_lines(person, request.user, with_contents=may_read_all(request.user))
        name = slugify(person.get_username()) or f"person-{pk}"
        return streamed_download(lines, f"{name}.jsonl")

    def erase_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: what goes and what stays. POST, with the name typed: erase."""
        person = self._person(request, pk, ERASE)
        address = reverse("admin:auth_user_change", args=[pk])
        wrong = False
        if request.method == "POST":
            wrong = request.POST.get("name", "").strip() != person.get_username()
            if not wrong:
                try:
                    self._erase(request, person)
                except MayNotErase as problem:
                    self.message_user(request, str(problem), messages.ERROR)
                return HttpResponseRedirect(address)
        held, holds = holds_of(pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Erase a person"),
            "own_title": _("Erase a person"),
            "opts": self.opts,
            "person": inert(person.get_username()),
            "going": requests_of(pk).count() - held,
            "held": held,
            "holds": [(inert(str(hold)), inert(hold.reason)) for hold in holds],
            "wrong": wrong,
            "back": address,
        }
        return TemplateResponse(request, "admin/gateway/user/erase.html", context)

    def _person(self, request: HttpRequest, pk: int, right: str) -> Any:
        person = self.get_object(request, str(pk))
        if person is None or not (self.has_view_permission(request, person) and request.user.has_perm(right)):
            raise PermissionDenied
        return person

    def _erase(self, request: HttpRequest, person: Any) -> None:
        now = timezone.now()
        erasure = begin(person, request.user, now)
        done = carry_on(erasure, now, gateway_conf().spool_folder, stopping=_Deadline(_SECONDS))
        if done.unnamed_at is not None:
            text = _("Erased: %(n)d requests. The account is called %(name)s now.")
            person.refresh_from_db()
            told = {"n": done.requests, "name": person.get_username()}
            self.message_user(request, text % told, messages.SUCCESS)
        elif done.held:
            text = _("Erased: %(n)d requests. %(held)d are kept by a legal hold, and the name with them.")
            self.message_user(request, text % {"n": done.requests, "held": done.held}, messages.WARNING)
        else:
            text = _("The person is refused from now on, and their requests are being erased.")
            self.message_user(request, text, messages.SUCCESS)


class _Deadline:
    """An event that the clock sets, for `carry_on` to know when to stop."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def is_set(self) -> bool:
        return time.monotonic() > self._end

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()
