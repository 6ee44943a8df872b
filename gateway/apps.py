"""The one app of the project."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from gateway import checks


class GatewayConfig(AppConfig):
    name = "gateway"
    verbose_name = _("Gateway")

    def ready(self) -> None:
        checks.register_checks()
        # it listens to writes of the configuration, whoever writes
        import_string("gateway.config.changes.note")
        import_string("gateway.config.owners.connect")()
        import_string("gateway.config.client_policies.connect")()
        import_string("gateway.limits.former_use.connect")()
        # after every app: permissions of each are made when its own turn comes
        ensure_groups = import_string("gateway.config.startup.groups.ensure_groups")
        post_migrate.connect(ensure_groups, dispatch_uid="gateway.ensure_groups")
