"""What Django's DEBUG pages may show: the traceback, and no value that could be a secret.

Django hides settings by a deny list of words in their names. Headers that an admin named, the address of
Redis with its password, and credentials in the variables of a frame match none of them.
"""

from __future__ import annotations

from collections.abc import ItemsView
from types import FrameType
from typing import Any, Final

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

HIDDEN: Final = "(not shown)"
SHOWN: Final = (
    "DEBUG",
    "ROOT_URLCONF",
    "LANGUAGE_CODE",
    "TIME_ZONE",
    "USE_TZ",
    "ALLOWED_HOSTS",
    "APPEND_SLASH",
)
_SHOWN_META: Final = frozenset(
    {"REQUEST_METHOD", "PATH_INFO", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_HOST", "HTTP_ACCEPT",
     "HTTP_USER_AGENT", "SERVER_NAME", "SERVER_PORT"}
)  # fmt: skip


class NothingSecret(SafeExceptionReporterFilter):
    """Settings and headers are shown by an allow list; variables and posted data by name only."""

    def get_safe_settings(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_safe_settings().items() if name in SHOWN}

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        meta: dict[str, Any] = super().get_safe_request_meta(request)
        return {name: value if name in _SHOWN_META else HIDDEN for name, value in meta.items()}

    def get_safe_cookies(self, request: HttpRequest) -> dict[str, Any]:
        return dict.fromkeys(request.COOKIES, HIDDEN)

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return {} if request is None else dict.fromkeys(request.POST, HIDDEN)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        return dict.fromkeys(tb_frame.f_locals, HIDDEN).items()
