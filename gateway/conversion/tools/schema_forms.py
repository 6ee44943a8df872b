"""The part of JSON Schema that every service reads alike, and bringing other schemas into it.

Schemas have no references here (`inline_refs`). Afterwards each schema is an object that has a `type`, an
`enum` of values of that type, or a lone `anyOf`; `required` names existing properties. What is given up goes
into the description, briefly.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.conversion.tools.schema_references import weight_of
from gateway.conversion.tools.schema_validity import TYPES
from gateway.conversion.tools.schema_walk import (
    branches_of,
    list_of,
    noted,
    properties_of,
    with_subschemas,
)
from gateway.wire import jsontext
from gateway.wire.messages import JSONObject

# every type but integer, which is a number
ANY: Final = ("string", "number", "boolean", "object", "array", "null")
KEYWORDS: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({"enum", "format", "minLength", "maxLength", "pattern"}),
    "number": frozenset(
        {"enum", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    ),
    "boolean": frozenset({"enum"}),
    "object": frozenset(
        {
            "properties",
            "required",
            "minProperties",
            "maxProperties",
            "additionalProperties",
            "patternProperties",
            "propertyNames",
            "propertyOrdering",
        }
    ),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"}),
    "null": frozenset(),
}
KEYWORDS["integer"] = KEYWORDS["number"]
_LONGEST_NOTE: Final = 300
_BESIDE_ANY_OF: Final = frozenset({"anyOf", "description", "title"})


def simplified(schema: JSONObject, *, one_type: bool) -> JSONObject:
    """`schema` with the meaning it can have in the common part; the same object when it already is in it.

    `one_type`: `type` is one name, and several become an `anyOf`.
    """
    node = _without_allof(schema) if "allOf" in schema else dict(schema)
    _clean(node)
    if "anyOf" in node:
        node = _alone(node)
    if one_type and "anyOf" not in node and type(node.get("type")) is list:
        node = _by_type(node)
    new = with_subschemas(node, lambda below: simplified(below, one_type=one_type))
    return schema if same(new, schema) else new


def same(new: JSONObject, old: JSONObject) -> bool:
    """Whether `new` holds the very values of `old`."""
    return len(new) == len(old) and all(name in old and new[name] is old[name] for name in new)


def told(schema: JSONObject, *keywords: str) -> JSONObject:
    """`schema` without `keywords`; short ones move into the description."""
    gone = [name for name in keywords if name in schema]
    if not gone:
        return schema
    notes = [
        f"{name}: {jsontext.dumps_text(schema[name])}"
        for name in gone
        if weight_of(schema[name], _LONGEST_NOTE) <= _LONGEST_NOTE
    ]
    return noted({name: value for name, value in schema.items() if name not in gone}, notes)


def is_any(schema: JSONObject) -> bool:
    """Whether nothing says what the value is."""
    return not any(keyword in schema for keyword in ("type", "anyOf", "enum"))


def _without_allof(schema: JSONObject) -> JSONObject:
    """The branches of `allOf` merged into one schema. What was said first wins."""
    merged = {key: value for key, value in schema.items() if key != "allOf"}
    waiting = branches_of(schema, "allOf")[::-1]
    while waiting:
        branch = waiting.pop()
        for key, value in branch.items():
            if key == "allOf":
                waiting += branches_of(branch, key)[::-1]
            elif key == "properties" and type(value) is dict:
                merged[key] = _united(properties_of(merged), value)
            elif key == "required" and type(value) is list:
                merged[key] = [*list_of(merged, key), *value]
            else:
                merged.setdefault(key, value)
    return merged


def _united(properties: JSONObject, more: JSONObject) -> JSONObject:
    united = dict(properties)
    for name, schema in more.items():
        known = united.get(name)
        united[name] = {**schema, **known} if type(known) is dict and type(schema) is dict else schema
    return united


def _clean(node: JSONObject) -> None:
    """Remove or repair what has no meaning, in place; valid lists stay the same objects."""
    if "oneOf" in node:
        alternatives = node.pop("oneOf")
        node.setdefault("anyOf", alternatives)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    for keyword in ("description", "title"):
        if keyword in node and type(node[keyword]) is not str:
            del node[keyword]
    _clean_branches(node)
    _clean_properties(node)
    _clean_items(node)
    _clean_type(node)
    if "enum" in node:
        _clean_enum(node)
    if "type" not in node and "anyOf" not in node:
        _infer_type(node)


def _clean_branches(node: JSONObject) -> None:
    if "anyOf" not in node:
        return
    branches = [{} if branch is True else branch for branch in list_of(node, "anyOf")]
    kept = [branch for branch in branches if type(branch) is dict]
    if not kept:
        del node["anyOf"]
    elif any(a is not b for a, b in zip(kept, node["anyOf"], strict=False)) or len(kept) < len(node["anyOf"]):
        node["anyOf"] = kept


def _clean_properties(node: JSONObject) -> None:
    properties = node.get("properties")
    if type(properties) is dict:
        if not all(type(value) is dict for value in properties.values()):
            cleaned = {name: {} if value is True else value for name, value in properties.items()}
            node["properties"] = {name: value for name, value in cleaned.items() if type(value) is dict}
    elif "properties" in node:
        del node["properties"]
    if "required" in node:
        known = properties_of(node)
        listed = list_of(node, "required")
        required = list(dict.fromkeys(name for name in listed if type(name) is str and name in known))
        if not required:
            del node["required"]
        elif required != listed:
            node["required"] = required


def _clean_items(node: JSONObject) -> None:
    if type(node.get("items")) is list:
        node["prefixItems"] = node.pop("items")
    elif "items" in node and type(node["items"]) is not dict:
        del node["items"]
    if "prefixItems" in node:
        items = [{} if item is True else item for item in list_of(node, "prefixItems")]
        kept = [item for item in items if type(item) is dict]
        if not kept:
            del node["prefixItems"]
        elif kept != node["prefixItems"]:
            node["prefixItems"] = kept


def _clean_type(node: JSONObject) -> None:
    if "type" not in node:
        return
    kind = node["type"]
    if type(kind) is str:
        kinds = [kind] if kind in TYPES else []
    else:
        kinds = list(
            dict.fromkeys(name for name in list_of(node, "type") if type(name) is str and name in TYPES)
        )
    if not kinds:
        del node["type"]
    elif len(kinds) == 1:
        node["type"] = kinds[0]
    elif kinds != kind:
        node["type"] = kinds


def _clean_enum(node: JSONObject) -> None:
    """An enum has only simple values of the schema's types."""
    listed = list_of(node, "enum")
    allowed = _types_of(node)
    values = [
        value for value in listed if (kind := _type_of(value)) and (not allowed or _fits(kind, allowed))
    ]
    if not values:
        del node["enum"]
        return
    if len(values) < len(listed):
        node["enum"] = values
    if not allowed and "anyOf" not in node:
        kinds = list(dict.fromkeys(_type_of(value) for value in values))
        if "number" in kinds and "integer" in kinds:
            kinds.remove("integer")
        node["type"] = kinds[0] if len(kinds) == 1 else kinds
    if node.get("type") == "null":
        del node["enum"]


