"""The API's URLs. Every path ends somewhere, so that no request meets Django's HTML 404."""

from __future__ import annotations

from django.urls import path, re_path

from gateway.api import metrics, ops, views
from gateway.consumers import LiveTailConsumer

urlpatterns = [
    re_path(r"^v1/messages/?$", views.messages),
    re_path(r"^v1/messages/count_tokens/?$", views.count_tokens),
    re_path(r"^v1/models/?$", views.models),
    re_path(r"^v1/(?P<path>messages/batches.*|files.*|skills.*|complete/?)$", ops.not_implemented),
    path("v1/models/<path:model_id>", views.model),
    path("", ops.start),
    path("api/hello", ops.hello),
    path("health", ops.health),
    path("health/ready", ops.ready),
    path("health/detail", ops.detail),
    path("metrics", metrics.metrics),
    re_path(r"^(?P<path>.*)$", ops.not_found),
]

websocket_urlpatterns = [path("admin/live-tail/socket", LiveTailConsumer.as_asgi())]
