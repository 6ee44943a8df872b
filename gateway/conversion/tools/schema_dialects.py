"""Schemas in the forms that single providers take.

Each function is pure, returns the same object when nothing changes, and is idempotent. What the providers
take is published: Gemini's `Schema` (ai.google.dev/api/caching#Schema), Moonshot's flavour
(MoonshotAI/walle), llama.cpp's json-schema-to-grammar. OpenAI's rules are those of its refusals.

See docs/conversion.md, "Schemas".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway import patterns
from gateway.conversion.tools.schema_forms import (
    ANY,
    KEYWORDS,
    is_any,
    same,
    simplified,
    told,
)
from gateway.conversion.tools.schema_patterns import grammar_pattern
from gateway.conversion.tools.schema_references import References, inline_refs, plain_refs
from gateway.conversion.tools.schema_validity import TYPES, valid
from gateway.conversion.tools.schema_walk import (
    branches_of,
    list_of,
    noted,
    properties_of,
    required_names,
    with_subschemas,
)
from gateway.wire import jsontext
from gateway.wire.messages import JSONObject

_COUNTS: Final = frozenset(
    {"minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"}
)
_LIMITS: Final = frozenset({"minimum", "maximum"})
_WORDS: Final = frozenset({"description", "title"})

_GEMINI_KEYWORDS: Final = {
    "string": frozenset({"enum", "format", "minLength", "maxLength", "pattern"}),
    "number": _LIMITS,
    "integer": _LIMITS,
    "boolean": frozenset(),
    "null": frozenset(),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "minProperties", "maxProperties", "propertyOrdering"}),
}
_GEMINI_FORMATS: Final = ("enum", "date-time")
# what Gemini's schema cannot express, and the model should know
_UNKNOWN_TO_GEMINI: Final = (
    "default",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "uniqueItems",
    "not",
    "dependentRequired",
    "patternProperties",
    "propertyNames",
    "contains",
    "examples",
)
_ANY_PROPERTY: Final[JSONObject] = {
    "_any": {"type": "string", "description": "Stands for any keys and values. Leave it out."}
}
_ANY_TO_GEMINI: Final[tuple[JSONObject, ...]] = (
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "object", "properties": _ANY_PROPERTY},
    {"type": "array", "items": {"type": "string"}},
)

# Moonshot's validator (MoonshotAI/walle) says no to these, and servers that use it refuse the request.
# It takes other keywords that its table lacks, such as `prefixItems`.
_REFUSED_BY_MOONSHOT: Final = ("uniqueItems", "if", "then", "else", "patternProperties")
_RESERVED_BY_MOONSHOT: Final = ("$defs", "$ref", "anyOf", "required", "additionalProperties")

# llama.cpp refuses a grammar with more repetitions of a rule
_MOST_REPEATED: Final = 1_000


def gemini(schema: JSONObject) -> JSONObject:
    """Only the fields of Gemini's `Schema`, each where it may stand."""
    return _gemini(simplified(inline_refs(valid(schema)), one_type=True), at_root=True)


def _gemini(schema: JSONObject, *, at_root: bool = False) -> JSONObject:
    new = with_subschemas(schema, _gemini)
    if "anyOf" in new:
        new = _gemini_branches(new)
    elif is_any(new):
        new = _described({"anyOf": list(_ANY_TO_GEMINI)}, new)
    else:
        new = _gemini_typed(told(new, *_UNKNOWN_TO_GEMINI), at_root=at_root)
    return schema if same(new, schema) else new


def _gemini_branches(schema: JSONObject) -> JSONObject:
    """`anyOf` excludes all other fields beside it; null becomes a field of each branch."""
    branches: list[JSONObject] = []
    for branch in branches_of(schema, "anyOf"):
        branches += branches_of(branch, "anyOf") or [branch]
    kept = [branch for branch in branches if branch.get("type") != "null"]
    if not kept:
        return _described({"type": "null"}, schema)
    if len(kept) < len(branches):
        kept = [branch if branch.get("nullable") is True else {**branch, "nullable": True} for branch in kept]
    if len(kept) == 1:
        return _described(kept[0], schema)
    if schema.keys() == {"anyOf"} and kept == schema["anyOf"]:
        return schema
    return _described({"anyOf": kept}, schema)


