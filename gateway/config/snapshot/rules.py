"""Model mappings as rules of the snapshot."""

from __future__ import annotations

import logging
from typing import Any

from django.db.models import Prefetch

from gateway import patterns
from gateway.config.snapshot.providers import options_of
from gateway.config.snapshot.shares import shares_of_mapping
from gateway.models import MappingTarget, ModelMapping, Origin, Ramp, Shadow
from gateway.models.configuration.condition_words import zone_of
from gateway.models.configuration.ramp import ACTIVE
from gateway.routing import names
from gateway.routing.conditions import Condition, condition_of
from gateway.routing.snapshot import MappingRule, ShadowRule, Target

logger = logging.getLogger(__name__)


def mapping_rules() -> tuple[MappingRule, ...]:
    """The rules that the stored mappings make, in order; the demo's is off when something real serves."""
    targets = Prefetch("targets", MappingTarget.objects.select_related("provider"))
    ramps = Prefetch("ramps", Ramp.objects.filter(state__in=ACTIVE))
    shadows = Prefetch("shadow", Shadow.objects.filter(enabled=True).select_related("provider"))
    mappings = list(ModelMapping.objects.prefetch_related(targets, ramps, shadows))
    demo_wanted = not any(_serves(mapping) for mapping in mappings)
    return tuple(_rule(mapping, demo_wanted) for mapping in mappings)


def _serves(mapping: ModelMapping) -> bool:
    """Whether a mapping leads to a real provider, so that the demo is not needed."""
    return mapping.enabled and any(
        target.enabled and target.provider.enabled and target.provider.origin != Origin.DEMO
        for target in mapping.targets.all()
    )


def _rule(mapping: ModelMapping, demo_wanted: bool) -> MappingRule:
    wildcard = names.is_wildcard(mapping.pattern)
    return MappingRule(
        id=mapping.pk,
        pattern=mapping.pattern,
        exact=not wildcard,
        targets=tuple(
            Target(
                target.provider.slug,
                target.upstream_model,
                target.model_family,
                target.enabled,
                target.weight,
            )
            for target in mapping.targets.all()
        ),
        salt=mapping.salt,
        shares=shares_of_mapping(mapping),
        shadow=_shadow(mapping),
        position=mapping.position,
        context_window=mapping.context_window,
        max_output_tokens=mapping.max_output_tokens,
        min_output_tokens=mapping.min_output_tokens,
        options=options_of(mapping.options, f"mapping {mapping.pattern}"),
        public_names=texts_of(mapping.public_names),
        note=mapping.note,
        enabled=mapping.enabled and (demo_wanted or mapping.origin != Origin.DEMO),
        condition=_condition(mapping),
        skips_blind=mapping.skips_blind,
        regex=patterns.wildcard(mapping.pattern) if wildcard else None,
    )


def _condition(mapping: ModelMapping) -> Condition:
    condition = condition_of(mapping.when, zone_of)
    if condition.flaw is not None:
        logger.error("mapping %s: takes no request: %s", mapping.pattern, condition.flaw)
    return condition


def _shadow(mapping: ModelMapping) -> ShadowRule | None:
    record: Shadow | None = getattr(mapping, "shadow", None)
    if record is None or not record.enabled:
        return None
    target = Target(record.provider.slug, record.upstream_model)
    return ShadowRule(
        target, record.share / 100, float(record.daily_cap), record.concurrency, record.released
    )


def texts_of(values: Any) -> tuple[str, ...]:
    """The texts of a list. Anything else stands for one text, which names nothing that anybody meant."""
    if not isinstance(values, list):
        # the letters of a text are no names, and one of them may be *
        return (str(values),)
    return tuple(str(value) for value in values)
