"""The forms in which a text may repeat a value: as it is, in JSON text, in a URL, as Python shows it (pure).

Most keys are letters, digits, hyphens and underscores, which nothing escapes: they have one form. A password
or a header may have more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, quote_plus

from gateway import patterns

# a document may hold JSON text, which holds JSON text: a call's arguments that write a file of JSON
_LEVELS: Final = 2
_PERCENT: Final = patterns.compiled(r"%[0-9A-F]{2}")
# what System.Text.Json and Go's encoding/json write as escapes, besides what JSON wants
_DOT_NET: Final = "\"'&+<>`"
_GO: Final = "<>&"


def written_forms(value: str) -> tuple[str, ...]:
    """All forms of `value` that are searched for, each once, `value` itself first.

    Half of a surrogate pair has none in a URL.
    """
    shown = [repr(value)[1:-1], repr(value.encode("utf-8", "surrogatepass"))[2:-1]]
    found = dict.fromkeys([value, *_in_urls(value), *shown])
    for write in _JSON:
        form = value
        for _ in range(_LEVELS):
            form = write(form)
            found[form] = None
    return tuple(found)


def _in_urls(value: str) -> list[str]:
    try:
        forms = [quote(value, safe=""), quote(value), quote_plus(value)]
    except UnicodeEncodeError:
        return []
    return [*forms, *(_PERCENT.sub(lambda found: found.group().lower(), form) for form in forms)]


def _utf8(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _ascii(value: str) -> str:
    return json.dumps(value)[1:-1]


def _slashes(value: str) -> str:
    return _ascii(value).replace("/", "\\/")


def _escaping(characters: str, digits: str) -> Callable[[str], str]:
    """`characters` as escapes whose hexadecimal digits are written as in `digits`."""
    table = {ord(one): f"\\u{ord(one):{digits}}" for one in characters}

    def write(value: str) -> str:
        return "".join(table.get(ord(one), "") or _utf8(one) for one in value)

    return write


_JSON: Final = (_utf8, _ascii, _slashes, _escaping(_GO, "04x"), _escaping(_DOT_NET, "04X"))
