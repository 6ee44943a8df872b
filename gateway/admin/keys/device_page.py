"""The page on which a person approves a machine: type the code it shows, see which it is, and decide.

Following a link changes nothing, not even the field for the code: whoever sends one would have the page ask
for no more than a click. The code that was looked up is kept in the session, so a form that a stranger
prepared confirms nothing, and only a few wrong codes can be tried.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.client_protocol.sign_in import settings, shown_code
from gateway.conf import gateway_conf
from gateway.config import sign_in
from gateway.config.startup.client_setup_text import base_url
from gateway.models import DeviceGrant

_FOUND: Final = "device_grant"


def page(admin: Any, request: HttpRequest) -> HttpResponse:
    """GET shows the form; POST `code` looks a machine up; POST `decision` lets it in or refuses it."""
    here = reverse("admin:gateway_clientkey_device")
    if not gateway_conf().sign_in:
        return _shown(admin, request, off=True)
    if request.method != "POST":
        request.session.pop(_FOUND, None)
        return _shown(admin, request)
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
    # TRUSTED_PROXIES have told whose address that is (ccproxy_site/forwarded.py)
    address = request.META.get("REMOTE_ADDR", "")
    try:
        grant = sign_in.looked_up(request.POST.get("code", ""), request.user.pk or 0, address, now)
    except sign_in.SignInRefused:
        return _shown(admin, request, problem=_("Too many codes were tried. Wait ten minutes."))
    if grant is None:
        return _shown(
            admin, request, problem=_("No machine waits with this code. Look at its terminal again.")
        )
    request.session[_FOUND] = grant.pk
    return _shown(admin, request, grant=grant, code=shown_code(grant.user_code))


def _shown(admin: Any, request: HttpRequest, **more: Any) -> HttpResponse:
    address = base_url(gateway_conf(), request.build_absolute_uri("/"))
    context = admin.page_context(request, _("Sign in a machine"), settings=settings(address), **more)
    return TemplateResponse(request, "admin/gateway/clientkey/device.html", context)
