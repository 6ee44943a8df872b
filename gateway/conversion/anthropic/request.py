"""passed_request: a Messages request for a provider that speaks the Messages API.

The provider judges the request, not the gateway: unknown fields, blocks and betas pass. The model's name
is changed, and what the gateway itself has put into the conversation is removed, because no other server
could read it.

See docs/conversion.md, "Passthrough".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway import patterns
from gateway.client_protocol.safeguards import FIELD, results_for, without_check
from gateway.conversion.context import AnswerContext, ClientFacts, Converted, NewId
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.provider_state import ID_MARK, SIGNATURE_PREFIX
from gateway.conversion.request_context import Notes
from gateway.conversion.requests.messages.incremental_conversation import Conversation
from gateway.conversion.requests.token_count import estimated, input_counts
from gateway.conversion.token_counts import TokenCounts
from gateway.conversion.tool_calls.call_ids import plain_id
from gateway.conversion.tools.tool_plan import tool_work
from gateway.conversion.validation import request_checks
from gateway.errors import InvalidRequest
from gateway.wire import jsontext
from gateway.wire.messages_request import MessagesRequest, RequestBlock, RequestMessage
from gateway.wire.request_cache import NOTHING, Recurring

VERSION: Final = "2023-06-01"
_PASSED_PREFIXES: Final = ("anthropic-", "x-claude-code-")
# some providers serve only known coding clients, and recognise them by these
_PASSED: Final = frozenset({"idempotency-key", "user-agent", "x-app"})
_NOT_PASSED: Final = frozenset({"anthropic-dangerous-direct-browser-access"})
_IDS: Final = ("id", "tool_use_id")
_SEALS: Final = {"thinking": "signature", "redacted_thinking": "data"}
_CHARACTERS_A_TOKEN: Final = 4
# what HTTP allows (RFC 9110, section 5); servers in front of us let more through
_NAME: Final = patterns.compiled(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = patterns.compiled(r"[\t\x20-\x7e\x80-\xff]*")


def passed_request(
    request: MessagesRequest,
    profile: Profile,
    client: ClientFacts,
    new_id: NewId,
    ledger: Ledger,
    recurring: Recurring = NOTHING,
) -> Converted:
    """The request for the provider. `request` is not changed and need not be legal."""
    notes = Notes()
    body = {**request, "model": profile.upstream_model or request["model"]}
    headers = _headers(client.headers)
    judged = None if profile.safeguards == "pass" else results_for(request)
    if profile.safeguards != "pass":
        # the context of the check tells of paths and remotes on the person's machine
        body.pop(FIELD, None)
        headers = without_check(headers)
    messages = request.get("messages")
    if isinstance(messages, list):
        passed = (_message(number, message, notes) for number, message in enumerate(messages))
        body["messages"] = [message for message in passed if message is not None]
    notes.write(ledger)
    counts = _counts(request, profile, recurring, client)
    context = AnswerContext(
        model=request["model"],
        new_id=new_id,
        profile=profile,
        estimated_input_tokens=estimated(counts, profile) if counts else _rough_estimate(request),
        input_counts=counts,
        safeguard_results=judged,
    )
    return Converted(body, context, headers, client.query)


def with_thinking_unsealed(request: MessagesRequest) -> MessagesRequest:
    """The request with the thinking of other providers as plain thinking, for a server that seals none."""
    messages: list[RequestMessage] = [
        {**message, "content": [_unsealed(block) for block in message["content"]]}
        if isinstance(message["content"], list)
        else message
        for message in request["messages"]
    ]
    return {**request, "messages": messages}


def _unsealed(block: RequestBlock) -> RequestBlock:
    sealed = block["type"] == "thinking" and str(block.get("signature")).startswith(SIGNATURE_PREFIX)
    return {**block, "signature": ""} if sealed else block


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The client's headers that go to the provider; never credentials.

    Raises InvalidRequest for one that could not be sent, which would look like a failure of the provider.
    """
    passed = {
        name: value
        for name, value in headers.items()
        if (name.startswith(_PASSED_PREFIXES) or name in _PASSED) and name not in _NOT_PASSED
    }
    for name, value in passed.items():
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise InvalidRequest(f"header {name[:40]!r} is not a valid HTTP header")
    passed.setdefault("anthropic-version", VERSION)
    return passed


def _message(number: int, message: Any, notes: Notes) -> Any:
    """A message without the gateway's own data; None when nothing is left of it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    path = f"messages.{number}.content"
    passed = [_block(f"{path}.{place}", block, notes) for place, block in enumerate(content)]
    if all(new is old for new, old in zip(passed, content, strict=True)):
        return message
    kept = [block for block in passed if block is not None]
    return {**message, "content": kept} if kept else None


def _block(path: str, block: Any, notes: Notes) -> Any:
    if not isinstance(block, dict):
        return block
    seal = _SEALS.get(block["type"]) if isinstance(block.get("type"), str) else None
    if seal is not None and str(block.get(seal)).startswith(SIGNATURE_PREFIX):
        notes.add("dropped", path, "thinking of another provider")
        return None
    marked = [name for name in _IDS if ID_MARK in str(block.get(name, ""))]
    if not marked:
        return block
    return {**block, **{name: plain_id(str(block[name])) for name in marked}}


def _counts(
    request: MessagesRequest, profile: Profile, recurring: Recurring, client: ClientFacts
) -> TokenCounts | None:
    """Our counts of the input; None for what only the provider understands."""
    conversation = Conversation(request, profile, recurring.passages, client)
    try:
        request_checks.check(request, counting=True, checked=conversation.checked)
        conversation.passed()
        work = tool_work(request, conversation.history, profile, recurring.tools)
        return input_counts(request, profile, conversation, work)
    except InvalidRequest:
        return None


def _rough_estimate(request: MessagesRequest) -> int:
    return max(1, len(jsontext.dumps(request)) // _CHARACTERS_A_TOKEN)
