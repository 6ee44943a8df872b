"""A gateway of its own for a run: SQLite, one provider, a person who signs in, and her client key."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from chaos.engines import HOST, free_port

ROOT: Final = Path(__file__).resolve().parents[1]
PERSON: Final = "ada"
_CONFIGURATION: Final = "configuration.json"


class Gateway:
    """`start` it, `stop` it. `key`: a client key of nobody; `url`: for clients. `variables`: more of its
    environment."""

    def __init__(self, provider_url: str, **variables: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="compat-gateway-"))
        self.port = free_port()
        self.url = variables.get("PUBLIC_URL") or f"http://{HOST}:{self.port}"
        self._serving: subprocess.Popen[bytes] | None = None
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environment = {
            **kept, "CCPROXY_ENV_FILE": os.devnull, "DATA_DIR": str(self.folder), "SECRET_KEY": "compat" * 9,
            "OPENAI_API_KEY": "sk-compat", "OPENAI_BASE_URL": provider_url, "BIG_MODEL": "up",
            "SMALL_MODEL": "up", "PORT": str(self.port), "SIGN_IN": "true", **variables,
        }  # fmt: skip
        self.manage("migrate", "--verbosity", "0")
        self.key = re.search(r"ccp_\S+", self.manage("createclientkey", "compat"))[0]  # type: ignore[index]
        self.manage(
            "shell", "-v", "0", "-c",
            "from django.contrib.auth import get_user_model as users; "
            f"users().objects.create_user({PERSON!r}, {PERSON + '@example.com'!r})",
        )  # fmt: skip

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._serving = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            if self._serving.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((self.folder / "log").read_text()[-2000:])
            time.sleep(0.2)

    def stop(self) -> None:
        if self._serving is not None:
            self._serving.terminate()
            self._serving.wait(60)

    def manage(self, *arguments: str) -> str:
        """A management command; what it prints."""
        command = [sys.executable, "manage.py", *arguments]
        ran = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True)
        if ran.returncode:
            raise AssertionError(f"{arguments[0]}: {(ran.stderr or ran.stdout)[-400:]}")
        return ran.stdout

    def policy(self, settings: dict[str, Any], *options: str) -> None:
        path = self.folder / "policy.json"
        path.write_text(json.dumps(settings))
        self.manage("setpolicy", "--user", PERSON, *options, str(path))

    def mapping(self, pattern: str) -> None:
        """One more mapping to the provider's model, in front of the others."""
        targets = [{"provider": self._provider(), "upstream_model": "up"}]
        path = self.folder / _CONFIGURATION
        path.write_text(
            json.dumps({"ccproxy": 1, "mappings": [{"pattern": pattern, "position": -2, "targets": targets}]})
        )
        self.manage("importconfig", str(path))

    def safeguards(self, *rules: dict[str, str], classifier: bool = False) -> None:
        """These rules, and a mapping for checks or none, in place of what was there."""
        judge = {
            "pattern": "claude*",
            "when": {"class": ["safeguards"]},
            "position": -1,
            "enabled": classifier,
        }
        self._configure([self._leading_to("judge", judge)], list(rules))

    def routes(self, *rules: tuple[dict[str, Any], str]) -> None:
        """These rules for the client's models, (condition, upstream model), in place of what was there."""
        mappings = [
            self._leading_to(model, {"pattern": "claude*", "when": when, "position": number - len(rules)})
            for number, (when, model) in enumerate(rules)
        ]
        self._configure(mappings, [])

    def last_size(self) -> int:
        """The input tokens of the last request with tools, as rules that ask about them see them."""
        code = (
            "from gateway.models import RequestLog; "
            "facts = RequestLog.objects.order_by('pk').values_list('facts', flat=True); "
            "print([one['input_tokens'] for one in facts if one.get('tools') and 'input_tokens' in one][-1])"
        )
        return int(self.manage("shell", "-v", "0", "-c", code))

    def _leading_to(self, model: str, mapping: dict[str, Any]) -> dict[str, Any]:
        return {**mapping, "targets": [{"provider": self._provider(), "upstream_model": model}]}

    def _configure(self, mappings: list[dict[str, Any]], safeguard_rules: list[Any]) -> None:
        path = self.folder / _CONFIGURATION
        path.write_text(json.dumps({"ccproxy": 1, "mappings": mappings, "safeguard_rules": safeguard_rules}))
        self.manage("importconfig", str(path), "--remove")
        stamp = "from gateway.models import ConfigStamp; print(ConfigStamp.current())"
        wanted = int(self.manage("shell", "-v", "0", "-c", stamp))
        deadline = time.monotonic() + 30
        while self._followed() < wanted:
            assert time.monotonic() < deadline, "the gateway does not follow its configuration"
            time.sleep(0.1)

    def _provider(self) -> str:
        said = self.manage(
            "shell",
            "-v",
            "0",
            "-c",
            "from gateway.models import Provider; print(Provider.objects.first().slug)",
        )
        return said.strip()

    def _answers(self) -> bool:
        return self._ready()[0] == 200

    def _followed(self) -> int:
        """The number of the configuration that the gateway follows."""
        return int(json.loads(self._ready()[1])["configuration"])

    def _ready(self) -> tuple[int, bytes]:
        """Status and body of /health/ready; (0, b"") while nothing listens."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()
