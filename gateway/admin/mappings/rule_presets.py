"""Common rules made with one click, each for a target that some mapping already leads to.

The one for images stands in front of the mappings that lead to a model without eyes, and of no others; where
every model sees images it is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Min
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.client_protocol.purpose import RequestClass
from gateway.config.changes import together
from gateway.config.presets.presets import preset, usable_options
from gateway.config.snapshot.catalogue import known_prices
from gateway.config.snapshot.model_sizes import listed_sizes
from gateway.config.snapshot.rules import mapping_rules
from gateway.conversion.profile import Profile
from gateway.models import MappingTarget, ModelMapping, Origin, Provider
from gateway.routing.conditions import Condition
from gateway.routing.layers import profile_layers
from gateway.routing.predicates import Is
from gateway.routing.reach import taker_of
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, ProviderConfig, Target

USUAL_TOKENS: Final = 60_000
_MOST_TOKENS: Final = 1_000_000_000
_STEP: Final = 10
_MOST_NAMED: Final = 5
# requests that carry what people and tools show; the others are texts
_CONVERSING: Final = frozenset(RequestClass) - {RequestClass.AUXILIARY}


class Choice(NamedTuple):
    """A target, with what is known of its model."""

    target: MappingTarget
    pattern: str
    profile: Profile
    preset: str

    @property
    def value(self) -> str:
        return str(self.target.pk)


@dataclass(frozen=True, slots=True)
class RulePreset:
    """`suits`: how well a target fits, None if it does not; the best is preselected. `for_the_blind`: it is
    for the mappings whose model does not see images, not for all.
    """

    name: str
    title: Any
    text: Any
    when: Callable[[int], Mapping[str, Any]]
    suits: Callable[[Choice], float | None]
    options: Mapping[str, Any]
    asks_tokens: bool = False
    for_the_blind: bool = False


def _small(choice: Choice) -> float | None:
    names = f"{choice.pattern} {choice.target.upstream_model}".lower()
    return float(any(word in names for word in ("haiku", "mini", "small", "flash", "lite", "nano")))


PRESETS: Final = (
    RulePreset(
        "background",
        gettext_lazy("Background work to the small model"),
        gettext_lazy("Titles, probes and the client's own checks."),
        lambda _tokens: {"class": ["auxiliary"]},
        _small,
        {},
    ),
    RulePreset(
        "long",
        gettext_lazy("Long contexts to the large window"),
        gettext_lazy("Requests of at least so many input tokens, as estimated."),
        lambda tokens: {"input_tokens": {"from": tokens}},
        lambda choice: float(choice.profile.context_window or 0),
        {},
        asks_tokens=True,
    ),
    RulePreset(
        "images",
        gettext_lazy("Images to a model with eyes"),
        gettext_lazy("Requests whose messages or tool results have images."),
        lambda _tokens: {"images": True},
        lambda choice: None if choice.profile.images == "text" else 1.0,
        {},
        for_the_blind=True,
    ),
    RulePreset(
        "flex",
        gettext_lazy("Background work through the flex tier"),
        gettext_lazy("Slower and cheaper; OpenAI alone has it."),
        lambda _tokens: {"class": ["auxiliary"]},
        lambda choice: 1.0 if choice.preset in ("openai", "openai-chat") else None,
        {"extra_body": {"service_tier": "flex"}},
    ),
)


@dataclass(frozen=True, slots=True)
class _Models:
    """What is known of the models that mappings lead to, without what was learnt. `providers`: by slug."""

    targets: Sequence[MappingTarget]
    providers: Mapping[str, ProviderConfig]
    snapshot: ConfigSnapshot

    @classmethod
    def stored(cls) -> _Models:
        targets = list(_targets())
        records = {target.provider.slug: target.provider for target in targets}
        providers = {slug: _without_secrets(record) for slug, record in records.items()}
        known_window = known_prices().context_window
        return cls(
            targets, providers, ConfigSnapshot(0, listed=dict(listed_sizes()), known_window=known_window)
        )

    def profile(self, rule: MappingRule, target: Target) -> Profile:
        provider = self.providers[target.provider]
        layers = profile_layers(rule, target, provider, target.upstream_model, self.snapshot)
        return Profile.merged(*(options for _source, options in layers))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a preset puts a rule, and the requests that it takes."""

    pattern: str
    position: int
    when: Mapping[str, Any]


def offered(rules: Sequence[MappingRule]) -> dict[str, Any]:
    """What the page shows. `presets`: those for which a target fits, each with its targets, the best first;
    `images_seen`: no mapping needs the one for images.
    """
    models = _Models.stored()
    choices = list(_choices(rules, models))
    blind = _blind(rules, models)
    found = []
    for one in PRESETS:
        suiting = [(suits, choice) for choice in choices if (suits := one.suits(choice)) is not None]
        if suiting and (blind or not one.for_the_blind):
            best = sorted(suiting, key=lambda pair: -pair[0])
            shown = _shortened([rule.pattern for rule in blind]) if one.for_the_blind else ""
            found.append({"preset": one, "choices": [choice for _suits, choice in best], "blind": shown})
    return {"presets": found, "images_seen": not blind}


def _blind(rules: Sequence[MappingRule], models: _Models) -> list[MappingRule]:
    """The rules in force that lead requests with images to a model that does not see them."""
    found: list[MappingRule] = []
    before: list[MappingRule] = []
    for rule in rules:
        if not rule.enabled or rule.condition.flaw is not None:
            continue
        sees = [
            models.profile(rule, target).images != "text"
            for target in rule.targets
            if target.enabled and target.provider in models.providers
        ]
        with_images = replace(rule, public_names=(), condition=_about_images(rule.condition))
        no_images = dict(rule.condition.tests).get("images") == Is(False)
        background = rule.condition.classes and rule.condition.classes.isdisjoint(_CONVERSING)
        if not (no_images or background or _leads_to_eyes(rule, sees) or taker_of(with_images, before)):
            found.append(rule)
        before.append(rule)
    return found


