"""Form fields of our own: secrets that are never shown, headers with masked values, lists, options."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from gateway import patterns
from gateway.admin.ui.base import PasswordInput, Textarea
from gateway.config.presets.presets import options_problems

MASK: Final = "••••••••"
_HEADER_NAME: Final = patterns.compiled(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# the gateway sets these headers itself
_NOT_OURS_TO_SET: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "content-type", "accept-encoding"}
)


class SecretField(forms.CharField):
    """A password input that never shows what is stored; empty means no change."""

    def __init__(self, **options: Any) -> None:
        widget = PasswordInput(render_value=False, attrs={"autocomplete": "off", "size": 60})
        super().__init__(**{"required": False, "widget": widget, **options})

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


class SecretLinesField(forms.CharField):
    """A secret of several lines, such as a private key; never shown, even after a mistake.

    Empty means no change.
    """

    def __init__(self, **options: Any) -> None:
        attrs = {"rows": 4, "cols": 70, "spellcheck": "false", "autocomplete": "off", "data-mono": ""}
        super().__init__(**{"required": False, "widget": Textarea(attrs=attrs), **options})

    def prepare_value(self, value: Any) -> Any:
        return ""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "widget": Textarea(attrs={"rows": 4, "cols": 50}), **options})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        lines = (line.strip() for line in (super().clean(value) or "").splitlines())
        return list(dict.fromkeys(line for line in lines if line))

    def has_changed(self, initial: Any, data: Any) -> bool:
        before: list[str] = list(initial or [])
        after: list[str] = self.clean(data)
        return before != after


class JSONObjectField(forms.JSONField):
    """An indented JSON object; errors name the line."""

    def __init__(self, **options: Any) -> None:
        widget = Textarea(attrs={"rows": 8, "cols": 70, "spellcheck": "false", "data-mono": ""})
        super().__init__(**{"required": False, "widget": widget, **options})

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip():
            try:
                json.loads(value)
            except json.JSONDecodeError as problem:
                raise ValidationError(
                    _("This is not JSON: %(problem)s in line %(line)d, column %(column)d.")
                    % {"problem": problem.msg, "line": problem.lineno, "column": problem.colno}
                ) from None
        parsed = super().to_python(value)
        return {} if parsed is None else parsed

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str | forms.fields.InvalidJSONInput):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


class OptionsField(JSONObjectField):
    """Profile options; each wrong one has an error of its own."""

    def clean(self, value: Any) -> Any:
        options = super().clean(value)
        problems = options_problems(options)
        if problems:
            raise ValidationError(problems)
        return options


class HeadersField(forms.CharField):
    """Request headers, one `Name: value` a line. The page shows names with masked values.

    clean() gives a dictionary; where a value is still the mask, the form must keep the stored one.
    """

    def __init__(self, **options: Any) -> None:
        widget = Textarea(attrs={"rows": 4, "cols": 70, "spellcheck": "false", "autocomplete": "off"})
        super().__init__(**{"required": False, "widget": widget, **options})

    def clean(self, value: Any) -> Any:
        headers: dict[str, str] = {}
        for line in (super().clean(value) or "").splitlines():
            if line.strip():
                name, text = _header(line)
                headers[name] = text
        return headers

    def has_changed(self, initial: Any, data: Any) -> bool:
        return str(initial or "").split() != str(data or "").split()


def masked(names: Iterable[str]) -> str:
    """The lines for a page, with every value masked."""
    return "\n".join(f"{name}: {MASK}" for name in names)


def unmasked(headers: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """Replace masks by the stored values. Raises ValidationError for a mask without a stored value."""
    merged = {}
    for name, value in headers.items():
        if value == MASK and name not in stored:
            raise ValidationError(_("%(name)s has no stored value; enter one.") % {"name": name})
        merged[name] = stored[name] if value == MASK else value
    return merged


def _header(line: str) -> tuple[str, str]:
    name, colon, value = (part.strip() for part in line.partition(":"))
    if not colon or not _HEADER_NAME.fullmatch(name):
        raise ValidationError(_("Write each header as Name: value, one a line."))
    if name.lower() in _NOT_OURS_TO_SET:
        raise ValidationError(_("%(name)s is set by the gateway itself; leave it out.") % {"name": name})
    if value != MASK and not (value.isascii() and value.isprintable()):
        raise ValidationError(
            _("The value of %(name)s has characters that a header cannot carry.") % {"name": name}
        )
    return name, value
