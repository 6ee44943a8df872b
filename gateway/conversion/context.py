"""What the two halves of a conversion tell each other.

`ClientFacts` is what the HTTP layer knows besides the body; `AnswerContext` is
what the conversion of the answer needs to know of the request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from gateway.conversion.profile import DEFAULTS, Profile
from gateway.conversion.provider_state import UNSEALED, Opener, PageTexts, Seal
from gateway.conversion.token_counts import TokenCounts
from gateway.values import frozen
from gateway.wire.messages import Diagnostics, JSONObject, Message, ServerToolUse, WebSearchToolResult

# given to the core, so that it needs no randomness: "msg_" -> "msg_01Ab..." (prefix + 24 base62)
NewId = Callable[[str], str]


@frozen
class ClientFacts:
    """Facts of the client's request outside its body.

    `key_id` identifies the client key (never the key itself); `session` is the
    header x-claude-code-session-id or None; `api_version` is anthropic-version.
    `headers` (lower-case names) and `query` are for protocols that pass them on.
    `seal` signs and checks opaque payloads; with the text of PDFs, those of one request may become
    `opaque_budget` bytes. `page_texts` gives the text of PDFs; None: the conversion reads them itself.
    """

    key_id: str = ""
    session: str | None = None
    api_version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = ""
    seal: Seal = UNSEALED
    opaque_budget: int = 16 * 1024 * 1024
    page_texts: PageTexts | None = field(default=None, repr=False)
    diagnostics: Diagnostics | None = None

    def opener(self) -> Opener:
        """Reads the payloads of one request; one for counting, one for converting."""
        return Opener(self.seal, self.opaque_budget, self.page_texts)


@frozen
class ToolFacts:
    """What tools mean for the answer.

    `original_names`: upstream name -> the name the client declared (renamed tools only).
    `toolsets`: upstream name -> (member name, toolset name), for Anthropic's toolsets
    (docs/conversion.md, "Client tools").
    `buffered`: upstream names whose arguments are sent in one piece; `live` those always streamed.
    `single_call`: disable_parallel_tool_use was asked for. `offered`: upstream names of the tools sent.
    `taking_calls`: those whose own arguments may look like a call; `needing_input`: those that cannot be
    called without arguments.
    `in_one_piece`: the answer is no stream, so arguments are there as a whole and can be mended.
    """

    original_names: Mapping[str, str] = field(default_factory=dict)
    toolsets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    buffered: frozenset[str] = frozenset()
    live: frozenset[str] = frozenset()
    single_call: bool = False
    offered: frozenset[str] = frozenset()
    in_one_piece: bool = False
    taking_calls: frozenset[str] = frozenset()
    needing_input: frozenset[str] = frozenset()


@frozen
class AnswerContext:
    """All that the conversion of one answer knows of its request; made by `request.chat_request`.

    `model`: the client's model string, echoed. `max_tokens`: as sent upstream.
    `input_counts`: what the estimate was made from; None when it is a rough one.
    `thinking_requested`: thinking was enabled, adaptive or between_tools.
    `thinking_display`: summarized, omitted, updates or None.
    `native_stops`: sequences the upstream watches; `local_stops`: those we scan for.
    `nullable_paths`: JSON paths (tuples of keys, `*` for list items) whose nulls
    `force_strict` invented and the answer must lose again; None = no such rewriting.
    `prefill`: text of the final assistant message the upstream continues.
    `report_context_management`: the request carried context_management. `report_diagnostics`: it asked for
    `diagnostics`, whose value they are. `safeguard_results`: what is said
    of the tool calls to a client that wants them judged; None: nobody asked, or the provider answers.
    `usage_scale`: what input counts are multiplied by for the client (client_window.py).
    `seal` signs the opaque data that the client is to bring back.
    `leading`: blocks that stand in front of what the model says; `searches` of them are web
    searches that the gateway made. `search_query`: what a search of the provider is about.
    """

    model: str
    new_id: NewId
    profile: Profile = DEFAULTS
    tools: ToolFacts = field(default_factory=ToolFacts)
    max_tokens: int = 0
    estimated_input_tokens: int = 1
    input_counts: TokenCounts | None = None
    thinking_requested: bool = False
    thinking_display: str | None = None
    native_stops: tuple[str, ...] = ()
    local_stops: tuple[str, ...] = ()
    nullable_paths: tuple[tuple[str, ...], ...] | None = None
    prefill: str | None = None
    web_search_active: bool = False
    report_context_management: bool = False
    report_diagnostics: bool = False
    diagnostics: Diagnostics | None = None
    safeguard_results: list[JSONObject] | None = None
    usage_scale: float = 1.0
    leading: tuple[ServerToolUse | WebSearchToolResult, ...] = ()
    searches: int = 0
    search_query: str = ""
    seal: Seal = UNSEALED

    @property
    def thinking_shown(self) -> bool:
        """Whether upstream reasoning becomes thinking blocks (docs/conversion.md, "Showing thinking")."""
        rule = self.profile.emit_thinking
        return rule == "always" or (rule == "requested" and self.thinking_requested)

    @property
    def thinking_omitted(self) -> bool:
        """Thinking blocks are sent with empty text (display: omitted)."""
        return self.thinking_display == "omitted"


@frozen
class Converted:
    """A converted request: the upstream body, what its answer needs, and extra headers and query."""

    body: dict[str, object]
    context: AnswerContext
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""

    def leading_with(self, blocks: Sequence[ServerToolUse | WebSearchToolResult]) -> Converted:
        """The same, with a web search by the gateway in front of the answer."""
        context = dataclasses.replace(self.context, leading=tuple(blocks), searches=1)
        return dataclasses.replace(self, context=context)


@frozen
class AnsweredLocally:
    """A request that needs no upstream: `message` is the whole answer.

    See docs/conversion.md, "Fields of the request" (`max_tokens: 0`) and "Web search".
    """

    message: Message
    context: AnswerContext
