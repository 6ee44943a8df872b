"""nginx as a plain reverse proxy in front of the upstream: the least that forwarding costs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.load import HOST
from bench.targets.base import PEERS, CannotRun, Target, run

FOLDER = PEERS / "nginx"
PACKAGES = ("nginx", "nginx-common")
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    client_body_buffer_size 2m;
    keepalive_requests 1000000;
    upstream provider {{
        server {host}:{upstream_port};
        keepalive 1024;
        keepalive_requests 1000000;
    }}
    server {{
        listen {host}:{port} backlog=1024;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 300s;
        }}
    }}
}}
"""


class Nginx(Target):
    name = "nginx"
    form = "chat"
    path = "/v1/chat/completions"

    def install(self) -> None:
        if _program() is not None:
            return
        if shutil.which("apt-get") is None:
            raise CannotRun("nginx is not installed, and there is no apt-get to get it: install nginx")
        FOLDER.mkdir(parents=True, exist_ok=True)
        try:
            self._unpack()
        except CannotRun:
            # the package lists may be missing or old
            run(["apt-get", "update"])
            self._unpack()

    def _unpack(self) -> None:
        """The distribution's package, unpacked in a folder of its own; the system is not changed."""
        run(["apt-get", "download", *PACKAGES], cwd=FOLDER)
        for package in FOLDER.glob("*.deb"):
            run(["dpkg-deb", "--extract", str(package), str(FOLDER)])
        program = _program()
        if program is None or subprocess.run([program, "-v"], capture_output=True, check=False).returncode:
            raise CannotRun("the nginx package does not run here; install it with: apt-get install nginx")

    def prepare(self) -> None:
        folder = self.setting.folder
        text = CONFIGURATION.format(
            folder=folder, host=HOST, port=self.port, upstream_port=self.setting.upstream_port
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nginx.conf").write_text(text)

    def command(self) -> list[str]:
        folder = self.setting.folder
        return [str(_program()), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def _program() -> str | None:
    own = FOLDER / "usr" / "sbin" / "nginx"
    return str(own) if own.is_file() else shutil.which("nginx") or _if_file("/usr/sbin/nginx")


def _if_file(path: str) -> str | None:
    return path if Path(path).is_file() else None
