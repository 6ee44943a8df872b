"""Verdicts on the tool calls of an answer, where the client reads them.

The admin's rules judge first, then a classifier judges what they leave open, if a mapping leads to one. A
stream is watched on its way out and its calls are put together; its end waits for the classifier, everything
before does not. Only requests that ask for verdicts are watched, and only where something can judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, NamedTuple, TypeGuard, cast

from gateway.client_protocol.safeguards import RESULTS, Unavailable, context_of, folders_of, verdict, verdicts
from gateway.conversion.context import AnswerContext
from gateway.conversion.dialects import AnswerStream
from gateway.errors import GatewayError
from gateway.history.outcome import ClassifierFacts
from gateway.relay.exchange.exchange import Exchange
from gateway.routing.snapshot import ConfigSnapshot
from gateway.safeguards.classifier import Opinion
from gateway.safeguards.rules import DENY, UNDECIDED, Action, Decision, ruling
from gateway.wire import jsontext, sse
from gateway.wire.event_bytes import fields
from gateway.wire.messages import Event, JSONObject, Message, Sent, error_event

_REFUSED: Final = "A rule of your organization does not allow this action."
_NO_MODEL: Final[ClassifierFacts] = {}
_STRICTNESS: Final[dict[Decision, int]] = {"allow": 0, "undecided": 1, "deny": 2}
_UNSAFE: Final = "The safety check of your organization does not allow this action."


class _Judged(NamedTuple):
    """`rule` 0: none decided. `unavailable`: why an undecided call has no verdict."""

    action: Action
    decision: Decision
    rule: int = 0
    explanation: str = ""
    unavailable: Unavailable = Unavailable.ERROR

    def told(self) -> JSONObject:
        return verdict(self.decision, self.explanation, self.unavailable)


class Judge:
    """Judges the calls of one answer: `begin`, then `settle` while `waiting`, then `results`."""

    def __init__(self, exchange: Exchange, snapshot: ConfigSnapshot) -> None:
        self._exchange = exchange
        self._snapshot = snapshot
        self._judged: list[_Judged] = []

    def begin(self, actions: Sequence[Action]) -> None:
        """Apply the rules."""
        snapshot, key = self._snapshot, self._exchange.arrival.key
        owner = key.owner_id if key is not None else None
        groups = snapshot.groups.get(owner, frozenset()) if owner is not None else frozenset()
        folders = folders_of(context_of(self._exchange.received_json or {}))
        self._judged = []
        for action in actions:
            found = ruling(action, snapshot.safeguard_rules, folders=folders, owner=owner, groups=groups)
            rule = found.rule
            unread = Unavailable.INPUT_UNPARSED if action.input is None else Unavailable.ERROR
            explanation = (rule.explanation if rule else "") or _REFUSED
            self._judged.append(_Judged(action, found.decision, rule.id if rule else 0, explanation, unread))
        self._note()

    @property
    def waiting(self) -> bool:
        """Whether the classifier can be asked about undecided calls."""
        return self._exchange.classifier is not None and bool(self._open())

    async def settle(self) -> None:
        """Ask the classifier about what the rules left open; it never raises for a failure."""
        classifier = self._exchange.classifier
        assert classifier is not None
        asked = self._open()
        found = await classifier([one.action for one in asked])
        ids = {one.action.id for one in asked}
        self._judged = [
            _with_opinion(one, found.opinions.get(one.action.id)) if one.action.id in ids else one
            for one in self._judged
        ]
        by_model: ClassifierFacts = {
            "model": found.model,
            "took_ms": found.took_ms,
            "check_id": found.check_id,
        }
        self._note(ids, by_model)

    def results(self) -> list[JSONObject]:
        """The verdicts by the ids of the calls; of calls with the same id, the strictest."""
        told: dict[str, _Judged] = {}
        for one in self._judged:
            before = told.setdefault(one.action.id, one)
            if _STRICTNESS[one.decision] > _STRICTNESS[before.decision]:
                told[one.action.id] = one
        return verdicts({name: one.told() for name, one in told.items()})

    def _open(self) -> list[_Judged]:
        return [one for one in self._judged if one.decision == UNDECIDED and one.action.input is not None]

    def _note(self, asked: Set[str] = frozenset(), by_model: ClassifierFacts = _NO_MODEL) -> None:
        """For the history: facts of models.SafeguardVerdict.

        What calls do is not among them. Why one was blocked may quote it, so that is only kept with contents.
        """
        kept = self._exchange.captures
        self._exchange.verdicts = [
            {
                "tool": one.action.tool,
                "decision": one.decision,
                "rule_id": one.rule or None,
                "unavailable": str(one.unavailable) if one.decision == UNDECIDED else "",
                "reason": one.explanation if kept and one.decision == DENY else "",
                **(by_model if one.action.id in asked else _NO_MODEL),
            }
            for one in self._judged
        ]


def _with_opinion(one: _Judged, opinion: Opinion | Unavailable | None) -> _Judged:
    if isinstance(opinion, Opinion):
        return one._replace(decision=opinion.decision, rule=0, explanation=opinion.reason or _UNSAFE)
    return one._replace(unavailable=opinion or Unavailable.ERROR)


def judge_for(exchange: Exchange, snapshot: ConfigSnapshot, context: AnswerContext) -> Judge | None:
    """What judges the calls of this exchange's answer; None: nobody asks, or nothing here can judge."""
    if context.safeguard_results is None:
        return None
    if not snapshot.safeguard_rules and exchange.classifier is None:
        return None
    return Judge(exchange, snapshot)


