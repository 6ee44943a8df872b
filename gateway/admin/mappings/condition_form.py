"""The conditions of a mapping as fields of a form: 'when all of this holds'.

Each fact is read from the record's `when` into fields and written back from them. Untouched fields keep what
is stored, and names that this version does not know are kept in a field of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.base import Checkboxes, IntegerInput, Select, TextInput
from gateway.admin.ui.fields import JSONObjectField, LinesField
from gateway.client_protocol.purpose import CONDITIONS
from gateway.conversion.validation.block_checks import EFFORTS
from gateway.models.configuration.condition_words import DAY_WORDS, sentence_of, zone_of
from gateway.models.history.request_log import class_words
from gateway.routing.conditions import FACTS, BadCondition, compiled
from gateway.routing.predicates import DAYS

_ANY: Final = (("", _("any")), ("yes", _("yes")), ("no", _("no")))
_BEYOND: Final = "others"

Values = dict[str, Any]


def _number(label: Any, words: Any = "") -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=0, widget=IntegerInput, help_text=words)


def _flag(label: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=False, choices=_ANY, widget=Select)


def _lines(label: Any, words: Any = "") -> LinesField:
    return LinesField(label=label, help_text=words)


class ConditionFields(forms.ModelForm):
    """The fields, for the form of a record with `when` to inherit."""

    classes = forms.MultipleChoiceField(
        label=_("For"),
        required=False,
        choices=lambda: [(name, class_words(name)) for name in CONDITIONS],
        widget=Checkboxes,
        help_text=_(
            "The mapping takes only requests for these purposes. None: every request. Claude Code says what "
            "a request is for when hint headers are on; otherwise it is inferred."
        ),
    )
    input_from = _number(
        _("Input tokens from"), _("As estimated before a target is known; 60000 is 60000 and more.")
    )
    input_to = _number(_("Input tokens up to"))
    images = _flag(_("Images in it"))
    pdfs = _flag(_("PDFs in it"))
    thinking = _flag(_("Asks for thinking"))
    web_search = _flag(_("Offers web search"))
    structured_output = _flag(_("Asks for structured output"))
    streamed = _flag(_("Streamed"))
    agent_types = _lines(_("Agent types"), _("One a line; * stands for any text."))
    efforts = forms.MultipleChoiceField(
        label=_("Effort"), required=False, choices=[(name, name) for name in EFFORTS], widget=Checkboxes
    )
    tools_from = _number(_("Tools offered, from"))
    tools_to = _number(_("Tools offered, up to"))
    tool_names = _lines(
        _("One of these tools offered"), _("One a line, such as WebSearch or mcp__github__*.")
    )
    output_from = _number(_("Output tokens asked for, from"))
    output_to = _number(_("Output tokens asked for, up to"))
    keys_named = _lines(_("Client keys"), _("Names, one a line; * stands for any text."))
    owners = _lines(_("Owners"), _("User names, one a line."))
    groups_named = _lines(_("Groups"), _("One a line; the key's owner must be in one of them."))
    clients = _lines(
        _("Clients"), _("One a line, with bounds of the version if they matter: claude-cli >=2.1.300 <2.2.")
    )
    days = forms.MultipleChoiceField(
        label=_("Days"), required=False, choices=list(DAY_WORDS.items()), widget=Checkboxes,
        help_text=_("None: every day. A night belongs to the day on which it begins."),
    )  # fmt: skip
    time_from = forms.CharField(
        label=_("From (hour)"), required=False, widget=TextInput(attrs={"placeholder": "18:00"})
    )
    time_to = forms.CharField(
        label=_("To (hour)"), required=False, widget=TextInput(attrs={"placeholder": "08:00"})
    )
    time_zone = forms.CharField(
        label=_("Time zone"), required=False, widget=TextInput(attrs={"placeholder": "Europe/Berlin"})
    )
    headers_named = _lines(
        _("Headers"), _("One a line, with the values that are meant: x-team: red, blue*. Never a credential.")
    )
    others = JSONObjectField(
        label=_("Unknown conditions"),
        help_text=_(
            "This version does not know them, so the mapping takes no request. Empty it to drop them."
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        stored = self.instance.when if isinstance(self.instance.when, dict) else {}
        for name, value in values_of(stored).items():
            if name in self.fields and name not in self.initial:
                self.fields[name].initial = value
                self._keep_choices(name, value)
        if _BEYOND in self.fields and not (stored.keys() - set(FACTS)):
            del self.fields[_BEYOND]

    def _keep_choices(self, name: str, value: Any) -> None:
        """Add a stored value that is not among the choices, so that saving does not lose it."""
        field = self.fields[name]
        if isinstance(field, forms.MultipleChoiceField):
            choices: Any = field.choices
            known = [choice for choice, _words in choices]
            field.choices = [*choices, *((one, one) for one in value if one not in known)]

    def clean(self) -> Any:
        cleaned = super().clean()
        stored = self.instance.when if isinstance(self.instance.when, dict) else {}
        when = dict(stored) if _BEYOND not in self.fields else {n: v for n, v in stored.items() if n in FACTS}
        if _BEYOND in self.fields:
            when.update(self.cleaned_data.get(_BEYOND) or {})
        for fact in _WRITTEN:
            changed = [name for name in fact.fields if name in self.fields and self._changed(name)]
            if not changed or any(name not in self.cleaned_data for name in changed):
                continue
            try:
                value = fact.written({name: self.cleaned_data.get(name) for name in fact.fields})
                when.pop(fact.name, None)
                if value is not None:
                    when[fact.name] = value
                    compiled({fact.name: value}, zone_of)
            except BadCondition as problem:
                self.add_error(changed[0], sentence_of(problem))
        if not self.errors:
            self.instance.when = when
        return cleaned

    def _changed(self, name: str) -> bool:
        return self.fields[name].has_changed(
            self.get_initial_for_field(self.fields[name], name),
            self.fields[name].widget.value_from_datadict(self.data, self.files, self.add_prefix(name)),
        )

    def _update_errors(self, errors: ValidationError) -> None:
        # `when` itself is not a field of the form
        found = getattr(errors, "error_dict", {})
        if "when" in found and "when" not in self.fields:
            found.setdefault(NON_FIELD_ERRORS, []).extend(found.pop("when"))
        super()._update_errors(errors)  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class _Fact:
    """A fact of `when` and the form fields that show it. `written` returns None to leave it out."""

    name: str
    fields: tuple[str, ...]
    read: Callable[[Any], Values]
    written: Callable[[Values], Any]


def values_of(when: Mapping[str, Any]) -> Values:
    """The initial values of the fields."""
    found: Values = {}
    for fact in _WRITTEN:
        if fact.name in when:
            try:
                found.update(fact.read(when[fact.name]))
            except (TypeError, AttributeError, KeyError, ValueError):
                # written by hand in another form, which these fields cannot show: keep it
                continue
    found[_BEYOND] = {name: value for name, value in when.items() if name not in FACTS}
    return found


def used_fields(when: Any) -> set[str]:
    """The fields that are in use for these conditions."""
    if not isinstance(when, dict):
        return set()
    return {name for name, value in values_of(when).items() if value not in (None, "", [], {})}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _list_fact(name: str, field: str) -> _Fact:
    return _Fact(name, (field,), lambda value: {field: _list(value)}, lambda values: values[field] or None)


def _range_fact(name: str, start: str, end: str, named: str = "") -> _Fact:
    def read(value: Any) -> Values:
        found = {start: value.get("from"), end: value.get("to")}
        return {**found, named: _list(value.get("name", []))} if named else found

    def written(values: Values) -> Any:
        found = {"from": values[start], "to": values[end], "name": (values[named] if named else None) or None}
        return {key: value for key, value in found.items() if value is not None} or None

    return _Fact(name, (start, end, *([named] if named else [])), read, written)


def _flag_fact(name: str) -> _Fact:
    said = {True: "yes", False: "no"}
    return _Fact(
        name,
        (name,),
        lambda value: {name: said[value]},
        lambda values: {"yes": True, "no": False}.get(values[name] or ""),
    )


def _read_time(value: Any) -> Values:
    return {
        "days": _list(value.get("days", [])),
        "time_from": value.get("from", ""),
        "time_to": value.get("to", ""),
        "time_zone": value.get("zone", ""),
    }


def _written_time(values: Values) -> Any:
    days = [day for day in DAYS if day in (values["days"] or ())]
    days += [day for day in values["days"] or () if day not in DAYS]
    if not days and not values["time_from"] and not values["time_to"]:
        return None
    hours = {"from": values["time_from"], "to": values["time_to"]}
    zone = values["time_zone"] or get_current_timezone_name()
    return {
        **({"days": days} if days else {}),
        **{name: text.strip() for name, text in hours.items() if text},
        "zone": zone.strip(),
    }


def _read_headers(value: Any) -> Values:
    return {"headers_named": [f"{name}: {', '.join(values)}" for name, values in value.items()]}


def _written_headers(values: Values) -> Any:
    return header_lines(values["headers_named"] or ()) or None


def header_lines(lines: Iterable[str]) -> dict[str, list[str]]:
    """`x-team: red, blue*` as a name with its values; lines of one name add up."""
    found: dict[str, list[str]] = {}
    for line in lines:
        name, _colon, texts = line.partition(":")
        values = [one.strip() for one in texts.split(",") if one.strip()]
        found.setdefault(name.strip().lower(), []).extend(values)
    return found


_WRITTEN: Final = (
    _list_fact("class", "classes"),
    _range_fact("input_tokens", "input_from", "input_to"),
    *map(_flag_fact, ("images", "pdfs", "thinking", "web_search", "structured_output", "streamed")),
    _list_fact("agent_type", "agent_types"),
    _list_fact("effort", "efforts"),
    _range_fact("tools", "tools_from", "tools_to", "tool_names"),
    _range_fact("max_tokens", "output_from", "output_to"),
    _list_fact("key", "keys_named"),
    _list_fact("owner", "owners"),
    _list_fact("group", "groups_named"),
    _list_fact("client", "clients"),
    _Fact("time", ("days", "time_from", "time_to", "time_zone"), _read_time, _written_time),
    _Fact("header", ("headers_named",), _read_headers, _written_headers),
)
# the fields in the page's order: first those that most rules need, then the others
COMMON: Final = (
    "classes",
    ("input_from", "input_to"),
    ("images", "pdfs", "thinking"),
)
MORE: Final = (
    ("web_search", "structured_output", "streamed"),
    "agent_types",
    "efforts",
    ("tools_from", "tools_to"),
    "tool_names",
    ("output_from", "output_to"),
    "keys_named",
    "owners",
    "groups_named",
    "clients",
    "days",
    ("time_from", "time_to", "time_zone"),
    "headers_named",
    _BEYOND,
)
