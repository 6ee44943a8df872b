"""Target: a program that is started, waited for, sent requests, and stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from bench.load import HOST
from bench.verify import Form

ROOT: Final = Path(__file__).resolve().parents[2]
PEERS: Final = ROOT / "bench" / ".peers"
KEY: Final = "sk-bench-client-key-0001"
START_TIMEOUT: Final = 120.0
STOP_TIMEOUT: Final = 10.0


class CannotRun(Exception):
    """The target cannot be installed or started here; the text says why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a target finds the upstream, the models it will be asked for, and a folder of its own."""

    upstream_port: int
    models: tuple[str, ...]
    folder: Path

    @property
    def upstream_url(self) -> str:
        return f"http://{HOST}:{self.upstream_port}/v1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Target(ABC):
    """`share`: part of the usual number of requests, for slow programs. `form`: the form of its answers."""

    name: ClassVar[str]
    form: ClassVar[Form] = "messages"
    path: ClassVar[str] = "/v1/messages"
    ready_path: ClassVar[str] = "/"
    share: ClassVar[float] = 1.0

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start_seconds = 0.0

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def install(self) -> None:  # noqa: B027 (most need nothing)
        """Make the program available. Raises CannotRun."""

    def prepare(self) -> None:  # noqa: B027
        """Whatever happens once before the first start: configuration files, a database."""

    @abstractmethod
    def command(self) -> list[str]: ...

    def environment(self) -> dict[str, str]:
        return {}

    def asked_model(self, model: str) -> str:
        """The name under which this target knows an upstream model."""
        return model

    def start(self) -> None:
        """Start and wait until it answers; `start_seconds` is how long that took. Raises CannotRun."""
        self.setting.folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=ROOT, env=self._whole_environment(), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() - started > START_TIMEOUT:
                self.stop()
                raise CannotRun(f"{self.name} did not start: {self._last_words()}")
            time.sleep(0.01)
        self.start_seconds = time.monotonic() - started

    def stop(self) -> None:
        """End the process and everything it started."""
        if self.process is None:
            return
        for sent in (signal.SIGTERM, signal.SIGKILL):
            # its own session, so the number is nobody else's group
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sent)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_TIMEOUT)
        self.process = None

    @property
    def log_file(self) -> Path:
        return self.setting.folder / "output.log"

    def _whole_environment(self) -> dict[str, str]:
        usual = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
        return {**usual, "HOME": str(self.setting.folder), **self.environment()}

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", self.ready_path)
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_words(self) -> str:
        return self.log_file.read_text(errors="replace")[-2000:]


def run(command: list[str], **options: Any) -> None:
    """Run a preparing command to its end. Raises CannotRun with its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise CannotRun(f"{' '.join(command)}:\n{(done.stdout + done.stderr)[-2000:]}")
