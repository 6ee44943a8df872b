"""Common rules made with one click, each for a target that some mapping already leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Min
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.config.changes import together
from gateway.config.presets.presets import preset, usable_options
from gateway.config.snapshot.catalogue import known_prices
from gateway.config.snapshot.model_sizes import listed_sizes
from gateway.conversion.profile import Profile
from gateway.models import MappingTarget, ModelMapping, Origin, Provider
from gateway.routing.layers import profile_layers
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, ProviderConfig, Target

USUAL_TOKENS: Final = 60_000
_MOST_TOKENS: Final = 1_000_000_000
_STEP: Final = 10
_MOST_NAMED: Final = 5


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
    """`suits`: how well a target fits, None if it does not; the best is preselected."""

    name: str
    title: Any
    text: Any
    when: Callable[[int], Mapping[str, Any]]
    suits: Callable[[Choice], float | None]
    options: Mapping[str, Any]
    asks_tokens: bool = False


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


def offered(rules: tuple[MappingRule, ...]) -> list[dict[str, Any]]:
    """The presets for which a target fits, each with its targets, the best first. `rules`: stored ones."""
    choices = list(_choices(rules))
    found = []
    for one in PRESETS:
        suiting = [(suits, choice) for choice in choices if (suits := one.suits(choice)) is not None]
        if suiting:
            best = sorted(suiting, key=lambda pair: -pair[0])
            found.append({"preset": one, "choices": [choice for _suits, choice in best]})
    return found


def make_rule(request: HttpRequest) -> HttpResponse:
    """POST preset, target and tokens: make a rule before all others and return to the list."""
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
    with together(ModelMapping, str(chosen.title)), transaction.atomic():
        first = ModelMapping.objects.aggregate(first=Min("position"))["first"]
        mapping = ModelMapping(
            pattern="*",
            position=(first if first is not None else _STEP) - _STEP,
            when=dict(chosen.when(tokens)),
            options=dict(chosen.options),
            note=str(chosen.title),
        )
        mapping.full_clean()
        mapping.save()
        mapping.lead_to(target.provider, target.upstream_model, model_family=target.model_family)
    messages.success(
        request, _("The rule stands in front of the others: %(title)s.") % {"title": chosen.title}
    )
    _warn_of_exact_names(request)
    return back


def _warn_of_exact_names(request: HttpRequest) -> None:
    patterns = ModelMapping.objects.filter(enabled=True).exclude(pattern__contains="*")
    names = list(patterns.values_list("pattern", flat=True)[: _MOST_NAMED + 1])
    if names:
        shown = ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
        text = _("Exact names beat patterns, so the rule takes no request for: %(names)s.")
        messages.warning(request, text % {"names": shown})


def _choices(rules: Iterable[MappingRule]) -> Iterator[Choice]:
    """The targets of enabled mappings that name a model, without duplicates."""
    by_id = {rule.id: rule for rule in rules}
    sizes = dict(listed_sizes())
    providers: dict[str, ProviderConfig] = {}
    seen = set()
    for target in _targets():
        record, rule = target.provider, by_id.get(target.mapping_id)
        place = record.slug, target.upstream_model
        if place not in seen and rule is not None:
            seen.add(place)
            known = providers.setdefault(record.slug, _without_secrets(record))
            yield Choice(target, rule.pattern, _profile(rule, target, known, sizes), record.preset)


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


def _profile(
    rule: MappingRule, target: MappingTarget, provider: ProviderConfig, sizes: Mapping[Any, Any]
) -> Profile:
    """What is known of the model, without learnt options."""
    place = Target(provider.slug, target.upstream_model, target.model_family)
    known_window = known_prices().context_window
    snapshot = ConfigSnapshot(0, listed=sizes, known_window=known_window)
    layers = profile_layers(rule, place, provider, place.upstream_model, snapshot)
    return Profile.merged(*(options for _source, options in layers))


def _targets() -> Any:
    return (
        MappingTarget.objects.select_related("provider", "mapping")
        .filter(enabled=True, provider__enabled=True, mapping__enabled=True)
        .exclude(upstream_model="")
        .exclude(upstream_model__contains="*")
        .exclude(provider__origin=Origin.DEMO)
        .order_by("mapping__position", "mapping_id", "position", "pk")
    )


def _target(pk: str) -> MappingTarget | None:
    if not (pk.isascii() and pk.isdecimal() and len(pk) < 19):
        return None
    found: MappingTarget | None = _targets().filter(pk=int(pk)).first()
    return found


def _tokens(text: str) -> int | None:
    plain = text.replace(",", "").strip() or str(USUAL_TOKENS)
    if not (plain.isascii() and plain.isdecimal() and len(plain) < 11):
        return None
    return int(plain) if int(plain) <= _MOST_TOKENS else None
