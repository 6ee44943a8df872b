"""The section of model mappings, with their targets."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.utils.translation import gettext as _

from gateway.config.file.fields import Unusable, a_list, a_text, an_object, as_json, assign, save, values
from gateway.config.file.intake import Intake
from gateway.config.file.variables import VariableNames
from gateway.models import MappingTarget, ModelMapping, Origin, Provider
from gateway.wire.messages import JSONObject


def entries(_names: VariableNames) -> list[JSONObject]:
    """Each mapping that an admin keeps, in order; providers are named by their slugs."""
    return [
        {
            **as_json(one),
            "targets": [
                {"provider": target.provider.slug, **as_json(target)}
                for target in one.targets.select_related("provider").order_by("position", "pk")
            ],
        }
        for one in ModelMapping.objects.filter(origin=Origin.ADMIN).order_by("position", "pk")
    ]


def take(item: JSONObject, intake: Intake) -> ModelMapping:
    """Make the next mapping of this pattern what the entry says. Raises Unusable, ValidationError."""
    targets = item.pop("targets", None)
    pattern = a_text(item, "pattern")
    of_admin = ModelMapping.objects.filter(pattern=pattern, origin=Origin.ADMIN).order_by("position", "pk")
    record = intake.next_of("mapping", of_admin) or ModelMapping(salt=_salt(pattern))
    before = values(record) if record.pk else {}
    assign(record, item)
    save(record, before)
    intake.taken("mapping", record)
    if targets is not None:
        _take_targets(record, a_list(targets, "targets"))
    return record


def _salt(pattern: str) -> str:
    """For a mapping whose file has none: installations of one file divide sessions alike."""
    return sha256(pattern.encode()).hexdigest()[:16]


def _take_targets(mapping: ModelMapping, items: list[Any]) -> None:
    present = list(mapping.targets.order_by("position", "pk"))
    for place, item in enumerate(items):
        given = an_object(item, f"targets[{place}]")
        slug = str(given.pop("provider", ""))
        provider = Provider.objects.filter(slug=slug).first()
        if provider is None:
            raise Unusable(f"targets[{place}]: " + _("there is no provider %(slug)r") % {"slug": slug})
        record = present[place] if place < len(present) else MappingTarget(mapping=mapping)
        before = {**values(record), "provider": record.provider_id} if record.pk else {}
        record.provider = provider
        assign(record, {"position": place, **given})
        save(record, before, provider=provider.pk)
    for record in present[len(items) :]:
        record.delete()
