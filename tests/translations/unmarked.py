"""What people read and nobody marked for translation: found in templates and in Python, by syntax alone.

Each function takes the text of one file and gives what it found as (line, words). What has no letters,
and what machines write (code), is not for people.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from django.template.base import DebugLexer, TokenType

Found = tuple[int, str]
WORD = re.compile(r"[A-Za-z]{2}")
# an entity or a placeholder is no word
NO_WORD = re.compile(r"&\w+;|%\(\w+\)[.\d]*[a-z]|\{[^}]*\}")
SPOKEN = ("title", "placeholder", "aria-label", "alt", "data-busy", "data-copied")
CODE = {"script", "style", "code", "pre", "textarea"}
MARKING = {
    "_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy",
    "npgettext", "npgettext_lazy",
}  # fmt: skip
# keyword arguments and attributes that a page or a command shows
SHOWN_NAMES = {
    "verbose_name", "verbose_name_plural", "help_text", "short_description", "description", "label", "help",
    "empty_value_display", "title",
}  # fmt: skip
# calls, with the places of their arguments that people read
SHOWN_CALLS = {
    "badge": (0, 2), "state_badge": (1,), "number": (1,), "number_column": (1, 2), "time_column": (1,),
    "message_user": (1,), "add_error": (1,), "ValidationError": (0,), "CommandError": (0,),
}  # fmt: skip
HTML_CALLS = {"format_html", "mark_safe", "format_html_join"}
FIELD = re.compile(r"(?:Char|Text|Integer|Boolean|DateTime|Date|Decimal|Float|URL|Slug|JSON)Field$")
WRITERS = {"self.stdout.write", "self.stderr.write"}


def in_template(text: str) -> list[Found]:
    """Text nodes and spoken attributes of a template, outside of translate and blocktranslate."""
    return [
        (line, " ".join(said.split()))
        for line, said in _Nodes(_without_tags(text)).said
        if WORD.search(NO_WORD.sub("", said))
    ]


def in_python(text: str) -> list[Found]:
    """Literals that a page or a command shows and that no gettext function has seen."""
    found: list[Found] = []
    for node in ast.walk(ast.parse(text)):
        for shown in _shown(node):
            found += _literals(shown)
        if isinstance(node, ast.Call) and _name(node.func) in HTML_CALLS:
            for argument in node.args[:2]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    found += [(argument.lineno, said) for _line, said in in_template(argument.value)]
    return sorted(set(found))


def _without_tags(text: str) -> str:
    """The HTML of a template, line by line, without what Django puts there."""
    kept: list[str] = []
    hidden = 0
    classes = False
    for token in DebugLexer(text).tokenize():
        tag = token.contents.split()[0] if token.token_type == TokenType.BLOCK else ""
        # the theme's block for the classes of the body
        classes = token.contents == "block bodyclass" or (classes and tag != "endblock")
        if tag in ("blocktranslate", "blocktrans", "comment"):
            hidden += 1
        elif tag in ("endblocktranslate", "endblocktrans", "endcomment"):
            hidden -= 1
        start, end = token.position
        if token.token_type == TokenType.TEXT and not (hidden or classes):
            kept.append(text[start:end])
        else:
            kept.append("\n" * text[start:end].count("\n"))
    return "".join(kept)


class _Nodes(HTMLParser):
    """`said`: (line, text) of each text node and spoken attribute."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[Found] = []
        self._code: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in CODE or "material-symbols" in (dict(attrs).get("class") or ""):
            self._code.append(tag)
        line = self.getpos()[0]
        self.said += [(line, value) for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        if self._code and self._code[-1] == tag:
            self._code.pop()

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.said.append((self.getpos()[0], data))


def _shown(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a piece of syntax that people read."""
    if isinstance(node, ast.Assign):
        names = {_name(target) for target in node.targets}
        if names & SHOWN_NAMES:
            yield node.value
    elif isinstance(node, ast.ClassDef) and any(
        _name(base) in ("TextChoices", "IntegerChoices") for base in node.bases
    ):
        for line in node.body:
            if isinstance(line, ast.Assign) and isinstance(line.value, ast.Tuple):
                yield line.value.elts[-1]
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in SHOWN_NAMES:
                yield value
    elif isinstance(node, ast.Call):
        yield from (word.value for word in node.keywords if word.arg in SHOWN_NAMES)
        name = _name(node.func)
        if FIELD.search(name) and ast.unparse(node.func).startswith("models."):
            yield from node.args[:1]
        if ast.unparse(node.func).startswith("messages.") or ast.unparse(node.func) in WRITERS:
            yield from node.args[-1:]
        places = SHOWN_CALLS.get(name, ())
        yield from (argument for at, argument in enumerate(node.args) if at in places)


def _literals(shown: ast.AST) -> Iterator[Found]:
    """The words in an expression, but for those that a gettext function is handed."""
    if isinstance(shown, ast.Constant):
        if isinstance(shown.value, str) and WORD.search(NO_WORD.sub("", shown.value)):
            yield shown.lineno, shown.value
    elif isinstance(shown, ast.JoinedStr):
        said = "".join(part.value for part in shown.values if isinstance(part, ast.Constant))
        if WORD.search(said):
            yield shown.lineno, said
    elif isinstance(shown, ast.BinOp):
        yield from _literals(shown.left)
        if isinstance(shown.op, ast.Add):
            yield from _literals(shown.right)
    elif isinstance(shown, ast.IfExp):
        yield from _literals(shown.body)
        yield from _literals(shown.orelse)
    elif isinstance(shown, ast.BoolOp):
        for part in shown.values:
            yield from _literals(part)
    elif (
        isinstance(shown, ast.Call)
        and isinstance(shown.func, ast.Attribute)
        and _name(shown.func) not in MARKING
    ):
        # "…".format(), ", ".join(): the text that the method is called on
        yield from _literals(shown.func.value)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
