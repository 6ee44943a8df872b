"""PostgreSQL and Redis servers of our own: on free loopback ports, in temporary folders, removed afterwards.

    python -m chaos.engines COMMAND ...

runs COMMAND with ENGINES_DATABASE_URL and ENGINES_REDIS_URL naming fresh servers; its exit code is
COMMAND's. When an engine is not installed it says so and runs nothing, because nothing could be learnt.
When told to stop, it tells COMMAND, waits for it, and ends the servers.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

HOST: Final = "127.0.0.1"
START_TIMEOUT: Final = 60.0
# seconds that the command has to end when we are told to stop
LAST_WORDS: Final = 20.0
DEBIANS_PLACE: Final = Path("/usr/lib/postgresql")
# PostgreSQL refuses to run as root; one of these does it then
NOT_ROOT: Final = ("postgres", "nobody")
HOW_TO_INSTALL: Final = "on Debian and Ubuntu: apt install postgresql redis-server"


class EngineMissing(Exception):
    """The engine is not installed or cannot run here; the text says what to do."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Engine:
    """A server in a temporary folder. `start` and `stop` may be repeated; stored data stays.

    `pause` and `resume`: it keeps its connections but answers nobody.
    """

    name = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"ccproxy-{self.name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    @property
    def run_as(self) -> dict[str, Any]:
        return {}

    def start(self) -> None:
        """Start and wait until it answers. Raises EngineMissing when it does not."""
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            self.command(), cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self.run_as
        )
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                words = (self.folder / "log").read_text(errors="replace")[-1000:]
                raise EngineMissing(f"{self.name} does not start:\n{words}")
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop it; SIGINT is PostgreSQL's fast stop, SIGQUIT its immediate one."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(60)
        self._process = None

    def pause(self) -> None:
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal_all(self, number: int) -> None:
        assert self._process is not None
        # PostgreSQL's backends are in process groups of their own, and children of the first process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        pids = [self._process.pid, *(int(pid) for pid in children.read_text().split())]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Postgres(Engine):
    """`durable=False` turns fsync off: safe as long as the machine itself does not fail."""

    name = "PostgreSQL"

    def __init__(self, *, durable: bool = False) -> None:
        self._programs = _postgres_programs()
        self._account = _account_for_postgres()
        super().__init__()
        self._durable = durable
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        user = ["--username=ccproxy", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [str(self._programs / "initdb"), "-D", str(self.folder / "data"), *user],
            cwd=self.folder, check=True, capture_output=True, **self.run_as,
        )  # fmt: skip

    @property
    def run_as(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def url(self, database: str = "postgres") -> str:
        return f"postgres://ccproxy@{HOST}:{self.port}/{database}"

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database as `template` is, an empty one else; its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def command(self) -> list[str]:
        options = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "300",
            "fsync": "on" if self._durable else "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *settings]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Redis(Engine):
    name = "Redis"

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise EngineMissing(f"redis-server is not on the PATH; {HOW_TO_INSTALL}")
        self._program = program
        super().__init__()

    def url(self, number: int = 0) -> str:
        return f"redis://{HOST}:{self.port}/{number}"

    def command(self) -> list[str]:
        storing = ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        return [self._program, "--bind", HOST, "--port", str(self.port), *storing]

    def answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), 2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _postgres_programs() -> Path:
    on_path = shutil.which("postgres")
    if on_path is not None and shutil.which("initdb") is not None:
        return Path(on_path).resolve().parent
    versions = [path.parent for path in DEBIANS_PLACE.glob("*/bin/initdb")]
    if not versions:
        raise EngineMissing(f"PostgreSQL's initdb and postgres are not installed; {HOW_TO_INSTALL}")
    return max(versions, key=lambda path: int(path.parent.name))


def _account_for_postgres() -> pwd.struct_passwd | None:
    """The user that PostgreSQL runs as when we are root; None: ourselves."""
    if os.geteuid() != 0:
        return None
    for name in NOT_ROOT:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EngineMissing(f"{getpass.getuser()} cannot run PostgreSQL, and there is no user {NOT_ROOT[0]}")


@contextlib.contextmanager
def running(engine: Engine) -> Iterator[Any]:
    """The engine, started; removed afterwards."""
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()


class ToldToStop(Exception):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _: object) -> None:
    # only once: a second signal must not disturb the ending
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise ToldToStop(number)


def _run(command: list[str], urls: dict[str, str]) -> int:
    """Run COMMAND to its end; returns its exit code. Raises ToldToStop after COMMAND has ended."""
    process = subprocess.Popen(command, env={**os.environ, **urls})
    try:
        return process.wait()
    except (ToldToStop, KeyboardInterrupt):
        # like Ctrl-C: a test run then cleans up after itself
        process.send_signal(signal.SIGINT)
        try:
            process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def main(command: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with running(Postgres()) as postgres, running(Redis()) as redis:
            return _run(command, {"ENGINES_DATABASE_URL": postgres.url(), "ENGINES_REDIS_URL": redis.url()})
    except ToldToStop as told:
        return 128 + told.number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except EngineMissing as missing:
        line = "*" * 78
        print(f"\n{line}\nSKIPPED on PostgreSQL and Redis: {missing}\n{line}\n", file=sys.stderr)
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
