"""Where each profile option of a mapping's targets comes from, for people."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext_lazy

from gateway.config.snapshot.loader import load
from gateway.conversion.errors.refusal_rules import value_of
from gateway.conversion.profile import Profile
from gateway.routing.facts import NO_FACTS, Facts
from gateway.routing.layers import DEFAULT, Layer, profile_layers, source_of
from gateway.routing.resolve import considered
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, Target

SOURCES: Final[Mapping[str, object]] = {
    "catalogue": gettext_lazy("catalogue of known models"),
    "model family": gettext_lazy("family of the model"),
    "preset": gettext_lazy("preset"),
    "model rule": gettext_lazy("the preset's rule for this model"),
    "model list": gettext_lazy("the provider's list of models"),
    "learnt": gettext_lazy("learnt from answers"),
    "provider": gettext_lazy("set at the provider"),
    "mapping": gettext_lazy("set at the mapping"),
    DEFAULT: gettext_lazy("default"),
}
# always shown, and first
_SIZES: Final = ("context_window", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class OptionSource:
    """One option in force: its value as JSON; `source` in words. Both are "" for a size that is unknown."""

    option: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """The sizes of one target, then its options that differ from their defaults.

    `options` None: they depend on the model asked for, and the question named none.
    """

    target: str
    options: tuple[OptionSource, ...] | None


def options_of_mapping(pk: int) -> tuple[TargetOptions, ...]:
    """The targets of a stored mapping in their order. Raises what the database raises."""
    snapshot = load()
    rule = next((rule for rule in snapshot.rules if rule.id == pk), None)
    return tuple(_of_targets(rule, snapshot)) if rule is not None else ()


def options_of_name(asked_model: str, facts: Facts = NO_FACTS) -> tuple[TargetOptions, ...]:
    """The usable targets of the mapping that takes such a request. Raises what the database raises."""
    snapshot = load()
    found = []
    for one in considered(snapshot, asked_model, facts):
        if one.route is not None:
            layers = _layers(one.route.rule, one.target, one.route.upstream_model, snapshot)
            found.append(
                TargetOptions(_title(one.route.upstream_model, one.target, snapshot), _listed(layers))
            )
    return tuple(found)


def _of_targets(rule: MappingRule, snapshot: ConfigSnapshot) -> Iterator[TargetOptions]:
    for target in rule.targets:
        model = target.upstream_model or (rule.pattern if rule.exact else "")
        title = _title(model, target, snapshot)
        if not model or "*" in model or target.provider not in snapshot.providers:
            yield TargetOptions(title, None)
        else:
            yield TargetOptions(title, _listed(_layers(rule, target, model, snapshot)))


def _layers(
    rule: MappingRule, target: Target, upstream_model: str, snapshot: ConfigSnapshot
) -> tuple[Layer, ...]:
    return profile_layers(rule, target, snapshot.providers[target.provider], upstream_model, snapshot)


def _title(upstream_model: str, target: Target, snapshot: ConfigSnapshot) -> str:
    provider = snapshot.providers.get(target.provider)
    return f"{upstream_model or '*'} @ {provider.name if provider else target.provider}"


def _listed(layers: tuple[Layer, ...]) -> tuple[OptionSource, ...]:
    profile = Profile.merged(*(options for _, options in layers))
    names = [option.name for option in dataclasses.fields(Profile) if option.name not in _SIZES]
    shown = [*_SIZES, *(name for name in names if source_of(name, layers) not in (DEFAULT, "route"))]
    return tuple(_source(name, profile, layers) for name in shown)


def _source(name: str, profile: Profile, layers: tuple[Layer, ...]) -> OptionSource:
    value = value_of(profile, name)
    if value is None and name in _SIZES:
        return OptionSource(name, "", "")
    shown = json.dumps(value, ensure_ascii=False)
    return OptionSource(name, shown, str(SOURCES[source_of(name, layers)]))
