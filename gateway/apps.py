"""The one app of the project."""

from __future__ import annotations

from django.apps import AppConfig

from gateway import checks


class GatewayConfig(AppConfig):
    name = "gateway"
    verbose_name = "Gateway"

    def ready(self) -> None:
        checks.register_checks()
