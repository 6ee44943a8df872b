"""The API's URLs. Every path ends somewhere, so that no request meets Django's HTML 404."""

from __future__ import annotations

from django.urls import path, re_path

from gateway.api import client_services, metrics, ops, sign_in, status_line, views
from gateway.client_protocol import managed_settings, usage_headers
from gateway.client_protocol.sign_in import (
    DEVICE_AUTHORIZATION,
    DISCOVERY,
    REVOCATION,
    TOKEN,
    VERIFICATION,
)
from gateway.client_protocol.status_line import PATH as STATUS_LINE
from gateway.consumers import LiveTailConsumer

urlpatterns = [
    re_path(r"^v1/messages/?$", views.messages),
    re_path(r"^v1/messages/count_tokens/?$", views.count_tokens),
    re_path(r"^v1/models/?$", views.models),
    re_path(r"^v1/(?P<path>messages/batches.*|files.*|skills.*|complete/?)$", ops.not_implemented),
    path("v1/models/<path:model_id>", views.model),
    re_path(r"^v1/(?P<signal>metrics|logs|traces)/?$", client_services.telemetry),
    path(managed_settings.PATH[1:], client_services.managed),
    path(usage_headers.PATH[1:], client_services.usage),
    path(STATUS_LINE[1:], status_line.status_line),
    path(DISCOVERY[1:], sign_in.discovery),
    path(DEVICE_AUTHORIZATION[1:], sign_in.device_authorization),
    path(TOKEN[1:], sign_in.token),
    path(REVOCATION[1:], sign_in.revoke),
    path(VERIFICATION[1:], sign_in.verification),
    path("", ops.start),
    path("api/hello", ops.hello),
    path("health", ops.health),
    path("health/ready", ops.ready),
    path("health/detail", ops.detail),
    path("metrics", metrics.metrics),
    re_path(r"^(?P<path>.*)$", ops.not_found),
]

websocket_urlpatterns = [path("admin/live-tail/socket", LiveTailConsumer.as_asgi())]
