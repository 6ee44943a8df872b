"""Variable: one environment variable, declared once.

Its declaration says name, type, default, bounds and meaning. From it come the setting (gateway/conf.py and
ccproxy_site/settings.py), its lines of `.env.example` (ccproxy_site/env_example.py), and the sentence that a
wrong value gets at start. The READMEs' tables are held to it by tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_type_hints
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

# word: the first word of a text, in capitals, so that a comment may follow it
Kind = Literal["text", "word", "whole", "number", "switch", "list"]

_ON: Final = frozenset({"1", "true", "on", "ok", "y", "yes"})
# for numbers without a bound of their own: what a column for integers and every clock can take
MOST: Final = 2**31 - 1
_OFF: Final = frozenset({"", "0", "false", "off", "n", "no"})
# the fields of a settings class by their annotations; of an optional one, empty text is None
_KINDS: Final[dict[Any, tuple[Kind, bool]]] = {
    str: ("text", False),
    int: ("whole", False),
    float: ("number", False),
    bool: ("switch", False),
    tuple[str, ...]: ("list", False),
    int | None: ("whole", True),
}


class WrongValue(Exception):
    """A value that a variable cannot have. The sentence is made when it is read, in the reader's language."""

    def __init__(self, variable: Variable, text: str, *, too_large: bool = False) -> None:
        super().__init__(variable.name)
        self.variable = variable
        self.text = text
        self.too_large = too_large

    def __str__(self) -> str:
        asked = {"variable": self.variable.name, "value": self.text, **self.variable.bounds()}
        if self.too_large:
            return _("%(variable)s is %(value)r; it is at most %(most)s") % {**asked, "most": MOST}
        match self.variable:
            case Variable(secret=True):
                return _("%(variable)s cannot be read; it looks like %(example)s") % asked
            case Variable(example=example) if example:
                return _("%(variable)s is %(value)r; it looks like %(example)s") % asked
            case Variable(choices=choices) if choices:
                return _("%(variable)s is %(value)r; use one of %(choices)s") % asked
            case Variable(kind="switch"):
                return _("%(variable)s is %(value)r; it is either true or false") % asked
            case Variable(kind="whole", most=most) if most is not None:
                return _("%(variable)s is %(value)r; it is a whole number from %(least)s to %(most)s") % asked
            case Variable(kind="whole"):
                return _("%(variable)s is %(value)r; it is a whole number, at least %(least)s") % asked
            case Variable(above_zero=True):
                return _("%(variable)s is %(value)r; it is a number greater than 0") % asked
        return _("%(variable)s is %(value)r; it is a number, at least %(least)s") % asked


class UnusablePath(Exception):
    """A variable names a file or a folder that cannot be used. `reason`: the system's."""

    def __init__(self, name: str, reason: Exception) -> None:
        super().__init__(name)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        asked = {"name": self.name, "reason": self.reason}
        return _("%(name)s names a file or folder that cannot be used: %(reason)s") % asked


def text_of_file(name: str, path: str) -> str:
    """The text of the file that variable `name` (NAME_FILE) names, without the newline at its end.

    Raises UnusablePath. An empty file is refused: as a secret, empty text would mean that none is asked for.
    """
    try:
        # a byte-order mark, which Windows' editor writes, is no part of a secret; nor is the last newline
        text = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n")
    except (OSError, ValueError) as problem:
        raise UnusablePath(name, problem) from problem
    if not text.strip():
        raise UnusablePath(name, ValueError(_("%(path)s is empty") % {"path": path}))
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """`default` is the value without the variable, `meaning` the comment above it in `.env.example`.

    `group`: the heading it stands under there. `optional`: empty text means None.
    Bounds of a number: `least`, `most` (None: MOST), or `above_zero`. `choices`: what a text may be, beside
    its default.
    `check`: whether a text is fine; `example` is shown to whoever wrote one that is not.
    `secret`: the value is shown to nobody.
    """

    name: str
    kind: Kind
    default: Any
    meaning: str
    group: str
    optional: bool = False
    least: int = 0
    most: int | None = None
    above_zero: bool = False
    choices: tuple[str, ...] = ()
    check: Callable[[str], bool] | None = None
    example: str = ""
    secret: bool = False

    def read(self, text: str) -> Any:
        """The value that a text of the environment means. Raises WrongValue."""
        if self.kind == "text":
            value: Any = text
        elif self.kind == "word":
            value = (text.split() or [self.default])[0].upper()
        elif self.kind == "list":
            value = tuple(filter(None, map(str.strip, text.split(","))))
        elif self.kind == "switch":
            if text.strip().lower() not in _ON | _OFF:
                raise WrongValue(self, text)
            value = text.strip().lower() in _ON
        elif not text.strip():
            value = None if self.optional else self.default
        else:
            try:
                value = int(text) if self.kind == "whole" else float(text)
            except ValueError:
                raise WrongValue(self, text) from None
        self.allow(value)
        return value

    def allow(self, value: Any) -> None:
        """Raises WrongValue for one that is out of bounds or no choice."""
        if value is None or value == self.default:
            return
        if self.kind in ("whole", "number"):
            fine = math.isfinite(value) and self.least <= value and not (self.above_zero and value <= 0)
            if fine and self.most is None and value > MOST:
                raise WrongValue(self, str(value), too_large=True)
            fine = fine and (self.most is None or value <= self.most)
        elif self.choices:
            fine = value in self.choices
        else:
            fine = self.check is None or self.check(value)
        if not fine:
            raise WrongValue(self, ",".join(value) if self.kind == "list" else str(value))

    def bounds(self) -> dict[str, str]:
        """What the sentence about a wrong value says of the right ones."""
        return {
            "least": str(self.least),
            "most": str(self.most),
            "choices": ", ".join(self.choices),
            "example": self.example,
        }

    def written(self) -> str:
        """The default as one would write it into the environment."""
        if self.default is None:
            return ""
        if self.kind == "list":
            return ",".join(self.default)
        if self.kind == "switch":
            return str(self.default).lower()
        return str(self.default).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of `.env.example`, under which a settings class declares variables as its fields."""

    title: str

    def variable(self, default: Any, meaning: str, *, secret: bool = False, **more: Any) -> Any:
        """A field of a dataclass; the variable's name is the field's in capitals. `more`: as in Variable."""
        more["secret"] = secret
        return field(default=default, repr=not secret, metadata={"variable": (self.title, meaning, more)})


def variables_of(settings_class: Any) -> list[Variable]:
    """The variables that a dataclass declares by `Group.variable`, in their order."""
    types = get_type_hints(settings_class)
    return [_variable(one, types[one.name]) for one in fields(settings_class) if "variable" in one.metadata]


def _variable(declared: Field[Any], annotation: Any) -> Variable:
    group, meaning, more = declared.metadata["variable"]
    kind, optional = _KINDS[annotation]
    return Variable(
        name=declared.name.upper(),
        kind=kind,
        optional=optional,
        default=declared.default,
        meaning=meaning,
        group=group,
        **more,
    )


def is_web_address(text: str) -> bool:
    """Whether a text is the address of something on the web, with a host."""
    try:
        url = urlsplit(text)
        return is_one_word(text) and url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def is_one_word(text: str) -> bool:
    """Whether a text has no blank and no control character; urlsplit passes over some of them."""
    return text.isprintable() and " " not in text
