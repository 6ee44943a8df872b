"""claude-code-router 2.0: version 3 is a desktop program and cannot be installed from the registry alone."""

from __future__ import annotations

import json
import shutil

from bench.answers import answer_for
from bench.load import HOST
from bench.targets.base import KEY, PEERS, CannotRun, Target, run

FOLDER = PEERS / "claude-code-router"
PACKAGE = "@musistudio/claude-code-router@2.0.0"
PROGRAM = FOLDER / "node_modules" / "@musistudio" / "claude-code-router" / "dist" / "cli.js"


class ClaudeCodeRouter(Target):
    name = "ccr"
    share = 0.3

    def install(self) -> None:
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise CannotRun("claude-code-router needs node and npm")
        if not PROGRAM.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            run(["npm", "install", "--prefix", str(FOLDER), "--no-audit", "--no-fund", PACKAGE])

    def prepare(self) -> None:
        provider = {
            "name": "bench",
            "api_base_url": f"{self.setting.upstream_url}/chat/completions",
            "api_key": "sk-bench",
            "models": list(self.setting.models),
            # needed to show a model's reasoning as thinking; others go without it, as in its documentation
            "transformer": {
                model: {"use": ["reasoning"]}
                for model in self.setting.models
                if answer_for(model).kind == "think"
            },
        }
        configuration = {
            "HOST": HOST,
            "PORT": self.port,
            "APIKEY": KEY,
            "LOG": False,
            "NON_INTERACTIVE_MODE": True,
            "Providers": [provider],
            "Router": {"default": f"bench,{self.setting.models[0]}"},
        }
        folder = self.setting.folder / ".claude-code-router"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(configuration, indent=1))

    def command(self) -> list[str]:
        return [str(shutil.which("node")), str(PROGRAM), "start"]

    def asked_model(self, model: str) -> str:
        return f"bench,{model}"
