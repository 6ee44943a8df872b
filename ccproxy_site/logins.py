"""Logins: wrong passwords are logged and slow down the next attempts; sessions end.

The counts per name and per address are in Django's cache, which processes share with REDIS_URL. Each
attempt counts when it begins, so many at once gain nothing. Unlike django-axes, which writes each attempt
to the database and locks a name until somebody unlocks it, this needs no table, and nobody can lock an
admin out for long.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
import unicodedata
from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from gateway.security import sessions
from gateway.security.client_networks import counted_as

logger = logging.getLogger("gateway.access")

FREE_ATTEMPTS: Final = 5
LONGEST_PAUSE: Final = 300.0
# failures are forgotten after this many seconds without another
_REMEMBERED: Final = 3600
_PAUSE: Final = "login_pause"


class LoginPause:
    """The first of AUTHENTICATION_BACKENDS: refuses attempts while the name or address must wait.

    It knows no users; refusing is all that it does.
    """

    def authenticate(self, request: Any, username: str | None = None, **_: Any) -> None:
        if request is None or username is None:
            return
        now = time.time()
        wait = max(_wait(subject, now) for subject in _subjects(request, username))
        if wait > 0:
            setattr(request, _PAUSE, wait)
            raise PermissionDenied
        for subject in _subjects(request, username):
            _count(subject, now)


def session_ends(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, in front of the one that knows the user: ends sessions whose time is up."""

    def answered(request: HttpRequest) -> HttpResponse:
        now = time.time()
        if not request.session.is_empty():
            if sessions.is_over(request.session, now):
                logout(request)
            elif "_auth_user_id" in request.session:
                sessions.note_request(request.session, now)
        return get_response(request)

    return answered


def note_failure(request: Any = None, credentials: Any = None, **_: Any) -> None:
    name = str((credentials or {}).get("username", ""))[:150]
    address = "" if request is None else request.META.get("REMOTE_ADDR", "")
    wait = 0 if request is None else math.ceil(getattr(request, _PAUSE, 0))
    logger.warning("login failed", extra={"client_address": address, "user": name, "pause_seconds": wait})


def note_success(request: Any, user: Any, **_: Any) -> None:
    sessions.begin(request.session, time.time())
    name, address = _subjects(request, user.get_username())
    try:
        cache.delete(name)
        # Of the address only this attempt is forgiven: its owner may know one password and try somebody
        # else's. A team behind one address may sign in, one after the other.
        attempts, last = _known(address)
        if attempts > 1:
            cache.set(address, (attempts - 1, last), _REMEMBERED)
        else:
            cache.delete(address)
    except Exception:
        logger.exception("failed logins cannot be counted")


user_login_failed.connect(note_failure, dispatch_uid="gateway.logins.failure")
user_logged_in.connect(note_success, dispatch_uid="gateway.logins.success")


def _subjects(request: Any, username: str) -> tuple[str, str]:
    """What is counted, as keys of the cache: the name, and the address."""
    name = unicodedata.normalize("NFKC", username).casefold()
    address = counted_as(request.META.get("REMOTE_ADDR", ""))
    return _key(f"name {name}"), _key(f"address {address}")


def _key(text: str) -> str:
    return "logins." + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _wait(subject: str, now: float) -> float:
    """Seconds that it still has to wait."""
    failures, last = _known(subject)
    if failures < FREE_ATTEMPTS:
        return 0.0
    pause = min(LONGEST_PAUSE, 2.0 ** min(failures - FREE_ATTEMPTS, 20))
    return max(0.0, last + pause - now)


def _known(subject: str) -> tuple[int, float]:
    try:
        return cache.get(subject) or (0, 0.0)
    except Exception:
        # a login must still be possible without the store
        logger.exception("failed logins cannot be counted")
        return 0, 0.0


def _count(subject: str, now: float) -> None:
    try:
        cache.set(subject, (_known(subject)[0] + 1, now), _REMEMBERED)
    except Exception:
        logger.exception("failed logins cannot be counted")
