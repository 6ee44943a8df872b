"""`code` starts Claude Code with the right environment, and a gateway when none answers."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from chaos.engines import free_port
from gateway.management.commands import code
from gateway.models import ClientKey
from tests.commands.test_setupgateway import changed
from tests.server.conftest import environment

ROOT = Path(__file__).parent.parent.parent
# writes down what it was started with
CLAUDE = """#!{python}
import json, os, sys, urllib.request
told = {{name: os.environ[name] for name in os.environ if name.startswith(("ANTHROPIC", "NO_PROXY"))}}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
health = opener.open(os.environ["ANTHROPIC_BASE_URL"] + "/health", timeout=10).status
json.dump([sys.argv[1:], told, health], open({out!r}, "w"))
sys.exit(7)
"""


@pytest.fixture
def claude(tmp_path, monkeypatch):
    script = tmp_path / "bin" / "claude"
    script.parent.mkdir()
    script.write_text(CLAUDE.format(python=sys.executable, out=str(tmp_path / "told")))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "told"


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway(monkeypatch):
    """Something that answers as a gateway does at /health, and the settings that lead to it."""
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(code, "gateway_conf", lambda: changed(port=server.server_port))
        yield server
        server.shutdown()
        thread.join()


def started(*arguments):
    with pytest.raises(SystemExit) as ended:
        code.Command().run_from_argv(["manage.py", "code", *arguments])
    return ended.value.code


@pytest.mark.django_db
def test_claude_gets_its_arguments_unchanged_and_the_gateways_address(claude, gateway, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-somebody")
    monkeypatch.setenv("NO_PROXY", "intern.example")
    assert started("-p", "--help", "Say hello.") == 7
    arguments, told, health = json.loads(claude.read_text())
    assert arguments == ["-p", "--help", "Say hello."] and health == 200
    assert told["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{gateway.server_port}"
    assert told["ANTHROPIC_AUTH_TOKEN"] == "anything"
    assert told["NO_PROXY"] == "intern.example,127.0.0.1,localhost"
    assert "ANTHROPIC_API_KEY" not in told


@pytest.mark.django_db
@pytest.mark.usefixtures("claude", "gateway")
def test_where_a_key_is_needed_and_none_is_there_the_way_to_one_is_told():
    ClientKey.issue("Ann")
    assert "createclientkey" in started()


def test_without_claude_the_way_to_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "npm install -g @anthropic-ai/claude-code" in started()


@pytest.mark.server
def test_a_gateway_that_was_started_for_it_ends_with_it(claude, tmp_path):
    port = free_port()
    data = tmp_path / "data"
    env = {**environment(data, PORT=str(port)), "PATH": os.environ["PATH"], "DATABASE_URL": ""}
    command = [sys.executable, "manage.py", "code", "-p", "hello"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=110)
    assert done.returncode == 7, done.stderr
    assert json.loads(claude.read_text())[2] == 200
    log = (data / "code.log").read_text()
    assert "Listening on" in log and "Traceback" not in log
    assert stat.S_IMODE((data / "code.log").stat().st_mode) == 0o600
    still = subprocess.run(["pgrep", "-f", str(data)], capture_output=True, text=True).stdout
    assert still == "", still


def test_a_signal_for_the_command_reaches_claude(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.start()
    assert code._in_foreground(["sleep", "60"], dict(os.environ)) == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
