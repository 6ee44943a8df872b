"""The section of an admin's own secret patterns."""

from __future__ import annotations

from gateway.config.file.fields import a_text, as_json, assign, save, values
from gateway.config.file.intake import Intake
from gateway.config.file.variables import VariableNames
from gateway.models import SecretPattern
from gateway.wire.messages import JSONObject


def entries(_names: VariableNames) -> list[JSONObject]:
    """Each pattern, by name."""
    return [as_json(one) for one in sorted(SecretPattern.objects.all(), key=lambda one: one.name)]


def take(item: JSONObject, intake: Intake) -> SecretPattern:
    """Make the pattern of this name what the entry says. Raises Unusable, ValidationError."""
    name = a_text(item, "name")
    intake.once("pattern", name)
    record = SecretPattern.objects.filter(name=name).first() or SecretPattern()
    before = values(record)
    assign(record, item)
    save(record, before)
    return record
