"""The gateway itself, everything switched on: client key, full conversion, history with bodies, ledger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from bench.load import HOST
from bench.targets.base import KEY, PEERS, ROOT, Target, run

MANAGE = [sys.executable, "manage.py"]
SERVERS = PEERS / "servers"


class Ours(Target):
    """On Daphne, by the command behind `make serve`, after the steps of `make run`."""

    name = "ours"
    ready_path = "/health"
    capture: ClassVar[str] = "full"

    @property
    def env_file(self) -> Path:
        return self.setting.folder / "env"

    def prepare(self) -> None:
        folder = self.setting.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.env_file.write_text(
            f"OPENAI_API_KEY=sk-bench\nOPENAI_BASE_URL={self.setting.upstream_url}\n"
            f"ANTHROPIC_API_KEY={KEY}\nHOST={HOST}\nPORT={self.port}\nDATA_DIR={folder / 'data'}\n"
            f"CAPTURE_BODIES={self.capture}\n"
        )
        options = {"cwd": ROOT, "env": self._whole_environment()}
        run([sys.executable, "-m", "ccproxy_site.first_secrets"], **options)
        run([*MANAGE, "migrate", "--verbosity", "0"], **options)
        run([*MANAGE, "collectstatic", "--noinput", "--verbosity", "0"], **options)

    def environment(self) -> dict[str, str]:
        return {"CCPROXY_ENV_FILE": str(self.env_file)}

    def command(self) -> list[str]:
        return [*MANAGE, "serve"]


class WithoutBodies(Ours):
    """History without bodies: what keeping them costs."""

    name = "ours-nobodies"
    capture = "none"


class _OtherServer(Ours):
    """The same ASGI application on another server, installed in a folder of its own."""

    packages: ClassVar[tuple[str, ...]]

    def install(self) -> None:
        folder = SERVERS / self.name
        if not folder.is_dir():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run([*pip, "--target", str(folder), *self.packages])

    def environment(self) -> dict[str, str]:
        path = f"{SERVERS / self.name}:{ROOT}"
        return {
            **super().environment(),
            "PYTHONPATH": path,
            "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
        }


class OnUvicorn(_OtherServer):
    name = "uvicorn"
    packages = ("uvicorn", "httptools")

    def command(self) -> list[str]:
        options = ["--loop", "uvloop", "--http", "httptools", "--lifespan", "off", "--no-access-log"]
        address = ["--host", HOST, "--port", str(self.port), "--log-level", "warning"]
        return [sys.executable, "-m", "uvicorn", "ccproxy_site.asgi:application", *options, *address]


class OnGranian(_OtherServer):
    name = "granian"
    packages = ("granian",)

    def command(self) -> list[str]:
        options = ["--interface", "asginl", "--loop", "uvloop", "--workers", "1", "--no-log"]
        address = ["--host", HOST, "--port", str(self.port)]
        return [sys.executable, "-m", "granian", "ccproxy_site.asgi:application", *options, *address]
