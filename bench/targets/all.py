"""The targets by name, in the order of the table."""

from __future__ import annotations

from typing import Final

from bench.targets.bare import Bare
from bench.targets.base import Target
from bench.targets.ccr import ClaudeCodeRouter
from bench.targets.litellm import LiteLLM
from bench.targets.nginx import Nginx
from bench.targets.ours import OnGranian, OnUvicorn, Ours, WithoutBodies

TARGETS: Final[dict[str, type[Target]]] = {
    target.name: target
    for target in (Bare, Nginx, Ours, WithoutBodies, OnUvicorn, OnGranian, ClaudeCodeRouter, LiteLLM)
}
WITHOUT_PEERS: Final = ("upstream", "nginx", "ours", "ours-nobodies")
