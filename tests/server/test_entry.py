"""Who gets in before there is a key: this machine, on any HOST; and what a proxy in front changes."""

import contextlib
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from chaos.engines import free_port
from tests.conftest import asking
from tests.server.conftest import ROOT, environment, manage

pytestmark = [pytest.mark.server, pytest.mark.once]
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
# all that docs once asked for
TWO_LINES = "proxy_buffering off; proxy_read_timeout 120s;"


def asked(url, **headers):
    return httpx.post(
        url + "/v1/messages", json=asking(model="x"), headers=headers, timeout=30, trust_env=False
    )


def own_address():
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with contextlib.suppress(OSError):
            probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
    if address.startswith("127.") or address == "0.0.0.0":
        pytest.skip("NOT TESTED: this machine has no address but loopback")
    return address


@contextlib.contextmanager
def nginx(folder: Path, server: str):
    if NGINX is None:
        pytest.skip("NOT TESTED: no nginx")
    folder.mkdir(exist_ok=True)
    conf = folder / "nginx.conf"
    paths = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {paths} {server} }}"
    )
    process = subprocess.Popen([NGINX, "-c", str(conf), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def listening(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    pytest.fail("nginx does not listen")


def test_on_every_address_this_machine_is_served_and_others_are_told_what_to_do(serve):
    served = serve(HOST="0.0.0.0")
    assert asked(served.url, **{"x-api-key": "any"}).status_code == 200
    assert asked(served.url.replace("127.0.0.1", "localhost")).status_code == 200
    outside = f"http://{own_address()}:{served.port}"
    for headers in ({}, {"x-api-key": "any"}, {"host": "localhost"}):
        answer = asked(outside, **headers)
        assert answer.status_code == 401
        assert "createclientkey" in answer.json()["error"]["message"]
    assert httpx.get(outside + "/v1/models", trust_env=False).status_code == 401


def test_the_gateway_closes_with_its_first_key_and_where_keys_are_required(serve):
    served = serve(KEYS_REQUIRED="true")
    assert asked(served.url).status_code == 401
    text = manage("createclientkey", "first", env=environment(served.data)).stdout
    key = re.search(r"ccp_\w+", text)[0]
    deadline = time.monotonic() + 5
    while (status := asked(served.url, **{"x-api-key": key}).status_code) != 200:
        assert time.monotonic() < deadline, status
    assert asked(served.url, **{"x-api-key": "any"}).status_code == 401


def test_a_plain_proxy_on_this_machine_opens_nothing(serve, tmp_path):
    served = serve()
    assert asked(served.url).status_code == 200
    port = free_port()
    server = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {served.url}; {TWO_LINES} }} }}"
    with nginx(tmp_path / "nginx", server):
        listening(port)
        for headers in ({}, {"x-api-key": "any"}, {"host": "localhost"}, {"host": "ccproxy.example.org"}):
            assert asked(f"http://127.0.0.1:{port}", **headers).status_code == 401
        assert httpx.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False).status_code == 401


def test_the_sample_for_nginx_tells_who_the_client_is_and_nobody_else_can(serve, tmp_path):
    served = serve(
        PUBLIC_URL="https://ccproxy.example.org", TRUSTED_PROXIES="127.0.0.1", ANTHROPIC_API_KEY="k" * 30,
        LOG_LEVEL="INFO",
    )  # fmt: skip
    port = free_port()
    sample = (ROOT / "deploy/nginx.conf").read_text()
    sample = sample.replace("listen 443 ssl;", f"listen {own_address()}:{port};").replace(
        "8082", str(served.port)
    )
    sample = re.sub(r"ssl_certificate\w* \S+;", "", sample)
    key = {"x-api-key": "k" * 30}
    forged = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9", "x-real-ip": "203.0.113.9"}
    with nginx(tmp_path / "nginx", sample):
        url = f"http://{own_address()}:{port}"
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = asked(url, host="ccproxy.example.org", **key, **forged)
                break
            assert time.monotonic() < deadline
        assert answer.status_code == 200
        login = httpx.get(
            url + "/admin/login/", headers={"host": "ccproxy.example.org"}, trust_env=False, timeout=60
        )
        assert login.status_code == 200
    deadline = time.monotonic() + 10
    while not (rows := served.rows("SELECT client_address FROM gateway_requestlog")):
        assert time.monotonic() < deadline
    assert rows == [{"client_address": own_address()}]
    served.stop()
    assert f'"client_address":"{own_address()}"' in served.log.read_text().replace('": "', '":"')


def test_without_trusted_proxies_nobody_chooses_his_address(serve):
    served = serve(ANTHROPIC_API_KEY="k" * 30)
    assert asked(served.url, **{"x-api-key": "k" * 30, "x-forwarded-for": "203.0.113.9"}).status_code == 200
    deadline = time.monotonic() + 10
    while not (rows := served.rows("SELECT client_address FROM gateway_requestlog")):
        assert time.monotonic() < deadline
    assert rows == [{"client_address": "127.0.0.1"}]
