"""What every protocol needs to know about a request before its body is written.

Validation, refusals, turns with paired tool calls, tools, structured output, stops, the output cap,
thinking, identity: the same for all converted protocols. They differ in the body, which `chat_request` and
`responses_request` write from a plan.

See docs/conversion.md, "The request", "Messages and blocks" and "Tools".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.client_protocol.safeguards import results_for
from gateway.conversion.answers import local_answers
from gateway.conversion.cache_control import CacheMarkers
from gateway.conversion.context import AnswerContext, AnsweredLocally, ClientFacts, Converted, NewId
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.request_context import Notes, RequestContext
from gateway.conversion.requests.messages.incremental_conversation import Conversation
from gateway.conversion.requests.messages.turns import Turn
from gateway.conversion.requests.sampling import Identity, StopPlan, identity, sampling_fields, stop_plan
from gateway.conversion.requests.structured_output import StructuredPlan, response_format
from gateway.conversion.requests.thinking import ThinkingPlan, thinking_plan
from gateway.conversion.requests.token_count import estimated, input_counts
from gateway.conversion.token_counts import TokenCounts
from gateway.conversion.tokens.client_window import usage_scale
from gateway.conversion.tools.chat_tools import ToolPlan, tool_plan
from gateway.conversion.tools.tool_plan import tool_work
from gateway.conversion.tools.web_search import search_of
from gateway.conversion.validation import request_checks
from gateway.conversion.validation.shape_errors import refuse
from gateway.errors import InvalidRequest
from gateway.values import frozen
from gateway.wire.messages import Diagnostics
from gateway.wire.messages_request import MessagesRequest
from gateway.wire.request_cache import NOTHING, Recurring

# left free, because the input is only estimated
WINDOW_RESERVE: Final = 512
LEAST_FITTED: Final = 256


def output_cap(max_tokens: int, estimated_input: int, profile: Profile, notes: Notes) -> int:
    """The output cap to send upstream.

    Raises InvalidRequest with `window_check: enforce` when the input alone is too long.
    """
    window = profile.context_window
    if profile.window_check == "enforce" and window is not None and estimated_input > window:
        raise InvalidRequest(f"prompt is too long: {estimated_input} tokens > {window} maximum")
    cap = profile_cap(max_tokens, profile)
    if profile.window_check != "upstream" and window is not None:
        cap = min(cap, max(LEAST_FITTED, window - estimated_input - WINDOW_RESERVE))
    if cap != max_tokens:
        notes.add("clamped", "max_tokens", f"{max_tokens} became {cap}")
    return cap


def profile_cap(max_tokens: int, profile: Profile) -> int:
    """The output cap within the bounds of the profile; a context window may lower it further."""
    cap = max(max_tokens, profile.min_output_tokens or 0)
    return min(cap, profile.max_output_tokens or cap)


# Top-level fields that are converted, mean nothing upstream, or get an entry where they are handled.
_HANDLED: Final = frozenset(
    {
        "model", "max_tokens", "messages", "system", "stream", "temperature", "top_p", "top_k",
        "stop_sequences", "thinking", "output_config", "output_format", "tools", "tool_choice",
        "metadata", "service_tier", "speed", "cache_control", "thread", "compaction", "mcp_servers",
        "betas", "safeguards", "diagnostics",
    }
)  # fmt: skip


@frozen
class RequestPlan:
    """A checked request, taken apart. `cap`: the output tokens to ask for; `estimate`: of the input's, from
    its `counts`. `diagnostics`: what the answer says of the cache."""

    request: MessagesRequest
    context: RequestContext
    ledger: Ledger
    new_id: NewId
    counts: TokenCounts
    estimate: int
    conversation: Conversation
    tools: ToolPlan
    structured: StructuredPlan
    stops: StopPlan
    cap: int
    thinking: ThinkingPlan
    who: Identity
    scale: float
    turns: list[Turn]
    diagnostics: Diagnostics | None

    @property
    def upstream_model(self) -> str:
        return self.context.profile.upstream_model or str(self.request["model"])

    @property
    def system_texts(self) -> list[str]:
        """What the other modules add to the system text."""
        instruction = self.structured.system_text
        return [*self.tools.system_texts, *([instruction] if instruction else [])]

    @property
    def sampling(self) -> dict[str, object]:
        """temperature, top_p and top_k, as far as the model takes them."""
        context = self.context
        return sampling_fields(self.request, context.profile, context.notes, thinking_off=self.thinking.off)

    def converted(self, body: Mapping[str, object], *, prefill: str | None = None) -> Converted:
        """The finished request: the provider's constant fields last, everything lost in the ledger.

        `prefill`: text of the final assistant message that the upstream continues.
        """
        profile, request = self.context.profile, self.request
        _note_losses(request, self.context)
        self.context.notes.write(self.ledger)
        answer = AnswerContext(
            model=request["model"],
            new_id=self.new_id,
            profile=profile,
            tools=self.tools.facts,
            max_tokens=self.cap,
            estimated_input_tokens=self.estimate,
            input_counts=self.counts,
            thinking_requested=self.thinking.requested,
            thinking_display=self.thinking.display,
            native_stops=self.stops.native,
            local_stops=self.stops.local,
            nullable_paths=self.structured.nullable_paths,
            prefill=prefill,
            web_search_active=self.tools.web_search_active,
            report_context_management=request.get("context_management") is not None,
            report_diagnostics=isinstance(request.get("diagnostics"), dict),
            diagnostics=self.diagnostics,
            safeguard_results=results_for(request),
            usage_scale=self.scale,
            search_query=_searched_for(request) if self.tools.web_search_active else "",
            seal=self.context.opaque.seal,
        )
        return Converted(_merged(body, profile.extra_body), answer, self.who.headers)


def request_plan(
    request: MessagesRequest,
    profile: Profile,
    client: ClientFacts,
    new_id: NewId,
    ledger: Ledger,
    recurring: Recurring = NOTHING,
) -> RequestPlan | AnsweredLocally:
    """Take a Messages request apart for the provider that `profile` describes.

    `request` is the parsed body and is not changed; the plan shares its large values. `recurring`: the parts
    that came before, whose derived results are shared too. A request that needs no provider is answered here.

    Raises InvalidRequest for everything the API or the provider does not take
    (docs/conversion.md, "Validation" and "Errors of the gateway").
    """
    conversation = Conversation(request, profile, recurring.passages, client)
    request_checks.check(
        request,
        api_version=client.api_version,
        enforce_api_version=profile.enforce_api_version,
        checked=conversation.checked,
    )
    conversation.passed()
    request_checks.refuse_unsupported(request)
    _refuse_mcp_servers(request, profile)
    notes = Notes()
    markers = CacheMarkers(profile.cache_control, profile.cache_lifetime)
    context = RequestContext(profile, request["model"], notes, markers, client.opener())
    history = conversation.history
    work = tool_work(request, history, profile, recurring.tools)
    counts = input_counts(request, profile, conversation, work)
    estimate = estimated(counts, profile)
    if request["max_tokens"] == 0:
        return local_answers.cache_warmed(_local_context(request, profile, new_id, estimate))

    turns = conversation.turns(context, request.get("cache_control"))
    tools = tool_plan(request, profile, ledger, history, work)
    if tools.local_answer is not None:
        return local_answers.spoken(tools.local_answer, _local_context(request, profile, new_id, estimate))
    structured = response_format(request, profile, ledger)
    stops = stop_plan(request, profile, notes)
    cap = output_cap(request["max_tokens"], estimate, profile, notes)
    thinking = thinking_plan(request, profile, notes, tools_sent=bool(tools.tools), cap=cap)
    who = identity(request, profile, client, notes)
    return RequestPlan(
        request, context, ledger, new_id, counts, estimate, conversation, tools, structured, stops, cap,
        thinking, who, usage_scale(profile, request["model"], client.headers), turns, client.diagnostics,
    )  # fmt: skip


def _searched_for(request: MessagesRequest) -> str:
    search = search_of(request)
    return search.query if search else ""


def _local_context(request: MessagesRequest, profile: Profile, new_id: NewId, estimate: int) -> AnswerContext:
    return AnswerContext(
        model=request["model"],
        new_id=new_id,
        profile=profile,
        estimated_input_tokens=estimate,
        report_context_management=request.get("context_management") is not None,
        safeguard_results=results_for(request),
    )


def _refuse_mcp_servers(request: MessagesRequest, profile: Profile) -> None:
    if request.get("mcp_servers") and profile.server_tools != "drop":
        refuse("mcp_servers", "the MCP connector is not supported by this gateway")


def _note_losses(request: MessagesRequest, context: RequestContext) -> None:
    notes = context.notes
    for name, value in request.items():
        if value is not None and name not in _HANDLED:
            notes.add("dropped", name, "the upstream has no such field")
    if request.get("mcp_servers"):
        notes.add("dropped", "mcp_servers", "the MCP connector is not supported by this gateway")
    config = request.get("output_config")
    if config and config.get("task_budget") is not None:
        notes.add("dropped", "output_config.task_budget", "the upstream has no such field")
    if context.markers.dropped:
        notes.add("dropped", "cache_control", f"cache markers: {context.markers.dropped}")


def _merged(body: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    """`extra` laid over `body`, object by object; what is not an object is replaced."""
    merged = dict(body)
    for name, value in extra.items():
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged
