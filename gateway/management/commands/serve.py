"""The production server: Daphne on HOST and PORT, in one process or several."""

from __future__ import annotations

import os
import sys
import threading
import time
from argparse import SUPPRESS, ArgumentParser
from contextlib import nullcontext
from typing import Any, Final

from daphne.endpoints import build_endpoint_description_strings
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection, connections
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from gateway.conf import fitting_processes, gateway_conf
from gateway.config.startup.environment import sync_environment
from gateway.config.startup.start_lock import start_lock
from gateway.management.numbers import whole
from gateway.telemetry import metrics

# seconds for the interpreter to finish
LINGER: Final = 3.0
# imported by name, because the supervising process does not serve
_RUNTIME: Final = "gateway.app.runtime.runtime"


class Command(BaseCommand):
    help = _("Serves the gateway on HOST and PORT (from the environment) until it is told to stop.")
    # what a place decides; what the code decides is checked by `manage.py check`, and would load the admin
    requires_system_checks = ["gateway"]

    def add_arguments(self, parser: ArgumentParser) -> None:
        # gateway_conf would raise for a wrong value, before the checks can say it
        conf = settings.GATEWAY
        parser.add_argument("--host", default=conf["host"], help=_("address to listen on (default: HOST)"))
        parser.add_argument(
            "--port", type=whole(0, 65_535), default=conf["port"], help=_("port to listen on (default: PORT)")
        )
        parser.add_argument(
            "--processes", type=whole(0, 1024), default=conf["processes"],
            help=_("server processes on that port (default: PROCESSES; 0: as many as fit)"),
        )  # fmt: skip
        parser.add_argument(
            "--fd", type=whole(0), help=_("serve on this descriptor, a listening socket that was inherited")
        )
        # of our own parent (ccproxy_site/server/processes.py)
        parser.add_argument("--lifeline", type=whole(0), help=SUPPRESS)
        parser.add_argument("--ready", type=whole(0), help=SUPPRESS)
        parser.add_argument("--others", default="", help=SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        processes = options["processes"] or fitting_processes(connection.vendor)
        if options["fd"] is not None:
            self._serve([f"fd:{options['fd']}"], family=_family(options))
        elif processes == 1:
            where = build_endpoint_description_strings(host=options["host"], port=options["port"])
            if not self._serve(where):
                raise _port_taken(options)
        else:
            self._serve_in(processes, options)

    def _serve(self, endpoints: list[str], family: Any = None) -> bool:
        """Serve in this process until the end. Whether it could listen."""
        server = import_string(settings.GATEWAY_SERVER)(
            import_string(settings.ASGI_APPLICATION),
            endpoints=endpoints,
            server_name="ccproxy",
            family=family,
        )
        server.run()
        _end_soon()
        return not server.refused

    def _serve_in(self, number: int, options: dict[str, Any]) -> None:
        """Supervise several serving processes."""
        conf = gateway_conf()
        # here once: the processes find everything in step; each knows what to do without the database
        try:
            with start_lock():
                sync_environment(conf)
        except DatabaseError:
            if import_string(_RUNTIME).kept_policies() is None:
                raise
        connections.close_all()
        with (
            metrics.shared_folder(conf.spool_folder.parent)
            if conf.metrics_token
            else nullcontext() as numbers
        ):
            code = self._watched(options, number=number, patience=conf.longest_stop, numbers=numbers)
        if code:
            raise SystemExit(code)

    def _watched(self, options: dict[str, Any], *, number: int, **how: Any) -> int:
        """Supervise until the end; returns the exit code."""
        host, port = options["host"], options["port"]
        try:
            processes = import_string(settings.GATEWAY_PROCESSES)(
                host, port, number=number, manage=sys.argv[0], **how
            )
        except OSError as problem:
            raise _port_taken(options) from problem
        self.stdout.write(
            _("Listening on http://%(host)s:%(port)s with %(number)s processes (stop with Ctrl-C)")
            % {"host": f"[{host}]" if ":" in host else host, "port": processes.port, "number": number}
        )
        self.stdout.flush()
        return int(processes.run())


def _family(options: dict[str, Any]) -> Any:
    """What a process gets from its parent; None without one."""
    if options["lifeline"] is None:
        return None
    names = options["others"].split(",") if options["others"] else []
    family = import_string(settings.GATEWAY_FAMILY)
    return family(options["lifeline"], options["ready"], {name: 5 + at for at, name in enumerate(names)})


def _end_soon() -> None:
    """Everything is written. Threads that wait for a server that answers nobody would keep the process."""

    def end() -> None:
        time.sleep(LINGER)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    threading.Thread(target=end, name="end", daemon=True).start()


def _port_taken(options: dict[str, Any]) -> SystemExit:
    return SystemExit(
        _(
            "Cannot listen on %(host)s:%(port)s: is the gateway running already? "
            "Stop it, or choose another PORT in .env."
        )
        % {"host": options["host"], "port": options["port"]}
    )
