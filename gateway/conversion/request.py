"""chat_request: a Messages request as a Chat Completions request, composed of the facets.

The order is that of the specification: check, refuse what needs a server's
memory, messages into paired turns, tools, thinking, then the body, with the
provider's constant fields last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.conversion import local_answers, validation
from gateway.conversion.cache_control import CACHEABLE, CacheMarkers
from gateway.conversion.chat_messages import apply_prefill, chat_messages
from gateway.conversion.context import AnswerContext, AnsweredLocally, ClientFacts, Converted, NewId
from gateway.conversion.identity import identity
from gateway.conversion.ledger import Ledger
from gateway.conversion.output_cap import output_cap
from gateway.conversion.pairing import pair
from gateway.conversion.profile import Profile
from gateway.conversion.request_context import Notes, RequestContext
from gateway.conversion.sampling import sampling_fields, stop_plan
from gateway.conversion.shape import refuse
from gateway.conversion.structured import response_format
from gateway.conversion.system import leading_system_message
from gateway.conversion.thinking import thinking_plan
from gateway.conversion.tokens import estimate_input_tokens
from gateway.conversion.tools import tool_plan
from gateway.conversion.turns import Turn, turns
from gateway.wire.messages import JSONObject

# Top-level fields that are converted, mean nothing upstream, or get an entry where they are handled.
_HANDLED: Final = frozenset(
    {
        "model", "max_tokens", "messages", "system", "stream", "temperature", "top_p", "top_k",
        "stop_sequences", "thinking", "output_config", "output_format", "tools", "tool_choice",
        "metadata", "service_tier", "speed", "cache_control", "thread", "compaction", "mcp_servers",
        "betas",
    }
)  # fmt: skip


def chat_request(
    request: dict[str, Any], profile: Profile, client: ClientFacts, new_id: NewId, ledger: Ledger
) -> Converted | AnsweredLocally:
    """Convert one Messages request for the provider that `profile` describes.

    `request` is the parsed body and is not changed; the result shares its large
    values. What is not carried over is written into `ledger`. The answer is
    either a body for the upstream, or a message that needs no upstream.

    Raises InvalidRequest for everything the API or the provider does not take
    (specification sections 2, 3 and 7.2).
    """
    validation.check(request, api_version=client.api_version, enforce_api_version=profile.enforce_api_version)
    validation.refuse_unsupported(request)
    _refuse_mcp_servers(request, profile)
    notes = Notes()
    context = RequestContext(profile, request["model"], notes, CacheMarkers(profile.cache_control))
    estimate = estimate_input_tokens(request, profile)
    if request["max_tokens"] == 0:
        return local_answers.cache_warmed(_answer_context(request, profile, new_id, estimate))

    conversation = turns(request["messages"], profile.mid_system, notes)
    _mark_automatically(request, conversation, context)
    pair(conversation, context)
    tools = tool_plan(request, profile, ledger)
    if tools.local_answer is not None:
        return local_answers.spoken(tools.local_answer, _answer_context(request, profile, new_id, estimate))
    structured = response_format(request, profile, ledger)
    stops = stop_plan(request, profile, notes)
    cap = output_cap(request["max_tokens"], estimate, profile, notes)
    thinking = thinking_plan(request, profile, notes, tools_sent=bool(tools.tools), cap=cap)
    who = identity(request, profile, client, notes)

    additions = [*tools.system_texts, *([structured.system_text] if structured.system_text else [])]
    system = leading_system_message(request.get("system"), additions, context)
    messages = [*([system] if system else []), *chat_messages(conversation, context)]
    body: dict[str, Any] = {
        "model": profile.upstream_model or request["model"],
        "messages": messages,
        profile.max_tokens_field: cap,
    }
    prefill = apply_prefill(messages, body, context)
    context.markers.finish()

    if request.get("stream"):
        body["stream"] = True
        if profile.stream_usage:
            body["stream_options"] = {"include_usage": True}
    body.update(sampling_fields(request, profile, notes, thinking_off=thinking.off))
    if stops.native:
        body["stop"] = list(stops.native)
    if tools.tools:
        body["tools"] = tools.tools
    if tools.tool_choice is not None:
        body["tool_choice"] = tools.tool_choice
    body |= {**tools.parallel, **tools.body, **structured.body, **thinking.body, **who.body}

    _note_losses(request, context)
    notes.write(ledger)
    answer = AnswerContext(
        model=request["model"],
        new_id=new_id,
        profile=profile,
        tools=tools.facts,
        max_tokens=cap,
        estimated_input_tokens=estimate,
        thinking_requested=thinking.requested,
        thinking_display=thinking.display,
        native_stops=stops.native,
        local_stops=stops.local,
        nullable_paths=structured.nullable_paths,
        prefill=prefill,
        web_search_active=tools.web_search_active,
        report_context_management=request.get("context_management") is not None,
    )
    return Converted(_merged(body, profile.extra_body), answer, who.headers)


def _answer_context(request: JSONObject, profile: Profile, new_id: NewId, estimate: int) -> AnswerContext:
    return AnswerContext(
        model=request["model"],
        new_id=new_id,
        profile=profile,
        estimated_input_tokens=estimate,
        report_context_management=request.get("context_management") is not None,
    )


def _refuse_mcp_servers(request: JSONObject, profile: Profile) -> None:
    if request.get("mcp_servers") and profile.server_tools != "drop":
        refuse("mcp_servers", "the MCP connector is not supported by this gateway")


def _mark_automatically(request: JSONObject, conversation: list[Turn], context: RequestContext) -> None:
    """A top-level `cache_control` marks the last block that can carry a marker."""
    marker = request.get("cache_control")
    if marker is None:
        return
    blocks = (located.block for turn in reversed(conversation) for located in reversed(turn.blocks))
    last = next((block for block in blocks if block["type"] in CACHEABLE), None)
    if last is not None:
        context.markers.mark_automatically(last, marker)


def _note_losses(request: JSONObject, context: RequestContext) -> None:
    notes = context.notes
    for name, value in request.items():
        if value is not None and name not in _HANDLED:
            notes.add("dropped", name, "a chat request has no such field")
    if request.get("mcp_servers"):
        notes.add("dropped", "mcp_servers", "the MCP connector is not supported by this gateway")
    if (request.get("output_config") or {}).get("task_budget") is not None:
        notes.add("dropped", "output_config.task_budget", "a chat request has no such field")
    if context.markers.dropped:
        notes.add("dropped", "cache_control", f"cache markers: {context.markers.dropped}")


def _merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`extra` laid over `body`, object by object; what is not an object is replaced."""
    merged = dict(body)
    for name, value in extra.items():
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged
