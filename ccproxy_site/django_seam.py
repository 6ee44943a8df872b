"""What we need of Django and it keeps to itself.

Seen with Django 5.2; tests/test_seams.py says when it is to be looked at again.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def origin_verified(forms: Any, request: HttpRequest) -> bool:
    """Whether `forms`, a CsrfViewMiddleware, trusts the Origin: its own host, or a configured one."""
    return bool(forms._origin_verified(request))
