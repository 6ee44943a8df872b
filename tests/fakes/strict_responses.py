"""A strict server of the Responses API in front of a Chat Completions upstream.

    python -m tests.fakes.strict_responses --port 9191 --chat http://127.0.0.1:9190/v1

Every request is checked as OpenAI checks it: against the openai package's types, and
against the rules of legal_responses.py. What breaks them is answered with a 400 and
listed at GET /violations. Reasoning comes back only if its encrypted content is the
one that was given out, for the same id and model. The answers are those of the chat
upstream, said as a response: streamed item by item, errors and cuts where they were.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pydantic

from tests.conversion import openai_types
from tests.conversion.legal_responses import violations
from tests.fakes import counters

JSONObject = dict[str, Any]

_SECRET = b"known to this server alone"
_REASONING_FIELDS = ("reasoning_content", "reasoning")


class ChatGone(Exception):
    """The chat upstream's stream ended before its end."""


# --- reasoning that only its maker can read -------------------------------------------


def sealed(model: str, item_id: str, text: str) -> str:
    packed = base64.b64encode(json.dumps([model, item_id, text]).encode()).decode()
    return packed + "." + hmac.new(_SECRET, packed.encode(), hashlib.sha256).hexdigest()


def unsealed(encrypted: str) -> list[str] | None:
    packed, _, seal = encrypted.partition(".")
    good = hmac.compare_digest(hmac.new(_SECRET, packed.encode(), hashlib.sha256).hexdigest(), seal)
    return json.loads(base64.b64decode(packed)) if good else None


def reasoning_problems(body: JSONObject) -> Iterator[str]:
    for number, item in enumerate(body.get("input") or []):
        if item.get("type") == "reasoning":
            found = unsealed(item.get("encrypted_content") or "")
            if found is None:
                yield f"input[{number}]: the encrypted content could not be verified"
            elif found[:2] != [body.get("model"), item.get("id")]:
                yield f"input[{number}]: the encrypted content belongs to another item or model"


def problems_of(body: Any) -> list[str]:
    """Everything that OpenAI would refuse the request for."""
    if not isinstance(body, dict):
        return ["the body is no object"]
    found = [*violations(body), *reasoning_problems(body)]
    try:
        openai_types.accept_response(body)
    except pydantic.ValidationError as problem:
        found.append(f"the openai package's types: {problem.errors()[0]['loc']} {problem.errors()[0]['msg']}")
    return found


# --- the request, as the chat upstream understands it ----------------------------------


def chat_request(body: JSONObject) -> JSONObject:
    chat: JSONObject = {
        "model": body["model"],
        "messages": chat_messages(body),
        "max_completion_tokens": body["max_output_tokens"],
    }
    if body.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    if body.get("tools"):
        chat["tools"] = [chat_tool(tool) for tool in body["tools"]]
        choice = body.get("tool_choice")
        if isinstance(choice, dict):
            choice = {"type": "function", "function": {"name": choice["name"]}}
        chat |= {"tool_choice": choice} if choice is not None else {}
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        described = {name: form[name] for name in ("name", "schema", "strict")}
        chat["response_format"] = {"type": "json_schema", "json_schema": described}
    effort = (body.get("reasoning") or {}).get("effort")
    chat |= {"reasoning_effort": effort} if effort else {}
    same = ("temperature", "top_p", "parallel_tool_calls", "safety_identifier", "prompt_cache_key")
    return chat | {name: body[name] for name in same if name in body}


def chat_tool(tool: JSONObject) -> JSONObject:
    function = {name: tool[name] for name in ("name", "description", "parameters") if name in tool}
    return {"type": "function", "function": function}


def chat_messages(body: JSONObject) -> list[JSONObject]:
    messages: list[JSONObject] = []
    attached: list[JSONObject] = []
    if body.get("instructions"):
        messages.append({"role": "system", "content": body["instructions"]})
    for item in [*body["input"], None]:
        kind = item and item["type"]
        if attached and kind != "function_call_output":
            messages.append({"role": "user", "content": attached})
            attached = []
        if item is None or kind == "reasoning":
            continue
        if kind == "function_call_output":
            text, images = tool_output(item["output"])
            attached += images
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": text})
        elif kind == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            assistant_turn(messages).setdefault("tool_calls", []).append(call)
        elif item["role"] == "assistant":
            turn = assistant_turn(messages)
            turn["content"] = (turn["content"] or "") + item["content"]
        else:
            messages.append({"role": item["role"], "content": [chat_part(part) for part in item["content"]]})
    return messages


def assistant_turn(messages: list[JSONObject]) -> JSONObject:
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    return messages[-1]


def tool_output(output: str | list[JSONObject]) -> tuple[str, list[JSONObject]]:
    if isinstance(output, str):
        return output, []
    parts = [chat_part(part) for part in output]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(texts) or "(attached)", [part for part in parts if part["type"] != "text"]


def chat_part(part: JSONObject) -> JSONObject:
    if part["type"] == "input_text":
        return {"type": "text", "text": part["text"]}
    if part["type"] == "input_image":
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    return {"type": "file", "file": {"filename": part["filename"], "file_data": part["file_data"]}}


