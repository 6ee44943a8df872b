"""The layers of a route's profile, weakest first, each with the name of its source.

An admin's settings beat what was learnt, which beats what the provider's list of models says,
which beats presets and the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from gateway import patterns
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, ProviderConfig, Target

Source = Literal[
    "catalogue",
    "model family",
    "preset",
    "model rule",
    "model list",
    "learnt",
    "provider",
    "mapping",
    "route",
]
Layer = tuple[Source, Mapping[str, Any]]

DEFAULT: Final = "default"
# measured against o200k_base on code, JSON and prose; rather too high than too low
_FACTORS: Final = (
    (patterns.compiled(r"claude|gemini|gemma", patterns.IGNORECASE), 1.15),
    (patterns.compiled(r"qwen|glm|deepseek|kimi|llama|mistral", patterns.IGNORECASE), 1.05),
)


def profile_layers(
    rule: MappingRule, target: Target, provider: ProviderConfig, upstream_model: str, snapshot: ConfigSnapshot
) -> tuple[Layer, ...]:
    """Profile options of one target, to be merged in this order."""
    family = target.model_family or upstream_model
    limits = {
        "context_window": rule.context_window,
        "max_output_tokens": rule.max_output_tokens,
        "min_output_tokens": rule.min_output_tokens,
    }
    window = snapshot.known_window(provider.base_url, family)
    rules: list[Layer] = [
        ("model rule", model_rule.options)
        for model_rule in provider.model_rules
        if model_rule.match.search(family)
    ]
    return (
        ("catalogue", {"context_window": window} if window else {}),
        ("model family", _family(family)),
        ("preset", {"protocol": provider.protocol, **provider.preset_options}),
        *rules,
        ("model list", snapshot.listed.get((provider.slug, upstream_model), {})),
        ("learnt", snapshot.learnt.get((provider.slug, upstream_model), {})),
        ("provider", provider.options),
        ("mapping", rule.options),
        ("mapping", {name: value for name, value in limits.items() if value is not None}),
        ("route", {"provider": provider.slug, "upstream_model": upstream_model}),
    )


def _family(model: str) -> Mapping[str, Any]:
    """Where the estimate starts for a family of models, until its own factor is learnt.

    See docs/conversion.md, "What a model teaches".
    """
    factor = next((factor for names, factor in _FACTORS if names.search(model)), None)
    return {} if factor is None else {"token_factor": factor}


def source_of(option: str, layers: tuple[Layer, ...]) -> str:
    """Where the value of an option comes from: the last layer that names it, or "default".

    Null in a layer resets to the default, as in Profile.merged.
    """
    for source, options in reversed(layers):
        if option in options:
            return DEFAULT if options[option] is None else source
    return DEFAULT
