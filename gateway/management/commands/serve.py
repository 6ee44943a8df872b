"""The production server: Daphne on HOST and PORT."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string

from gateway.conf import gateway_conf


class Command(BaseCommand):
    help = "Serves the gateway on HOST and PORT (from the environment) until it is told to stop."

    def add_arguments(self, parser: ArgumentParser) -> None:
        conf = gateway_conf()
        parser.add_argument("--host", default=conf.host, help="address to listen on (default: HOST)")
        parser.add_argument("--port", type=int, default=conf.port, help="port to listen on (default: PORT)")

    def handle(self, *args: Any, **options: Any) -> None:
        application = import_string(settings.ASGI_APPLICATION)
        server = import_string(settings.GATEWAY_SERVER)(
            application,
            endpoints=build_endpoint_description_strings(host=options["host"], port=options["port"]),
            server_name="ccproxy",
        )
        server.run()
        if not server.listening_addresses:
            raise SystemExit(
                f"Cannot listen on {options['host']}:{options['port']}: is the gateway running already? "
                "Stop it, or choose another PORT in .env."
            )
