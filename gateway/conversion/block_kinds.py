"""The kinds of content blocks: one row each, which every room that treats them apart reads.

A new kind is a row here and, where it is more than text to be checked or counted by its strings, a function
in the room that the row names:

| Field | Read by | The function stands in |
|---|---|---|
| `places` | validation/block_checks.py | `_CHECKS` there, when it has fields to check |
| `becomes` | requests/messages/ | `_CONVERTERS` of user_content.py, `_READERS` of server_results.py |
| `counted` | tokens/messages.py | `_Messages` there, for a way of its own |
| `cacheable` | requests/plan.py | |
| `searched` | history/search/tokenizer.py | |
| `shown` | admin/requests/conversation.py | `_CARDS` there |

A request with a kind that is not here is refused, with the names of those that may stand in that place, in
this order. One that is here and has no function is left out with an
entry of the ledger, and fails the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

# where a block may stand: in a message of a role, or inside of another block
Place = Literal["user", "assistant", "system", "tool_result", "document"]
# parts: of a message, and of a tool's result; call, result: paired with each other; text: of the assistant;
# reasoning: the provider's own, given back; control: nothing, it steers Anthropic's servers or echoes them
Becomes = Literal["parts", "call", "result", "text", "reasoning", "control"]
# strings: all texts in it but ids and signatures
Counted = Literal["apart", "strings", "nothing"]
Shown = Literal["text", "thinking", "call", "result", "image", "document", "note"]


@dataclass(frozen=True, slots=True)
class BlockKind:
    """`searched`: the fields whose texts the history's search finds.

    `cacheable`: the request's own cache marker may come to stand on it. `misplaced`: refused in a message of
    the assistant by a sentence of its own.
    """

    name: str
    places: frozenset[Place]
    becomes: Becomes
    counted: Counted = "strings"
    cacheable: bool = False
    misplaced: bool = False
    searched: tuple[str, ...] = ()
    shown: Shown = "note"


def _in(*places: Place) -> frozenset[Place]:
    return frozenset(places)


_SAID: Final = _in("assistant")

BLOCK_KINDS: Final[Mapping[str, BlockKind]] = {
    kind.name: kind
    for kind in (
        BlockKind(
            "text",
            _in("user", "assistant", "system", "tool_result", "document"),
            "parts",
            counted="apart",
            cacheable=True,
            searched=("text",),
            shown="text",
        ),
        BlockKind(
            "image",
            _in("user", "tool_result", "document"),
            "parts",
            counted="apart",
            cacheable=True,
            misplaced=True,
            shown="image",
        ),
        BlockKind(
            "document",
            _in("user", "tool_result"),
            "parts",
            counted="apart",
            cacheable=True,
            misplaced=True,
            searched=("title", "source"),
            shown="document",
        ),
        BlockKind("search_result", _in("user", "tool_result"), "parts", cacheable=True, misplaced=True),
        BlockKind(
            "tool_result",
            _in("user"),
            "result",
            counted="apart",
            cacheable=True,
            misplaced=True,
            searched=("content",),
            shown="result",
        ),
        BlockKind("tool_reference", _in("tool_result"), "parts", counted="apart"),
        BlockKind("browser_state", _in("tool_result"), "parts"),
        BlockKind("thinking", _SAID, "reasoning", counted="apart", searched=("thinking",), shown="thinking"),
        BlockKind("redacted_thinking", _SAID, "reasoning", counted="nothing"),
        BlockKind("tool_use", _SAID, "call", counted="apart", searched=("name", "input"), shown="call"),
        BlockKind("server_tool_use", _SAID, "text", searched=("name", "input"), shown="call"),
        BlockKind("mcp_tool_use", _SAID, "text"),
        BlockKind("web_search_tool_result", _SAID, "text"),
        BlockKind("web_fetch_tool_result", _SAID, "text"),
        BlockKind("code_execution_tool_result", _SAID, "text"),
        BlockKind("bash_code_execution_tool_result", _SAID, "text"),
        BlockKind("text_editor_code_execution_tool_result", _SAID, "text"),
        BlockKind("tool_search_tool_result", _SAID, "text"),
        BlockKind("advisor_tool_result", _SAID, "text"),
        BlockKind("mcp_tool_result", _SAID, "text"),
        BlockKind("mcp_tool_listing", _SAID, "control"),
        BlockKind("container_upload", _SAID, "control"),
        BlockKind("compaction", _in("user", "assistant"), "parts"),
        BlockKind("fallback", _SAID, "control"),
        BlockKind("tool_addition", _in("system"), "control", counted="nothing"),
        BlockKind("tool_removal", _in("system"), "control", counted="nothing"),
    )
}


def becoming(*forms: Becomes) -> frozenset[str]:
    """The names of the kinds that become one of these."""
    return frozenset(kind.name for kind in BLOCK_KINDS.values() if kind.becomes in forms)


def kind_of(name: object) -> BlockKind | None:
    """The row for the `type` of a block that nobody checked; None for one that is not known."""
    return BLOCK_KINDS.get(name) if isinstance(name, str) else None
