"""Stored text for a page: laid out when it is JSON, and nothing in it can act or hide (pure)."""

from __future__ import annotations

import json
from typing import Final

from django.utils.translation import gettext as _

from gateway import patterns
from gateway.wire import jsontext

# More than this makes browsers slow; the rest is stored, and its size is shown.
LONGEST: Final = 400_000
_CONTROL: Final = patterns.compiled("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# marks that change the direction of text, and characters that take no room
_HIDDEN: Final = patterns.compiled("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def readable(body: bytes) -> str:
    """A stored body as text for a <pre>: JSON indented, anything else as it is; not yet escaped for HTML."""
    try:
        text = json.dumps(jsontext.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        # not JSON, or nested deeper than it can be laid out
        text = body.decode("utf-8", "replace").replace("\r\n", "\n")
    cut = text[:LONGEST]
    return inert(cut) + _more(len(text) - LONGEST)


def _more(count: int) -> str:
    return "\n" + _("… %(count)s more characters") % {"count": count} if count > 0 else ""


def inert(text: str) -> str:
    """Control characters as their pictures, invisible ones and half surrogate pairs by their number."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    text = _CONTROL.sub(lambda found: _picture(found[0]), text)
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def json_escaped(text: str) -> str:
    """JSON text in which no character hides or acts, and which says the same."""
    text = _CONTROL.sub(lambda found: _escape(found[0]), text)
    return _HIDDEN.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}"


def _picture(character: str) -> str:
    number = ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    return "\u2421" if number == 0x7F else f"⟨U+{number:04X}⟩"
