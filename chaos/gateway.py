"""A gateway for a campaign: several processes, a database of its own, and the benchmark's provider
behind it.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psycopg

from chaos.engines import HOST, free_port

ROOT: Final = Path(__file__).resolve().parents[1]
KEY: Final = "sk-chaos-client-key-0001"
START_TIMEOUT: Final = 120.0
_LOUD: Final = re.compile(r'"level":"(WARNING|ERROR|CRITICAL)"')


class Gateway:
    """`database_url` empty: SQLite in `folder`. `processes` on one port; `patience`: HISTORY_PATIENCE.

    `variables`: more settings of its environment.
    """

    def __init__(
        self,
        folder: Path,
        upstream_port: int,
        database_url: str,
        processes: int,
        patience: float,
        **variables: str,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.database_url = database_url
        self._processes = processes
        self._running: subprocess.Popen[bytes] | None = None
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self._environment = {
            **kept,
            "CCPROXY_ENV_FILE": os.devnull,
            "DATA_DIR": str(folder),
            "DATABASE_URL": database_url,
            "SECRET_KEY": "chaos",
            "FIELD_ENCRYPTION_KEYS": "Y2hhb3Mtb25seS1rZXktb2YtMzItYnl0ZXMtbG9uZyE=",
            "OPENAI_API_KEY": "sk-chaos",
            "OPENAI_BASE_URL": f"http://{HOST}:{upstream_port}/v1",
            "ANTHROPIC_API_KEY": KEY,
            "PORT": str(self.port),
            "HISTORY_PATIENCE": str(patience),
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        self.manage("migrate", "--verbosity", "0")

    @property
    def parent(self) -> int:
        assert self._running is not None
        return self._running.pid

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Start and wait until every process serves."""
        command = [sys.executable, "manage.py", "serve", "--processes", str(self._processes)]
        self._running = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=self.log.open("ab"), stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + START_TIMEOUT
        while not (self._answers() and len(self.serving()) >= self._processes):
            if self._running.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the gateway does not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def warnings(self) -> list[str]:
        """The lines of its log at WARNING and above."""
        return [line for line in self.log.read_text().splitlines() if _LOUD.search(line)]

    def stop(self) -> int:
        """Tell it to stop; the exit code."""
        assert self._running is not None
        self._running.send_signal(signal.SIGTERM)
        return self._running.wait(120)

    def serving(self) -> list[int]:
        """Ids of the serving processes, oldest first."""
        # the number after the last slash of a process's name, as history/record/processes.py makes it
        locks = sorted((self.folder / "spool").glob("*.alive"), key=lambda path: path.stat().st_mtime)
        pids = [int(path.name.rpartition("_")[2].partition("-")[0]) for path in locks]
        return [pid for pid in pids if _is_running(pid)]

    def memory(self) -> int:
        """Resident memory of all its processes in KiB."""
        children = Path(f"/proc/{self.parent}/task/{self.parent}/children").read_text().split()
        return sum(_resident(int(pid)) for pid in [str(self.parent), *children])

    def states(self) -> dict[str, list[str]]:
        """The state of each row of the history by request id; a list, so that duplicates show."""
        sql = "SELECT request_id, state FROM gateway_requestlog"
        rows: Iterable[tuple[str, str]]
        if self.database_url:
            with psycopg.connect(self.database_url) as connection:
                rows = connection.execute(sql).fetchall()
        else:
            with sqlite3.connect(self.folder / "ccproxy.sqlite3", timeout=60) as connection:
                rows = connection.execute(sql).fetchall()
        found: dict[str, list[str]] = {}
        for request_id, state in rows:
            found.setdefault(request_id, []).append(state)
        return found

    def settled_states(self, timeout: float = 90.0) -> dict[str, list[str]]:
        """The same, once nothing is open and no spool file is left, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            states = self.states()
            counts = Counter(state for row in states.values() for state in row)
            spools = list((self.folder / "spool").glob("*.spool"))
            if (not counts["open"] and not spools) or time.monotonic() > deadline:
                return states
            time.sleep(1)

    def manage(self, *arguments: str, check: bool = True) -> str:
        """Run a management command with its settings; what it prints."""
        ended = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self._environment, check=check, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        return ended.stdout

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
