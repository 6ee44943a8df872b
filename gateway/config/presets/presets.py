"""Known providers as data, and the check of profile options; the only module that uses jsonschema."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator

from gateway import patterns
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.profile import OPTION_NAMES
from gateway.routing.snapshot import ModelRule

GENERIC: Final = "generic"
# set by the gateway itself, from the provider and the mapping
_NOT_FOR_ADMINS: Final = frozenset({"provider", "upstream_model"})
_PROTOCOLS: Final = tuple(DIALECTS)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another endpoint of the same service, with the preset's options. `note` is for people."""

    protocol: str
    base_url: str
    auth: str = "bearer"
    count_tokens: bool = False
    note: str = ""

    @property
    def shown_note(self) -> str:
        """The note in the reader's language."""
        return _(self.note)


@dataclass(frozen=True, slots=True)
class Preset:
    """A known provider (docs/providers.md, "What a preset holds"). `label` and `note` are for people.

    `hosts` (with * for a part that differs) and `local_port` are how its URL is recognised.
    `sizes_endpoint`: a path of the server itself that tells the windows in force, where its list does not.
    `recommended`: the protocol to choose first, when it is not `protocol`. `status`
    "retired": the service is gone, and only a hint to who enters its URL. `default_models`:
    upstream models for big, middle and small. `verified`: where the facts were read.
    """

    slug: str
    label: str
    base_url: str
    protocol: str = "chat"
    url_params: tuple[str, ...] = ()
    auth: str = "bearer"
    needs_key: bool = True
    hosts: tuple[str, ...] = ()
    local_port: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    ratelimit_prefix: str = "x-ratelimit-"
    models_endpoint: str | None = None
    sizes_endpoint: str = ""
    alternatives: tuple[Alternative, ...] = ()
    recommended: str = ""
    status: str = "active"
    default_models: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    model_rules: tuple[ModelRule, ...] = ()
    docs: str = ""
    note: str = ""
    verified: str = ""
    # a gateway: others run the models
    passes_on: bool = False

    @property
    def kind(self) -> str:
        """cloud, local, gateway, or other for a server that nobody knows yet."""
        if not self.base_url:
            return "other"
        if "://localhost" in self.base_url:
            return "local"
        return "gateway" if self.passes_on else "cloud"

    @property
    def shown_label(self) -> str:
        """The label in the reader's language. A record named after the preset takes `label` itself."""
        return _(self.label)

    @property
    def shown_note(self) -> str:
        """The note in the reader's language."""
        return _(self.note)

    @property
    def retired(self) -> bool:
        return self.status == "retired"

    @property
    def own(self) -> Alternative:
        """The endpoint that the preset itself names."""
        return Alternative(self.protocol, self.base_url, self.auth)

    def endpoint(self, protocol: str) -> Alternative:
        """Where the service speaks `protocol`; its own endpoint when none is known for that protocol."""
        if protocol == self.protocol:
            return self.own
        return next((other for other in self.alternatives if other.protocol == protocol), self.own)


@cache
def presets() -> dict[str, Preset]:
    """All presets by slug, in the order of display: by name, those for any server last."""
    folder = resources.files("gateway.config").joinpath("known_providers")
    files = [json.loads(file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".json")]
    found = [known for data in files for known in _presets(data)]
    found.sort(key=lambda known: (not known.base_url, known.label.lower()))
    return {known.slug: known for known in found}


def preset(slug: str) -> Preset:
    """One preset; an unknown (or removed) slug gives the generic one."""
    return presets().get(slug) or presets()[GENERIC]


def _presets(data: Mapping[str, Any]) -> list[Preset]:
    """The presets of one file. `like` names another preset of the file, which supplies what is not given."""
    entries: dict[str, dict[str, Any]] = {}
    for entry in data["presets"]:
        like = entries[entry["like"]] if "like" in entry else {}
        entries[entry["slug"]] = {**like, **entry}
    rules = data.get("model_rules", ())
    return [_preset(entry, rules) for entry in entries.values()]


def _preset(entry: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> Preset:
    own = tuple(
        ModelRule(patterns.compiled(rule["match"]), rule["options"])
        for rule in rules
        if entry["slug"] in rule["presets"]
    )
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in entry.items()
        if name != "like"
    }
    values["alternatives"] = tuple(Alternative(**other) for other in entry.get("alternatives", ()))
    return Preset(**values, model_rules=own)


