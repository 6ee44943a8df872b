"""The two ways to the judge: through the gateway's conversion, and directly, as an ideal client would ask.

The ideal client holds the conversation in the provider's own form and only ever appends to it. Where the
provider has markers, it marks the end of every turn; its routing key is the conversation's; tools that are
loaded late go behind the conversation where the protocol can do that, and otherwise all stand in the list
from the beginning. Its first request is the gateway's, so that both count the same bytes.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from typing import Any, Final, Protocol

from bench.prompt_caching.client import Agent, JSONObject
from bench.prompt_caching.sessions import Step
from gateway.config.presets.presets import preset
from gateway.conversion.context import ClientFacts, Converted
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.wire import jsontext
from tests.fakes.prompt_caches.prompts import BREAKPOINT, CONTROL
from tests.fakes.prompt_caches.rules import AnthropicMarks, Family, OpenAIBreakpoints, Receipt

EXPLICIT: Final = {"mode": "explicit"}
Options = dict[str, Any]


def profile_of(family: Family, options: Options) -> Profile:
    known = preset(family.preset)
    rules = [rule.options for rule in known.model_rules if rule.match.search(family.model)]
    route = {"protocol": family.protocol, "provider": family.preset, "upstream_model": family.model}
    return Profile.merged(known.options, *rules, route, options)


class Asking(Protocol):
    """Whoever asks: an agent of a session that is made by rule, or a recorded turn."""

    @property
    def name(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    @property
    def subagent(self) -> bool: ...
    @property
    def headers(self) -> dict[str, str]: ...


class AskingOnce(Asking, Protocol):
    """One recorded turn; `like`: the conversation that it goes on with."""

    @property
    def at(self) -> float: ...
    @property
    def like(self) -> str | None: ...


class ThroughGateway:
    """Converts, asks the judge, converts the answer back."""

    def __init__(self, family: Family, options: Options | None = None) -> None:
        self.cache = family.cache()
        self._dialect = DIALECTS[family.protocol]
        self._profile = profile_of(family, options or {})
        numbers = itertools.count(1)
        self._new_id: Callable[[str], str] = lambda prefix: f"{prefix}{next(numbers):024d}"

    def converted(self, agent: Asking, request: JSONObject) -> Converted:
        client = ClientFacts("key", agent.session_id, "2023-06-01", agent.headers)
        converted = self._dialect.request(
            # parsed again, as a server does: nothing is shared with the request before
            jsontext.loads(jsontext.dumps(request)), self._profile, client, self._new_id, Ledger()
        )  # fmt: skip
        assert isinstance(converted, Converted)
        return converted

    def ask(self, agent: Agent, step: Step) -> tuple[Receipt, list[JSONObject], JSONObject]:
        """The bill, the answer's content as the client gets it, and the body that was sent."""
        converted = self.converted(agent, agent.request(step))
        body = json.loads(jsontext.dumps(converted.body))
        receipt = self.cache.ask(body, step.at)
        answered = _WRITERS[self._profile.protocol].answer(step, self._new_id)
        whole = self._dialect.whole_answer(answered, converted.context, Ledger())
        return receipt, json.loads(jsontext.dumps(whole.message["content"])), body


