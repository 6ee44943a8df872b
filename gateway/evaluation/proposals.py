"""Mapping rules that an evaluation speaks for: a canary for each class in which the candidate agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from gateway.client_protocol.purpose import CHECKS, RequestClass
from gateway.evaluation.report import ReportedStep, StepGroup
from gateway.models import Evaluation, MappingTarget, ModelMapping, Provider
from gateway.models.configuration.ramp import ACTIVE

# compared steps of a class below which nothing is said
FEWEST: Final = 30
# the lower bound of agreement, and the largest share of failures
LEAST_AGREEMENT: Final = 0.8
MOST_FAILURES: Final = 0.05
CANARY: Final = 5


class CannotPropose(ValueError):
    """The proposal cannot be made a rule any more."""


@dataclass(frozen=True, slots=True)
class MappingProposal:
    """`mapping`: the rule that serves the class now. `reason`: why nothing can be made of it, else ""."""

    group: StepGroup
    mapping: ModelMapping | None
    reason: str


def proposals(classes: Sequence[StepGroup], steps: Sequence[ReportedStep]) -> list[MappingProposal]:
    """One for each class, most steps first. `steps` are all of the evaluation."""
    served: dict[str, Counter[int]] = {}
    for step in steps:
        if step.mapping_pk is not None:
            served.setdefault(step.request_class, Counter())[step.mapping_pk] += 1
    mappings = ModelMapping.objects.in_bulk({pk for counts in served.values() for pk in counts})
    found = []
    for one in classes:
        most = served.get(one.name, Counter()).most_common(1)
        mapping = mappings.get(most[0][0]) if most else None
        found.append(MappingProposal(one, mapping, _reason(one, mapping)))
    return found


def _reason(group: StepGroup, mapping: ModelMapping | None) -> str:
    """few, disagrees, fails, unpriced, dearer, or no_mapping."""
    if group.agrees.whole < FEWEST:
        return "few"
    if group.agrees.interval[0] < LEAST_AGREEMENT:
        return "disagrees"
    if group.failed.part > MOST_FAILURES * group.failed.whole:
        return "fails"
    if group.saved is None:
        return "unpriced"
    if group.saved <= 0:
        return "dearer"
    if mapping is None or not mapping.enabled or not mapping.targets.filter(enabled=True).exists():
        return "no_mapping"
    return ""


def make_canary(evaluation: Evaluation, request_class: str, mapping: ModelMapping, note: str) -> ModelMapping:
    """A mapping in front of `mapping` that sends CANARY percent of the class to the candidate.

    The rest goes where it goes now. Raises CannotPropose and ValidationError; then nothing is stored.
    """
    condition = {**mapping.when, "class": _narrowed(mapping.when.get("class"), request_class)}
    if mapping.ramps.filter(state__in=ACTIVE).exists():
        raise CannotPropose(_("The mapping has a ramp. End it first."))
    if _has_canary(evaluation, mapping, condition):
        raise CannotPropose(_("There is such a mapping already."))
    provider = Provider.objects.filter(slug=evaluation.provider, enabled=True).first()
    if provider is None:
        raise CannotPropose(evaluation.provider)
    family = _family_asked(evaluation, mapping)
    with transaction.atomic():
        made = ModelMapping(
            pattern=mapping.pattern,
            position=_place_in_front_of(mapping),
            when=condition,
            note=note[:500],
            **{name: getattr(mapping, name) for name in _COPIED},
        )
        made.full_clean()
        made.save()
        targets = [target for target in mapping.targets.order_by("position", "pk") if target.enabled]
        weights = [target.weight for target in targets]
        if not any(weights):
            # the first takes all, the others stand in for it
            weights = [1.0, *[None] * (len(targets) - 1)]
        whole = sum(weight or 0 for weight in weights)
        for target, weight in zip(targets, weights, strict=True):
            share = None if weight is None else round((100 - CANARY) * weight / whole, 6)
            _add(made, target.provider, target.upstream_model, target.model_family, share)
        _add(made, provider, evaluation.upstream_model, family, float(CANARY))
    return made


_ASKED_WITH: Final = ("context_window", "max_output_tokens", "min_output_tokens", "options")
# with the salt, so that sessions stay with the targets that they have
_COPIED: Final = (
    "public_names", "context_window", "max_output_tokens", "min_output_tokens", "options", "skips_blind",
    "salt",
)  # fmt: skip


def _narrowed(present: Any, request_class: str) -> list[str]:
    """The classes of a condition that are left when it is for `request_class` alone.

    A safety check is auxiliary, too, and its steps are recorded as such: a rule for checks does not become
    one for all that is auxiliary. Raises CannotPropose when nothing is left.
    """
    if not present:
        return [request_class]
    checks = {str(check) for check in CHECKS}
    auxiliary = str(RequestClass.AUXILIARY)
    if request_class in present or (request_class in checks and auxiliary in present):
        return [request_class]
    left = [one for one in present if request_class == auxiliary and one in checks]
    if not left:
        raise CannotPropose(_("The mapping does not take this class any more."))
    return left


def _family_asked(evaluation: Evaluation, mapping: ModelMapping) -> str:
    """The model family that the candidate was asked with.

    Raises CannotPropose if it was asked with options that this mapping does not have: they belong to a whole
    mapping, so a canary would ask it otherwise than the evaluation did.
    """
    rule = ModelMapping.objects.filter(pk=evaluation.rule_pk).first()
    asked_of = None
    if rule is not None:
        targets = rule.targets.filter(
            provider__slug=evaluation.provider, upstream_model=evaluation.upstream_model
        )
        asked_of = targets.order_by("-enabled", "position", "pk").first()
    if rule is None or asked_of is None:
        return ""
    if rule.pk != mapping.pk and any(getattr(rule, one) != getattr(mapping, one) for one in _ASKED_WITH):
        raise CannotPropose(
            _("The candidate was asked with the options of the mapping %(pattern)s, which differ.")
            % {"pattern": rule.pattern}
        )
    family: str = asked_of.model_family
    return family


def _place_in_front_of(mapping: ModelMapping) -> int:
    """A position directly in front of a mapping for one that is made now; those behind it move if needed.

    Of two mappings at one position the older one is asked first.
    """
    before = ModelMapping.objects.filter(position=mapping.position, pk__lt=mapping.pk)
    if not before.exists():
        return mapping.position - 1
    place, last = mapping.position, mapping
    behind = ModelMapping.objects.filter(position__gte=place).exclude(position=place, pk__lt=mapping.pk)
    for one in behind.order_by("position", "pk"):
        if one.pk != mapping.pk and (one.position, one.pk) > (last.position, last.pk):
            break
        one.position = last.position + (1 if one.pk <= last.pk else 0)
        one.save()
        last = one
    mapping.refresh_from_db()
    return place


def _has_canary(evaluation: Evaluation, mapping: ModelMapping, condition: dict[str, Any]) -> bool:
    """Whether a mapping in use sends this class of the same requests to the candidate."""
    of_candidate = ModelMapping.objects.filter(
        pattern=mapping.pattern, enabled=True, targets__enabled=True,
        targets__provider__slug=evaluation.provider, targets__upstream_model=evaluation.upstream_model,
    )  # fmt: skip
    return any(one.when == condition for one in of_candidate)


def _add(
    mapping: ModelMapping, provider: Provider, upstream_model: str, family: str, weight: float | None
) -> None:
    position = mapping.targets.count()
    target = MappingTarget(
        mapping=mapping, provider=provider, upstream_model=upstream_model, model_family=family, weight=weight,
        position=position,
    )  # fmt: skip
    target.full_clean()
    target.save()
