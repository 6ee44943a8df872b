"""What the command line says in place of a traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import IntegrityError, OperationalError, ProgrammingError

from ccproxy_site import command_line
from gateway import __version__
from tests.server.conftest import environment

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def run(monkeypatch):
    """run(problem, *arguments): the command line when its command raises `problem`."""
    before = signal.getsignal(signal.SIGINT)

    def run(problem, *arguments):
        def raising(_):
            raise problem

        monkeypatch.setattr(sys, "argv", ["manage.py", *arguments])
        monkeypatch.setattr(command_line, "execute_from_command_line", raising)
        with pytest.raises((SystemExit, type(problem))) as ended:
            command_line.main()
        return ended.value

    yield run
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "problem",
    [
        OperationalError("no such table: gateway_clientkey"),
        OperationalError("no such column: gateway_requestlog.owner_id"),
        ProgrammingError('relation "gateway_clientkey" does not exist\nLINE 1: SELECT'),
    ],
)
def test_a_database_that_is_not_migrated_is_told_with_the_command_that_migrates_it(run, problem):
    ended = run(problem, "createclientkey", "x")
    assert isinstance(ended, SystemExit)
    assert "not prepared" in ended.code and ended.code.endswith("manage.py migrate")
    assert "\n" not in ended.code


@pytest.mark.parametrize(
    ("problem", "named"),
    [
        (OperationalError("connection failed: Connection refused"), "DATABASE_URL"),
        (PermissionError(13, "Permission denied", "/srv/.env"), "/srv/.env"),
        (ImproperlyConfigured("PORT is abc; use a number"), "PORT is abc"),
    ],
)
def test_what_an_operator_can_mend_is_one_sentence(run, problem, named):
    ended = run(problem, "check")
    assert isinstance(ended, SystemExit) and named in ended.code and "\n" not in ended.code


@pytest.mark.parametrize("problem", [IntegrityError("UNIQUE constraint"), OSError(5, "Input/output error")])
def test_what_is_a_fault_of_ours_keeps_its_traceback(run, problem):
    assert run(problem, "check") is problem


def test_the_traceback_is_shown_to_whoever_asks_for_it(run):
    problem = OperationalError("no such table: x")
    assert run(problem, "check", "--traceback") is problem


def test_the_version_is_the_releases(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ccproxy", "--version"])
    command_line.main()
    assert capsys.readouterr().out == f"ccproxy {__version__}\n"


def test_ctrl_c_before_it_serves_is_a_sentence():
    code = (
        "import os, signal, sys; sys.argv = ['manage.py', 'run']; "
        "from ccproxy_site import command_line; command_line._take_ctrl_c('run'); "
        "os.kill(os.getpid(), signal.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 130
    assert "Stopped before it served." in done.stderr and "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    env = {**environment(tmp_path / "file" / "data"), "DATABASE_URL": ""}
    command = [sys.executable, "manage.py", "createclientkey", "x"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "file/data: Not a directory." in done.stderr and "Traceback" not in done.stderr
