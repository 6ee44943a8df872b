"""Anthropic-defined client tools as functions: a table.

The model behind the gateway was not trained on them, so each gets a description
and the parameters of its documented input; clients then run the calls unchanged.

See docs/conversion.md, "Client tools".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway import patterns
from gateway.conversion.tools.exposure import composed_name
from gateway.wire.messages import JSONObject

TEXT: Final[JSONObject] = {"type": "string"}
INTEGER: Final[JSONObject] = {"type": "integer"}
NUMBER: Final[JSONObject] = {"type": "number"}
BOOLEAN: Final[JSONObject] = {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class ClientTool:
    """One function: its usual name, what it does, its parameters; `toolset` is (member, toolset name)."""

    name: str
    description: str
    parameters: JSONObject
    toolset: tuple[str, str] | None = None


def client_tools(tool: JSONObject) -> list[ClientTool] | None:
    """The functions an Anthropic-defined tool stands for; None when its type is none of them.

    The prefix of the type decides; where versions differ, the date behind it does.
    """
    kind = tool.get("type")
    found = _TYPE.match(kind) if type(kind) is str else None
    return None if found is None else _FAMILIES[found[1]](tool, found[2])


def _integers(count: int) -> JSONObject:
    return {"type": "array", "items": INTEGER, "minItems": count, "maxItems": count}


def _words(words: str) -> JSONObject:
    return {"type": "string", "enum": words.split()}


def _parameters(properties: JSONObject, required: str = "") -> JSONObject:
    schema: JSONObject = {"type": "object", "properties": properties}
    return {**schema, "required": required.split()} if required else schema


POINT: Final = _integers(2)

_BASH: Final = ClientTool(
    "bash",
    "Run a command in a persistent shell and return its output. "
    "Set restart to true to reset the shell; then no command is needed.",
    _parameters({"command": TEXT, "restart": BOOLEAN}),
)

_EDITOR_PROPERTIES: Final[JSONObject] = {
    "path": TEXT,
    "file_text": TEXT,
    "old_str": TEXT,
    "new_str": TEXT,
    "insert_line": INTEGER,
    "insert_text": TEXT,
    "view_range": POINT,
}
_EDITOR_TEXT: Final = (
    "View and edit text files. view shows a file, or a directory; view_range limits it to lines from "
    "start to end (end -1: to the last line). create writes file_text to path. str_replace replaces "
    "old_str, which must occur exactly once, by new_str. insert puts insert_text behind line insert_line "
    "(0: at the top)."
)

_MEMORY: Final = ClientTool(
    "memory",
    "Read and keep notes in the directory /memories, which outlasts this conversation. view shows a file or "
    "directory, create writes file_text to path, str_replace replaces old_str by new_str, insert puts "
    "insert_text at line insert_line, delete removes path, rename moves old_path to new_path.",
    _parameters(
        {
            "command": _words("view create str_replace insert delete rename"),
            "path": TEXT,
            "file_text": TEXT,
            "old_str": TEXT,
            "new_str": TEXT,
            "insert_text": TEXT,
            "old_path": TEXT,
            "new_path": TEXT,
            "insert_line": INTEGER,
            "view_range": POINT,
        },
        "command",
    ),
)

_FIRST_ACTIONS: Final = (
    "key type mouse_move left_click left_click_drag right_click middle_click double_click screenshot "
    "cursor_position"
)
_MORE_ACTIONS: Final = " left_mouse_down left_mouse_up scroll hold_key triple_click wait"
_DIRECTION: Final = _words("up down left right")

# member -> what it does, properties, required
_COMPUTER_MEMBERS: Final[dict[str, tuple[str, JSONObject, str]]] = {
    "key": ("Press a key or key combination, such as ctrl+s.", {"text": TEXT, "repeat": INTEGER}, "text"),
    "hold_key": ("Hold a key down for some seconds.", {"text": TEXT, "duration": NUMBER}, "text duration"),
    "type": ("Type a text.", {"text": TEXT}, "text"),
    "cursor_position": ("Return the position of the mouse.", {}, ""),
    "mouse_move": ("Move the mouse to a position.", {"coordinate": POINT}, "coordinate"),
    "left_mouse_down": ("Press the left mouse button and hold it.", {}, ""),
    "left_mouse_up": ("Release the left mouse button.", {}, ""),
    "left_click": ("Click with the left mouse button.", {"coordinate": POINT, "text": TEXT}, ""),
    "right_click": ("Click with the right mouse button.", {"coordinate": POINT, "text": TEXT}, ""),
    "middle_click": ("Click with the middle mouse button.", {"coordinate": POINT, "text": TEXT}, ""),
    "double_click": ("Click twice.", {"coordinate": POINT, "text": TEXT}, ""),
    "triple_click": ("Click three times.", {"coordinate": POINT, "text": TEXT}, ""),
    "left_click_drag": (
        "Drag with the left mouse button from one position to another.",
        {"start_coordinate": POINT, "coordinate": POINT, "text": TEXT},
        "start_coordinate coordinate",
    ),
    "scroll": (
        "Scroll at a position, or where the mouse is.",
        {"scroll_direction": _DIRECTION, "scroll_amount": INTEGER, "coordinate": POINT, "text": TEXT},
        "scroll_direction scroll_amount",
    ),
    "wait": ("Wait for some seconds.", {"duration": NUMBER}, "duration"),
    "screenshot": ("Take a screenshot.", {}, ""),
    "zoom": (
        "Take a screenshot of a region (x0, y0, x1, y1), enlarged so that details can be read.",
        {"region": _integers(4)},
        "region",
    ),
}
_COMPUTER: Final = "computer"


def _bash(_tool: JSONObject, _version: str) -> list[ClientTool]:
    return [_BASH]


def _memory(_tool: JSONObject, _version: str) -> list[ClientTool]:
    return [_MEMORY]


def _text_editor(tool: JSONObject, version: str) -> list[ClientTool]:
    commands, name, text = "view create str_replace insert", "str_replace_based_edit_tool", _EDITOR_TEXT
    if version < "20250429":
        commands, name = f"{commands} undo_edit", "str_replace_editor"
        text += " undo_edit takes the last edit of path back."
    limit = tool.get("max_characters")
    if type(limit) is int:
        text += f" view shows at most {limit} characters."
    properties = {"command": _words(commands), **_EDITOR_PROPERTIES}
    return [ClientTool(name, text, _parameters(properties, "command path"))]


def _computer(tool: JSONObject, version: str) -> list[ClientTool]:
    actions = _FIRST_ACTIONS
    properties: JSONObject = {"text": TEXT, "coordinate": POINT}
    if version >= "20250124":
        actions += _MORE_ACTIONS
        properties |= {
            "scroll_direction": _DIRECTION,
            "scroll_amount": INTEGER,
            "duration": NUMBER,
            "start_coordinate": POINT,
        }
    if version >= "20251124" and tool.get("enable_zoom") is True:
        actions += " zoom"
        properties["region"] = _integers(4)
    width, height = tool.get("display_width_px"), tool.get("display_height_px")
    text = (
        f"Use the mouse and keyboard of a computer and see its screen of {width}x{height} pixels. "
        "Coordinates are [x, y] pixels from the top left corner. Take a screenshot to see the effect of an "
        "action."
    )
    return [ClientTool(_COMPUTER, text, _parameters({"action": _words(actions), **properties}, "action"))]


def _computer_toolset(tool: JSONObject, _version: str) -> list[ClientTool]:
    configs = tool.get("configs")
    configs = configs if type(configs) is dict else {}
    off = {
        member
        for member, config in configs.items()
        if type(config) is dict and config.get("enabled") is False
    }
    return [
        ClientTool(
            composed_name(_COMPUTER, member),
            text,
            _parameters(properties, required),
            (member, _COMPUTER),
        )
        for member, (text, properties, required) in _COMPUTER_MEMBERS.items()
        if member not in off
    ]


_FAMILIES: Final[dict[str, Callable[[JSONObject, str], list[ClientTool]]]] = {
    "bash": _bash,
    "text_editor": _text_editor,
    "computer": _computer,
    "computer_toolset": _computer_toolset,
    "memory": _memory,
}
_TYPE: Final = patterns.compiled(rf"\A({'|'.join(_FAMILIES)})_(\d+)\Z")
