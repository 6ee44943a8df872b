"""A strict Chat Completions service on a socket: it refuses what the real one refuses, in the same form.

It is given Rules (dialect_rules.py) and what to say in each turn. `refused` lists what it did not accept;
each
refusal is answered with an error status in the service's own form. What the rules require to come back
(thinking, its details, thought signatures, opaque fields) is compared with what was given out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.conversion.legal_chat import NAME, URL
from tests.fakes import counters
from tests.fakes.dialect_rules import Rules
from tests.fakes.provider import SSE, Answer, FakeProvider, Request
from tests.tellings import Truth, told

JSONObject = dict[str, Any]

_BODY = {"model", "messages", "stream", "temperature", "top_p", "tools", "tool_choice"}
_MESSAGE = {
    "system": {"role", "content"},
    "developer": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
PDF = re.compile(r"data:application/pdf;base64,JVBERi0[A-Za-z0-9+/]+={0,2}\Z")
_SENTINEL = "skip_thought_signature_validator"
_MISSING = object()


@dataclass(frozen=True)
class Say:
    """One turn: `text` contains a mark of its own, `calls` are names and arguments."""

    thought: str
    text: str
    calls: tuple[tuple[str, JSONObject], ...] = ()


class ScriptedChat(FakeProvider):
    """Says `say` turn by turn in a service's form, whatever it is asked."""

    def __init__(self, rules: Rules, say: list[Say]) -> None:
        super().__init__()
        self.rules = rules
        self.say = say
        self.taken: list[JSONObject] = []

    def answer_to(self, request: Request) -> Answer:
        body, turn = request.body, len(self.taken)
        self.taken.append(body)
        told = Telling(self.rules, turn, self.say[turn], thinks=self.thinks(body), body=body)
        return told.streamed() if body.get("stream") else told.whole()

    def thinks(self, body: JSONObject) -> bool:
        """Whether this request is answered with thinking."""
        rules = self.rules
        if rules.thinks_in is None:
            return False
        if rules.never_off:
            return True
        off = at(body, rules.switch) == rules.switch_off if rules.switch else False
        return not off and body.get("reasoning_effort") != "none"


