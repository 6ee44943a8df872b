"""Tools that run on Anthropic's servers, which the gateway does not have.

See docs/conversion.md, "Server tools".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tools.choice import AskedChoice
from gateway.conversion.tools.exposure import TOOL_SEARCH, Declared
from gateway.conversion.validation.shape_errors import refuse_tag
from gateway.wire.responses import SearchTool

EXPECTED_TAGS: Final = (
    "bash_20250124",
    "computer_20251124",
    "computer_toolset_20260801",
    "custom",
    "memory_20250818",
    "text_editor_20250728",
    "tool_search_tool_bm25_20251119",
    "tool_search_tool_regex_20251119",
    "web_search_20250305",
)
NO_WEB_SEARCH: Final = (
    "Web search is not available through this gateway, so this query was not searched. "
    "An administrator of the gateway can configure web search for this model. "
    "Answer from what you already know, and say that you could not search the web."
)
_WEB_SEARCH: Final = "web_search_"
_DROPPABLE: Final = (_WEB_SEARCH, "web_fetch_", "code_execution_", "mcp_toolset")
_MAX_RESULTS: Final = 5
_PLACE: Final = ("city", "region", "country", "timezone")


@dataclass(slots=True)
class ServerTools:
    """What becomes of the server tools of one request.

    `body`: fields of the chat request; `tools`: entries of its list that are no functions;
    `local_answer`: the text that answers the request without the provider.
    """

    body: dict[str, object] = field(default_factory=dict)
    tools: list[SearchTool] = field(default_factory=list)
    web_search_name: str | None = None
    local_answer: str | None = None


def server_tools(
    declared: list[Declared], choice: AskedChoice, has_functions: bool, profile: Profile, ledger: Ledger
) -> ServerTools:
    """Map, drop or refuse every tool that is neither custom nor run by the client.

    `has_functions`: at least one other usable tool remains. Raises InvalidRequest.
    """
    result = ServerTools()
    kept = [entry for entry in declared if not _kind(entry).startswith(TOOL_SEARCH)]
    for entry in kept:
        if _kind(entry).startswith(_WEB_SEARCH) and _searches(profile):
            _map_web_search(entry, profile, ledger, result)
    usable = has_functions or result.web_search_name is not None
    for entry in kept:
        if not (_kind(entry).startswith(_WEB_SEARCH) and _searches(profile)):
            _settle(entry, choice, usable, profile, ledger, result)
    return result


def refuse_type(entry: Declared) -> None:
    """Raises InvalidRequest in the wording on which Claude Code repeats without the tool."""
    refuse_tag(entry.path, _kind(entry), EXPECTED_TAGS)


def _settle(
    entry: Declared, choice: AskedChoice, usable: bool, profile: Profile, ledger: Ledger, result: ServerTools
) -> None:
    """One tool without a mapping."""
    kind = _kind(entry)
    known = kind.startswith(_DROPPABLE)
    if kind.startswith("advisor_") or profile.server_tools == "reject":
        refuse_type(entry)
    if profile.server_tools == "drop":
        ledger.dropped(entry.path, f"server tool {kind}")
        return
    if not known:
        refuse_type(entry)
    forced = choice.get("type") == "tool" and choice.get("name") == entry.tool.get("name")
    if forced or (not usable and choice.get("type") != "none"):
        if not kind.startswith(_WEB_SEARCH):
            refuse_type(entry)
        ledger.replaced(entry.path, "web search is not configured: answered by the gateway")
        result.local_answer = NO_WEB_SEARCH
        return
    ledger.dropped(entry.path, f"server tool {kind}")


def _kind(entry: Declared) -> str:
    return str(entry.tool.get("type"))


def _searches(profile: Profile) -> bool:
    # each of these two exists in one protocol only
    elsewhere = "web_search_options" if profile.protocol == "responses" else "responses_tool"
    return profile.web_search not in ("off", elsewhere)


def _map_web_search(entry: Declared, profile: Profile, ledger: Ledger, result: ServerTools) -> None:
    tool = entry.tool
    result.web_search_name = str(tool.get("name"))
    location = tool.get("user_location")
    place = {key: location[key] for key in _PLACE if location.get(key)} if type(location) is dict else {}
    domains = tool.get("allowed_domains")
    lost = ["blocked_domains"]
    if profile.web_search == "web_search_options":
        options: dict[str, object] = {"search_context_size": "medium"}
        if place:
            options["user_location"] = {"type": "approximate", "approximate": place}
        result.body["web_search_options"] = options
        lost.append("allowed_domains")
    elif profile.web_search == "openrouter_plugin":
        result.body["plugins"] = [{"id": "web", "max_results": _MAX_RESULTS}]
        lost.append("allowed_domains")
    else:
        search: SearchTool = {"type": "web_search"}
        if domains:
            search["filters"] = {"allowed_domains": domains}
        if place:
            search["user_location"] = {"type": "approximate", **place}
        result.tools.append(search)
    for name in lost:
        if tool.get(name):
            ledger.dropped(f"{entry.path}.{name}", "the provider's web search takes no such list")
