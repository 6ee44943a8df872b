"""The results for a list of tools: its plan and its count, computed once while the list is remembered.

The list itself determines nearly everything. The key also contains the profile, the choice, and those names
called or loaded in the messages that make a difference: of deferred tools, of all tools where their number
is limited, and of calls that go upstream under another name. So a session has one result for hours,
although it calls one tool after another.

Nobody changes a result once it was handed out.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

from gateway.cache import GenerationalCache
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tools.exposure import ToolHistory
from gateway.wire.messages_request import MessagesRequest
from gateway.wire.request_cache import Part

if TYPE_CHECKING:
    from gateway.conversion.tools.chat_tools import ToolPlan

# results kept per list: agents, targets, deferred tools one after another
_MOST: Final = 16
_LONGEST_CHOICE: Final = 200


class ToolWork:
    """Filled by whoever computes it. `ledger`: the entries that the plan makes; `tokens`: packed."""

    __slots__ = ("ledger", "plan", "profile", "tokens")

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.plan: ToolPlan | None = None
        self.ledger = Ledger()
        self.tokens: int | None = None


class _Known:
    """The results of one list."""

    __slots__ = ("deferred", "names", "results")

    def __init__(self, tools: list[Any]) -> None:
        named = [tool for tool in tools if type(tool) is dict and type(tool.get("name")) is str]
        self.names = frozenset(tool["name"] for tool in named)
        self.deferred = frozenset(tool["name"] for tool in named if tool.get("defer_loading") is True)
        self.results: GenerationalCache[Hashable, ToolWork] = GenerationalCache(_MOST)


def tool_work(
    request: MessagesRequest, history: ToolHistory, profile: Profile, part: Part | None
) -> ToolWork:
    """The results for the tools of `request`, as far as they are known.

    `part`: its list of tools, when that is remembered.
    """
    choice = repr(request.get("tool_choice"))
    # what the messages add or remove belongs to them alone
    if part is None or history.changes or len(choice) > _LONGEST_CHOICE:
        return ToolWork(profile)
    if part.work is None:
        part.work = _Known(part.value)
    known: _Known = part.work
    few = profile.max_tools is None and profile.late_tools == "list"
    decisive = known.deferred if few else known.names
    key = (id(profile), choice, history.called & decisive, history.loaded & decisive, history.renamed)
    found = known.results.get(key)
    # an id identifies a profile only while that lives
    if found is None or found.profile is not profile:
        found = ToolWork(profile)
        known.results.put(key, found)
    return found