def _described(new: JSONObject, old: JSONObject) -> JSONObject:
    """`new` with the description of `old`, in its first branch if it has any."""
    words = {name: old[name] for name in sorted(_WORDS) if name in old and name not in new}
    if "anyOf" not in new:
        return {**new, **words}
    first, *others = new["anyOf"]
    return {"anyOf": [{**words, **first}, *others]}


def _gemini_typed(schema: JSONObject, *, at_root: bool) -> JSONObject:
    kind = schema["type"]
    if "enum" in schema:
        schema = _gemini_enum(schema)
    if type(schema.get("format")) is str and schema["format"] not in _GEMINI_FORMATS:
        schema = told(schema, "format")
    if type(schema.get("additionalProperties")) is dict and not at_root:
        schema = told(schema, "additionalProperties")
    if kind == "array" and "items" not in schema:
        items = list_of(schema, "prefixItems")
        schema = {
            **schema,
            "items": {"anyOf": items} if len(items) > 1 else items[0] if items else {"type": "string"},
        }
        schema["items"] = _gemini_branches(schema["items"]) if len(items) > 1 else schema["items"]
    if kind == "object" and not properties_of(schema) and not at_root:
        schema = {**schema, "properties": _ANY_PROPERTY}
    allowed = _GEMINI_KEYWORDS[kind]
    return {
        name: value
        for name, value in schema.items()
        if name in ("type", *_WORDS)
        or (name == "nullable" and type(value) is bool)
        or (name in allowed and _legal(name, value, schema))
    }


def _gemini_enum(schema: JSONObject) -> JSONObject:
    """An enum of Gemini holds non-empty strings; other values go into the description."""
    values = schema["enum"]
    if schema["type"] == "string":
        kept = [value for value in values if value]
        if kept == values:
            return schema
        rest = {name: value for name, value in schema.items() if name != "enum"}
        return noted({**rest, "enum": kept} if kept else rest, ["(or an empty string)"] if kept else [])
    listed = ", ".join(jsontext.dumps_text(value) for value in values[:100])
    rest = {name: value for name, value in schema.items() if name != "enum"}
    described = rest.get("description")
    return {**rest, "description": f"{described} (one of: {listed})" if described else f"(one of: {listed})"}


def _legal(name: str, value: Any, schema: JSONObject) -> bool:
    if name in _COUNTS:
        return type(value) is int and value >= 0
    if name in _LIMITS:
        return type(value) in (int, float)
    if name == "propertyOrdering":
        return type(value) is list and all(
            type(each) is str and each in properties_of(schema) for each in value
        )
    if name in ("pattern", "format"):
        return type(value) is str
    return True


def mfjs(schema: JSONObject) -> JSONObject:
    """Moonshot's flavour: each schema is one type or a lone `anyOf`, and `required` names existing
    properties.
    """
    return _mfjs(simplified(inline_refs(valid(schema)), one_type=True))


def _mfjs(schema: JSONObject) -> JSONObject:
    new = with_subschemas(schema, _mfjs)
    if is_any(new):
        new = {name: value for name, value in new.items() if name in _WORDS}
        new["anyOf"] = [{"type": kind} for kind in ANY]
    if new.get("additionalProperties") is not None and type(new["additionalProperties"]) not in (bool, dict):
        new = told(new, "additionalProperties")
    refused = [name for name in _REFUSED_BY_MOONSHOT if name in new]
    if refused:
        new = told(new, *refused)
    reserved = [name for name in _RESERVED_BY_MOONSHOT if name in properties_of(new)]
    if reserved:
        new = _without_properties(new, reserved)
    return schema if same(new, schema) else new


def _without_properties(schema: JSONObject, names: Sequence[str]) -> JSONObject:
    properties = properties_of(schema)
    required = [name for name in required_names(schema) if name not in names]
    new = {name: value for name, value in schema.items() if name != "required"}
    new["properties"] = {name: value for name, value in properties.items() if name not in names}
    if required:
        new["required"] = required
    removed = {name: properties[name] for name in names}
    return told({**new, "further properties": removed}, "further properties")


def llama_cpp(schema: JSONObject) -> JSONObject:
    """The part that llama.cpp makes a grammar from: a type everywhere, and patterns that it can follow."""
    return _llama_cpp(simplified(inline_refs(valid(schema)), one_type=False))


