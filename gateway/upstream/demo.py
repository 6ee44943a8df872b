"""The built-in demo provider: speaks Chat Completions, says that it is the demo, repeats the question.

It answers while no real provider is configured, over exactly the path of a real one
(in_process_transport.py). It runs no model and calls no tool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from gateway import patterns
from gateway.upstream.in_process_transport import InProcessAnswer
from gateway.wire import jsontext

MODEL: Final = "ccproxy-demo"
BASE_URL: Final = "http://demo.invalid/v1"
PAUSE: Final = 0.02
LONGEST_QUOTE: Final = 400
_WORDS: Final = patterns.compiled(r"\S+\s*|\s+")
_REMINDER: Final = "<system-reminder>", "</system-reminder>"


async def demo_answer(content: bytes) -> InProcessAnswer:
    """Answer one chat request, streamed word by word when it asks for a stream."""
    request = jsontext.loads(content)
    text = demo_text(request)
    usage = _usage(request, text)
    if request.get("stream"):
        return InProcessAnswer(
            200, {"content-type": "text/event-stream", "x-request-id": "demo"}, _stream(text, usage)
        )
    body = jsontext.dumps(_completion(text, usage))
    return InProcessAnswer(200, {"content-type": "application/json", "x-request-id": "demo"}, _whole(body))


def demo_text(request: Mapping[str, object]) -> str:
    """What the demo says: that it is the demo, what was asked, how to set a real provider."""
    asked = _last_question(request) or "(nothing)"
    return (
        "This is ccproxy's built-in demo provider: no model has read your message.\n\n"
        f"You asked: {asked}\n\n"
        "Your client, the gateway, the conversion and the history work.\n\n"
        "To get real answers, set a provider:\n"
        "1. in a file named .env beside manage.py, put OPENAI_API_KEY=... "
        "(and OPENAI_BASE_URL=... for a server other than OpenAI), then start the gateway again;\n"
        "2. or add a provider in the admin.\n"
    )


def _last_question(request: Mapping[str, Any]) -> str:
    for message in reversed(request.get("messages") or []):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        texts = (
            [content]
            if isinstance(content, str)
            else [part.get("text", "") for part in content or [] if part.get("type") == "text"]
        )
        text = " ".join(_without_reminders("\n".join(texts)).split())
        if text:
            return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"
    return ""


def _without_reminders(text: str) -> str:
    """The text outside of pairs of tags; a tag that is never closed counts as text."""
    begin, end = _REMINDER
    kept, place = [], 0
    while (start := text.find(begin, place)) >= 0 and (close := text.find(end, start)) >= 0:
        kept.append(text[place:start])
        place = close + len(end)
    return " ".join([*kept, text[place:]])


def _usage(request: Mapping[str, Any], text: str) -> dict[str, int]:
    asked = len(jsontext.dumps(request.get("messages") or [])) // 4 + 1
    answered = len(text) // 4 + 1
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _completion(text: str, usage: dict[str, int]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-demo",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": usage,
    }


def _chunks(text: str, usage: dict[str, int]) -> Iterator[dict[str, Any]]:
    head = {"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": MODEL}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    yield chunk({"role": "assistant", "content": ""})
    for word in _WORDS.findall(text):
        yield chunk({"content": word})
    yield chunk({}, "stop")
    yield {**head, "choices": [], "usage": usage}


async def _stream(text: str, usage: dict[str, int]) -> AsyncIterator[bytes]:
    for chunk in _chunks(text, usage):
        yield b"data: " + jsontext.dumps(chunk) + b"\n\n"
        await asyncio.sleep(PAUSE)
    yield b"data: [DONE]\n\n"


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body
