"""A real gateway process on Daphne, with a database and an environment of its own."""

from __future__ import annotations

import atexit
import fcntl
import functools
import hashlib
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from chaos.engines import free_port

ROOT = Path(__file__).parent.parent.parent
# seconds, on a busy machine
START_TIMEOUT = 90
KEY = "client-key-for-tests"
# names the folder that the workers of a run share
SHARED = "CCPROXY_TESTS_SHARED"
# known to the variables of .env.example; none of the developer's own may leak in
CLEAN = {"PATH", "HOME", "LANG", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "TMPDIR"}


@dataclass
class Served:
    """A running gateway. `stop` asks it to end and gives its exit code.

    `database`: the URL of its PostgreSQL; empty: SQLite in `data`.
    """

    process: subprocess.Popen[bytes]
    port: int
    data: Path
    log: Path
    database: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self, how: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def rows(self, sql: str = "SELECT * FROM gateway_requestlog ORDER BY id") -> list[dict[str, object]]:
        if self.database:
            with psycopg.connect(self.database, row_factory=dict_row) as connection:
                return connection.execute(sql).fetchall()
        with sqlite3.connect(self.data / "ccproxy.sqlite3") as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql)]


def database_of(folder: Path) -> dict[str, str]:
    """Variables that name the gateway's own database when the run has engines; SQLite in `folder` else."""
    server = os.environ.get("ENGINES_DATABASE_URL")
    if not server:
        return {}
    url = server.rpartition("/")[0] + "/" + name_of(folder)
    return {"DATABASE_URL": url, "REDIS_URL": os.environ["ENGINES_REDIS_URL"]}


def name_of(folder: Path) -> str:
    return "served_" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def shared_folder() -> Path:
    """A folder for what is made once for all workers of a run; who asks first makes and removes it."""
    if SHARED not in os.environ:
        os.environ[SHARED] = tempfile.mkdtemp(prefix="ccproxy-shared-")
        atexit.register(shutil.rmtree, os.environ[SHARED], ignore_errors=True)
    return Path(os.environ[SHARED])


@functools.cache
def migrated() -> Path:
    """A folder whose database has been migrated, which takes longer than most tests: one for all workers."""
    shared = shared_folder()
    folder = shared / "migrated"
    with (shared / "migrating").open("w") as lock:
        # the first migrates, and the others wait for it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = shared / "making"
            making.mkdir()
            create_database(folder)
            manage("migrate", "--verbosity", "0", env=environment(making, **database_of(folder)))
            making.rename(folder)
    return folder


def create_database(folder: Path, template: str = "template1") -> None:
    server = os.environ.get("ENGINES_DATABASE_URL")
    if server:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name_of(folder)} TEMPLATE {template}")


def prepare_database(folder: Path) -> None:
    """Give `folder` a database of its own, as `migrate` leaves it."""
    template = migrated()
    create_database(folder, name_of(template))
    if not os.environ.get("ENGINES_DATABASE_URL"):
        shutil.copy(template / "ccproxy.sqlite3", folder)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in CLEAN}
    return {
        **kept,
        "CCPROXY_ENV_FILE": os.devnull,
        "DATA_DIR": str(folder),
        "SECRET_KEY": "tests-only",
        "FIELD_ENCRYPTION_KEYS": "dGVzdHMtb25seS1rZXktb2YtMzItYnl0ZXMtbG9uZyE=",
        "PYTHONUNBUFFERED": "1",
        # where a test does not say how many
        "PROCESSES": "1",
        **database_of(folder),
        **variables,
    }


def manage(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a management command said; fails, with its stderr, when it ends with another code than 0."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        failure = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        failure.add_note(done.stderr)
        raise failure
    return done


def until(what, seconds=20.0):
    """What `what` returns when it is true; fails when it never is."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def looked_at(port: int, path: str, patience: float) -> tuple[int, bytes]:
    """Status and body of a GET on a connection of its own; (0, b"") when nobody answers.

    For looks that are repeated: a client of httpx takes 25 ms of CPU to make, and a look 0.1 ms.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def answers(port: int) -> bool:
    """Whether a gateway serves there, and says so within a second."""
    return looked_at(port, "/health", 1)[0] == 200


def follows(served: Served) -> None:
    """Wait until the one process follows the configuration that its database has."""
    wanted = served.rows("SELECT value FROM gateway_configstamp")[0]["value"]

    def followed() -> bool:
        status, body = looked_at(served.port, "/health/ready", 10)
        assert status == 200, body
        return json.loads(body)["configuration"] >= wanted

    until(followed)


def start(folder: Path, *arguments: str, **variables: str) -> Served:
    port = int(variables.setdefault("PORT", str(free_port())))
    env = environment(folder, **variables)
    if not (folder / "ccproxy.sqlite3").exists():
        prepare_database(folder)
    log = folder / "log"
    process = subprocess.Popen(
        [sys.executable, "manage.py", *(arguments or ("serve",))],
        cwd=ROOT,
        env=env,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )
    served = Served(process, port, folder, log, env.get("DATABASE_URL", ""))
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if answers(port):
            return served
        if process.poll() is not None:
            break
        time.sleep(0.05)
    served.stop()
    pytest.fail("the gateway did not start:\n" + log.read_text())


@pytest.fixture
def serve(tmp_path):
    """serve(**variables) starts a gateway; it is stopped at the end of the test."""
    running: list[Served] = []

    def one(*arguments: str, **variables: str) -> Served:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(start(folder, *arguments, **variables))
        return running[-1]

    yield one
    for served in running:
        served.stop()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One gateway without a provider, for tests that only look."""
    served = start(tmp_path_factory.mktemp("demo"))
    yield served
    served.stop()
