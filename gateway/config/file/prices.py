"""The section of prices of models."""

from __future__ import annotations

from django.utils.translation import gettext as _

from gateway.config.file.fields import Unusable, as_json, assign, save, values
from gateway.config.file.intake import Intake
from gateway.config.file.variables import VariableNames
from gateway.models import ModelPrice, Provider
from gateway.wire.messages import JSONObject


def entries(_names: VariableNames) -> list[JSONObject]:
    """Each price, by model, provider and date."""
    return [
        {"provider": one.provider.slug if one.provider else "", **as_json(one)}
        for one in sorted(ModelPrice.objects.select_related("provider"), key=_place)
    ]


def _place(one: ModelPrice) -> tuple[str, str, str, int]:
    slug = one.provider.slug if one.provider else ""
    return one.model, slug, one.valid_from.isoformat() if one.valid_from else "", one.pk


def take(item: JSONObject, intake: Intake) -> ModelPrice:
    """Make the price of this provider, model and date what the entry says.

    Raises Unusable, ValidationError.
    """
    slug = str(item.pop("provider", ""))
    provider = Provider.objects.filter(slug=slug).first() if slug else None
    if slug and provider is None:
        raise Unusable(_("there is no provider %(slug)r") % {"slug": slug})
    draft = ModelPrice(provider=provider)
    assign(draft, item)
    same = ModelPrice.objects.filter(provider=provider, model=draft.model, valid_from=draft.valid_from)
    record = intake.next_of("price", same.order_by("pk")) or draft
    before = values(record) if record.pk else {}
    assign(record, item)
    save(record, before)
    intake.taken("price", record)
    return record
