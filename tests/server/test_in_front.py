"""The samples in deploy/ with the real servers: large bodies, streams, WebSockets, the client's address."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from chaos.engines import free_port
from tests.conftest import asking
from tests.server.conftest import KEY, ROOT, start
from tests.server.test_entry import NGINX

pytestmark = [pytest.mark.server, pytest.mark.once]
HOST = "ccproxy.example.org"
PLACES = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]
)
FORGED = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9", "x-real-ip": "203.0.113.9"}
# they listen without TLS here, for which the samples name certificates
START_SECONDS = 30


def nginx(folder: Path, port: int, gateway: int) -> list[str]:
    sample = (ROOT / "deploy/nginx.conf").read_text()
    sample = re.sub(
        r"ssl_certificate\w* \S+;", "", sample.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    )
    sample = sample.replace("8082", str(gateway))
    paths = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{}}"
    (folder / "conf").write_text(f"{head} http {{ access_log off; {paths} {sample} }}")
    return [NGINX or "nginx", "-c", str(folder / "conf"), "-p", str(folder)]


def caddy(folder: Path, port: int, gateway: int) -> list[str]:
    sample = (ROOT / "deploy/Caddyfile").read_text().replace("8082", str(gateway))
    options = (
        f"{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n\tstorage file_system {folder}\n}}\n"
    )
    (folder / "conf").write_text(options + sample.replace(HOST + " {", f"http://{HOST}:{port} {{"))
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "conf")]


def traefik(folder: Path, port: int, gateway: int) -> list[str]:
    static = (ROOT / "deploy/traefik.yaml").read_text().replace('":443"', f'"127.0.0.1:{port}"')
    dynamic = (ROOT / "deploy/traefik-ccproxy.yaml").read_text().replace("8082", str(gateway))
    (folder / "dynamic.yaml").write_text(dynamic.replace("      tls: {}\n", ""))
    (folder / "static.yaml").write_text(
        static.replace("/etc/traefik/traefik-ccproxy.yaml", str(folder / "dynamic.yaml"))
        + "global: {checkNewVersion: false, sendAnonymousUsage: false}\n"
    )
    return ["traefik", f"--configFile={folder / 'static.yaml'}"]


SERVERS = {"nginx": nginx, "caddy": caddy, "traefik": traefik}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    variables = {
        "PUBLIC_URL": f"https://{HOST}",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ANTHROPIC_API_KEY": KEY * 2,
    }
    served = start(tmp_path_factory.mktemp("gateway"), **variables)
    yield served
    served.stop()


@pytest.fixture(params=SERVERS)
def front(request, gateway, tmp_path):
    """The address of a real server in front, as its sample has it."""
    program = shutil.which(request.param, path=PLACES)
    if program is None:
        pytest.skip(f"NOT TESTED: no {request.param}")
    port = free_port()
    _, *arguments = SERVERS[request.param](tmp_path, port, gateway.port)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *arguments], stdout=log, stderr=log, env={**os.environ, "HOME": str(tmp_path)}
        )
    try:
        listening(process, port, tmp_path / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def listening(process, port, log):
    """Wait until it hands requests on; Traefik listens before it has read its routes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(f"http://127.0.0.1:{port}/health", headers={"host": HOST}, trust_env=False)
            if answer.status_code == 200:
                return
        time.sleep(0.05)
    pytest.fail("it does not hand on:\n" + log.read_text(errors="replace"))


def asked(url, body, **headers):
    headers = {"host": HOST, "x-api-key": KEY * 2, **headers}
    return httpx.post(url + "/v1/messages", json=body, headers=headers, timeout=60, trust_env=False)


def test_a_stream_comes_in_pieces_as_it_is_made(front):
    headers = {"host": HOST, "x-api-key": KEY * 2}
    body = asking(model="x", stream=True)
    with httpx.stream("POST", front + "/v1/messages", json=body, headers=headers, trust_env=False) as answer:
        assert answer.status_code == 200
        pieces = [time.monotonic() for _ in answer.iter_raw()]
    # one that was buffered arrives as one
    assert len(pieces) > 3


def test_a_body_as_large_as_the_gateway_takes_comes_through(front):
    text = "word " * 6_000_000
    answer = asked(front, asking(model="x", messages=[{"role": "user", "content": text}]))
    assert answer.status_code in (200, 400), answer.text[:300]
    assert "nginx" not in answer.text and answer.json()["type"] in ("message", "error")


def test_the_client_is_who_the_server_saw_and_not_who_it_says(front, gateway):
    request_id = asked(front, asking(model="x"), **FORGED).headers["request-id"]
    sql = f"SELECT client_address FROM gateway_requestlog WHERE request_id = '{request_id}'"
    deadline = time.monotonic() + 20
    while not (rows := gateway.rows(sql)):
        assert time.monotonic() < deadline
    assert rows == [{"client_address": "127.0.0.1"}]


def test_the_live_page_s_socket_reaches_the_gateway(front):
    port = int(front.rpartition(":")[2])
    head = (
        f"GET /admin/live-tail/socket HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Version: 13\r\nOrigin: https://{HOST}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(head.encode())
        # nobody is logged in: the gateway refuses the handshake, and takes it for one
        assert client.recv(1000).split(b" ")[1] in (b"101", b"403")


def test_the_admin_s_pages_come_through(front):
    page = httpx.get(front + "/admin/login/", headers={"host": HOST}, timeout=90, trust_env=False)
    assert page.status_code == 200
