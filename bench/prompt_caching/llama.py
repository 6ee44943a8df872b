"""A short session through a real gateway process to a real llama.cpp server: what it reads from its cache.

    python -m bench.prompt_caching.llama http://127.0.0.1:8080

A main agent and a subagent with a system text of its own take turns; the last row asks the server directly.
llama.cpp tells `cached_tokens`; the gateway's answer has them as `cache_read_input_tokens`. The model's words
are never looked at.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anthropic
import httpx

from bench.sessions import line
from bench.table import markdown
from tests.server.conftest import KEY, Served, start

PROTOCOLS: Final = ("chat", "responses", "anthropic")


def configuration(server: str) -> dict[str, Any]:
    """A configuration file in which each protocol's name is a model: this server, asked in that protocol."""
    mappings = []
    providers = []
    for protocol in PROTOCOLS:
        providers.append(
            {
                "slug": protocol,
                "name": protocol,
                "preset": "llama-cpp",
                "base_url": server if protocol == "anthropic" else f"{server}/v1",
                "auth": "none",
                "options": {"protocol": protocol},
            }
        )
        targets = [{"provider": protocol, "upstream_model": model_of(server)}]
        mappings.append({"pattern": protocol, "targets": targets})
    return {"ccproxy": 1, "providers": providers, "mappings": mappings}


def served_by(server: str, folder: Path) -> Served:
    """A gateway process with that configuration; KEY is its client key. The caller stops it."""
    path = folder / "llama.json"
    path.write_text(json.dumps(configuration(server)))
    return start(folder, CONFIG_FILE=str(path), ANTHROPIC_API_KEY=KEY)


@dataclass(frozen=True)
class Turn:
    """One answered request: the tokens of its prompt, and those of them that were read from the cache."""

    agent: str
    prompt: int
    read: int


@dataclass
class Agent:
    """A conversation that grows by a question and its answer."""

    name: str
    words: random.Random
    messages: list[dict[str, Any]] = field(default_factory=list)
    system: str = ""

    def asks(self, sdk: anthropic.Anthropic, model: str, session: str) -> Turn:
        """One more turn. Raises what the SDK raises."""
        self.system = self.system or line(self.words) * 12
        self.messages.append({"role": "user", "content": line(self.words) * 3})
        told = sdk.messages.create(
            model=model,
            max_tokens=16,
            system=f"You are {self.name}. {self.system}",
            messages=self.messages,
            metadata={"user_id": session},
            # the SDK of 2026 has no argument for it any more
            extra_body={"temperature": 0},
        )
        text = "".join(block.text for block in told.content if block.type == "text") or "."
        self.messages.append({"role": "assistant", "content": text})
        read = told.usage.cache_read_input_tokens or 0
        return Turn(self.name, told.usage.input_tokens + read, read)


def session(sdk: anthropic.Anthropic, model: str, order: str = "mmmmmsmsmsmm") -> list[Turn]:
    """The turns of a session, in this order: m is the main agent, s the subagent."""
    # a beginning of its own, which no other session has left in the server's cache
    words = random.Random(f"{model}{order}{random.SystemRandom().random()}")
    agents = {"m": Agent("the main agent", words), "s": Agent("a subagent", words)}
    return [agents[one].asks(sdk, model, f"session of {model}") for one in order]


def shares(turns: list[Turn]) -> tuple[float, float]:
    """What was read of what could be, and of all input; the first turn of each agent does not count.

    What could be read is the prompt of the agent's request before.
    """
    before: dict[str, int] = {}
    read = could = prompt = 0
    for turn in turns:
        if turn.agent in before:
            read, could, prompt = read + turn.read, could + before[turn.agent], prompt + turn.prompt
        before[turn.agent] = turn.prompt
    return read / could, read / prompt


def model_of(server: str) -> str:
    """The name of the model that the server has."""
    name: str = httpx.get(f"{server}/v1/models", timeout=10).json()["data"][0]["id"]
    return name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", help="address of a llama.cpp server, without /v1")
    given = parser.parse_args()
    server = given.server.rstrip("/").removesuffix("/v1")
    with tempfile.TemporaryDirectory() as folder:
        gateway = served_by(server, Path(folder))
        try:
            addresses = {protocol: (gateway.url, protocol) for protocol in PROTOCOLS}
            # llama.cpp speaks the Messages API itself
            addresses["directly"] = (server, model_of(server))
            rows = []
            for name, (address, model) in addresses.items():
                sdk = anthropic.Anthropic(base_url=address, api_key=KEY, max_retries=5, timeout=300)
                turns = session(sdk, model)
                told = [(turn.agent[-5:], turn.prompt, turn.read) for turn in turns]
                print(name, told, file=sys.stderr)
                of_could, of_input = shares(turns)
                tokens = sum(turn.prompt for turn in turns)
                rows.append([name, str(len(turns)), f"{tokens:,}", f"{of_input:.1%}", f"{of_could:.1%}"])
        finally:
            gateway.stop()
    print(markdown(["asked by", "turns", "tokens of input", "read", "of the prompt before"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