class StrictChat(ScriptedChat):
    """Accepts only what the rules accept.

    In the turns `unasked` the client wants no thinking. A service that thinks anyway cannot get it back, and
    must accept what stands in for it. `counted`: what it was asked to count.
    """

    def __init__(self, rules: Rules, say: list[Say], unasked: tuple[int, ...] = ()) -> None:
        super().__init__(rules, say)
        self.unasked = unasked
        self.refused: list[str] = []
        self.counted: list[JSONObject] = []

    def answer_to(self, request: Request) -> Answer:
        if urlsplit(request.path).path.endswith("tokens"):
            return self._count(request)
        found = list(self._problems(request))
        if found:
            self.refused += [f"turn {len(self.taken) + 1}: {problem}" for problem in found]
            return refusal(self.rules, "; ".join(found))
        return super().answer_to(request)

    def _count(self, request: Request) -> Answer:
        kind = self.rules.counts
        if not kind or not urlsplit(request.path).path.endswith(counters.PATHS[kind]):
            found = [f"no such path {request.path}"]
        elif kind == "chat":
            found = list(self._problems(request))
        else:
            found = list(counters.problems(kind, request.body))
        if found:
            self.refused += [f"a count: {problem}" for problem in found]
            return refusal(self.rules, "; ".join(found))
        self.counted.append(request.body)
        return counters.counted()

    # --- what it does not take ---------------------------------------------------------

    def _problems(self, request: Request) -> Iterator[str]:
        rules, body = self.rules, request.body
        path = urlsplit(request.path).path
        if not path.endswith(("/chat/completions", counters.PATHS["chat"])):
            yield f"no such path {request.path}"
        header = rules.header or "authorization"
        if header not in request.headers:
            yield f"no header {header}"
        if rules.query and rules.query not in parse_qs(urlsplit(request.path).query):
            yield f"no {rules.query} in the query"
        yield from self._fields(body)
        yield from self._settings(body)
        if rules.structured and "response_format" in body:
            yield from self._structured(body)
        yield from self._messages(body["messages"])
        yield from self._order(body["messages"])
        yield from self._returned(body)
        if "tools" in body:
            yield from self._tools(body)

    def _fields(self, body: JSONObject) -> Iterator[str]:
        rules = self.rules
        known = _BODY | {rules.cap, *rules.fields}
        known |= {"reasoning_effort"} if rules.efforts is not None else set()
        known |= {"stop"} if rules.stop else set()
        known |= {"stream_options"} if rules.stream_options and body.get("stream") else set()
        known |= {"user"} if rules.user else set()
        known |= {rules.parallel} if rules.parallel else set()
        known |= {"response_format"} if rules.structured else set()
        for name in body.keys() - known:
            yield f"unknown field {name}"
        if rules.cap not in body:
            yield f"no {rules.cap}"
        for path, value in rules.needs:
            if at(body, path) != value:
                yield f"{path} is not {value!r}"
        for path, values in rules.only:
            if at(body, path) not in (None, *values):
                yield f"{path} is {at(body, path)!r}"

    def _settings(self, body: JSONObject) -> Iterator[str]:
        rules, effort = self.rules, body.get("reasoning_effort")
        if effort is not None and effort not in (rules.efforts or ()):
            yield f"reasoning_effort {effort!r}"
        if rules.effort_with_tools and body.get("tools") and effort != rules.effort_with_tools:
            yield "Function tools with reasoning_effort are not supported"
        if "thinking_budget" in body and effort is not None:
            yield "thinking_budget and reasoning_effort exclude each other"
        off = rules.switch and at(body, rules.switch) == rules.switch_off
        if off and rules.never_off:
            yield "thinking cannot be switched off"
        on = at(body, rules.switch) is not rules.switch_off if rules.switch else True
        if on and not rules.whole_answers_think and not body.get("stream"):
            yield "enable_thinking must be set to false for non-streaming calls"
        sampled = [body[name] for name in ("temperature", "top_p") if name in body]
        thinking = not off and effort != "none"
        if sampled and (rules.sampling == "never" or (rules.sampling == "not_thinking" and thinking)):
            yield "temperature and top_p are fixed"
        if rules.sampling == "positive" and any(value < 0.01 for value in sampled):
            yield "temperature and top_p must be above zero"

    def _structured(self, body: JSONObject) -> Iterator[str]:
        form = body["response_format"]
        if form["type"] != self.rules.structured:
            yield "This response_format type is unavailable now"
        elif form["type"] == "json_schema":
            described = form["json_schema"]
            if not NAME.match(described["name"]) or described.keys() - {"name", "schema", "strict"}:
                yield f"response_format: {sorted(described)}"
            yield from self._schema(described["schema"], "response_format")
        elif "json" not in json.dumps(body["messages"]).lower():
            yield "Prompt must contain the word 'json' in some form"

    def _messages(self, messages: list[JSONObject]) -> Iterator[str]:
        for number, message in enumerate(messages):
            where, role = f"messages[{number}]", message["role"]
            known = _MESSAGE.get(role)
            if known is None or (role in ("system", "developer") and role not in self.rules.roles):
                yield f"{where}: role {role}"
                continue
            own = set(self.rules.message_fields) if role == "assistant" else set()
            for name in message.keys() - known - own:
                yield f"{where}: unknown field {name}"
            yield from self._content(message, where)
            for call in message.get("tool_calls") or ():
                yield from self._call(call, where)

    def _content(self, message: JSONObject, where: str) -> Iterator[str]:
        content, role = message.get("content"), message["role"]
        if isinstance(content, str):
            if not content and not message.get("tool_calls"):
                yield f"{where}: empty content"
            return
        if content is None:
            if not message.get("tool_calls"):
                yield f"{where}: no content"
            return
        if self.rules.text_content_only:
            yield f"{where}.content must be a string"
        kinds = {"text"} | ({"image_url"} if role == "user" and self.rules.images else set())
        kinds |= {"thinking"} if role == "assistant" and self.rules.replay == "content" else set()
        kinds |= {self.rules.files} if role == "user" and self.rules.files else set()
        for part in content:
            kind = part.get("type")
            if kind not in kinds:
                yield f"{where}: part of type {kind} in a {role} message"
            elif kind == "image_url" and not URL.match(part["image_url"]["url"]):
                yield f"{where}: not an image"
            elif kind == "text" and not part["text"]:
                yield f"{where}: empty text"
            elif kind == self.rules.files and not PDF.match(
                part["file"]["file_data"] if kind == "file" else part[kind]
            ):
                yield f"{where}: not a PDF"
            extra = part.keys() - {"type", kind, *self.rules.part_fields}
            extra -= {"document_name"} if kind == "document_url" else set()
            extra -= {"cache_control"} if self.rules.cache_control else set()
            if extra:
                yield f"{where}: unknown field {sorted(extra)[0]} of a part"

    def _call(self, call: JSONObject, where: str) -> Iterator[str]:
        if not re.fullmatch(self.rules.id_form, call["id"]):
            yield f"{where}: tool call id {call['id']!r}"
        if call.keys() - {"id", "type", "function"} - ({"extra_content"} if self.rules.signed else set()):
            yield f"{where}: unknown field of a tool call"
        if not isinstance(json.loads(call["function"]["arguments"]), dict):
            yield f"{where}: arguments are no object"

    def _order(self, messages: list[JSONObject]) -> Iterator[str]:
        before, waiting = "", []
        for number, message in enumerate(messages):
            where, role = f"messages[{number}]", message["role"]
            if role in ("system", "developer") and number and not self.rules.system_anywhere:
                yield f"{where}: System message must be at the beginning"
            if role == before and role in ("user", "assistant"):
                yield f"{where}: conversation roles must alternate"
            after = ("tool", "assistant") if self.rules.after_tool_only_assistant else tuple(_MESSAGE)
            if before == "tool" and role not in after:
                yield f"{where}: Unexpected role '{role}' after role 'tool'"
            if role == "tool":
                if message["tool_call_id"] not in waiting:
                    yield f"{where}: answers no call"
                else:
                    waiting.remove(message["tool_call_id"])
            elif waiting:
                yield f"{where}: tool calls without results"
            if role != "tool":
                waiting = [call["id"] for call in message.get("tool_calls") or ()]
            before = role
        if waiting or before == "assistant":
            yield "the conversation does not end with a user's or a tool's message"

    # --- what must come back -------------------------------------------------------------

    def _returned(self, body: JSONObject) -> Iterator[str]:
        messages = body["messages"]
        last_user = max((n for n, message in enumerate(messages) if _speaks(message)), default=-1)
        for number, message in enumerate(messages):
            turn = self._turn_of(message) if message["role"] == "assistant" else None
            where = f"messages[{number}]"
            if turn is None:
                if message.get("tool_calls"):
                    yield from self._strange_call(message, where)
                continue
            given = Telling(self.rules, turn, self.say[turn], thinks=self.thinks(self.taken[turn]), body={})
            if self.rules.replay_always or number > last_user:
                yield from self._thinking_back(message, given, where)
            if self.rules.signed:
                yield from self._signatures_back(message, given, where)

    def _strange_call(self, message: JSONObject, where: str) -> Iterator[str]:
        """A turn with calls that came from another service still needs what a turn of this one has."""
        if self.rules.replay_needed and not message.get("reasoning_content"):
            yield f"{where}: The `reasoning_content` in the thinking mode must be passed back to the API"
        first = at(message["tool_calls"][0], "extra_content.google.thought_signature")
        if self.rules.signed and first != _SENTINEL:
            yield f"{where}: Function call is missing a thought_signature: {first!r}"

    def _turn_of(self, message: JSONObject) -> int | None:
        """Which of the given turns this message is."""
        text = json.dumps(message.get("content"))
        return next((n for n in range(len(self.taken)) if self.say[n].text in text), None)

    def _thinking_back(self, message: JSONObject, given: Telling, where: str) -> Iterator[str]:
        rules = self.rules
        for name in rules.extras:
            if given.thinks and message.get(name) != given.message()[name]:
                yield f"{where}: {name} did not come back"
        if rules.replay is None:
            return
        if rules.replay == "content":
            parts = message["content"] if isinstance(message["content"], list) else []
            back: Any = [part["thinking"] for part in parts if part["type"] == "thinking"]
            wanted: Any = [[{"type": "text", "text": given.say.thought}]] if given.thinks else []
        elif rules.replay == "reasoning_details":
            back = message.get("reasoning_details")
            wanted = given.details() if given.thinks else None
        else:
            back, wanted = message.get(rules.replay), given.say.thought if given.thinks else None
        if not given.thinks or given.turn in self.unasked:
            if rules.replay_needed and message.get("tool_calls") and not back:
                yield f"{where}: The `reasoning_content` in the thinking mode must be passed back to the API"
        elif back != wanted:
            yield f"{where}: {rules.replay} is {back!r} and was {wanted!r}"

    def _signatures_back(self, message: JSONObject, given: Telling, where: str) -> Iterator[str]:
        for position, call in enumerate(message.get("tool_calls") or ()):
            back = at(call, "extra_content.google.thought_signature")
            wanted = at(given.calls()[position], "extra_content.google.thought_signature")
            if (wanted is not None and back != wanted) or (wanted is None and back not in (None, _SENTINEL)):
                yield f"{where}: Function call is missing a thought_signature: {back!r}"

    # --- tools ---------------------------------------------------------------------------

    def _tools(self, body: JSONObject) -> Iterator[str]:
        rules, names = self.rules, []
        if not body["tools"] or len(body["tools"]) > (rules.max_tools or 10_000):
            yield "number of tools"
        for tool in body["tools"]:
            function = tool["function"]
            names.append(function["name"])
            allowed = {"name", "description", "parameters"} | ({"strict"} if rules.strict else set())
            if not NAME.match(function["name"]) or function.keys() - allowed:
                yield f"function {function['name']}: {sorted(function.keys() - allowed)}"
            if tool.keys() - {"type", "function"} - ({"cache_control"} if rules.cache_control else set()):
                yield f"unknown field of tool {function['name']}"
            if function["parameters"].get("type") != "object":
                yield f"parameters of {function['name']} are no object"
            yield from self._schema(function["parameters"], function["name"])
        yield from self._choice(body, names)

    def _schema(self, schema: Any, where: str) -> Iterator[str]:
        if isinstance(schema, list):
            for item in schema:
                yield from self._schema(item, where)
        if not isinstance(schema, dict):
            return
        rules = self.rules
        for name in schema.keys() & rules.refused_keywords:
            yield f"schema of {where}: {name}"
        if rules.no_type_beside_any_of and "anyOf" in schema and "type" in schema:
            yield f"schema of {where}: type beside anyOf"
        if rules.string_enums:
            if not all(isinstance(value, str) for value in schema.get("enum", ())):
                yield f"schema of {where}: enum of other than strings"
            if schema.get("type") == "array" and "items" not in schema:
                yield f"schema of {where}: array without items"
            if schema.get("format", "date-time") not in ("enum", "date-time"):
                yield f"schema of {where}: format {schema['format']}"
            if not set(schema.get("required", ())) <= schema.get("properties", {}).keys():
                yield f"schema of {where}: required names no property"
        for name, below in schema.items():
            if name == "properties":
                for part in below.values():
                    yield from self._schema(part, where)
            else:
                yield from self._schema(below, where)

    def _choice(self, body: JSONObject, names: list[str]) -> Iterator[str]:
        choice, rules = body.get("tool_choice", "auto"), self.rules
        kind = "named" if isinstance(choice, dict) else choice
        if isinstance(choice, dict) and choice["function"]["name"] not in names:
            yield "tool_choice names no tool"
        forced = rules.forced
        if rules.forced_thinking is not None and self.thinks(body):
            forced = rules.forced_thinking
        if kind == "none" and not rules.none_choice:
            yield "tool_choice none"
        if kind not in ("auto", "none", *forced):
            yield f"tool_choice {choice!r}"


