"""Which names of the protocol were never seen before: betas, body fields, and classes of a newer client.

A release of the client that needs something new shows here first, by its version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.client_protocol import purpose

# Claude Code 2.1.197 to 2.1.332 and the SDKs of the vendor, by captures
BETAS: Final = frozenset(
    {
        "advanced-tool-use-2025-11-20", "afk-mode-2026-01-31", "claude-code-20250219",
        "context-1m-2025-08-07", "context-management-2025-06-27", "dangerous-tool-use-2026-09-03",
        "effort-2025-11-24", "fine-grained-tool-streaming-2025-05-14", "interleaved-thinking-2025-05-14",
        "message-threads-2026-08-12",
        "mid-conversation-system-2026-04-07", "mid-conversation-tool-changes-2026-07-01",
        "per-turn-control-2026-07-01", "prompt-caching-2024-07-31", "prompt-caching-scope-2026-01-05",
        "structured-outputs-2025-12-15", "thinking-display-updates-2026-08-18",
        "thinking-token-count-2026-05-13", "token-counting-2024-11-01", "tool-search-tool-2025-10-19",
    }
)  # fmt: skip
FIELDS: Final = frozenset(
    {
        "betas", "cache_control", "compaction", "container", "context_management", "diagnostics", "fallbacks",
        "inference_geo",
        "max_tokens", "mcp_servers", "messages", "metadata", "model", "output_config", "output_format",
        "safeguards", "service_tier", "speed", "stop_sequences", "stream", "system", "tags", "temperature",
        "thinking", "thread", "tool_choice", "tools", "top_k", "top_p",
    }
)  # fmt: skip
BETA: Final = "beta"
FIELD: Final = "field"
CLASS: Final = "class"
MOST: Final = 20
LONGEST: Final = 100
LONGEST_VERSION: Final = 60


class Novelty(NamedTuple):
    """`kind`: beta, field or class. `version`: the program and its version, as its user agent begins."""

    version: str
    kind: str
    name: str


def novelties_of(request: Mapping[str, object], headers: Mapping[str, str]) -> list[Novelty]:
    """What a request has that is not known here; nearly always nothing. At most MOST."""
    found = [(BETA, name) for name in _unknown_betas(headers.get("anthropic-beta", ""))]
    if not request.keys() <= FIELDS:
        found += [(FIELD, name) for name in sorted(request.keys() - FIELDS)]
    told = headers.get(purpose.CLASS)
    if told is not None and told not in purpose.CONDITIONS:
        found.append((CLASS, told))
    if not found:
        return []
    version = version_of(headers.get("user-agent", ""))
    return [Novelty(version, kind, name[:LONGEST]) for kind, name in found[:MOST]]


def version_of(user_agent: str) -> str:
    """`claude-cli/2.1.332` of `claude-cli/2.1.332 (external, cli)`."""
    return user_agent.partition(" ")[0][:LONGEST_VERSION]


@lru_cache(256)
def _unknown_betas(header: str) -> tuple[str, ...]:
    return tuple(sorted(set(_names(header)) - BETAS))


def _names(header: str) -> Iterator[str]:
    return (name for part in header.split(",") if (name := part.strip()))
