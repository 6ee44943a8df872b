"""Fields of JSON that nobody has checked: a value of another type counts as a missing one."""

from __future__ import annotations

from gateway.wire.messages import JSONObject


def text_of(value: object) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def object_of(value: object) -> JSONObject:
    """The value itself if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> list[JSONObject]:
    """The objects of a list; [] for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
