"""The gateway itself with everything switched on: client key, full conversion, history with bodies,
ledger.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import ClassVar

from bench.load import HOST
from bench.targets.base import KEY, PEERS, ROOT, Target, run

SERVERS = PEERS / "servers"
_REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "requirements-optional.txt")


class Ours(Target):
    """On Daphne, by the command behind `make serve`, after the steps of `make run`."""

    name = "ours"
    ready_path = "/health"
    capture: ClassVar[str] = "full"

    def install(self) -> None:
        """What `make run` installs, and none of what development needs: httpx imports 5 MB of that."""
        done = self.python.parents[1] / "installed"
        if not done.exists():
            run([sys.executable, "-m", "venv", "--clear", str(done.parent)])
            pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            for file in _REQUIREMENTS:
                run([*pip, "-r", str(file)])
            done.touch()

    @property
    def python(self) -> Path:
        wanted = hashlib.sha256(b"".join(file.read_bytes() for file in _REQUIREMENTS)).hexdigest()[:8]
        return PEERS / f"ours-{wanted}" / "bin" / "python"

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
        run([str(self.python), "-m", "ccproxy_site.first_secrets"], **options)
        run([*self.manage, "migrate", "--verbosity", "0"], **options)
        run([*self.manage, "collectstatic", "--noinput", "--verbosity", "0"], **options)

    def environment(self) -> dict[str, str]:
        return {"CCPROXY_ENV_FILE": str(self.env_file)}

    @property
    def manage(self) -> list[str]:
        return [str(self.python), "manage.py"]

    def command(self) -> list[str]:
        return [*self.manage, "serve"]


class WithoutBodies(Ours):
    """The history without bodies, to show what keeping them costs."""

    name = "ours-nobodies"
    capture = "none"


class _OtherServer(Ours):
    """The same ASGI application on another server, installed in a folder of its own."""

    packages: ClassVar[tuple[str, ...]]

    def install(self) -> None:
        super().install()
        folder = SERVERS / self.name
        if not folder.is_dir():
            pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
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
        return [str(self.python), "-m", "uvicorn", "ccproxy_site.asgi:application", *options, *address]


class OnGranian(_OtherServer):
    name = "granian"
    packages = ("granian",)

    def command(self) -> list[str]:
        options = ["--interface", "asginl", "--loop", "uvloop", "--workers", "1", "--no-log"]
        address = ["--host", HOST, "--port", str(self.port)]
        return [str(self.python), "-m", "granian", "ccproxy_site.asgi:application", *options, *address]
