"""What we need of Django and it keeps to itself.

Seen with Django 5.2; tests/test_seams.py says when it is to be looked at again.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def origin_verified(forms: Any, request: HttpRequest) -> bool:
    """`forms`: a CsrfViewMiddleware. Whether forms are taken from the request's Origin: its own host, or one of CSRF_TRUSTED_ORIGINS."""
    return bool(forms._origin_verified(request))
