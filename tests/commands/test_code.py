"""`code` starts Claude Code with the right environment, and a gateway when none answers."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ccproxy_site import environment as environment_variables
from chaos.engines import free_port
from gateway.management.commands import code
from gateway.models import ClientKey
from tests.commands.test_setupgateway import changed
from tests.server.conftest import environment, prepare_database, until

ROOT = Path(__file__).parent.parent.parent
# writes down what it was started with
CLAUDE = """#!{python}
import json, os, sys, urllib.request
told = dict(os.environ)
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
    body = b'{"name": "ccproxy"}'

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway(monkeypatch):
    """Something that answers as a gateway does, and the settings that lead to it."""
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


@pytest.mark.django_db
@pytest.mark.usefixtures("gateway")
def test_claude_gets_no_secret_and_nothing_of_the_gateways_own_file(claude, monkeypatch, settings):
    in_file = {"BIG_MODEL": "x", "HTTPS_PROXY": "http://proxy.example:1"}
    secret = {name: "hush" for name, one in environment_variables.VARIABLES.items() if one.secret}
    others = {
        "CUSTOM_HEADER_X_TEAM": "hush",
        "CUSTOM_HEADER_X_KEY_FILE": "hush",
        "METRICS_TOKEN_FILE": "hush",
    }
    own = {"CCPROXY_ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings"}
    for name, value in {**in_file, **secret, **others, **own, "OF_THE_SHELL": "1"}.items():
        monkeypatch.setenv(name, value)
    settings.ENVIRONMENT_FOR_OTHERS = partial(environment_variables.for_other_programs, frozenset(in_file))
    assert started() == 7
    told = json.loads(claude.read_text())[1]
    assert told["OF_THE_SHELL"] == "1"
    assert not told.keys() & {*in_file, *secret, *others, *own} - {"ANTHROPIC_API_KEY"}
    assert "hush" not in told.values()


@pytest.mark.django_db
def test_an_address_of_this_machine_is_asked_without_a_proxy(monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    conf = changed(host="192.168.1.5")
    told = code._variables(conf, code.local_url(conf))
    assert told["NO_PROXY"] == told["no_proxy"] == "127.0.0.1,localhost,192.168.1.5"


@pytest.mark.parametrize("body", [b"", b"ok", b"[]", b'{"status": "ok"}', b'{"name": "another"}', b"\xff"])
def test_a_program_that_is_no_ccproxy_is_not_taken_for_one(gateway, monkeypatch, body):
    url = f"http://127.0.0.1:{gateway.server_port}"
    assert code._answers(url)
    monkeypatch.setattr(Healthy, "body", body)
    assert not code._answers(url)


def test_without_claude_the_way_to_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "npm install -g @anthropic-ai/claude-code" in started()


def running_with(data):
    """The ids of processes whose data are in this folder, with the arguments that they have."""
    found = {}
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"DATA_DIR={data}\0".encode() in environ.read_bytes():
                found[environ.parent.name] = (environ.parent / "cmdline").read_bytes()
        except OSError:
            continue
    return found


@pytest.fixture
def code_in(tmp_path):
    """code_in(arguments, variables): `code` as a process, with a port and an empty data folder of its own."""
    port, data = free_port(), tmp_path / "data"
    data.mkdir()
    if "ENGINES_DATABASE_URL" not in os.environ:
        prepare_database(data)
    begun = []

    def code_in(*arguments, **variables):
        of_test = {"PATH": os.environ["PATH"], "DATABASE_URL": "", "PORT": str(port), **variables}
        process = subprocess.Popen(
            [sys.executable, "manage.py", "code", *arguments],
            cwd=ROOT,
            env={**environment(data), **of_test},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    code_in.port, code_in.data = port, data
    yield code_in
    for process in begun:
        process.kill()
        process.communicate()
    until(lambda: running_with(data) == {})


@pytest.mark.server
def test_a_gateway_that_was_started_for_it_ends_with_it(claude, code_in):
    process = code_in("-p", "hello")
    _, said = process.communicate(timeout=110)
    assert process.returncode == 7, said
    assert json.loads(claude.read_text())[2] == 200
    log = (code_in.data / "code.log").read_text()
    assert "Listening on" in log and "Traceback" not in log
    assert stat.S_IMODE((code_in.data / "code.log").stat().st_mode) == 0o600
    # a process that is just being made ends a moment after its parent
    until(lambda: running_with(code_in.data) == {})


@pytest.mark.server
@pytest.mark.usefixtures("claude")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_gateway_starts_ends_both_with_one_sentence(code_in, number):
    process = code_in("-p", "hello")
    assert process.stderr.readline().startswith("Starting the gateway")
    process.send_signal(number)
    _, said = process.communicate(timeout=110)
    assert (process.returncode, said) == (128 + number, "Stopped before Claude Code was started.\n")
    # a process that is just being made ends a moment after its parent
    until(lambda: running_with(code_in.data) == {})


@pytest.mark.server
@pytest.mark.usefixtures("claude")
def test_a_port_that_another_program_has_is_one_sentence(code_in):
    with socket.create_server(("127.0.0.1", code_in.port)) as taken:
        threading.Thread(target=_refuse, args=(taken,), daemon=True).start()
        process = code_in("-p", "hello")
        _, said = process.communicate(timeout=110)
        taken.shutdown(socket.SHUT_RDWR)
    _, sentence = said.splitlines()
    assert process.returncode == 1
    assert re.fullmatch(
        rf"The gateway did not start: Cannot listen on 127\.0\.0\.1:{code_in.port}: is the gateway running "
        r"already\? Stop it, or choose another PORT in \.env\.",
        sentence,
    )


def _refuse(listening):
    """What another program says."""
    try:
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    except OSError:
        return


# stays until the file in WAIT_FOR is there
WAITING = """#!{python}
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
while not os.path.exists(os.environ["WAIT_FOR"]):
    time.sleep(0.05)
"""


@pytest.mark.server
def test_the_gateway_stays_until_the_last_session_that_uses_it_ends(claude, code_in, tmp_path):
    script = tmp_path / "bin" / "claude"
    script.write_text(WAITING.format(python=sys.executable))
    first = code_in(str(tmp_path / "first"), WAIT_FOR=str(tmp_path / "end first"))
    assert first.stderr.readline().startswith("Starting the gateway")
    there(tmp_path / "first", first)
    second = code_in(str(tmp_path / "second"), WAIT_FOR=str(tmp_path / "end second"))
    there(tmp_path / "second", second)
    (tmp_path / "end first").touch()
    assert first.stderr.readline().startswith("Another session uses the gateway")
    assert code._answers(f"http://127.0.0.1:{code_in.port}")
    (tmp_path / "end second").touch()
    assert (second.wait(110), second.stderr.read()) == (0, "")
    assert first.wait(110) == 0


def there(path, process):
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.05)


def test_a_signal_for_the_command_reaches_claude(tmp_path):
    before = signal.getsignal(signal.SIGTERM)

    def when_somebody_listens():
        while signal.getsignal(signal.SIGTERM) == before:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=when_somebody_listens, daemon=True).start()
    assert code._in_foreground(["sleep", "60"], dict(os.environ)) == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
