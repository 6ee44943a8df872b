"""Walking a JSON Schema: which keywords contain schemas, and a map over them without mutation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from gateway.wire.messages import JSONObject

# `items` may be a schema or, in older drafts, a list of them.
_SCHEMA_OR_LIST: Final = frozenset(
    {
        "items",
        "additionalItems",
        "additionalProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contains",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
        "contentSchema",
        "anyOf",
        "oneOf",
        "allOf",
        "prefixItems",
    }
)
_MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def with_subschemas(schema: JSONObject, change: Callable[[JSONObject], JSONObject]) -> JSONObject:
    """`schema` with `change` applied to each schema directly below it; the same object if none changed."""
    changed: JSONObject = {}
    for keyword, value in schema.items():
        new: Any = value
        if keyword in _SCHEMA_OR_LIST:
            if type(value) is dict:
                new = change(value)
            elif type(value) is list:
                new = _changed_list(value, change)
        elif keyword in _MAPS and type(value) is dict:
            new = _changed_map(value, change)
        if new is not value:
            changed[keyword] = new
    return {**schema, **changed} if changed else schema


def subschemas(schema: JSONObject) -> Iterator[JSONObject]:
    """The schemas directly below `schema`."""
    for keyword, value in schema.items():
        if keyword in _SCHEMA_OR_LIST:
            if type(value) is dict:
                yield value
            elif type(value) is list:
                yield from (item for item in value if type(item) is dict)
        elif keyword in _MAPS and type(value) is dict:
            yield from (item for item in value.values() if type(item) is dict)


def properties_of(schema: JSONObject) -> JSONObject:
    """`properties`, empty where it is absent or malformed: clients send unchecked schemas."""
    value = schema.get("properties")
    return value if type(value) is dict else {}


def list_of(schema: JSONObject, keyword: str) -> list[Any]:
    """The list under `keyword`, empty where it is absent or malformed."""
    value = schema.get(keyword)
    return value if type(value) is list else []


def branches_of(schema: JSONObject, keyword: str) -> list[JSONObject]:
    """The schemas in the list under `keyword`."""
    return [branch for branch in list_of(schema, keyword) if type(branch) is dict]


def required_names(schema: JSONObject) -> list[str]:
    """The names in `required`."""
    return [name for name in list_of(schema, "required") if type(name) is str]


def noted(schema: JSONObject, notes: list[str]) -> JSONObject:
    """`schema` with `notes` at the end of its description."""
    if not notes:
        return schema
    described = schema.get("description")
    texts = [described, *notes] if type(described) is str and described else notes
    return {**schema, "description": "\n".join(texts)}


def _changed_list(values: list[Any], change: Callable[[JSONObject], JSONObject]) -> list[Any]:
    new = [change(value) if type(value) is dict else value for value in values]
    return new if any(a is not b for a, b in zip(new, values, strict=True)) else values


def _changed_map(values: JSONObject, change: Callable[[JSONObject], JSONObject]) -> JSONObject:
    new = {name: change(value) if type(value) is dict else value for name, value in values.items()}
    return new if any(new[name] is not values[name] for name in values) else values