class Telling:
    """One turn in the service's own form."""

    def __init__(self, rules: Rules, turn: int, say: Say, *, thinks: bool, body: JSONObject) -> None:
        self.rules, self.turn, self.say, self.thinks, self.body = rules, turn, say, thinks, body

    def details(self) -> list[JSONObject]:
        kind = "reasoning.text"
        return [
            {"type": kind, "text": self.say.thought, "format": "unknown", "index": 0},
            {"type": "reasoning.encrypted", "data": f"sealed-{self.turn}", "index": 1},
        ]

    def calls(self) -> list[JSONObject]:
        made = []
        for position, (name, arguments) in enumerate(self.say.calls):
            call: JSONObject = {
                "id": self._id(position),
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            # of parallel calls only the first is signed
            if self.rules.signed and position == 0:
                call["extra_content"] = {"google": {"thought_signature": f"signed-{self.turn}"}}
            made.append(call)
        return made

    def _id(self, position: int) -> str:
        if self.rules.id_form == r"[A-Za-z0-9]{9}":
            return f"mist{self.turn:02d}{position:03d}"
        return f"call_{self.turn}_{position}_of_this_service"

    def pieces(self) -> list[JSONObject]:
        """The turn as deltas: thinking, text, calls."""
        found = self._thought_pieces() if self.thinks else []
        middle = len(self.say.text) // 2
        found += [{"content": text} for text in (self.say.text[:middle], self.say.text[middle:])]
        if self.thinks and self.rules.thinks_in == "tags":
            opened = {"content": f"<think>{self.say.thought}</th"}
            found = [opened, {"content": "ink>" + found[0]["content"]}, found[1]]
        if self.thinks and self.rules.extras:
            found[0] |= {name: f"{name}-{self.turn}" for name in self.rules.extras}
        for index, call in enumerate(self.calls()):
            arguments = call["function"]["arguments"]
            begun = {**call, "index": index}
            if self.rules.whole_arguments:
                found.append({"tool_calls": [begun]})
                continue
            begun["function"] = {**call["function"], "arguments": ""}
            found.append({"tool_calls": [begun]})
            middle = len(arguments) // 2
            for piece in (arguments[:middle], arguments[middle:]):
                found.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        return found

    def _thought_pieces(self) -> list[JSONObject]:
        thought, place = self.say.thought, self.rules.thinks_in
        middle = len(thought) // 2
        halves = (thought[:middle], thought[middle:])
        if place == "reasoning_details":
            first, second = ({"reasoning_details": [detail]} for detail in self.details())
            return [{"reasoning": thought, **first}, second]
        if place == "parts":
            return [
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": half}]}]}
                for half in halves
            ]
        if place == "google":
            return [{"content": half, "extra_content": {"google": {"thought": True}}} for half in halves]
        if place == "tags":
            return []
        return [{str(place): half} for half in halves]

    def message(self) -> JSONObject:
        """The turn as a whole message."""
        said, place = self.say, self.rules.thinks_in
        message: JSONObject = {"role": "assistant", "content": said.text}
        if self.thinks:
            message |= {name: f"{name}-{self.turn}" for name in self.rules.extras}
            if place == "reasoning_details":
                message |= {"reasoning": said.thought, "reasoning_details": self.details()}
            elif place == "parts":
                thinking = {"type": "thinking", "thinking": [{"type": "text", "text": said.thought}]}
                message["content"] = [thinking, {"type": "text", "text": said.text}]
            elif place == "tags":
                message["content"] = f"<think>{said.thought}</think>{said.text}"
            elif place != "google":
                # a whole answer of Gemini has no place for thoughts beside the text
                message[str(place)] = said.thought
        if said.calls:
            message["tool_calls"] = self.calls()
        return message

    @property
    def finish(self) -> str | None:
        return self.rules.finish if self.say.calls else "stop"

    def usage(self) -> JSONObject:
        usage: JSONObject = {"prompt_tokens": 1000 + self.turn, "completion_tokens": 50, "total_tokens": 1050}
        thought = {"reasoning_tokens": 20 if self.thinks else 0}
        if self.rules.apart and self.thinks:
            usage |= {"completion_tokens": 30, "total_tokens": 1050 + self.turn}
        usage["completion_tokens_details"] = thought
        if self.rules.cached_in == "prompt_tokens_details":
            usage["prompt_tokens_details"] = {"cached_tokens": 600}
        else:
            usage[self.rules.cached_in] = 600
        return usage

    def whole(self) -> Answer:
        body: JSONObject = {
            "id": "cmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": self.body["model"],
            "choices": [{"index": 0, "message": self.message(), "finish_reason": self.finish or ""}],
            "usage": self.usage(),
        }
        headers = {"content-type": "application/json"}
        return Answer(headers=headers, body=json.dumps(body, ensure_ascii=False).encode())

    def streamed(self) -> Answer:
        chunks = [self._chunk(delta) for delta in self.pieces()]
        chunks[0]["choices"][0]["delta"]["role"] = "assistant"
        last = self._chunk({}, self.finish or "")
        wanted = not self.rules.stream_options or (self.body.get("stream_options") or {}).get("include_usage")
        chunks = self._oddly([*chunks, last])
        last = chunks[-1]
        if self.rules.usage_in == "choice":
            last["choices"][0]["usage"] = self.usage()
        elif self.rules.usage_in == "x_groq":
            last["x_groq"] = {"id": "req_1", "usage": self.usage()}
        elif wanted:
            chunks.append({**self._chunk({}), "choices": [], "usage": self.usage()})
        pieces = [b": keep-alive\n\n"]
        pieces += [b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks]
        return Answer(headers=SSE, pieces=[*pieces, *([b"data: [DONE]\n\n"] if self.rules.done else [])])

    def _oddly(self, chunks: list[JSONObject]) -> list[JSONObject]:
        """The same in the manner that the rules name."""
        calls = tuple((call["id"], *self.say.calls[place]) for place, call in enumerate(self.calls()))
        return told(Truth(calls=calls), self.rules.quirks, chunks) if self.rules.quirks else chunks

    def _chunk(self, delta: JSONObject, finish: str | None = None) -> JSONObject:
        return {
            "id": "cmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": self.body["model"],
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }


def refusal(rules: Rules, message: str) -> Answer:
    """A 400 in the service's own form."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    forms: dict[str, Any] = {
        "openai": {"error": error},
        "flat": {"object": "error", "message": message, "type": "invalid_request_error", "code": 400},
        "list": [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}],
        "code_message": {"code": 20015, "message": message, "data": None},
        "code_error": {"code": "Client specified an invalid argument", "error": message},
        "base_resp": {"base_resp": {"status_code": 2013, "status_msg": message}},
    }
    body = json.dumps(forms[rules.error_form]).encode()
    return Answer(400, {"content-type": "application/json"}, body)


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path; None when nothing does."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _speaks(message: JSONObject) -> bool:
    """A message of the user, and no tool's image carried on."""
    content = message["content"]
    return message["role"] == "user" and (isinstance(content, str) or "user says" in json.dumps(content))
