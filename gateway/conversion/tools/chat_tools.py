"""Tools of the Messages API in Chat Completions (docs/conversion.md, "Tools").

`tool_plan` puts the pieces together: which tools are exposed, their functions, the tools of
Anthropic's servers, and the choice among them.
"""

from __future__ import annotations

from dataclasses import field

from gateway.conversion.context import ToolFacts
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tool_calls.names import upstream_name
from gateway.conversion.tool_calls.wrapped_calls import takes_calls
from gateway.conversion.tools.choice import (
    AskedChoice,
    SentChoice,
    ToolChoice,
    checked_choice,
    parallel_field,
    sent_choice,
    wants_single_call,
)
from gateway.conversion.tools.exposure import Declared, ToolHistory, exposed_tools, late_names
from gateway.conversion.tools.functions import Function, chat_tool, declared_functions
from gateway.conversion.tools.server_tools import ServerTools, server_tools
from gateway.conversion.tools.tool_plan import ToolWork
from gateway.conversion.validation.shape_errors import refuse
from gateway.errors import InvalidRequest
from gateway.values import frozen
from gateway.wire.chat import FunctionTool
from gateway.wire.messages_request import MessagesRequest
from gateway.wire.responses import SearchTool


@frozen
class ToolPlan:
    """Everything that a request's tools mean for the chat request and its answer.

    `tools`: the list in chat form; with web search over the Responses protocol it
    also holds `{"type": "web_search", ...}`. `late`: those that are not in it, because a result
    loads them (option `late_tools`), by the client's name. `tool_choice`: None = not sent.
    `parallel`, `body`: further body fields. `system_texts`: long descriptions for
    the system text. `local_answer`: the text that answers the request without the
    provider; then nothing else is set.
    """

    tools: list[FunctionTool | SearchTool] = field(default_factory=list)
    late: dict[str, FunctionTool] = field(default_factory=dict)
    tool_choice: SentChoice | None = None
    parallel: dict[str, bool] = field(default_factory=dict)
    body: dict[str, object] = field(default_factory=dict)
    facts: ToolFacts = field(default_factory=ToolFacts)
    system_texts: list[str] = field(default_factory=list)
    local_answer: str | None = None
    web_search_active: bool = False


def tool_plan(
    request: MessagesRequest,
    profile: Profile,
    ledger: Ledger,
    history: ToolHistory | None = None,
    work: ToolWork | None = None,
) -> ToolPlan:
    """The plan for the tools of a request whose messages are checked. Raises InvalidRequest.

    `history`: what its messages say about tools; `work`: the cached results for its tools; both when they are
    at hand.
    """
    history = history or ToolHistory.of(request.get("messages"))
    if request.get("tools") in (None, []) and request.get("tool_choice") is None and not history.changes:
        # the rest would do nothing, in a dozen steps
        return ToolPlan(facts=_facts([], history, {}, profile) if history.called else ToolFacts())
    work = work or ToolWork(profile)
    if work.plan is None:
        made = Ledger()
        try:
            plan = _plan(request, history, profile, made)
        except InvalidRequest:
            ledger.join(made)
            raise
        work.ledger, work.plan = made, plan
    ledger.join(work.ledger)
    return work.plan


def _plan(request: MessagesRequest, history: ToolHistory, profile: Profile, ledger: Ledger) -> ToolPlan:
    functions, others = _sorted(exposed_tools(request, history, profile, ledger), profile)
    choice = checked_choice(request)
    server = server_tools(others, choice, bool(functions), profile, ledger)
    if server.local_answer is not None:
        return ToolPlan(local_answer=server.local_answer)
    # a search that is switched on would run although no call is wanted
    if choice.get("type") == "none":
        server = ServerTools()
    chosen = _chosen(choice, functions, server)
    sent = _sent_choice(choice, chosen, server, profile, ledger)
    kept = _fitting(_offered(functions, sent, ledger), chosen, history, profile, ledger)
    tools = [chat_tool(function, profile, ledger) for function in kept]
    names = late_names(request, history, profile)
    late = {
        function.declared: tool.entry
        for function, tool in zip(kept, tools, strict=True)
        if function.declared in names
    }
    entries: list[FunctionTool | SearchTool] = [
        tool.entry for function, tool in zip(kept, tools, strict=True) if function.declared not in late
    ]
    if not sent.withheld and sent.only is None:
        entries += server.tools
    return ToolPlan(
        tools=entries,
        late=late,
        tool_choice=sent.value if kept or entries else None,
        parallel=parallel_field(choice, profile) if kept or entries else {},
        body=server.body,
        facts=_facts(functions, history, choice, profile),
        system_texts=[tool.system_text for tool in tools if tool.system_text is not None],
        web_search_active=server.web_search_name is not None,
    )


