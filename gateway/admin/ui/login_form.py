"""The form of the login page."""

from __future__ import annotations

import math

from django.core.exceptions import ValidationError
from django.utils.translation import ngettext

from gateway.admin.ui.base import AuthenticationForm


class LoginForm(AuthenticationForm):
    """Says how long to wait: `ccproxy_site/logins.py` puts the seconds on the request."""

    def get_invalid_login_error(self) -> ValidationError:
        wait = math.ceil(getattr(self.request, "login_pause", 0))
        if not wait:
            return super().get_invalid_login_error()
        text = ngettext(
            "Too many failed logins. Try again in %(seconds)d second.",
            "Too many failed logins. Try again in %(seconds)d seconds.",
            wait,
        )
        return ValidationError(text % {"seconds": wait}, code="paused")
