"""The section of model mappings, with their targets."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from django.utils.translation import gettext as _

from gateway.config.file.fields import Unusable, a_list, a_text, an_object, as_json, assign, save, values
from gateway.config.file.intake import Intake
from gateway.config.file.variables import VariableNames
from gateway.config.ramps import problem_of
from gateway.models import MappingTarget, ModelMapping, Origin, Provider, Ramp, Shadow
from gateway.models.configuration.ramp import ACTIVE
from gateway.wire.messages import JSONObject

_UNSAID: Final = object()


def entries(_names: VariableNames) -> list[JSONObject]:
    """Each mapping that an admin keeps, in order; providers are named by their slugs."""
    return [
        {
            **as_json(one),
            "targets": [
                {"provider": target.provider.slug, **as_json(target)}
                for target in one.targets.select_related("provider").order_by("position", "pk")
            ],
            **_ramp_under_way(one),
            **_shadow_of(one),
        }
        for one in ModelMapping.objects.filter(origin=Origin.ADMIN).order_by("position", "pk")
    ]


def take(item: JSONObject, intake: Intake) -> ModelMapping:
    """Make the next mapping of this pattern what the entry says. Raises Unusable, ValidationError.

    An entry of another gateway's file means a mapping of the same pattern, conditions and note, or a new one.
    """
    targets, ramp = item.pop("targets", None), item.pop("ramp", None)
    # a file that does not mention a shadow leaves the mapping's as it is; null removes it
    shadow = item.pop("shadow", _UNSAID)
    pattern = a_text(item, "pattern")
    of_admin = ModelMapping.objects.filter(pattern=pattern, origin=Origin.ADMIN).order_by("position", "pk")
    meant = [one for one in of_admin if not intake.foreign or _is_same_rule(one, item)]
    record = intake.next_of("mapping", meant) or ModelMapping(salt=_salt(pattern))
    if intake.foreign and record.pk is None and intake.not_meant("mapping", of_admin):
        intake.warn(
            _("mapping %(pattern)s: there is one of this pattern here, which stays; this is one more")
            % {"pattern": pattern}
        )
    before = values(record) if record.pk else {}
    assign(record, item)
    save(record, before)
    intake.taken("mapping", record)
    known = None if ramp is None else _known_ramp(record, an_object(ramp, "ramp"))
    if targets is not None:
        # a ramp that ended left its result in the weights; the file only says how it was to begin
        keep_weights = known is not None and not known.is_active
        _take_targets(record, a_list(targets, "targets"), keep_weights=keep_weights)
    if ramp is not None and known is None:
        _take_ramp(record, an_object(ramp, "ramp"))
    if shadow is None:
        for old in Shadow.objects.filter(mapping=record):
            old.delete()
    elif shadow is not _UNSAID:
        _take_shadow(record, an_object(shadow, "shadow"))
    return record


def _is_same_rule(mapping: ModelMapping, item: JSONObject) -> bool:
    return (mapping.when, mapping.note) == (item.get("when", {}), item.get("note", ""))


def _ramp_under_way(mapping: ModelMapping) -> JSONObject:
    """The ramp of a mapping as it was made; how far it came is not configuration."""
    ramp = mapping.ramps.filter(state__in=ACTIVE).first()
    return {"ramp": _as_entry(ramp)} if ramp is not None else {}


def _shadow_of(mapping: ModelMapping) -> JSONObject:
    shadow = Shadow.objects.filter(mapping=mapping).select_related("provider").first()
    return {} if shadow is None else {"shadow": {"provider": shadow.provider.slug, **as_json(shadow)}}


def _take_shadow(mapping: ModelMapping, item: JSONObject) -> None:
    provider = _provider(item.pop("provider", ""), "shadow")
    record = Shadow.objects.filter(mapping=mapping).first() or Shadow(mapping=mapping)
    before = {**values(record), "provider": record.provider_id} if record.pk else {}
    record.provider = provider
    assign(record, item)
    save(record, before, provider=provider.pk)


def _provider(slug: Any, where: str) -> Provider:
    provider: Provider | None = Provider.objects.filter(slug=str(slug)).first()
    if provider is None:
        raise Unusable(f"{where}: " + _("there is no provider %(slug)r") % {"slug": str(slug)})
    return provider


def _as_entry(ramp: Ramp) -> JSONObject:
    places = list(ramp.mapping.targets.order_by("position", "pk").values_list("pk", flat=True))
    place = places.index(ramp.target_id) if ramp.target_id in places else None
    return {"target": place, **as_json(ramp)}


def _known_ramp(mapping: ModelMapping, item: JSONObject) -> Ramp | None:
    """The newest ramp of the mapping that this entry stands for, under way or ended.

    Compared as records, because one moment has many texts and the file may leave out defaults. Raises
    Unusable.
    """
    place = item.pop("target", None)
    wanted = Ramp(mapping=mapping)
    assign(wanted, item)
    places = list(mapping.targets.order_by("position", "pk").values_list("pk", flat=True))
    target = places[place] if _is_place(place, places) else None
    same = (one for one in mapping.ramps.all() if one.target_id == target and values(one) == values(wanted))
    return next(same, None)


def _is_place(place: Any, of: Sequence[Any]) -> bool:
    return isinstance(place, int) and not isinstance(place, bool) and 0 <= place < len(of)


def _take_ramp(mapping: ModelMapping, item: JSONObject) -> None:
    """Make the ramp of a mapping, which begins at its time, or else at once."""
    place, targets = item.pop("target", None), list(mapping.targets.order_by("position", "pk"))
    if not _is_place(place, targets):
        raise Unusable("ramp: " + _("target is the place of one of the targets, from 0 on"))
    record = Ramp(mapping=mapping, target=targets[place])
    assign(record, item)
    problem = problem_of(record)
    if problem:
        raise Unusable(f"ramp: {problem}")
    record.full_clean()
    record.save()


def _salt(pattern: str) -> str:
    """For a mapping whose file has none: installations of one file divide sessions alike."""
    return sha256(pattern.encode()).hexdigest()[:16]


def _take_targets(mapping: ModelMapping, items: list[Any], *, keep_weights: bool) -> None:
    present = list(mapping.targets.order_by("position", "pk"))
    for place, item in enumerate(items):
        given = an_object(item, f"targets[{place}]")
        provider = _provider(given.pop("provider", ""), f"targets[{place}]")
        record = present[place] if place < len(present) else MappingTarget(mapping=mapping)
        before = {**values(record), "provider": record.provider_id} if record.pk else {}
        record.provider = provider
        weight = record.weight
        assign(record, {"position": place, **given})
        if keep_weights:
            record.weight = weight
        save(record, before, provider=provider.pk)
    for record in present[len(items) :]:
        record.delete()