def _sorted(exposed: list[Declared], profile: Profile) -> tuple[list[Function], list[Declared]]:
    """(functions, tools which are no functions). Raises InvalidRequest."""
    functions: list[Function] = []
    others: list[Declared] = []
    for declared in exposed:
        found = declared_functions(declared, profile.tool_name_format)
        if found is None:
            others.append(declared)
        else:
            functions += found
    if len({function.name for function in functions}) < len(functions):
        # the members of a toolset have names that no declaration shows
        refuse("tools", "Tool names must be unique.")
    return functions, others


def _chosen(choice: AskedChoice, functions: list[Function], server: ServerTools) -> Function | None:
    """The function chosen by name; None without such a choice, or when it is the web search."""
    name = choice.get("name")
    if choice.get("type") != "tool" or name == server.web_search_name:
        return None
    for function in functions:
        if function.declared == name:
            return function
    for function in functions:
        if function.toolset is not None and function.toolset[0] == name:
            return function
    refuse("tool_choice", f"tool '{name}' not found in provided tools")


def _sent_choice(
    choice: AskedChoice, chosen: Function | None, server: ServerTools, profile: Profile, ledger: Ledger
) -> ToolChoice:
    if choice.get("type") != "tool" or chosen is not None:
        return sent_choice(choice, chosen.name if chosen else None, profile, ledger)
    if server.tools and profile.tool_choice == "full":
        return ToolChoice({"type": "web_search"})
    # Where the search is a switch of the request, there is nothing to choose.
    ledger.replaced("tool_choice", "web search is switched on, its call cannot be forced")
    return ToolChoice(None)


def _offered(functions: list[Function], sent: ToolChoice, ledger: Ledger) -> list[Function]:
    """The functions that the sent choice leaves to the model."""
    if sent.withheld:
        kept = []
    elif sent.only is not None:
        kept = [function for function in functions if function.name == sent.only]
    else:
        return functions
    if len(kept) < len(functions):
        ledger.dropped("tools", f"{len(functions) - len(kept)} tools withheld by tool_choice")
    return kept


def _fitting(
    functions: list[Function], chosen: Function | None, history: ToolHistory, profile: Profile, ledger: Ledger
) -> list[Function]:
    """At most `max_tools`: what was chosen or used stays, the others fill up in order."""
    most = profile.max_tools
    if most is None or len(functions) <= most:
        return functions

    def rank(function: Function) -> int:
        if function is chosen:
            return 0
        return 1 if function.declared in history.called else 2

    kept = {function.name for function in sorted(functions, key=rank)[:most]}
    for function in functions:
        if function.name not in kept:
            ledger.dropped(function.path, f"the provider takes at most {most} tools")
    return [function for function in functions if function.name in kept]


def _facts(
    functions: list[Function], history: ToolHistory, choice: AskedChoice, profile: Profile
) -> ToolFacts:
    names = {upstream_name(name, profile.tool_name_format): name for name in history.called}
    names |= {function.name: function.declared for function in functions}
    eager = {function.name: function.tool.get("eager_input_streaming") for function in functions}
    return ToolFacts(
        original_names={name: declared for name, declared in names.items() if name != declared},
        toolsets={function.name: function.toolset for function in functions if function.toolset is not None},
        buffered=frozenset(name for name, value in eager.items() if value is False),
        live=frozenset(name for name, value in eager.items() if value is True),
        single_call=wants_single_call(choice),
        offered=frozenset(function.name for function in functions),
        taking_calls=frozenset(
            function.name for function in functions if takes_calls(function.tool.get("input_schema"))
        ),
        needing_input=frozenset(
            function.name for function in functions if _needs_input(function.tool.get("input_schema"))
        ),
    )


def _needs_input(schema: object) -> bool:
    required = schema.get("required") if isinstance(schema, dict) else None
    return isinstance(required, list) and bool(required)
