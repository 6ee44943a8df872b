"""Stored text for a page: indented if it is JSON, and without characters that act or hide (pure)."""

from __future__ import annotations

import json
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from gateway import patterns
from gateway.wire import jsontext

# Longer texts make browsers slow; the page says how much is missing.
LONGEST: Final = 400_000
# The deepest indentation that folds, that of the parts of a message: each fold costs the browser time.
_DEEPEST_FOLD: Final = 6
_MOST_FOLDS: Final = 2_000
# folded at first: long, and the same in each request
_CLOSED: Final = '"tools": ['
_CONTROL: Final = [*range(0x00, 0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)]
# marks that change the direction of text, and characters of no width
_HIDDEN: Final = [0x061C, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x206A), 0xFEFF]
_ANY: Final = patterns.compiled("[" + "".join(map(chr, [*_CONTROL, *_HIDDEN])) + "]")


def readable(body: bytes) -> str:
    """A stored body as text for a <pre>: JSON is indented. Not escaped for HTML."""
    try:
        text = json.dumps(jsontext.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        # not JSON, or nested too deeply to be indented
        text = body.decode("utf-8", "replace").replace("\r\n", "\n")
    cut = text[:LONGEST]
    return inert(cut) + _more(len(text) - LONGEST)


def folded(body: bytes) -> SafeString:
    """`readable` as HTML in which parts of JSON fold. Copying it gives the same text."""
    parts: list[str] = []
    # indentations of the open parts
    inside: list[int] = []
    made = 0
    for line in readable(body).split("\n"):
        plain = line.lstrip(" ")
        indent = len(line) - len(plain)
        if line.endswith(("{", "[")) and 0 < indent <= _DEEPEST_FOLD and made < _MOST_FOLDS:
            is_open = "" if plain.startswith(_CLOSED) else " open"
            parts.append(f"<details{is_open}><summary>{escape(line)}\n</summary>")
            inside.append(indent)
            made += 1
        elif inside and indent == inside[-1] and plain[:1] in ("}", "]"):
            parts.append(f"</details>{escape(line)}\n")
            inside.pop()
        else:
            parts.append(f"{escape(line)}\n")
    return mark_safe("".join(parts).removesuffix("\n") + "</details>" * len(inside))  # noqa: S308 (escaped)


def _more(count: int) -> str:
    return "\n" + _("… %(count)s more characters") % {"count": count} if count > 0 else ""


def inert(text: str) -> str:
    """The text with symbols for control characters, and code points for invisible ones and surrogates."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.translate(_SHOWN) if _ANY.search(text) else text


def json_escaped(text: str) -> str:
    """The same JSON with escapes for characters that act or hide."""
    return text.translate(_ESCAPED) if _ANY.search(text) else text


def _picture(number: int) -> str:
    if number < 0x20:
        return chr(0x2400 + number)
    return "\u2421" if number == 0x7F else f"⟨U+{number:04X}⟩"


_SHOWN: Final = {number: _picture(number) for number in (*_CONTROL, *_HIDDEN)}
_ESCAPED: Final = {number: f"\\u{number:04x}" for number in (*_CONTROL, *_HIDDEN)}
