"""A provider that does what the conversation tells it: each prompt of a scenario says what to answer.

    SAY word         a text
    RUN command      one call of Bash, then a text
    AGAIN command    one call of Bash after the other, whatever their results, three in all, then a text
    TWICE command    two calls of Bash in one answer, then a text
    AGENT            a call of a subagent, which says a word, then a text

The model `judge` is the classifier of auto mode, and answers as `verdict` says, or does not.
"""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

JUDGE = "judge"
_ORDER = re.compile(r"(SAY|RUN|AGAIN|TWICE|AGENT) \[([^\]]*)\] <(\w+)>")


class Provider:
    """Chat Completions on loopback. `requests`: bodies that came, in order."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.verdict = "allow"
        # seconds that the classifier thinks
        self.thinks = 0.0
        # "dies": it closes the connection in the middle; "babbles": it says no verdicts
        self.judge: Literal["answers", "dies", "babbles"] = "answers"
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.requests.append(body)
                answer = provider.answer(body)
                if body["model"] == JUDGE and provider.judge == "dies":
                    self._send(json.dumps(answer).encode()[:40], "application/json", beyond=1000)
                    self.close_connection = True
                    return
                if body.get("stream"):
                    self._send(_events(answer), "text/event-stream")
                else:
                    self._send(json.dumps(answer).encode(), "application/json")

            def _send(self, data: bytes, kind: str, beyond: int = 0) -> None:
                """An answer that promises `beyond` more bytes than it has."""
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data) + beyond))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The completion for a request."""
        if body["model"] == JUDGE:
            time.sleep(self.thinks)
            if self.judge == "babbles":
                return _completion(
                    'Sure! {"verdicts": [{"action": 99, "decision": "allow"}, "allow", {}]} yes'
                )
            actions = json.loads(_text(body["messages"][-1]))["actions"]
            entries = [
                {"action": one["action"], "decision": self.verdict, "reason": "compat says no"}
                for one in actions
            ]
            return _completion(json.dumps({"verdicts": entries}))
        at, order = _last_order(body["messages"])
        names = [tool["function"]["name"] for tool in body.get("tools", [])]
        results = sum(message["role"] == "tool" for message in body["messages"][at:])
        if order is None or not names:
            return _completion("compat")
        verb, what, word = order
        done = _completion(f"Done-{word}")
        if verb in ("RUN", "TWICE") and not results and "Bash" in names:
            number = 2 if verb == "TWICE" else 1
            return _completion(
                "", [("Bash", {"command": f"{what}_{n}", "description": "compat"}) for n in range(number)]
            )
        if verb == "AGAIN" and results < 3 and "Bash" in names:
            return _completion("", [("Bash", {"command": f"{what}_{results}", "description": "compat"})])
        agent = next((name for name in ("Agent", "Task") if name in names), "")
        if verb == "AGENT" and not results and agent:
            asked = {
                "description": "compat",
                "prompt": f"SAY [x] <sub{word}>",
                "subagent_type": "general-purpose",
                "run_in_background": False,
            }
            return _completion("", [(agent, asked)])
        if verb == "SAY" and "SubagentHandback" in names and not results:
            return _completion("", [("SubagentHandback", {"message": f"Done-{word}"})])
        return done


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))
    return str(content)


def _last_order(messages: list[dict[str, Any]]) -> tuple[int, tuple[str, str, str] | None]:
    for place in range(len(messages) - 1, -1, -1):
        if messages[place]["role"] == "user" and (found := _ORDER.findall(_text(messages[place]))):
            return place, found[-1]
    return 0, None


def _completion(text: str, calls: list[tuple[str, dict[str, Any]]] | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{n}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(given)},
            }
            for n, (name, given) in enumerate(calls)
        ]
    return {
        "id": "chatcmpl-compat",
        "object": "chat.completion",
        "created": 1,
        "model": "up",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


def _events(answer: dict[str, Any]) -> bytes:
    choice = answer["choices"][0]
    message = choice["message"]
    calls = [{"index": n, **call} for n, call in enumerate(message.get("tool_calls", []))]
    delta = {"role": "assistant", "content": message["content"], **({"tool_calls": calls} if calls else {})}
    head = {"id": answer["id"], "object": "chat.completion.chunk", "created": 1, "model": "up"}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {**head, "choices": [], "usage": answer["usage"]},
    ]
    return b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in chunks) + b"data: [DONE]\n\n"
