"""Verdicts on the tool calls of an answer, by the admin's rules, where the client reads them.

A stream is watched on its way out: its calls are put together, and the event that ends the message gets what
the rules say of them. This is done only for requests that ask for verdicts, and where there are rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from gateway.client_protocol.safeguards import RESULTS, context_of, verdict, verdicts
from gateway.conversion.context import AnswerContext
from gateway.conversion.dialects import AnswerStream
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.safeguards.rules import Action, ruling
from gateway.wire import jsontext, sse
from gateway.wire.event_bytes import fields
from gateway.wire.messages import Event, JSONObject, Message, Sent

Judge = Callable[[Sequence[Action]], list[JSONObject]]
_REFUSED = "A rule of your organization does not allow this action."


def judge_for(exchange: Exchange, gateway: Gateway, context: AnswerContext) -> Judge | None:
    """What judges the calls of this exchange's answer; None: nobody asks, or there are no rules."""
    snapshot = gateway.configuration.snapshot
    if context.safeguard_results is None or not snapshot.safeguard_rules:
        return None
    key = exchange.arrival.key
    owner = key.owner_id if key is not None else None
    groups = snapshot.groups.get(owner, frozenset()) if owner is not None else frozenset()
    cwd = context_of(exchange.received_json or {}).get("live_cwd")

    def judge(actions: Sequence[Action]) -> list[JSONObject]:
        told: dict[str, JSONObject] = {}
        exchange.verdicts = []
        for action in actions:
            found = ruling(
                action,
                snapshot.safeguard_rules,
                cwd=cwd if isinstance(cwd, str) else "",
                owner=owner,
                groups=groups,
            )
            explanation = (found.rule.explanation if found.rule else "") or _REFUSED
            told[action.id] = verdict(found.decision, explanation, read=action.input is not None)
            exchange.verdicts.append(
                [action.id, action.tool, found.decision, found.rule.id if found.rule else 0]
            )
        return verdicts(told)

    return judge


def judged_message(message: Message, judge: Judge) -> Message:
    """A whole message with the verdicts on its calls."""
    calls = [
        Action(block["id"], str(block.get("name")), _object(block.get("input")))
        for block in message["content"]
        if isinstance(block, dict) and block.get("type") == "tool_use" and isinstance(block.get("id"), str)
    ]
    return {**message, RESULTS: judge(calls)}


class JudgedStream:
    """A stream whose last events have verdicts; everything else is that of the stream inside."""

    def __init__(self, stream: AnswerStream, judge: Judge) -> None:
        self._stream = stream
        self._judge = judge
        # by index: id, name, and the pieces of the input
        self._calls: dict[Any, tuple[str, str, list[str]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def start(self) -> Sequence[Sent]:
        return self._stream.start()

    def keepalive(self) -> Sequence[Sent]:
        return self._watched(self._stream.keepalive())

    def feed(self, data: bytes) -> Sequence[Sent]:
        return self._watched(self._stream.feed(data))

    def finish(self) -> Sequence[Sent]:
        return self._watched(self._stream.finish())

    def _watched(self, events: Sequence[Sent]) -> Sequence[Sent]:
        return [self._seen(event) for event in events]

    def _seen(self, sent: Sent) -> Sent:
        event = _event(sent)
        kind = event.get("type")
        if kind == "content_block_start":
            block = event.get("content_block")
            if (
                isinstance(block, dict)
                and block.get("type") == "tool_use"
                and isinstance(block.get("id"), str)
            ):
                given = block.get("input")
                begun = [jsontext.dumps_text(given)] if given else []
                self._calls[event.get("index")] = (block["id"], str(block.get("name")), begun)
        elif kind == "content_block_delta" and event.get("index") in self._calls:
            delta = event.get("delta")
            piece = delta.get("partial_json") if isinstance(delta, dict) else None
            if isinstance(piece, str):
                self._calls[event["index"]][2].append(piece)
        elif kind == "message_delta" and isinstance(event.get("delta"), dict) and RESULTS in event["delta"]:
            told = {**event, "delta": {**event["delta"], RESULTS: self._judge(self._actions())}}
            return cast(Event, told) if isinstance(sent, dict) else sse.encode(told)
        return sent

    def _actions(self) -> list[Action]:
        return [Action(call, name, _read("".join(pieces))) for call, name, pieces in self._calls.values()]


def judged_stream(stream: AnswerStream, judge: Judge | None) -> AnswerStream:
    return stream if judge is None else cast(AnswerStream, JudgedStream(stream, judge))


def _event(sent: Sent) -> JSONObject:
    if isinstance(sent, dict):
        return cast(JSONObject, sent)
    try:
        event = jsontext.loads(fields(sent).data)
    except jsontext.InvalidJSON:
        return {}
    return event if isinstance(event, dict) else {}


def _read(text: str) -> Mapping[str, Any] | None:
    if not text:
        return {}
    try:
        return _object(jsontext.loads(text))
    except jsontext.InvalidJSON:
        return None


def _object(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None
