"""Schemas in which each keyword has a value that JSON Schema 2020-12 allows.

Some services check a tool's schema against the meta-schema and refuse the whole request for one value
that it does not allow. Published schemas have such values: those of older drafts (`exclusiveMinimum:
true`, `required` inside a property), type names of programming languages (`"STRING"`, `"int"`), `null`
where a generator had nothing to say. What has a meaning keeps it; the rest is left out.

See docs/conversion.md, "Schemas".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gateway import patterns
from gateway.conversion.tools.schema_walk import properties_of, with_subschemas
from gateway.wire.messages import JSONObject

TYPES: Final = ("string", "number", "integer", "boolean", "object", "array", "null")
_OTHER_NAMES: Final = {
    "str": "string", "text": "string", "varchar": "string", "int": "integer", "int32": "integer",
    "int64": "integer", "long": "integer", "float": "number", "double": "number", "decimal": "number",
    "bool": "boolean", "list": "array", "tuple": "array", "set": "array", "dict": "object",
    "map": "object", "struct": "object", "none": "null", "nonetype": "null",
}  # fmt: skip
_ANCHOR: Final = patterns.compiled(r"\A[A-Za-z_][-A-Za-z0-9._]*+\Z")
_BOUNDS: Final = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def valid(schema: JSONObject) -> JSONObject:
    """`schema` as the meta-schema takes it; the same object when it is so already."""
    node = dict(schema)
    _newer(node)
    for keyword in node.keys() & _LEGAL.keys():
        value = _LEGAL[keyword](node[keyword])
        if value is None:
            del node[keyword]
        else:
            node[keyword] = value
    new = with_subschemas(node, valid)
    unchanged = len(new) == len(schema) and all(new[name] is schema.get(name) for name in new)
    return schema if unchanged else new


def _newer(node: JSONObject) -> None:
    """What older drafts said in another way."""
    for exclusive, inclusive in _BOUNDS:
        bound = node.get(inclusive)
        if type(node.get(exclusive)) is bool and node.pop(exclusive) and _number(bound) is not None:
            node[exclusive] = node.pop(inclusive)
    if type(node.get("items")) is list:
        rest = node.pop("items")
        node.setdefault("prefixItems", rest)
    marked = [
        name
        for name, below in properties_of(node).items()
        if type(below) is dict and below.get("required") is True
    ]
    if marked:
        listed = node.get("required")
        node["required"] = [*(listed if type(listed) is list else ()), *marked]


def _type(value: Any) -> Any:
    if type(value) is str:
        return value if value in TYPES else _name(value)
    if type(value) is not list:
        return None
    names = dict.fromkeys(filter(None, (_name(each) for each in value if type(each) is str)))
    return None if not names else value if list(names) == value else list(names)


def _name(kind: str) -> str | None:
    kind = kind.lower()
    return kind if kind in TYPES else _OTHER_NAMES.get(kind)


def _names(value: Any) -> Any:
    """A list of texts, each once."""
    if type(value) is not list:
        return None
    names = list(dict.fromkeys(each for each in value if type(each) is str))
    return value if names == value else names


def _enum(value: Any) -> Any:
    if type(value) is not list or not value:
        return None
    distinct: list[Any] = []
    seen: set[tuple[type, Any]] = set()
    for each in value:
        simple = type(each) not in (dict, list)
        if simple and (type(each), each) in seen:
            continue
        seen |= {(type(each), each)} if simple else set()
        distinct.append(each)
    return value if len(distinct) == len(value) else distinct


def _number(value: Any) -> Any:
    return value if type(value) in (int, float) else None


def _count(value: Any) -> Any:
    return value if type(value) is int and value >= 0 else None


def _divisor(value: Any) -> Any:
    return value if type(value) in (int, float) and value > 0 else None


def _text(value: Any) -> Any:
    return value if type(value) is str else None


def _flag(value: Any) -> Any:
    return value if type(value) is bool else None


def _anchor(value: Any) -> Any:
    return value if type(value) is str and _ANCHOR.match(value) else None


def _list(value: Any) -> Any:
    return value if type(value) is list else None


def _schema(value: Any) -> Any:
    return value if type(value) in (dict, bool) else None


def _schemas(value: Any) -> Any:
    if type(value) is not list:
        return None
    kept = [each for each in value if type(each) in (dict, bool)]
    return (value if len(kept) == len(value) else kept) if kept else None


def _map(value: Any) -> Any:
    if type(value) is not dict:
        return None
    kept = {name: each for name, each in value.items() if type(each) in (dict, bool)}
    return value if len(kept) == len(value) else kept


def _map_of_names(value: Any) -> Any:
    if type(value) is not dict:
        return None
    kept = {name: _names(each) for name, each in value.items() if type(each) is list}
    unchanged = len(kept) == len(value) and all(kept[name] is value[name] for name in kept)
    return value if unchanged else kept


# what a keyword may hold -> the value to send, None when it is left out
_LEGAL: Final[dict[str, Callable[[Any], Any]]] = {
    "type": _type,
    "enum": _enum,
    "required": _names,
    "dependentRequired": _map_of_names,
    "multipleOf": _divisor,
    "examples": _list,
    "$anchor": _anchor,
    "$dynamicAnchor": _anchor,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties"), _count),
    **dict.fromkeys(("maxProperties", "minContains", "maxContains"), _count),
    **dict.fromkeys(("title", "description", "format", "pattern", "$ref", "$id", "$comment"), _text),
    **dict.fromkeys(("$schema", "$dynamicRef", "contentEncoding", "contentMediaType"), _text),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _flag),
    **dict.fromkeys(("items", "contains", "additionalProperties", "propertyNames", "not"), _schema),
    **dict.fromkeys(("if", "then", "else", "unevaluatedItems", "unevaluatedProperties"), _schema),
    **dict.fromkeys(("contentSchema", "additionalItems"), _schema),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _schemas),
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"), _map),
}