# --- the answer, as a response ----------------------------------------------------------


class Telling:
    """Chat chunks in, typed events out; `response` is what has been said so far."""

    def __init__(self, body: JSONObject) -> None:
        self.wants_summary = (body.get("reasoning") or {}).get("summary") == "auto"
        self.encrypts = "reasoning.encrypted_content" in body.get("include", [])
        self.response: JSONObject = {
            "id": "resp_" + uuid.uuid4().hex,
            "object": "response",
            "created_at": int(time.time()),
            "model": body["model"],
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }
        self.number = -1
        self.thought = ""
        self.calls: dict[int, int] = {}  # index in chat -> index in the output
        self.finish = "stop"

    def event(self, kind: str, **fields: Any) -> JSONObject:
        self.number += 1
        return {"type": f"response.{kind}", "sequence_number": self.number, **fields}

    def begun(self) -> Iterator[JSONObject]:
        yield self.event("created", response=dict(self.response))
        yield self.event("in_progress", response=dict(self.response))

    def chunk(self, chunk: JSONObject) -> Iterator[JSONObject]:
        if chunk.get("usage"):
            self.response["usage"] = usage(chunk["usage"])
        for choice in chunk.get("choices") or []:
            self.finish = choice.get("finish_reason") or self.finish
            delta = choice.get("delta") or choice.get("message") or {}
            thought = next((delta[name] for name in _REASONING_FIELDS if delta.get(name)), "")
            if thought:
                yield from self.think(thought)
            if delta.get("content"):
                yield from self.say(delta["content"])
            for position, call in enumerate(delta.get("tool_calls") or []):
                yield from self.call(call.get("index", position), call)

    def think(self, text: str) -> Iterator[JSONObject]:
        item = self.open("reasoning")
        if item is None:
            empty = {"type": "reasoning", "id": "rs_" + uuid.uuid4().hex, "summary": []}
            item, event = self.add(empty)
            yield event
        self.thought += text
        if not self.wants_summary:
            return
        at = {"output_index": self.last, "item_id": item["id"], "summary_index": 0}
        if not item["summary"]:
            item["summary"].append({"type": "summary_text", "text": ""})
            yield self.event("reasoning_summary_part.added", **at, part={"type": "summary_text", "text": ""})
        item["summary"][0]["text"] += text
        yield self.event("reasoning_summary_text.delta", **at, delta=text)

    def say(self, text: str) -> Iterator[JSONObject]:
        item = self.open("message")
        if item is None:
            yield from self.close()
            empty = {"type": "message", "id": "msg_" + uuid.uuid4().hex, "role": "assistant", "content": []}
            item, event = self.add(empty)
            yield event
            item["content"] = [{"type": "output_text", "text": "", "annotations": []}]
            part = dict(item["content"][0])
            at = {"output_index": self.last, "item_id": item["id"], "content_index": 0}
            yield self.event("content_part.added", **at, part=part)
        item["content"][0]["text"] += text
        at = {"output_index": self.last, "item_id": item["id"], "content_index": 0}
        yield self.event("output_text.delta", **at, delta=text, logprobs=[])

    def call(self, index: int, call: JSONObject) -> Iterator[JSONObject]:
        function = call.get("function") or {}
        if index not in self.calls:
            yield from self.close()
            item = {"type": "function_call", "id": "fc_" + uuid.uuid4().hex, "call_id": call["id"]}
            item, event = self.add({**item, "name": function["name"], "arguments": ""})
            self.calls[index] = self.last
            yield event
        place = self.calls[index]
        item = self.response["output"][place]
        if function.get("arguments"):
            item["arguments"] += function["arguments"]
            at = {"output_index": place, "item_id": item["id"]}
            yield self.event("function_call_arguments.delta", **at, delta=function["arguments"])

    @property
    def last(self) -> int:
        return len(self.response["output"]) - 1

    def open(self, kind: str) -> JSONObject | None:
        """The last item, when it is of this kind."""
        item = self.response["output"][-1] if self.response["output"] else {}
        return item if item.get("type") == kind else None

    def add(self, item: JSONObject) -> tuple[JSONObject, JSONObject]:
        self.response["output"].append(item)
        told = json.loads(json.dumps({**item, "status": "in_progress"}))
        return item, self.event("output_item.added", output_index=self.last, item=told)

    def close(self) -> Iterator[JSONObject]:
        """The end of a reasoning or message item. Calls end with the response: they may interleave."""
        item = self.response["output"][-1] if self.response["output"] else {}
        if item.get("status") == "completed" or item.get("type") not in ("reasoning", "message"):
            return
        item["status"] = "completed"
        if item["type"] == "reasoning" and self.encrypts:
            item["encrypted_content"] = sealed(self.response["model"], item["id"], self.thought)
        if item["type"] == "message":
            at = {"output_index": self.last, "item_id": item["id"], "content_index": 0}
            part = item["content"][0]
            yield self.event("output_text.done", **at, text=part["text"], logprobs=[])
            yield self.event("content_part.done", **at, part=part)
        yield self.event("output_item.done", output_index=self.last, item=item)

    def ended(self) -> Iterator[JSONObject]:
        yield from self.close()
        for place in self.calls.values():
            item = self.response["output"][place]
            item["status"] = "completed"
            at = {"output_index": place, "item_id": item["id"]}
            yield self.event("function_call_arguments.done", **at, arguments=item["arguments"])
            yield self.event("output_item.done", output_index=place, item=item)
        reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(self.finish)
        self.response["status"] = "incomplete" if reason else "completed"
        self.response["incomplete_details"] = {"reason": reason} if reason else None
        yield self.event("incomplete" if reason else "completed", response=self.response)


