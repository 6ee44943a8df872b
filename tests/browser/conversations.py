"""What clients send in these tests: a turn of a coding session with everything that a page can show."""

from __future__ import annotations

from typing import Any

from tests.fakes.provider import Answer, chunk, stream
from tests.hostile import PIXEL

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
SESSION = "7b1d3c1e-9f5a-4a55-9e5e-0d6c2f1f7a10"
USER_ID = f"user_{'a' * 64}_account__session_{SESSION}"


def coding_turn(model: str = "claude-sonnet-5", **fields: Any) -> dict[str, Any]:
    """Its last message brings a file, a failed command and a picture."""
    said = [
        {"role": "user", "content": [{"type": "text", "text": "Why is **main.py** slow?"}, IMAGE]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I should look at the file first.", "signature": "c2ln"},
                {"type": "text", "text": "I look at it."},
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "main.py"}},
                {"type": "tool_use", "id": "toolu_2", "name": "Bash", "input": {"command": "time ./main.py"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "import time"}, IMAGE],
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "is_error": True,
                    "content": "exit 127",
                },
            ],
        },
    ]
    return {
        "model": model,
        "max_tokens": 2000,
        "stream": True,
        "top_k": 40,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "system": [{"type": "text", "text": "You are careful with code."}],
        "metadata": {"user_id": USER_ID},
        "tools": [
            {"name": name, "description": "…", "input_schema": {"type": "object", "properties": {}}}
            for name in ("Read", "Bash")
        ],
        "messages": said,
        **fields,
    }


def thoughtful_answer() -> Answer:
    """Reasoning, text and a call of a tool, in a stream."""
    call = [
        {"index": 0, "id": "call_9", "function": {"name": "Bash", "arguments": '{"command": "which python"}'}}
    ]
    return stream(
        chunk({"reasoning_content": "The command is missing."}),
        "The command was **not found**.",
        chunk({"tool_calls": call}),
        tail=[
            chunk({}, "tool_calls"),
            chunk(usage={"prompt_tokens": 2100, "completion_tokens": 64, "total_tokens": 2164}),
            b"data: [DONE]\n\n",
        ],
    )
