"""The upstream asked directly: what the harness itself adds, and the base of 'added' times."""

from __future__ import annotations

import sys

from bench.targets.base import Target


class Bare(Target):
    name = "upstream"
    form = "chat"
    path = "/v1/chat/completions"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "bench.upstream", "--port", str(self.port)]
