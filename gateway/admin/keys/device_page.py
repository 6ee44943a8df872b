"""The page on which a person approves a machine: type the code it shows, see which it is, and decide.

Following a link changes nothing. The code that was looked up is kept in the session, so a form that a
stranger prepared confirms nothing, and only a few codes can be tried.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from django.contrib import messages
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.client_protocol.sign_in import shown_code, typed_code
from gateway.conf import gateway_conf
from gateway.config import sign_in
from gateway.models import DeviceGrant

MOST_TRIES: Final = 10
# seconds
TRIES_HOLD: Final = 600
_FOUND: Final = "device_grant"


def page(admin: Any, request: HttpRequest) -> HttpResponse:
    """GET shows the form; POST `code` looks a machine up; POST `decision` lets it in or refuses it."""
    here = reverse("admin:gateway_clientkey_device")
    if not gateway_conf().sign_in:
        return _shown(admin, request, off=True)
    if request.method != "POST":
        request.session.pop(_FOUND, None)
        return _shown(admin, request, code=shown(request.GET.get("user_code", "")))
    now = timezone.now()
    if "decision" in request.POST:
        grant = DeviceGrant.objects.filter(pk=request.session.pop(_FOUND, None)).first()
        if grant is None:
            messages.error(request, _("Enter the code once more."))
        elif request.POST["decision"] == "deny":
            sign_in.deny(grant, request.user, now)
            messages.success(request, _("The machine was refused."))
        elif sign_in.approve(grant, request.user, now) is None:
            messages.error(request, _("The code is no longer valid. Start again at the machine."))
        else:
            messages.success(request, _("The machine is signed in. Go back to its terminal."))
        return HttpResponseRedirect(here)
    if _too_often(request):
        return _shown(admin, request, problem=_("Too many codes were tried. Wait ten minutes."))
    grant = sign_in.waiting(request.POST.get("code", ""), now)
    if grant is None:
        return _shown(
            admin, request, problem=_("No machine waits with this code. Look at its terminal again.")
        )
    request.session[_FOUND] = grant.pk
    return _shown(admin, request, grant=grant, code=shown_code(grant.user_code))


def shown(text: str) -> str:
    """The code in the address as the page shows it; "" if it is not a code."""
    code = typed_code(text)
    return shown_code(code) if code else ""


def _shown(admin: Any, request: HttpRequest, **more: Any) -> HttpResponse:
    context = admin.page_context(request, _("Sign in a machine"), **more)
    return TemplateResponse(request, "admin/gateway/clientkey/device.html", context)


def _too_often(request: HttpRequest) -> bool:
    """Count an attempt by the person and by the address. Whether there were too many."""
    over = False
    for subject in (f"user {request.user.pk}", f"address {request.META.get('REMOTE_ADDR', '')}"):
        name = "device_codes." + hashlib.sha256(subject.encode()).hexdigest()
        cache.add(name, 0, TRIES_HOLD)
        try:
            over |= cache.incr(name) > MOST_TRIES
        except ValueError:
            # it expired in between
            continue
    return over