def usage(counts: JSONObject) -> JSONObject:
    cached = (counts.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    thought = (counts.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    return {
        "input_tokens": counts["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": counts["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": counts["total_tokens"],
    }


def chat_chunks(answer: http.client.HTTPResponse) -> Iterator[JSONObject]:
    """The chunks of a chat stream. Raises ChatGone when it ends without [DONE]."""
    try:
        for line in answer:
            data = line.strip().removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            if data.startswith(b"{"):
                yield json.loads(data)
    except (http.client.HTTPException, OSError) as problem:
        raise ChatGone from problem
    raise ChatGone


# --- the server ---------------------------------------------------------------------------


class StrictResponses:
    """Serves in threads of its own until `stop`. `found` lists violations, `requests` the bodies.

    `path`: what has to stand before /responses; `header`: the one that has to show the credential.
    """

    def __init__(
        self,
        chat_base: str,
        port: int = 0,
        *,
        path: str | None = None,
        header: str = "",
        counts: bool = False,
    ) -> None:
        self.chat = urlsplit(chat_base)
        self.path = path
        self.header = header
        self.counts = counts
        self.counted: list[JSONObject] = []
        self.found: list[str] = []
        self.requests: list[JSONObject] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.answer_json(200, owner.found)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    owner.serve(self, raw)
                except ConnectionError:
                    self.close_connection = True

            def answer_json(self, status: int, body: Any, **headers: str) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def begin_stream(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()

            def tell(self, event: JSONObject) -> None:
                """One event in two writes, cut inside."""
                data = f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
                middle = len(data) // 2
                for piece in (data[:middle], data[middle:]):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler: Any, raw: bytes) -> None:
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        asked = urlsplit(handler.path).path
        if self.counts and asked == f"{self.path or ''}{counters.PATHS['responses']}":
            self.count(handler, body)
            return
        found = problems_of(body)
        if not asked.endswith("/responses") or self.path not in (None, asked.removesuffix("/responses")):
            found.append(f"no such path {handler.path}")
        if self.header and not handler.headers.get(self.header):
            found.append(f"no header {self.header}")
        if found:
            self.found += found
            handler.answer_json(
                400, {"error": {"message": "; ".join(found)[:1500], "type": "invalid_request_error"}}
            )
            return
        self.requests.append(body)
        connection = http.client.HTTPConnection(self.chat.hostname or "", self.chat.port, timeout=60)
        try:
            headers = {
                "content-type": "application/json",
                "authorization": handler.headers.get("authorization", ""),
            }
            path = f"{self.chat.path}/chat/completions"
            connection.request("POST", path, json.dumps(chat_request(body)).encode(), headers)
            answer = connection.getresponse()
            if answer.status != 200:
                kept = {name: value for name, value in answer.getheaders() if name.lower() == "retry-after"}
                handler.answer_json(answer.status, answer.read(), **kept)
            elif body.get("stream"):
                self.stream(handler, body, answer)
            else:
                telling = Telling(body)
                list(telling.begun())
                list(telling.chunk(json.loads(answer.read())))
                list(telling.ended())
                handler.answer_json(200, telling.response)
        finally:
            connection.close()

    def count(self, handler: Any, body: JSONObject) -> None:
        found = list(counters.problems("responses", body))
        if not handler.headers.get(self.header or "authorization"):
            found.append("no credential")
        if found:
            self.found += found
            handler.answer_json(400, {"error": {"message": "; ".join(found)}})
        else:
            self.counted.append(body)
            handler.answer_json(200, counters.counted().body)

    def stream(self, handler: Any, body: JSONObject, answer: http.client.HTTPResponse) -> None:
        telling = Telling(body)
        handler.begin_stream()
        for event in telling.begun():
            handler.tell(event)
        try:
            for chunk in chat_chunks(answer):
                if "error" in chunk:
                    error = chunk["error"]
                    told = {"code": error.get("type"), "message": error.get("message"), "param": None}
                    handler.tell({"type": "error", **told})
                    break
                for event in telling.chunk(chunk):
                    handler.tell(event)
            else:
                for event in telling.ended():
                    handler.tell(event)
        except ChatGone:
            handler.close_connection = True  # cut where the chat upstream was
            return
        handler.wfile.write(b"0\r\n\r\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=9191)
    parser.add_argument("--chat", default="http://127.0.0.1:9190/v1", help="base URL of the chat upstream")
    options = parser.parse_args()
    server = StrictResponses(options.chat, options.port)
    print(f"Responses API on {server.base_url}, answers from {options.chat}; GET /violations", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
