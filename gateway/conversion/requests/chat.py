"""chat_request: a Messages request as a Chat Completions request, written from its plan."""

from __future__ import annotations

from gateway.conversion.context import AnsweredLocally, ClientFacts, Converted, NewId
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.requests.messages.chat_messages import apply_prefill
from gateway.conversion.requests.messages.system import leading_system_message
from gateway.conversion.requests.plan import request_plan
from gateway.wire.messages_request import MessagesRequest
from gateway.wire.request_cache import NOTHING, Recurring


def chat_request(
    request: MessagesRequest,
    profile: Profile,
    client: ClientFacts,
    new_id: NewId,
    ledger: Ledger,
    recurring: Recurring = NOTHING,
) -> Converted | AnsweredLocally:
    """Convert one Messages request for the provider that `profile` describes.

    `request` is the parsed body and is not changed; the result shares its large values, and what is cached
    with its `recurring` parts, so nobody may change it. `ledger` records what is not carried over. Returns
    either a body for the upstream, or a message that needs no upstream.

    Raises InvalidRequest for everything the API or the provider does not take
    (docs/conversion.md, "Validation" and "Errors of the gateway").
    """
    plan = request_plan(request, profile, client, new_id, ledger, recurring)
    if isinstance(plan, AnsweredLocally):
        return plan
    context, tools = plan.context, plan.tools
    system = leading_system_message(request.get("system"), plan.system_texts, context, recurring.system)
    messages = [*([system] if system else []), *plan.conversation.chat_messages(context)]
    body: dict[str, object] = {
        "model": plan.upstream_model,
        "messages": messages,
        profile.max_tokens_field: plan.cap,
    }
    prefill = apply_prefill(messages, body, context)
    if request.get("stream"):
        body["stream"] = True
        if profile.stream_usage:
            unpadded = {} if profile.stream_obfuscation else {"include_obfuscation": False}
            body["stream_options"] = {"include_usage": True, **unpadded}
    if profile.verbosity is not None:
        body["verbosity"] = profile.verbosity
    body.update(plan.sampling)
    if plan.stops.native:
        body["stop"] = list(plan.stops.native)
    if tools.tools:
        body["tools"] = tools.tools
    if tools.tool_choice is not None:
        body["tool_choice"] = tools.tool_choice
    body |= {**tools.parallel, **tools.body, **plan.structured.body, **plan.thinking.body, **plan.who.body}
    return plan.converted(body, prefill=prefill)