async def judged_message(message: Message, judge: Judge) -> Message:
    """A whole message with the verdicts on its calls."""
    calls = [block for block in message["content"] if _is_call(block)]
    judge.begin([Action(call["id"], str(call.get("name")), _object(call.get("input"))) for call in calls])
    if judge.waiting:
        await judge.settle()
    return {**message, RESULTS: judge.results()}


class JudgedStream:
    """A stream whose last events have verdicts; everything else is that of the stream inside.

    While the judge has to ask somebody, these events are `held` back for `released`.
    """

    def __init__(self, stream: AnswerStream, judge: Judge) -> None:
        self._stream = stream
        self._judge = judge
        # by index: id, name, and the pieces of the input
        self._calls: dict[Any, tuple[str, str, list[str]]] = {}
        self.held: list[Sent] = []

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

    def fail(self, error: GatewayError, request_id: str) -> Sequence[Sent]:
        """Fail with `error` even if the inner stream is complete: the client does not have its end."""
        if self.held:
            return [error_event(error.body(request_id))]
        return self._stream.fail(error, request_id)

    async def released(self) -> Sequence[Sent]:
        """The events that were held back, with the verdicts."""
        await self._judge.settle()
        ending, *rest = self.held
        self.held = []
        return [self._with_results(ending, _event(ending)), *rest]

    def _watched(self, events: Sequence[Sent]) -> Sequence[Sent]:
        passed: list[Sent] = []
        for event in events:
            seen = None if self.held else self._seen(event)
            if seen is None:
                self.held.append(event)
            else:
                passed.append(seen)
        return passed

    def _seen(self, sent: Sent) -> Sent | None:
        """The event for the client; None if it must wait for the judge."""
        event = _event(sent)
        kind = event.get("type")
        if kind == "content_block_start":
            block = event.get("content_block")
            if _is_call(block):
                given = block.get("input")
                begun = [jsontext.dumps_text(given)] if given else []
                self._calls[event.get("index")] = (block["id"], str(block.get("name")), begun)
        elif kind == "content_block_delta" and event.get("index") in self._calls:
            delta = event.get("delta")
            piece = delta.get("partial_json") if isinstance(delta, dict) else None
            if isinstance(piece, str):
                self._calls[event["index"]][2].append(piece)
        elif kind == "message_delta" and isinstance(event.get("delta"), dict) and RESULTS in event["delta"]:
            self._judge.begin(self._actions())
            return None if self._judge.waiting else self._with_results(sent, event)
        return sent

    def _with_results(self, sent: Sent, event: JSONObject) -> Sent:
        told = {**event, "delta": {**event["delta"], RESULTS: self._judge.results()}}
        return cast(Event, told) if isinstance(sent, dict) else sse.encode(told)

    def _actions(self) -> list[Action]:
        return [Action(call, name, _read("".join(pieces))) for call, name, pieces in self._calls.values()]


def judged_stream(stream: AnswerStream, judge: Judge) -> AnswerStream:
    """The stream, watched by the judge; it is a JudgedStream."""
    return cast(AnswerStream, JudgedStream(stream, judge))


def _is_call(block: Any) -> TypeGuard[JSONObject]:
    return isinstance(block, dict) and block.get("type") == "tool_use" and isinstance(block.get("id"), str)


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