def _infer_type(node: JSONObject) -> None:
    """The type that the keywords imply, when there is only one."""
    for kind in ("object", "array", "string", "number"):
        if any(keyword in node for keyword in KEYWORDS[kind] - {"enum", "format"}):
            node["type"] = kind
            return


def _alone(node: JSONObject) -> JSONObject:
    """An `anyOf` with nothing but a description beside it.

    Where the schema itself says what the value looks like, its branches only add to that: their properties
    join
    it, the rest goes into the description. A bare type is handed down.
    """
    if node.keys() <= _BESIDE_ANY_OF:
        return node
    if any(keyword in node for keyword in ("properties", "items", "prefixItems", "enum")):
        properties = dict(properties_of(node))
        is_object = "object" in (_types_of(node) or ("object",)) and "items" not in node
        for branch in branches_of(node, "anyOf") if is_object else ():
            for name, below in properties_of(branch).items():
                if type(below) is dict:
                    properties.setdefault(name, below)
        if properties:
            node = {**node, "properties": properties}
        node = told(node, "anyOf")
        if "enum" in node:
            _clean_enum(node)
        if "type" not in node:
            _infer_type(node)
        return node
    kind = node.get("type")
    branches = node["anyOf"]
    if kind is not None:
        branches = [
            branch
            if any(keyword in branch for keyword in ("type", "enum", "const"))
            else {"type": kind, **branch}
            for branch in branches
        ]
    return {name: value for name, value in node.items() if name in _BESIDE_ANY_OF} | {"anyOf": branches}


def _by_type(node: JSONObject) -> JSONObject:
    """A list of types as one branch per type, each with the keywords that concern it."""
    kinds: list[str] = node["type"]
    branches = []
    for kind in kinds:
        branch: JSONObject = {"type": kind}
        for keyword in KEYWORDS[kind]:
            if keyword == "enum" and "enum" in node:
                values = [value for value in node["enum"] if _fits(_type_of(value), (kind,))]
                if values:
                    branch["enum"] = values
            elif keyword in node:
                branch[keyword] = node[keyword]
        branches.append(branch)
    if "enum" in node:
        # a type without a value in the enum cannot occur
        branches = [branch for branch in branches if "enum" in branch or _null_allowed(branch, node)]
    return {name: value for name, value in node.items() if name in _BESIDE_ANY_OF} | {"anyOf": branches}


def _null_allowed(branch: JSONObject, node: JSONObject) -> bool:
    return branch["type"] == "null" and None in node["enum"]


def _types_of(node: JSONObject) -> tuple[str, ...]:
    kind = node.get("type")
    return (kind,) if type(kind) is str else tuple(list_of(node, "type"))


def _type_of(value: Any) -> str:
    """The type of a simple value; "" for lists and objects."""
    if value is None:
        return "null"
    if type(value) is float and value.is_integer():
        return "integer"
    return {str: "string", bool: "boolean", int: "integer", float: "number"}.get(type(value), "")


def _fits(kind: str, allowed: tuple[str, ...]) -> bool:
    return kind in allowed or (kind == "integer" and "number" in allowed)