class Direct:
    """The ideal client. Conversations are known by the agent's name."""

    def __init__(self, family: Family) -> None:
        self.cache = family.cache()
        self._family = family
        self._writer = _WRITERS[family.protocol]
        self._bodies: dict[str, JSONObject] = {}
        numbers = itertools.count(1)
        self._new_id: Callable[[str], str] = lambda prefix: f"{prefix}{next(numbers):024d}"

    def begin(self, agent: Agent, body: JSONObject, like: str | None) -> None:
        """Take over the gateway's first body; for a conversation that goes on, that of the other agent."""
        known = self._bodies.get(like) if like is not None else None
        body = copy.deepcopy(known or body)
        _walk(body, lambda value: (value.pop(BREAKPOINT, None), value.pop(CONTROL, None)))
        body.pop("prompt_cache_options", None)
        self._bodies[agent.name] = body

    def ask(self, agent: Agent, step: Step) -> Receipt:
        """The bill; what the client says behind the answer is appended."""
        body = self._bodies[agent.name]
        items = body[self._writer.place]
        sent = body
        if step.compacts:
            summary = agent.request(step)["messages"][-1]["content"][-1]["text"]
            sent = {**body, self._writer.place: [*items, self._writer.user(summary)]}
        receipt = self.cache.ask(self._marked(sent, agent), step.at)
        answered = self._writer.answer(step, self._new_id)
        items += self._writer.said(answered, step)
        return receipt

    def knows(self, name: str) -> bool:
        return name in self._bodies

    def go_on(self, turn: AskingOnce, body: JSONObject, tools: Any) -> Receipt:
        """The bill for a turn whose body the gateway made: what is new in it is appended to the conversation.

        `tools`: all that the conversation will have. One that became shorter begins anew.
        """
        known = self._bodies.get(turn.name) or (self._bodies.get(turn.like) if turn.like else None)
        plain = copy.deepcopy(body)
        _walk(plain, lambda value: (value.pop(BREAKPOINT, None), value.pop(CONTROL, None)))
        plain.pop("prompt_cache_options", None)
        place = self._writer.place
        if known is not None and len(known[place]) <= len(plain[place]):
            plain = {**known, place: [*known[place], *plain[place][len(known[place]) :]]}
        if tools is not None:
            plain["tools"] = tools
        self._bodies[turn.name] = plain
        return self.cache.ask(self._marked(plain, turn), turn.at)

    def _marked(self, body: JSONObject, agent: Asking) -> JSONObject:
        marked: JSONObject = {**body}
        if self._family.cache in (OpenAIBreakpoints, AnthropicMarks):
            marker, name = {"mode": "explicit"}, BREAKPOINT
            most = 1000
            if self._family.cache is AnthropicMarks:
                marker, name, most = {"type": "ephemeral"}, CONTROL, 3
            marked[self._writer.place] = self._writer.marked(body[self._writer.place], name, marker, most)
            if self._family.cache is OpenAIBreakpoints:
                marked["prompt_cache_options"] = EXPLICIT
        if "prompt_cache_key" in body:
            marked["prompt_cache_key"] = (
                f"{agent.session_id}:{agent.name}" if agent.subagent else agent.session_id
            )
        return marked


def _walk(value: Any, change: Callable[[JSONObject], Any]) -> None:
    if isinstance(value, dict):
        change(value)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            _walk(inner, change)


def _last_marked(
    items: list[JSONObject], places: dict[int, str], name: str, marker: JSONObject
) -> list[JSONObject]:
    made = list(items)
    for number, content in places.items():
        item = made[number]
        parts = [*item[content][:-1], {**item[content][-1], name: marker}]
        made[number] = {**item, content: parts}
    return made


class _Responses:
    place = "input"

    @staticmethod
    def answer(step: Step, new_id: Callable[[str], str]) -> JSONObject:
        reasoning = {
            "type": "reasoning", "id": new_id("rs_"), "encrypted_content": "e" * len(step.thinking),
            "summary": [{"type": "summary_text", "text": step.thinking}],
        }  # fmt: skip
        content = [{"type": "output_text", "text": step.text, "annotations": []}]
        message = {
            "type": "message",
            "id": new_id("msg_"),
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
        calls = [
            {"type": "function_call", "id": new_id("fc_"), "call_id": new_id("call_"), "name": call.name,
             "arguments": jsontext.dumps_text(call.arguments), "status": "completed"}
            for call in step.calls
        ]  # fmt: skip
        usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
        return {"id": new_id("resp_"), "object": "response", "status": "completed",
                "output": [reasoning, message, *calls], "usage": usage}  # fmt: skip

    @staticmethod
    def said(answer: JSONObject, step: Step) -> list[JSONObject]:
        reasoning, _, *calls = answer["output"]
        items: list[JSONObject] = [reasoning, {"type": "message", "role": "assistant", "content": step.text}]
        items += [{name: call[name] for name in ("type", "call_id", "name", "arguments")} for call in calls]
        for number, (answered, call) in enumerate(zip(calls, step.calls, strict=True)):
            text = _loaded(step) if step.loads and number == 0 else call.result
            output = [{"type": "input_text", "text": text}]
            items.append({"type": "function_call_output", "call_id": answered["call_id"], "output": output})
        items += [_Responses.user(step.user)] if step.user else []
        items += [_Responses.system(step.reminder)] if step.reminder else []
        return items

    @staticmethod
    def user(text: str) -> JSONObject:
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}

    @staticmethod
    def system(text: str) -> JSONObject:
        return {**_Responses.user(text), "role": "developer"}

    @staticmethod
    def marked(items: list[JSONObject], name: str, marker: JSONObject, most: int) -> list[JSONObject]:
        places = {
            number: "output" if item["type"] == "function_call_output" else "content"
            for number, item in enumerate(items)
            if item["type"] == "function_call_output" or item.get("role") in ("user", "developer", "system")
        }
        places = {n: place for n, place in places.items() if isinstance(items[n][place], list)}
        return _last_marked(items, dict([*places.items()][-most:]), name, marker)


