"""A session of a coding agent with two subagents, as its provider answers and its client asks."""

from __future__ import annotations

from typing import Any

from tests.browser.asking import ask
from tests.browser.conftest import Console
from tests.fakes.provider import Answer, chunk, stream

SESSION = "8e2d7b41-6d0e-4b7b-9a63-2c8e5d1f7b90"
CLIENT = "claude-cli/2.1.332 (external, cli)"
TASK = "The invoice total is off by a cent. Find out why and mend it."
DONE = """All 214 tests pass. The difference of **0.01** came from rounding each line before the sum:

| invoice | before | after |
|---|---|---|
| 2026-118 | 1,204.35 | 1,204.34 |
| 2026-119 | 88.10 | 88.10 |

The callers need no change; the subagent found three, and each takes a `Decimal`."""
# agent ("": the main one), the tool it calls, seconds until the first byte, seconds of the answer
TURNS = (
    ("", "Read", 0.3, 0.4), ("", "Grep", 0.5, 0.5), ("", "Task", 0.8, 0.8),
    ("agent-callers-1", "Grep", 0.2, 0.3), ("agent-tests-02", "Bash", 0.2, 0.3),
    ("agent-callers-1", "Read", 0.5, 0.4), ("agent-tests-02", "Grep", 0.5, 0.4),
    ("agent-callers-1", "", 0.4, 0.3), ("agent-tests-02", "", 0.3, 0.3),
    ("", "Edit", 0.4, 0.4), ("", "Bash", 0.6, 0.3), ("", "", 0.3, 1.0),
)  # fmt: skip
INPUTS = {"Bash": {"command": "pytest -q tests/invoices"}, "Grep": {"pattern": "def total"}}


def answered(turn: int, tool: str, first: float, rest: float) -> Answer:
    """The provider's stream for a turn; the context grows and is mostly cached."""
    whole = 18_000 + 2_300 * turn
    usage = {
        "prompt_tokens": whole, "completion_tokens": 60 + 17 * turn, "total_tokens": whole + 60 + 17 * turn,
        "prompt_tokens_details": {"cached_tokens": (whole - 2_600) if turn else 0},
    }  # fmt: skip
    end = [chunk(usage=usage), b"data: [DONE]\n\n"]
    if not tool:
        return stream(first, DONE, rest, tail=[chunk({}, "stop"), *end])
    arguments = str(INPUTS.get(tool, {"file_path": "invoices/total.py"})).replace("'", '"')
    call = [{"index": 0, "id": f"call_{turn}", "function": {"name": tool, "arguments": arguments}}]
    return stream(
        first, f"I use {tool}.", rest, chunk({"tool_calls": call}), tail=[chunk({}, "tool_calls"), *end]
    )


def asked(said: list[dict[str, Any]]) -> dict[str, Any]:
    tools = [{"name": name, "description": "…", "input_schema": {"type": "object"}}
             for name in ("Read", "Grep", "Edit", "Bash", "Task")]  # fmt: skip
    return {
        "model": "claude-sonnet-5", "max_tokens": 8_000, "stream": True, "tools": tools, "messages": said,
        "system": [{"type": "text", "text": "You are careful with code."}],
    }  # fmt: skip


async def run_session(console: Console, key: str) -> None:
    """Main agent and subagents, one request after the other."""
    talks: dict[str, list[dict[str, Any]]] = {}
    for turn, (agent, tool, first, rest) in enumerate(TURNS):
        opening = {"role": "user", "content": "Look for callers." if agent else TASK}
        said = talks.setdefault(agent, [opening])
        console.provider.answers("gpt-4o", answered(turn, tool, first, rest))
        headers = {"x-claude-code-session-id": SESSION, "user-agent": CLIENT}
        if agent:
            headers["x-claude-code-agent-id"] = agent
        await ask(console, asked(said), key, **headers)
        if tool:
            call = {"type": "tool_use", "id": f"call_{turn}", "name": tool, "input": INPUTS.get(tool, {})}
            result = {
                "type": "tool_result", "tool_use_id": f"call_{turn}", "content": "214 passed",
                "is_error": tool == "Bash" and bool(agent),
            }  # fmt: skip
            said += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
