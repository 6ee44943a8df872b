"""A Messages request and its answer as turns and cards (pure; nothing in them is trusted).

A card is one block. Texts are already inert; `html` is safe HTML, and the template escapes everything else.
Only images whose bytes are what they claim become `data:` addresses; an image at an address is named, never
loaded.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gateway.admin.ui import markdown
from gateway.admin.ui.sanitize import inert
from gateway.conversion.block_kinds import Shown, kind_of

JSONObject = Mapping[str, Any]

# the most characters of a card and of all cards, and bytes of all images; the rest is counted
LONGEST_CARD: Final = 20_000
LONGEST_PAGE: Final = 600_000
MOST_MARKDOWN: Final = 200_000
LONGEST_NAME: Final = 200
# characters charged for a card, a message or a rendering in addition to its own
_OVERHEAD: Final = 100
# who wrote a message, by its role; the client may have added to a person's
_WRITERS: Final = {"assistant": "model", "answer": "model", "system": "client"}
_REMINDER: Final = "<system-reminder>"
_ENDS: Final = "</system-reminder>"
LARGEST_IMAGES: Final = 12 * 1024 * 1024
_RASTER: Final = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


@dataclass(frozen=True, slots=True)
class Card:
    """`kind`: text, reminder, thinking, call, result, image, note. `title`: a tool's name, a file's, why not.

    `image`: a data: address of a raster image. `failed`: a result that is an error.
    """

    kind: str
    title: str = ""
    text: str = ""
    html: SafeString | str = ""
    image: str = ""
    failed: bool = False
    cards: Sequence[Card] = ()


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """One message. `role`: system, user, assistant, or answer: what this request got."""

    role: str
    cards: list[Card] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ShownConversation:
    """`earlier`: what was said before; `new`: what this request brought; `answer`; `left_out` messages."""

    system: ShownTurn | None = None
    tools: tuple[str, ...] = ()
    earlier: list[ShownTurn] = field(default_factory=list)
    new: list[ShownTurn] = field(default_factory=list)
    answer: ShownTurn | None = None
    left_out: int = 0


class _Budget:
    """What may still be shown; the newest turns take their share first."""

    def __init__(self) -> None:
        self.characters = LONGEST_PAGE
        # models write Markdown more often than people, so their part is reserved
        self.markdown = {"model": MOST_MARKDOWN, "person": MOST_MARKDOWN // 2, "tool": 0, "client": 0}
        self.writer = "person"
        self.images = LARGEST_IMAGES
        self.calls: dict[str, str] = {}


def conversation(request: Any, answer: Any) -> ShownConversation:
    """Lay out a request and its answer (None without one). Values of any shape are allowed."""
    asked: JSONObject = request if isinstance(request, Mapping) else {}
    messages = [message for message in _list(asked.get("messages")) if isinstance(message, Mapping)]
    budget = _Budget()
    for message in messages:
        for block in _list(message.get("content")):
            if isinstance(block, Mapping) and block.get("type") == "tool_use":
                budget.calls[str(block.get("id"))] = str(block.get("name", ""))
    answered = _turn("answer", answer, budget) if isinstance(answer, Mapping) else None
    last = next((n for n in range(len(messages) - 1, -1, -1) if messages[n].get("role") == "assistant"), -1)
    turns: list[ShownTurn] = []
    shown = len(messages)
    while shown and budget.characters > 0:
        shown -= 1
        turns.append(_turn(_role(messages[shown]), messages[shown], budget))
    turns.reverse()
    known = max(0, last + 1 - shown)
    system = asked.get("system")
    return ShownConversation(
        system=ShownTurn("system", list(_cards(system, budget))) if system else None,
        tools=_names(asked.get("tools")),
        earlier=turns[:known],
        new=turns[known:],
        answer=answered,
        left_out=shown,
    )


def laid_out_turns(said: Sequence[Any], before: Any = None, role: str = "") -> list[ShownTurn]:
    """Messages of a conversation, from the first on, as many as one page holds, at least one.

    `before`: the message in front of them, whose calls their results answer. `role`: theirs, instead of the
    one that each names. What is no message becomes a turn without cards.
    """
    budget = _Budget()
    turns: list[ShownTurn] = []
    for message in (before, *said):
        content = message.get("content") if isinstance(message, Mapping) else None
        for block in _list(content):
            if isinstance(block, Mapping) and block.get("type") == "tool_use":
                budget.calls[str(block.get("id"))] = str(block.get("name", ""))
    for message in said:
        if turns and budget.characters <= 0:
            break
        given = message if isinstance(message, Mapping) else {"role": "user", "content": []}
        turns.append(_turn(role or _role(given), given, budget))
    return turns


def _role(message: JSONObject) -> str:
    role = message.get("role")
    return role if role in ("user", "assistant", "system") else "user"


def _names(tools: Any) -> tuple[str, ...]:
    named = (tool.get("name", "?") for tool in _list(tools) if isinstance(tool, Mapping))
    return tuple(_name(name) for name in islice(named, LONGEST_PAGE // _OVERHEAD))


def _name(name: Any) -> str:
    return inert(str(name)[:LONGEST_NAME])


def _turn(role: str, message: JSONObject, budget: _Budget) -> ShownTurn:
    budget.characters -= _OVERHEAD
    budget.writer = _WRITERS.get(role, "person")
    return ShownTurn(role, list(_cards(message.get("content"), budget)))


def _cards(content: Any, budget: _Budget) -> Iterator[Card]:
    if isinstance(content, str):
        yield _text(content, budget)
    blocks = _list(content)
    for number, block in enumerate(blocks):
        if budget.characters <= 0:
            yield Card("note", text=f"… +{len(blocks) - number:,}")
            return
        budget.characters -= _OVERHEAD
        if isinstance(block, Mapping):
            yield _card(block, budget)
        else:
            yield Card("note", text=_shown(_laid_out(block), budget))


def _card(block: JSONObject, budget: _Budget) -> Card:
    kind = kind_of(block.get("type"))
    return _CARDS["note" if kind is None else kind.shown](block, budget)


def _text_card(block: JSONObject, budget: _Budget) -> Card:
    text = block.get("text")
    return _text(text, budget) if isinstance(text, str) else _note(block, budget)


def _thinking(block: JSONObject, budget: _Budget) -> Card:
    return Card("thinking", text=_shown(str(block.get("thinking") or ""), budget))


def _call(block: JSONObject, budget: _Budget) -> Card:
    arguments = block.get("input")
    text = arguments if isinstance(arguments, str) else _laid_out(arguments)
    return Card("call", _name(block.get("name", "?")), _shown(text, budget))


def _result(block: JSONObject, budget: _Budget) -> Card:
    name = budget.calls.get(str(block.get("tool_use_id")), "?")
    content = block.get("content")
    writer, budget.writer = budget.writer, "tool"
    inner = tuple(_cards([content] if isinstance(content, Mapping) else content, budget)) if content else ()
    budget.writer = writer
    return Card("result", _name(name), failed=block.get("is_error") is True, cards=inner)


def _document(block: JSONObject, _budget: _Budget) -> Card:
    return Card("note", _("document"), _name(block.get("title") or _source(block).get("media_type") or ""))


def _note(block: JSONObject, budget: _Budget) -> Card:
    return Card("note", _name(block.get("type")), _shown(_laid_out(block), budget))


def _text(text: str, budget: _Budget) -> Card:
    shown = _shown(text, budget)
    inserted = text.lstrip().startswith(_REMINDER) and text.rstrip().endswith(_ENDS)
    if budget.writer == "client" or (budget.writer == "person" and inserted):
        # text that the client added: long, and said by nobody
        return Card("reminder", text=shown)
    if len(text) <= min(markdown.LONGEST, LONGEST_CARD, budget.markdown[budget.writer] - _OVERHEAD):
        budget.markdown[budget.writer] -= len(text) + _OVERHEAD
        return Card("text", text=shown, html=markdown.rendered(text))
    return Card("text", text=shown)


def _shown(text: str, budget: _Budget) -> str:
    room = max(0, min(LONGEST_CARD, budget.characters))
    budget.characters -= min(len(text), room) + 1
    if len(text) <= room:
        return inert(text)
    more = _("… %(count)s more characters") % {"count": f"{len(text) - room:,}"}
    return f"{inert(text[:room])}\n{more}"


def _image(block: JSONObject, budget: _Budget) -> Card:
    source = _source(block)
    if source.get("type") != "base64":
        return Card("image", _("not loaded, it is elsewhere"), inert(str(source.get("url") or "")[:500]))
    kind, data = source.get("media_type"), source.get("data")
    if not isinstance(data, str) or len(data) > budget.images:
        return Card("image", _("too large to be shown here"))
    address = raster_address(kind, data)
    if not address:
        return Card("image", _("not shown, it is not the image it says it is"), _name(kind))
    budget.images -= len(data)
    return Card("image", _name(kind), image=address)


# by how a kind of block is shown (conversion/block_kinds.py)
_CARDS: Final[dict[Shown, Callable[[JSONObject, _Budget], Card]]] = {
    "text": _text_card,
    "thinking": _thinking,
    "call": _call,
    "result": _result,
    "image": _image,
    "document": _document,
    "note": _note,
}


def raster_address(kind: Any, data: str) -> str:
    """A data: address for base64 `data` whose first bytes are those of its raster type, else ""."""
    marks = _RASTER.get(kind) if isinstance(kind, str) else None
    if marks is None or not _BASE64.issuperset(data):
        return ""
    try:
        start = base64.b64decode(data[:64] + "=" * (-len(data[:64]) % 4))
    except (binascii.Error, ValueError):
        return ""
    return f"data:{kind};base64,{data}" if start.startswith(marks) else ""


def _source(block: JSONObject) -> JSONObject:
    source = block.get("source")
    return source if isinstance(source, Mapping) else {}


def _laid_out(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(value)[:LONGEST_CARD]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