def options_problems(options: Any) -> list[str]:
    """What is wrong with profile options, as sentences for the admin; empty when nothing is.

    Null is always valid: it sets an option back to its default.
    """
    if not isinstance(options, dict):
        return [_('Profile options are a JSON object, for example {"max_tokens_field": "max_tokens"}.')]
    problems = []
    for name, value in options.items():
        problem = _problem(str(name), value)
        if problem:
            problems.append(problem)
    return problems


def usable_options(options: Any) -> dict[str, Any]:
    """The options that pass the check, without those that this version does not know."""
    if not isinstance(options, dict):
        return {}
    return {name: value for name, value in options.items() if not _problem(str(name), value)}


def _problem(name: str, value: Any) -> str:
    if name in _NOT_FOR_ADMINS:
        return _("%(name)s is set by the gateway itself; leave it out.") % {"name": name}
    if name not in OPTION_NAMES:
        near = difflib.get_close_matches(name, sorted(OPTION_NAMES), n=1)
        if near:
            return _("%(name)s is not a profile option. Did you mean %(near)s?") % {
                "name": name,
                "near": near[0],
            }
        return _("%(name)s is not a profile option.") % {"name": name}
    if value is None:
        return ""
    if name == "protocol" and value not in _PROTOCOLS:
        return _NOT_ONE_OF % {"place": name, "value": json.dumps(value), "choices": _one_of(_PROTOCOLS)}
    first = min(_validator(name).iter_errors(value), key=_depth, default=None)
    return _sentence(name, first) if first else ""


@cache
def _validator(name: str) -> Validator:
    schema = json.loads(
        resources.files("gateway.conversion").joinpath("profile.schema.json").read_text("utf-8")
    )
    return Draft202012Validator(schema["properties"][name])


def _depth(error: ValidationError) -> int:
    return len(error.absolute_path)


def _sentence(name: str, error: ValidationError) -> str:
    place = name + "".join(f".{part}" for part in error.absolute_path)
    value = json.dumps(error.instance, ensure_ascii=False)
    shown = value if len(value) <= 60 else value[:57] + "..."
    if error.validator == "enum":
        return _NOT_ONE_OF % {"place": place, "value": shown, "choices": _one_of(error.validator_value)}
    if error.validator == "type":
        kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        return _("%(place)s: %(value)s is not allowed; enter %(kinds)s.") % {
            "place": place,
            "value": shown,
            "kinds": _one_of_kinds(kinds),
        }
    if error.validator == "minimum":
        return _("%(place)s: %(value)s is too small; the least is %(least)s.") % {
            "place": place,
            "value": shown,
            "least": error.validator_value,
        }
    if error.validator == "uniqueItems":
        return _("%(place)s: an entry stands there twice.") % {"place": place}
    if error.validator == "anyOf":
        choices = [choice for branch in error.validator_value for choice in _choices(branch)]
        return _("%(place)s: %(value)s is not allowed; use %(choices)s, or a list of several.") % {
            "place": place,
            "value": shown,
            "choices": _one_of(choices),
        }
    if error.validator in ("minLength", "minItems"):
        return _("%(place)s: it must not be empty.") % {"place": place}
    return f"{place}: {error.message}."


def _choices(branch: dict[str, Any]) -> list[Any]:
    return list(branch.get("enum", []))


def _one_of(values: Iterable[Any]) -> str:
    shown = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return _or(shown)


def _or(shown: list[str]) -> str:
    if len(shown) < 2:
        return "".join(shown)
    return _("%(many)s or %(last)s") % {"many": ", ".join(shown[:-1]), "last": shown[-1]}


_NOT_ONE_OF: Final = gettext_lazy("%(place)s: %(value)s is not allowed; use %(choices)s.")
_KINDS: Final = {
    "string": gettext_lazy("a text in quotes"),
    "integer": gettext_lazy("a whole number"),
    "number": gettext_lazy("a number"),
    "boolean": gettext_lazy("true or false"),
    "array": gettext_lazy("a list"),
    "object": gettext_lazy("an object"),
    "null": "null",
}


def _one_of_kinds(kinds: Iterable[str]) -> str:
    return _or([str(_KINDS[kind]) for kind in kinds])
