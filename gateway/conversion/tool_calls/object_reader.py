"""ObjectReader: one JSON object in pieces, mended while it is read.

A small JSON reader that looks at every piece once and hands it on at once. What it
hands on is, at any moment, the beginning of one valid JSON object.

A placeholder (`{}`, `[]`, `null`, `""`) in front of an object is no argument. Whether `{}`
is one shows only when more comes, so it is held back until then. What comes behind
the object may be another one: it is kept in `behind`.

See docs/conversion.md, "Calls in a stream".
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from gateway import patterns

_SPECIAL: Final = patterns.compiled(r'["\\\x00-\x1f]')
_TOKEN: Final = patterns.match_at(r'[ \t\n\r]*(?:(["{}\[\]:,])|([^ \t\n\r"{}\[\]:,]+))')
_KEY_TO_STRING: Final = patterns.match_at(r'"[ \t\n\r]*:[ \t\n\r]*"')
_STRING_TO_KEY: Final = patterns.match_at(r'"[ \t\n\r]*,[ \t\n\r]*"')
_PLACEHOLDERS: Final = patterns.match_at(
    r'(?:\s++|\{[ \t\n\r]*+\}|\[[ \t\n\r]*+\]|(?:null|None)(?![A-Za-z0-9_])|"")*+'
)
_BEGIN: Final = patterns.match_at(r'(\{)[ \t\n\r]*"')
_MAY_BEGIN: Final = patterns.match_at(r'(?:\{[ \t\n\r]*|\[|n(?:u(?:l)?)?|N(?:o(?:n)?)?|")?\Z')
_AFTER_COMMA: Final = patterns.match_at(r",[ \t\n\r]*(.)", patterns.DOTALL)
_LITERAL: Final = patterns.compiled(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_PYTHON: Final = {"True": "true", "False": "false", "None": "null"}
_ONE_ESCAPE: Final = (
    r'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    r"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
_ESCAPE: Final = patterns.match_at(_ONE_ESCAPE)
# the inside of a string with nothing to mend: most pieces of most arguments
_INSIDE: Final = patterns.match_at(rf'(?:[^"\\\x00-\x1f]++|{_ONE_ESCAPE})*+\Z')
_HALF_PAIR: Final = patterns.match_at(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
# an escape that has not arrived completely: a pair of surrogates counts as one
_CUT_ESCAPE: Final = patterns.match_at(
    r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)?)?\Z"
)
_CONTROL: Final = {
    **{chr(code): f"\\u{code:04x}" for code in range(32)},
    **{"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"},
}
# What programming languages escape in strings and JSON does not. Any other backslash stands for itself: taken
# from a backtick in a shell command, it would run what is between the backticks. So does this one behind an
# apostrophe that nobody escaped: who writes '\\'' means a shell's quotes, not three apostrophes.
_APOSTROPHE: Final = "'"
# beginnings of placeholders that are no beginnings of an object
_PART_OF_WORD: Final = frozenset({"n", "nu", "nul", '"', "["})
# what may stand between two objects: signs, fences, tags and tokens of a template
_BETWEEN: Final = patterns.match_at(
    r"(?:[ \t\r\n,;}\]]|```(?:json)?|</?[A-Za-z_]{1,40}>|<[|\uff5c][^<>|\uff5c]{1,40}[|\uff5c]>)*+\Z"
)
_LONGEST_JUNK: Final = 200
# words in front of another object that may be the name of its tool: one alone on its line
_MAY_NAME: Final = patterns.compiled(r"[\n>][ \t]*[A-Za-z_][A-Za-z0-9_.-]*(?::[0-9]+)?[ \t\r\n]*\Z")
# characters of an object behind words that are examined; with both of these keys it is a call
_LONGEST_ASIDE: Final = 1024
_NAME_KEY: Final = patterns.compiled(r'"name"[ \t\r\n]*:')
_ARGUMENTS_KEY: Final = patterns.compiled(r'"(?:arguments|parameters|input)"[ \t\r\n]*:')
# no number that means anything is longer; a run without end must not be held back without end
_LONGEST_LITERAL: Final = 1024


class MalformedArguments(ValueError):
    """Arguments that were forwarded in part cannot become a JSON object any more."""

    def __init__(self, what: str = "malformed tool arguments") -> None:
        super().__init__(f"upstream sent {what}")


class Where(Enum):
    """What may come next."""

    BEGIN = "the opening brace"
    FIRST_KEY = "a key or the end of the object"
    KEY = "a key"
    COLON = "a colon"
    FIRST_ITEM = "an item or the end of the list"
    VALUE = "a value"
    NEXT = "a comma or the end"
    IN_KEY = "the rest of a key"
    IN_STRING = "the rest of a string"
    END = "nothing"
    DEFERRED = "anything: it is looked at when all has come"


class Completeness(Enum):
    """How far the arguments of a call are."""

    NOTHING = "nothing has come, or only white space"
    PLACEHOLDER = "what stands for no arguments, or in front of the real ones"
    PARTIAL = "the beginning of an object, or what is looked at when all has come"
    WHOLE = "a whole object"


# no argument has come
EMPTY: Final = (Completeness.NOTHING, Completeness.PLACEHOLDER)


class ObjectReader:
    """`feed` takes a piece and returns what of it may be sent on.

    Raises MalformedArguments when a part was sent on and the rest cannot be mended. What
    does not begin like an object is kept as a whole (`kept`).
    """

    __slots__ = (
        "_apostrophe",
        "_aside",
        "_forwarded",
        "_junk",
        "_open",
        "_raw",
        "_rest",
        "_where",
        "behind",
        "placeholder",
        "repaired",
    )

    def __init__(self) -> None:
        self._where = Where.BEGIN
        self._open: list[str] = []  # the brackets that are open
        self._apostrophe = False  # the string that is open has one without a backslash
        self._rest = ""  # a piece that cannot be judged before more comes
        self._raw: list[str] = []  # everything, until something is forwarded
        self._forwarded = False
        self._junk = ""  # what came behind the object and is none
        self._aside = ""  # an object behind words
        self.behind = ""  # what came behind the object and may be another one
        self.placeholder = False  # one stood in front
        self.repaired = False

    @property
    def complete(self) -> bool:
        """The whole object has come."""
        return self._where is Where.END

    @property
    def standing(self) -> Completeness:
        if self._where is Where.END:
            return Completeness.WHOLE
        if self._where is not Where.BEGIN or self._rest:
            return Completeness.PARTIAL
        return Completeness.PLACEHOLDER if self.placeholder else Completeness.NOTHING

    @property
    def kept(self) -> str | None:
        """What does not read as an object by itself; None when it does, as far as it has come."""
        if not self._forwarded and (self._where is Where.DEFERRED or self._rest in _PART_OF_WORD):
            return "".join(self._raw)
        return None

    def feed(self, text: str) -> str:
        where = self._where
        if (where is Where.IN_STRING or where is Where.IN_KEY) and not self._rest and _INSIDE(text):
            if _APOSTROPHE in text:
                self._apostrophe = True
            return text
        if where is Where.END:
            self._ended(text)
            return ""
        if not self._forwarded:
            self._raw.append(text)
            if where is Where.DEFERRED:
                return ""
        text = self._rest + text
        self._rest = ""
        try:
            sent = self._read(text)
        except MalformedArguments:
            if self._forwarded:
                raise
            self._where = Where.DEFERRED
            return ""
        if sent and not self._forwarded:
            self._forwarded = True
            self._raw.clear()
        return sent

    def _read(self, text: str) -> str:
        at, end = 0, len(text)
        kept = 0  # text[kept:at] goes out unchanged
        out: list[str] = []
        if self._where is Where.BEGIN:
            begin = self._begin(text)
            if begin is None:
                return ""
            kept = begin
            at = kept + 1
            self._open.append("{")
            self._where = Where.FIRST_KEY
        while at < end:
            if self._where is Where.IN_STRING or self._where is Where.IN_KEY:
                special = _SPECIAL.search(text, at)
                upto = end if special is None else special.start()
                if not self._apostrophe and text.find(_APOSTROPHE, at, upto) >= 0:
                    self._apostrophe = True
                at = upto
                if special is None:
                    break
                char = text[at]
                if char == '"':
                    at = self._string_ended(text, at)
                    continue
                if char == "\\":
                    escape = _ESCAPE(text, at)
                    if escape is not None:
                        at = escape.end()
                        continue
                    if _CUT_ESCAPE(text, at) is not None:
                        self._rest = text[at:]
                        break
                    half = _HALF_PAIR(text, at)
                    out.append(text[kept:at])
                    if half is not None:
                        out.append("\\ufffd")
                        at = half.end()
                    elif text[at + 1] == _APOSTROPHE and not self._apostrophe:
                        out.append(_APOSTROPHE)
                        at += 2
                    else:
                        out.append("\\\\")
                        at += 1
                else:
                    out.append(text[kept:at])
                    out.append(_CONTROL[char])
                    at += 1
                kept = at
                self.repaired = True
                continue
            if self._where is Where.END:
                self._ended(text[at:])
                out.append(text[kept:at])
                return "".join(out)
            token = _TOKEN(text, at)
            if token is None:
                at = end  # white space
                break
            mark, literal = token.groups()
            if literal is not None:
                if token.end() == end and len(literal) <= _LONGEST_LITERAL:
                    at = token.start(2)
                    self._rest = literal
                    break
                said = self._literal(literal)
                at = token.end()
                if said != literal:
                    out += (text[kept : token.start(2)], said)
                    kept = at
                    self.repaired = True
            elif mark == ",":
                after = _AFTER_COMMA(text, token.start(1))
                if after is None:
                    at = token.start(1)
                    self._rest = text[at:]
                    break
                if after[1] in "}]":
                    out.append(text[kept : token.start(1)])
                    kept = at = after.start(1)
                    self.repaired = True
                    if self._where is not Where.NEXT:
                        raise MalformedArguments
                else:
                    self._comma()
                    at = token.end()
            else:
                self._mark(mark)
                at = token.end()
        out.append(text[kept:at])
        return "".join(out)

    def _begin(self, text: str) -> int | None:
        """Where the object begins, behind all placeholders; None while that cannot be said."""
        lead = _PLACEHOLDERS(text)
        at = 0 if lead is None else lead.end()
        if at and not text[:at].isspace():
            self.placeholder = True
        begin = _BEGIN(text, at)
        if begin is not None:
            return begin.start(1)
        may = _MAY_BEGIN(text, at)
        if may is None:
            raise MalformedArguments
        self._rest = may[0] if len(may[0]) < _LONGEST_LITERAL else "{"
        return None

    def _ended(self, text: str) -> None:
        """What comes behind the object: another one, or nothing that means anything.

        Raises MalformedArguments for an object behind words that is a call, or that a word seems to name.
        """
        if self.behind:
            self.behind += text
            return
        if self._aside:
            self._note_aside(text)
            return
        begin = text.find("{")
        junk = self._junk + (text if begin < 0 else text[:begin])
        if begin >= 0 and len(junk) <= _LONGEST_JUNK and _BETWEEN(junk) is not None:
            self.behind = text[begin:]
        elif begin >= 0:
            if len(junk) <= _LONGEST_JUNK and _MAY_NAME.search(junk):
                raise MalformedArguments
            self.repaired = True
            self._note_aside(text[begin:])
        elif text.isspace():
            # one blank or line end separates words as well as many
            self._junk = self._junk.rstrip() + ("\n" if "\n" in text else " ")
        elif text:
            self.repaired = True
            # the beginning of a long one is enough to know that it is too long
            self._junk = junk[: _LONGEST_JUNK + 1]

    def _note_aside(self, text: str) -> None:
        """More of an object behind words: what a model went on to say, unless it is a call."""
        room = _LONGEST_ASIDE - len(self._aside)
        if room <= 0:
            return
        self._aside += text[:room]
        if _NAME_KEY.search(self._aside) and _ARGUMENTS_KEY.search(self._aside):
            raise MalformedArguments

    def _string_ended(self, text: str, at: int) -> int:
        """Behind the closing quote; from one string right into the next where that is what follows."""
        self._apostrophe = False
        if self._where is Where.IN_KEY:
            between = _KEY_TO_STRING(text, at)
            self._where = Where.COLON if between is None else Where.IN_STRING
        else:
            between = _STRING_TO_KEY(text, at) if self._open[-1] == "{" else None
            self._where = Where.NEXT if between is None else Where.IN_KEY
        return at + 1 if between is None else between.end()

    def _mark(self, mark: str) -> None:
        """A bracket, quote or colon, outside of strings."""
        where = self._where
        if mark == '"':
            self._apostrophe = False
            if where is Where.VALUE or where is Where.FIRST_ITEM:
                self._where = Where.IN_STRING
                return
            if where is Where.KEY or where is Where.FIRST_KEY:
                self._where = Where.IN_KEY
                return
        elif mark == ":":
            if where is Where.COLON:
                self._where = Where.VALUE
                return
        elif mark in "{[":
            if where is Where.VALUE or where is Where.FIRST_ITEM:
                self._open.append(mark)
                self._where = Where.FIRST_KEY if mark == "{" else Where.FIRST_ITEM
                return
        elif (where is Where.NEXT or where is (Where.FIRST_KEY if mark == "}" else Where.FIRST_ITEM)) and (
            self._open[-1] == ("{" if mark == "}" else "[")
        ):
            self._open.pop()
            self._where = Where.NEXT if self._open else Where.END
            return
        raise MalformedArguments

    def _comma(self) -> None:
        if self._where is not Where.NEXT:
            raise MalformedArguments
        self._where = Where.KEY if self._open[-1] == "{" else Where.VALUE

    def _literal(self, literal: str) -> str:
        """The literal in JSON's words; Python's can be read in one way only."""
        literal = _PYTHON.get(literal, literal)
        if self._where not in (Where.VALUE, Where.FIRST_ITEM) or _LITERAL.fullmatch(literal) is None:
            raise MalformedArguments
        self._where = Where.NEXT
        return literal


def without_placeholders(text: str) -> str:
    """What stands behind the placeholders in front; "" when there is nothing else."""
    lead = _PLACEHOLDERS(text)
    return text if lead is None else text[lead.end() :]


def is_placeholder(text: str) -> bool:
    """Whether `text` is nothing but what stands for no arguments."""
    return bool(text) and not text.isspace() and not without_placeholders(text)


def begins_object(text: str) -> bool:
    """Whether `text` is, or begins, an object with something in it."""
    return text.lstrip().startswith("{") and not is_placeholder(text)
