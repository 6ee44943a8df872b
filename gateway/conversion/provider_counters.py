"""The token counters that providers have: the request that each is sent.

It counts what would be sent: a request for `count_tokens`, converted with the profile like any other. A
counter's path below the provider's base URL is the protocol's (upstream/request_builder.py) and `below`.

See docs/conversion.md, "The provider's counter".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from gateway.conversion.anthropic.request import VERSION, passed_request, with_thinking_unsealed
from gateway.conversion.context import AnsweredLocally, ClientFacts, Converted, NewId
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.request import responses_request
from gateway.conversion.profile import Profile
from gateway.conversion.requests.chat import chat_request
from gateway.conversion.requests.messages.system import without_attribution
from gateway.conversion.requests.token_count import count_answer
from gateway.conversion.validation import request_checks
from gateway.wire.messages_request import CountedTokens, MessagesRequest

Converts = Callable[[MessagesRequest, Profile, ClientFacts, NewId, Ledger], Converted | AnsweredLocally]

# a count needs no limit, but the conversion does: one above any thinking budget
_ROOM: Final = 4096
# the fields of a Responses request that POST /responses/input_tokens accepts
_RESPONSES_FIELDS: Final = (
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text",
)  # fmt: skip
# what fills the prompt; servers with Messages beside Chat Completions accept little more
_MESSAGES_FIELDS: Final = ("model", "messages", "system", "tools", "tool_choice")


@dataclass(frozen=True, slots=True)
class Counter:
    """One kind of counter.

    `request`: a request for count_tokens, checked by nobody, as the counter's; raises InvalidRequest.
    `answer`: what the client is told, of its request and the counter's answer with its `input_tokens`.
    """

    protocol: str
    below: str
    request: Converts
    answer: Callable[[MessagesRequest, CountedTokens], CountedTokens]


def counter_of(profile: Profile) -> Counter | None:
    """The counter that the option `counter` names. A provider of the Messages API has that API's own."""
    if profile.protocol == "anthropic":
        return None if profile.counter == "none" else _NATIVE
    return _COUNTERS.get(profile.counter)


def _chat(
    request: MessagesRequest, profile: Profile, client: ClientFacts, new_id: NewId, ledger: Ledger
) -> Converted | AnsweredLocally:
    """The request of Chat Completions itself."""
    return chat_request(_whole(request), _without_window(profile), client, new_id, ledger)


def _responses(
    request: MessagesRequest, profile: Profile, client: ClientFacts, new_id: NewId, ledger: Ledger
) -> Converted | AnsweredLocally:
    """The request of the Responses API, without what fills no prompt."""
    converted = responses_request(_whole(request), _without_window(profile), client, new_id, ledger)
    if isinstance(converted, AnsweredLocally):
        return converted
    body = {name: value for name, value in converted.body.items() if name in _RESPONSES_FIELDS}
    return dataclasses.replace(converted, body=body)


def _messages(
    request: MessagesRequest, profile: Profile, client: ClientFacts, new_id: NewId, ledger: Ledger
) -> Converted:
    """The client's request, without what the profile would leave out in a conversion."""
    request_checks.check(request, counting=True)
    filled = {name: value for name in _MESSAGES_FIELDS if (value := request.get(name))}
    kept = cast(MessagesRequest, filled)
    system = kept.get("system")
    if profile.strip_attribution and system:
        kept["system"] = without_attribution(system)
        if not kept["system"]:
            del kept["system"]
    if profile.replay_fields:
        kept = with_thinking_unsealed(kept)
    converted = passed_request(kept, profile, client, new_id, ledger)
    return Converted(converted.body, converted.context, {"anthropic-version": VERSION})


def _whole(request: MessagesRequest) -> MessagesRequest:
    """The request as one for messages, not streamed."""
    request_checks.check(request, counting=True)
    thinking = request.get("thinking")
    budget = (thinking.get("budget_tokens") if thinking else None) or 0
    whole: MessagesRequest = {**request, "max_tokens": budget + _ROOM}
    whole.pop("stream", None)
    whole.pop("compaction", None)
    return whole


def _without_window(profile: Profile) -> Profile:
    """What does not fit is counted too."""
    return dataclasses.replace(profile, window_check="upstream")


def _passed(_request: MessagesRequest, counted: CountedTokens) -> CountedTokens:
    return counted


def _number(request: MessagesRequest, counted: CountedTokens) -> CountedTokens:
    return count_answer(request, counted["input_tokens"])


_NATIVE: Final = Counter("anthropic", "/count_tokens", passed_request, _passed)
_COUNTERS: Final[Mapping[str, Counter]] = {
    "chat": Counter("chat", "/input_tokens", _chat, _number),
    "responses": Counter("responses", "/input_tokens", _responses, _number),
    "messages": Counter("anthropic", "/count_tokens", _messages, _number),
}