def _llama_cpp(schema: JSONObject) -> JSONObject:
    new = with_subschemas(schema, _llama_cpp)
    if is_any(new):
        new = {**new, "type": list(ANY)}
    if "pattern" in new:
        pattern = grammar_pattern(new["pattern"]) if type(new["pattern"]) is str else None
        if pattern is None:
            new = told(new, "pattern")
        elif pattern != new["pattern"]:
            new = {**new, "pattern": pattern}
    wrong = [name for name in _COUNTS & new.keys() if not _repeatable(new[name])]
    wrong += [
        name for name in _LIMITS & new.keys() if type(new[name]) is not int and "integer" in _kinds(new)
    ]
    wrong += [name for name in ("format",) if name in new and type(new[name]) is not str]
    if wrong:
        new = told(new, *sorted(wrong))
    return schema if same(new, schema) else new


def _repeatable(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_REPEATED


def openai(schema: JSONObject) -> JSONObject:
    """What OpenAI takes without `strict`: what the meta-schema allows, references that are URIs, items of
    arrays, types of properties, and patterns that Python's engine can compile.
    """
    named = plain_refs(valid(schema))
    return _OpenAI(References(named)).rewritten(named)


class _OpenAI:
    def __init__(self, references: References) -> None:
        self._references = references

    def rewritten(self, schema: JSONObject) -> JSONObject:
        new = dict(schema)
        properties = schema.get("properties")
        if type(properties) is dict:
            cleaned = {
                name: self._typed({} if value is True else value)
                for name, value in properties.items()
                if value is True or type(value) is dict
            }
            if not same(cleaned, properties):
                new["properties"] = cleaned
        elif "properties" in schema:
            del new["properties"]
        if type(schema.get("items")) is list:
            new["prefixItems"] = new.pop("items")
        if not _compiles(new.get("pattern")):
            new = told(new, "pattern")
        by_pattern = new.get("patternProperties")
        if type(by_pattern) is dict and not all(map(_compiles, by_pattern)):
            new["patternProperties"] = {name: by_pattern[name] for name in by_pattern if _compiles(name)}
        if "array" in _kinds(new):
            items = new.get("items")
            new["items"] = self._typed(items if type(items) is dict else {}, in_list=True)
        return _kept(with_subschemas(new, self.rewritten), schema)

    def _typed(self, schema: JSONObject, *, in_list: bool = False) -> JSONObject:
        if any(keyword in schema for keyword in ("type", "$ref", "anyOf")):
            return schema
        kinds = self._told_kinds(schema, 4) or [kind for kind in ANY if kind != "array" or not in_list]
        return {**schema, "type": kinds[0] if len(kinds) == 1 else kinds}

    def _told_kinds(self, schema: JSONObject, depth: int) -> list[str]:
        """The types of the values that a schema without `type` allows; empty = unknown."""
        schema = self._references.target(schema["$ref"]) or {} if "$ref" in schema else schema
        if _kinds(schema):
            return list(_kinds(schema))
        if "const" in schema or type(schema.get("enum")) is list:
            form = simplified(
                {name: schema[name] for name in ("enum", "const") if name in schema}, one_type=False
            )
            return list(_kinds(form))
        for keyword in ("anyOf", "oneOf"):
            branches = branches_of(schema, keyword)
            told_by = [self._told_kinds(branch, depth - 1) for branch in branches] if depth else []
            if told_by and all(told_by):
                return list(dict.fromkeys(kind for kinds in told_by for kind in kinds))
        for branch in branches_of(schema, "allOf") if depth else ():
            if kinds := self._told_kinds(branch, depth - 1):
                return kinds
        about = [kind for kind in ("object", "array") if any(keyword in schema for keyword in KEYWORDS[kind])]
        return about if len(about) == 1 else []


def _compiles(pattern: str | None) -> bool:
    return pattern is None or patterns.compiles(pattern)


def _kept(new: JSONObject, old: JSONObject) -> JSONObject:
    return old if same(new, old) else new


def _kinds(schema: JSONObject) -> tuple[str, ...]:
    kind = schema.get("type")
    kinds = [kind] if type(kind) is str else list_of(schema, "type")
    return tuple(kind for kind in kinds if type(kind) is str and kind in TYPES)
