"""code: Claude Code with this gateway, which is started when none answers and ended with Claude Code."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

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
_LONGEST_ANSWER: Final = 10_000
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    help = _("Starts Claude Code with this gateway. Further arguments are passed to claude unchanged.")
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Arguments after `code` are for Claude Code, so they are not parsed here."""
        try:
            code = self.handle(*argv[2:])
        except CommandError as problem:
            raise SystemExit(str(problem)) from None
        raise SystemExit(code)

    def handle(self, *arguments: str, **_options: Any) -> int:  # type: ignore[override]
        """Returns Claude Code's exit code. Raises CommandError if it cannot be started."""
        claude = shutil.which("claude")
        if claude is None:
            raise CommandError(
                _("claude is not on the PATH. Install it: npm install -g @anthropic-ai/claude-code")
            )
        conf = gateway_conf()
        url = local_url(conf)
        try:
            with _Signals() as signals, _gateway(url, signals):
                environment = {**settings.ENVIRONMENT_FOR_OTHERS(), **_variables(conf, url)}
                # Claude Code would prefer an API key to the token, and ask about it in the terminal
                environment.pop("ANTHROPIC_API_KEY", None)
                return _in_foreground([claude, *arguments], environment)
        except _Told as told:
            print(_("Stopped before Claude Code was started."), file=sys.stderr)
            return 128 + told.number


def _variables(conf: GatewayConf, url: str) -> dict[str, str]:
    """The environment for Claude Code. Raises CommandError if a key is needed and missing."""
    around = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    own = dict.fromkeys(("127.0.0.1", "localhost", urlsplit(url).hostname or ""))
    here = ",".join(part for part in (around, *own) if part)
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": _token(conf),
        # a company's proxy cannot reach this machine
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
    """Whether a ccproxy answers there. Another program is not to get the token."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + "/", timeout=2) as response:
            said = json.loads(response.read(_LONGEST_ANSWER))
    except (OSError, HTTPException, ValueError):
        return False
    return isinstance(said, dict) and said.get("name") == "ccproxy"


class _Told(Exception):
    """A signal told this command to end while no Claude Code runs. `number`: which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Signals:
    """Inside, Ctrl-C, SIGTERM and SIGHUP raise _Told, so that the started gateway is stopped first."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: int | None = None

    def __enter__(self) -> _Signals:
        self._before = {number: signal.signal(number, self._told) for number in _ENDING}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, none raises; one that comes meanwhile raises at the end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._waiting is not None:
            raise _Told(self._waiting)

    def _told(self, number: int, _frame: FrameType | None) -> None:
        if not self._held:
            raise _Told(number)
        self._waiting = number


@contextmanager
def _gateway(url: str, signals: _Signals) -> Iterator[None]:
    """A gateway that answers at `url`. If it is started here, it stops after the last `code` has ended."""
    folder = Path(settings.DATA_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "code.lock").open("ab") as users, (folder / "code.start").open("ab") as starting:
        # one starts it, and the others wait until it answers
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if _answers(url):
            fcntl.flock(starting, fcntl.LOCK_UN)
            yield
            return
        log = folder / "code.log"
        # its output has the first admin's password
        log.touch(mode=0o600)
        own: subprocess.Popen[bytes] | None = None
        try:
            # a signal in the middle would leave a gateway that nobody knows
            with signals.held(), log.open("wb") as out:
                # a session of its own: Ctrl-C in the terminal is for Claude Code
                own = subprocess.Popen(  # noqa: S603 - our own command
                    [sys.executable, sys.argv[0], "run"],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            print(_("Starting the gateway; its log is %(log)s") % {"log": log}, file=sys.stderr)
            _wait(own, url, log)
            fcntl.flock(starting, fcntl.LOCK_UN)
            yield
            _wait_for_others(users.fileno())
        finally:
            if own is not None:
                _stopped(own)


def _stopped(own: subprocess.Popen[bytes]) -> None:
    own.terminate()
    try:
        own.wait()
    except _Told:
        # a second signal stops it at once
        own.terminate()
        own.wait()


def _wait_for_others(users: int) -> None:
    """Until no other `code` uses the gateway. `users`: the descriptor of the lock that each shares."""
    with suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    print(
        _("Another session uses the gateway, which stops with that session or with Ctrl-C."), file=sys.stderr
    )
    with suppress(_Told):
        fcntl.flock(users, fcntl.LOCK_EX)


def _wait(own: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(url):
        if own.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise CommandError(" ".join([_("The gateway did not start:"), *last]))
        time.sleep(LOOK_EVERY)


def _in_foreground(call: list[str], environment: dict[str, str]) -> int:
    """Run `call` in this terminal to its end; its exit code. What tells us to end, tells it too."""
    process = subprocess.Popen(call, env=environment)  # noqa: S603 - what was found on the PATH

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code
