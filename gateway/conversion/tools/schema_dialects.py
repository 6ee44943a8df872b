"""Rewriting whole schemas into what single providers take (specification section 4.2, `schema_rewrites`).

Each function is pure, keeps the object when nothing changes, and changes nothing
when it is applied a second time.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.conversion.tools.schema_walk import properties_of, resolved, with_subschemas
from gateway.wire import jsontext
from gateway.wire.messages import JSONObject

# References that multiply at each level must not fill the memory.
MAX_INLINED: Final = 5_000
_RECURSIVE: Final[JSONObject] = {"type": "object"}

_UNKNOWN_TO_GEMINI: Final = frozenset(
    {
        "$schema",
        "$id",
        "$comment",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "default",
        "exclusiveMinimum",
        "exclusiveMaximum",
    }
)
_GEMINI_FORMATS: Final = ("enum", "date-time")
_ARRAY_KEYWORDS: Final = ("items", "prefixItems", "minItems", "maxItems", "uniqueItems")
_OBJECT_KEYWORDS: Final = ("properties", "required", "minProperties", "maxProperties")


def inline_refs(schema: JSONObject) -> JSONObject:
    """Local references replaced by copies of their targets, recursive ones by any object."""
    return _Inliner(schema).inlined(schema, ("#",))


class _Inliner:
    """One walk over one schema; counts what it copies."""

    def __init__(self, root: JSONObject) -> None:
        self._root = root
        self._copied = 0

    def inlined(self, schema: JSONObject, within: tuple[str, ...]) -> JSONObject:
        if "$defs" in schema or "definitions" in schema:
            schema = {key: value for key, value in schema.items() if key not in ("$defs", "definitions")}
        ref = schema.get("$ref")
        if type(ref) is not str or not ref.startswith("#"):
            self._copied += 1
            return with_subschemas(schema, lambda below: self.inlined(below, within))
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        target = resolved(self._root, ref)
        if target is None or ref in within or self._copied > MAX_INLINED:
            target = _RECURSIVE
        else:
            target = self.inlined(target, (*within, ref))
        return {**target, **self.inlined(beside, within)} if beside else target


def gemini(schema: JSONObject) -> JSONObject:
    """The subset of JSON Schema that Gemini's function declarations take."""
    schema = with_subschemas(schema, gemini)
    new = {
        key: value
        for key, value in schema.items()
        if key not in _UNKNOWN_TO_GEMINI and (key != "format" or value in _GEMINI_FORMATS)
    }
    if "const" in new:
        new["enum"] = [new.pop("const")]
    if type(new.get("enum")) is list:
        _enum_of_strings(new)
    if type(new.get("type")) is list:
        _single_type(new)
    if type(new.get("required")) is list:
        _required_of_existing(new)
    if new.get("type") == "array" and "items" not in new:
        new["items"] = {"type": "string"}
    return schema if _same(new, schema) else new


def mfjs(schema: JSONObject) -> JSONObject:
    """Moonshot's flavour: no `type` beside `anyOf`, no list in `items`."""
    if type(schema.get("items")) is list:
        schema = {key: value for key, value in schema.items() if key != "items"} | {
            "prefixItems": schema["items"]
        }
    branches = schema.get("anyOf")
    if type(branches) is list and "type" in schema:
        kind = schema["type"]
        schema = {key: value for key, value in schema.items() if key != "type"} | {
            "anyOf": [
                {"type": kind, **branch} if type(branch) is dict and "type" not in branch else branch
                for branch in branches
            ]
        }
    # a branch with branches of its own hands on what it was given
    return with_subschemas(schema, mfjs)


def _enum_of_strings(schema: JSONObject) -> None:
    values = schema["enum"]
    if all(type(value) is str for value in values):
        if schema.get("type") != "string":
            schema["type"] = "string"
        return
    del schema["enum"]
    listed = ", ".join(value if type(value) is str else jsontext.dumps_text(value) for value in values)
    described = schema.get("description")
    schema["description"] = f"{described} (one of: {listed})" if described else f"(one of: {listed})"
    kind = _common_type(values)
    if kind is not None:
        schema.setdefault("type", kind)


def _required_of_existing(schema: JSONObject) -> None:
    properties = properties_of(schema)
    required = [name for name in schema["required"] if type(name) is str and name in properties]
    if not required:
        del schema["required"]
    elif len(required) < len(schema["required"]):
        schema["required"] = required


def _common_type(values: list[Any]) -> str | None:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    return "number" if kinds and kinds <= {int, float} else None


def _single_type(schema: JSONObject) -> None:
    listed = schema.pop("type")
    kinds = [kind for kind in listed if type(kind) is str and kind != "null"]
    if "null" in listed:
        schema["nullable"] = True
    if len(kinds) == 1:
        schema["type"] = kinds[0]
    elif kinds and "anyOf" not in schema:
        schema["anyOf"] = [_branch(kind, schema) for kind in kinds]


def _branch(kind: str, schema: JSONObject) -> JSONObject:
    """One type of several, with the keywords that only it has."""
    own = {"array": _ARRAY_KEYWORDS, "object": _OBJECT_KEYWORDS}.get(kind, ())
    branch = {"type": kind} | {name: schema.pop(name) for name in own if name in schema}
    if kind == "array":
        branch.setdefault("items", {"type": "string"})
    return branch


def _same(new: JSONObject, old: JSONObject) -> bool:
    return len(new) == len(old) and all(name in old and new[name] is old[name] for name in new)