class _Chat:
    place = "messages"

    @staticmethod
    def answer(step: Step, new_id: Callable[[str], str]) -> JSONObject:
        calls = [
            {"id": new_id("call_"), "type": "function",
             "function": {"name": call.name, "arguments": jsontext.dumps_text(call.arguments)}}
            for call in step.calls
        ]  # fmt: skip
        message = {"role": "assistant", "content": step.text, "reasoning_content": step.thinking}
        message |= {"tool_calls": calls} if calls else {}
        reason = "tool_calls" if calls else "stop"
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}}  # fmt: skip

    @staticmethod
    def said(answer: JSONObject, step: Step) -> list[JSONObject]:
        message = answer["choices"][0]["message"]
        items: list[JSONObject] = [{n: v for n, v in message.items() if n != "reasoning_content"}]
        for number, (answered, call) in enumerate(
            zip(message.get("tool_calls", ()), step.calls, strict=True)
        ):
            text = _loaded(step) if step.loads and number == 0 else call.result
            content = [{"type": "text", "text": text}]
            items.append({"role": "tool", "tool_call_id": answered["id"], "content": content})
        items += [_Chat.user(step.user)] if step.user else []
        items += [{**_Chat.user(step.reminder), "role": "system"}] if step.reminder else []
        return items

    @staticmethod
    def user(text: str) -> JSONObject:
        return {"role": "user", "content": [{"type": "text", "text": text}]}

    @staticmethod
    def marked(items: list[JSONObject], name: str, marker: JSONObject, most: int) -> list[JSONObject]:
        places = {
            number: "content"
            for number, item in enumerate(items)
            if item["role"] != "assistant" and isinstance(item["content"], list)
        }
        return _last_marked(items, dict([*places.items()][-most:]), name, marker)


class _Messages:
    place = "messages"

    @staticmethod
    def answer(step: Step, new_id: Callable[[str], str]) -> JSONObject:
        content: list[JSONObject] = [
            {"type": "thinking", "thinking": step.thinking, "signature": new_id("sig_")},
            {"type": "text", "text": step.text},
        ]
        content += [
            {"type": "tool_use", "id": new_id("toolu_"), "name": call.name, "input": call.arguments}
            for call in step.calls
        ]
        reason = "tool_use" if step.calls else "end_turn"
        return {"id": new_id("msg_"), "type": "message", "role": "assistant", "model": "m",
                "content": content, "stop_reason": reason, "stop_sequence": None,
                "usage": {"input_tokens": 9, "output_tokens": 9}}  # fmt: skip

    @staticmethod
    def said(answer: JSONObject, step: Step) -> list[JSONObject]:
        results: list[JSONObject] = []
        calls = [block for block in answer["content"] if block["type"] == "tool_use"]
        for number, (block, call) in enumerate(zip(calls, step.calls, strict=True)):
            content: Any = call.result
            if step.loads and number == 0:
                content = [{"type": "tool_reference", "tool_name": name} for name in step.loads]
            results.append({"type": "tool_result", "tool_use_id": block["id"], "content": content})
        results += [{"type": "text", "text": step.user}] if step.user else []
        items = [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]
        return items + ([{"role": "system", "content": step.reminder}] if step.reminder else [])

    @staticmethod
    def user(text: str) -> JSONObject:
        return {"role": "user", "content": [{"type": "text", "text": text}]}

    @staticmethod
    def marked(items: list[JSONObject], name: str, marker: JSONObject, most: int) -> list[JSONObject]:
        return _Chat.marked(items, name, marker, most)


def _loaded(step: Step) -> str:
    return "\n\n".join(f"Tool available: {name}" for name in step.loads)


_WRITERS: Final[dict[str, Any]] = {"responses": _Responses, "chat": _Chat, "anthropic": _Messages}