def _leads_to_eyes(rule: MappingRule, sees: Sequence[bool]) -> bool:
    if not sees:
        # it leads to no model at all
        return True
    if rule.skips_blind:
        return any(sees)
    return sees[0] if rule.shares is None else all(sees)


def _about_images(condition: Condition) -> Condition:
    """The condition of those requests among its own that carry images."""
    others = (test for test in condition.tests if test[0] != "images")
    return replace(condition, tests=(*others, ("images", Is(True))))


def make_rule(request: HttpRequest) -> HttpResponse:
    """POST preset, target and tokens: make the rule and return to the list."""
    back = HttpResponseRedirect(reverse("admin:gateway_modelmapping_changelist"))
    if not request.user.has_perm("gateway.add_modelmapping"):
        raise PermissionDenied
    if request.method != "POST":
        return back
    chosen = next((one for one in PRESETS if one.name == request.POST.get("preset")), None)
    target = _target(request.POST.get("target", ""))
    tokens = _tokens(request.POST.get("tokens", ""))
    if chosen is None or target is None or tokens is None:
        messages.error(request, _("Choose a target, and a whole number of tokens where one is asked for."))
        return back
    places = _in_front_of_the_blind() if chosen.for_the_blind else [_first(chosen.when(tokens))]
    if not places:
        messages.info(request, _("No rule is needed: every mapping leads to a model that sees images."))
        return back
    with together(ModelMapping, str(chosen.title)), transaction.atomic():
        for place in places:
            mapping = ModelMapping(
                pattern=place.pattern,
                position=place.position,
                when=dict(place.when),
                options=dict(chosen.options),
                note=str(chosen.title),
            )
            mapping.full_clean()
            mapping.save()
            mapping.lead_to(target.provider, target.upstream_model, model_family=target.model_family)
    if chosen.for_the_blind:
        text = _("Images of these names go to %(target)s now: %(patterns)s.")
        patterns = _shortened([place.pattern for place in places])
        messages.success(request, text % {"target": target, "patterns": patterns})
        return back
    messages.success(
        request, _("The rule stands in front of the others: %(title)s.") % {"title": chosen.title}
    )
    _warn_of_exact_names(request)
    return back


def _first(when: Mapping[str, Any]) -> _Place:
    """For every name, in front of all mappings."""
    first = ModelMapping.objects.aggregate(first=Min("position"))["first"]
    return _Place("*", (first if first is not None else _STEP) - _STEP, when)


def _in_front_of_the_blind() -> list[_Place]:
    """In front of each mapping whose model sees no images; of all at once if every pattern leads to such."""
    rules = mapping_rules()
    blind = _blind(rules, _Models.stored())
    patterns = [rule for rule in rules if rule.enabled and not rule.exact]
    found = []
    if patterns and all(rule in blind for rule in patterns):
        found.append(_first({"images": True}))
        blind = [rule for rule in blind if rule.exact]
    whens = dict(ModelMapping.objects.values_list("pk", "when"))
    found += [
        _Place(rule.pattern, rule.position - 1, {**whens.get(rule.id, {}), "images": True}) for rule in blind
    ]
    return found


def _warn_of_exact_names(request: HttpRequest) -> None:
    patterns = ModelMapping.objects.filter(enabled=True).exclude(pattern__contains="*")
    names = list(patterns.values_list("pattern", flat=True)[: _MOST_NAMED + 1])
    if names:
        text = _("Exact names beat patterns, so the rule takes no request for: %(names)s.")
        messages.warning(request, text % {"names": _shortened(names)})


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")


def _choices(rules: Iterable[MappingRule], models: _Models) -> Iterator[Choice]:
    """The targets of enabled mappings that name a model, without duplicates."""
    by_id = {rule.id: rule for rule in rules}
    seen = set()
    for target in models.targets:
        record, rule = target.provider, by_id.get(target.mapping_id)
        place = record.slug, target.upstream_model
        if _names_a_model(target) and place not in seen and rule is not None:
            seen.add(place)
            profile = models.profile(rule, Target(*place, target.model_family))
            yield Choice(target, rule.pattern, profile, record.preset)


def _names_a_model(target: MappingTarget) -> bool:
    return bool(target.upstream_model) and "*" not in target.upstream_model


def _without_secrets(record: Provider) -> ProviderConfig:
    """The part of a provider that determines the profile."""
    known = preset(record.preset)
    options = usable_options(record.options)
    return ProviderConfig(
        record.slug,
        record.name,
        record.base_url,
        protocol=options.get("protocol") or known.protocol,
        preset_options=known.options,
        model_rules=known.model_rules,
        options=options,
    )


def _targets() -> Any:
    return (
        MappingTarget.objects.select_related("provider", "mapping")
        .filter(enabled=True, provider__enabled=True, mapping__enabled=True)
        .exclude(provider__origin=Origin.DEMO)
        .order_by("mapping__position", "mapping_id", "position", "pk")
    )


def _target(pk: str) -> MappingTarget | None:
    if not (pk.isascii() and pk.isdecimal() and len(pk) < 19):
        return None
    found: MappingTarget | None = _targets().filter(pk=int(pk)).first()
    return found if found is not None and _names_a_model(found) else None


def _tokens(text: str) -> int | None:
    plain = text.replace(",", "").strip() or str(USUAL_TOKENS)
    if not (plain.isascii() and plain.isdecimal() and len(plain) < 11):
        return None
    return int(plain) if int(plain) <= _MOST_TOKENS else None
