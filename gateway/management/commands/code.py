"""code: Claude Code with this gateway, which is started when none answers and ended with Claude Code."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from gateway.conf import GatewayConf, gateway_conf
from gateway.config.snapshot.loader import load
from gateway.config.startup.client_setup_text import local_url
from gateway.management.invocation import command

# a first start migrates; seconds, on a busy machine
START_TIMEOUT: Final = 180.0
LOOK_EVERY: Final = 0.1


class Command(BaseCommand):
    help = _("Starts Claude Code with this gateway. What follows is given to claude unchanged.")
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Everything behind `code` is Claude Code's, so nothing of it is parsed here."""
        try:
            code = self.handle(*argv[2:])
        except CommandError as problem:
            raise SystemExit(str(problem)) from None
        raise SystemExit(code)

    def handle(self, *arguments: str, **_options: Any) -> int:  # type: ignore[override]
        """Claude Code's exit code. Raises CommandError when it cannot be started."""
        claude = shutil.which("claude")
        if claude is None:
            raise CommandError(
                _("There is no claude on the PATH. Install it: npm install -g @anthropic-ai/claude-code")
            )
        conf = gateway_conf()
        url = local_url(conf)
        with _gateway(url):
            environment = {**os.environ, **_variables(conf, url)}
            # an API key goes before the token, and asks a question in the terminal
            environment.pop("ANTHROPIC_API_KEY", None)
            return _in_foreground([claude, *arguments], environment)


def _variables(conf: GatewayConf, url: str) -> dict[str, str]:
    """What Claude Code is told. Raises CommandError when a key is needed and none is there."""
    around = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    here = ",".join(part for part in (around, "127.0.0.1,localhost") if part)
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": _token(conf),
        # a company's proxy does not lead to this machine
        "NO_PROXY": here,
        "no_proxy": here,
    }


def _token(conf: GatewayConf) -> str:
    token = os.environ.get("ANTHROPIC_AUTH_TOKEN") or conf.anthropic_api_key
    if token:
        return token
    if load(conf).anonymous_allowed and not conf.keys_required:
        return "anything"
    raise CommandError(
        _("This gateway asks for a client key: set ANTHROPIC_AUTH_TOKEN. Make a key with: %(command)s")
        % {"command": command("createclientkey NAME")}
    )


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + "/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def _gateway(url: str) -> Iterator[None]:
    """One that answers at `url`; when it is ours it is ended at the end."""
    if _answers(url):
        yield
        return
    log = Path(settings.DATA_DIR) / "code.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # it tells the first admin's password
    log.touch(mode=0o600)
    with log.open("wb") as out:
        # a session of its own: Ctrl-C in the terminal is for Claude Code
        own = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, sys.argv[0], "run"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    print(_("Starting the gateway; it tells how it goes in %(log)s") % {"log": log}, file=sys.stderr)
    try:
        _wait(own, url, log)
        yield
    finally:
        own.terminate()
        own.wait()


def _wait(own: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(url):
        if own.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise CommandError("\n".join([_("The gateway did not start:"), *last]))
        time.sleep(LOOK_EVERY)


def _in_foreground(call: list[str], environment: dict[str, str]) -> int:
    """Run `command` in this terminal to its end; its exit code. What tells us to end, tells it too."""
    process = subprocess.Popen(call, env=environment)  # noqa: S603 - what was found on the PATH

    def pass_on(number: int, _frame: Any) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code
