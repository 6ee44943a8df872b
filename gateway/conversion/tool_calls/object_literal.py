"""An object in the words of Python or JavaScript instead of JSON: `{'path': 'a', 'all': True}`.

Models print their arguments like this when they think in a programming language, and servers do when
they send `str()` of a dict. Such a text has one meaning, so it is read. What has none is None: a call
runs with the arguments that the model wrote, or with an error.
"""

from __future__ import annotations

from typing import Any, Final

from gateway import patterns
from gateway.wire import jsontext

_TOKEN: Final = patterns.match_at(
    r"\s*+(?:(?P<mark>[{}\[\],:])"
    r"|'(?P<single>(?:[^'\\]++|\\.)*+)'(?=\s*+[,:}\]])"
    r'|"(?P<double>(?:[^"\\]++|\\.)*+)"(?=\s*+[,:}\]])'
    r"|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)(?=\s*+[,}\]])"
    r"|(?P<word>[A-Za-z_$][A-Za-z0-9_$]*+))\s*+",
    patterns.DOTALL,
)
_WORDS: Final = {
    "True": "true", "False": "false", "None": "null", "true": "true", "false": "false", "null": "null",
}  # fmt: skip
_OPEN: Final = frozenset({"{", "[", ",", ":"})
_ESCAPE: Final = patterns.compiled(
    r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", patterns.DOTALL
)
_ESCAPED: Final = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a",
    "\\": "\\", "'": "'", '"': '"', "/": "/", "\n": "",
}  # fmt: skip


def object_literal(text: str) -> Any:
    """The value of `text`, which begins with a brace; None when it cannot be read in one way only."""
    written: list[str] = []
    at, end = 0, len(text)
    if not text.lstrip().startswith("{"):
        return None
    while at < end:
        token = _TOKEN(text, at)
        if token is None:
            return None
        kind = token.lastgroup or ""
        said = token[kind]
        at = token.end()
        if kind == "mark":
            if said in "}]" and written[-1:] == [","] and written[-2] not in _OPEN:
                written.pop()  # behind the last value
            written.append(said)
        elif kind == "word":
            key = written[-1:] in (["{"], [","]) and text.startswith(":", at)
            word = jsontext.dumps_text(said) if key else _WORDS.get(said)
            if word is None:
                return None
            written.append(word)
        else:
            written.append(said if kind == "number" else jsontext.dumps_text(_unescaped(said)))
    try:
        return jsontext.loads("".join(written))
    except (jsontext.InvalidJSON, UnicodeEncodeError):
        return None


def _unescaped(said: str) -> str:
    """The text of a quoted string; a backslash that escapes nothing stands for itself, as in Python."""
    if "\\" not in said:
        return said
    text = _ESCAPE.sub(_character, said)
    # two escapes of halves are one character; a half alone is none
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(escape: patterns.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    if code is None:
        return _ESCAPED.get(escape[4], escape[0])
    number = int(code, 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"
