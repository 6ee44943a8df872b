"""OpenAI's strict mode: which schemas may say `strict`, and how others are made to.

Strict mode has no optional properties. `force_strict` requires them all and allows null where something was
optional; `without_invented_nulls` removes those nulls from the answer again, so that the client sees what
its schema promised.

See docs/conversion.md, "Structured output".
"""

from __future__ import annotations

from typing import Any, Final

from gateway.conversion.tools.schema_references import References
from gateway.conversion.tools.schema_walk import (
    branches_of,
    list_of,
    noted,
    properties_of,
    required_names,
    subschemas,
    with_subschemas,
)
from gateway.conversion.tools.schemas import folded
from gateway.wire import jsontext
from gateway.wire.messages import JSONObject

Path = tuple[str, ...]

EACH_ITEM: Final = "*"
_UNSUPPORTED: Final = (
    "allOf",
    "not",
    "oneOf",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
)
# OpenAI refuses these in a strict schema too, though its guide does not list them
_REFUSED_TOO: Final = (
    "default",
    "uniqueItems",
    "propertyNames",
    "contains",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
)
# A recursive schema has endless paths; OpenAI allows ten levels.
_MAX_UNROLLED: Final = 5
_MAX_PATHS: Final = 2_000
# in a strict schema a reference stands alone, except for descriptions
_BESIDE_A_REFERENCE: Final = frozenset({"description", "title"})


def is_strict_compatible(schema: JSONObject) -> bool:
    """Whether `strict: true` may go with this schema as it is."""
    return schema.get("type") == "object" and "anyOf" not in schema and _is_strict(schema)


def force_strict(schema: JSONObject) -> tuple[JSONObject, tuple[Path, ...]]:
    """A strict schema, and the paths at which it allows a null that `schema` does not.

    A path is the keys from the answer's root, EACH_ITEM for the items of a list.
    A schema whose root is no object cannot be strict and is returned unchanged.
    """
    if not is_object(schema):
        return schema, ()
    work = _Strict(schema)
    folds = "anyOf" in schema or "oneOf" in schema
    strict = work.strict(folded(schema, work.references) if folds else schema)
    work.find_paths(strict, References(strict), (), {})
    return strict, tuple(dict.fromkeys(work.paths))


def without_invented_nulls(text: str, paths: tuple[Path, ...]) -> str:
    """The JSON `text` without the nulls at `paths`; unchanged when it holds none or is no JSON."""
    try:
        value = jsontext.loads(text)
    except jsontext.InvalidJSON:
        return text
    removed = [_remove(value, path) for path in paths]
    return jsontext.dumps_text(value) if any(removed) else text


def is_object(schema: JSONObject) -> bool:
    """Whether a schema describes an object."""
    kind = schema.get("type")
    return (
        kind == "object" or (type(kind) is list and "object" in kind) or (not kind and "properties" in schema)
    )


class _Strict:
    """One schema made strict; remembers which properties it made nullable."""

    def __init__(self, root: JSONObject) -> None:
        self.paths: list[Path] = []
        self.references = References(root)
        self._invented: dict[int, list[str]] = {}
        self._folding: tuple[str, ...] = ()

    def strict(self, schema: JSONObject) -> JSONObject:
        simple, references = _simplified(schema, self.references)
        again = next((reference for reference in references if reference in self._folding), None)
        if again is not None:
            # a schema that contains itself can never be folded completely: the reference stays, with a
            # description
            return noted({"$ref": again}, [f"allOf: {jsontext.dumps_text(schema['allOf'])}"])
        around, self._folding = self._folding, (*self._folding, *references)
        schema = with_subschemas(simple, self.strict)
        self._folding = around
        if not is_object(schema):
            return schema
        required = required_names(schema)
        properties = properties_of(schema)
        invented = [
            name
            for name, value in properties.items()
            if name not in required and not _allows_null(value, self.references)
        ]
        closed = {
            "type": "object",
            **schema,
            "properties": {
                name: self._nullable(value) if name in invented else value
                for name, value in properties.items()
            },
            "required": list(properties),
            "additionalProperties": False,
        }
        self._invented[id(closed)] = invented
        return closed

    def _nullable(self, schema: JSONObject) -> JSONObject:
        nullable = _nullable(schema)
        if id(schema) in self._invented and "type" in nullable:
            # the copy replaces the object that was noted
            self._invented[id(nullable)] = self._invented.pop(id(schema))
        return nullable

    def find_paths(
        self, schema: JSONObject, references: References, path: Path, entered: dict[str, int]
    ) -> None:
        if len(self.paths) > _MAX_PATHS:
            return
        self.paths += [(*path, name) for name in self._invented.get(id(schema), ())]
        for name, below in properties_of(schema).items():
            if type(below) is dict:
                self.find_paths(below, references, (*path, name), entered)
        ref = schema.get("$ref")
        target = references.target(ref)
        if target is not None and entered.get(str(ref), 0) < _MAX_UNROLLED:
            self.find_paths(target, references, path, {**entered, str(ref): entered.get(str(ref), 0) + 1})
        items = schema.get("items")
        for below in [items] if type(items) is dict else branches_of(schema, "prefixItems"):
            self.find_paths(below, references, (*path, EACH_ITEM), entered)
        for below in branches_of(schema, "anyOf"):
            self.find_paths(below, references, path, entered)


def _simplified(schema: JSONObject, known: References) -> tuple[JSONObject, list[str]]:
    """Without the keywords that strict mode refuses: rewritten where possible, else put into the description.

    And without references of `allOf` whose targets were folded into it.
    """
    every = schema.get("allOf")
    references: list[str] = []
    if type(every) is list and every and all(type(branch) is dict for branch in every):
        rest = {name: value for name, value in schema.items() if name != "allOf"}
        beside = rest.keys() - _BESIDE_A_REFERENCE if "$ref" in every[0] else every[0].keys() & rest.keys()
        if len(every) == 1 and not beside:
            schema = {**every[0], **rest}
        elif is_object(schema) or "properties" in _only_object(every, known):
            references = [branch["$ref"] for branch in every if type(branch.get("$ref")) is str]
            schema = folded(schema, known)
    if "oneOf" in schema and "anyOf" not in schema:
        schema = {("anyOf" if name == "oneOf" else name): value for name, value in schema.items()}
    gone: list[str] = [name for name in (*_UNSUPPORTED, *_REFUSED_TOO) if name in schema]
    notes = [f"{name}: {jsontext.dumps_text(schema[name])}" for name in gone]
    if is_object(schema) and type(schema.get("additionalProperties")) is dict:
        notes.append(f"additionalProperties: {jsontext.dumps_text(schema['additionalProperties'])}")
        gone.append("additionalProperties")
    return noted({name: value for name, value in schema.items() if name not in gone}, notes), references


def _only_object(branches: list[JSONObject], references: References) -> JSONObject:
    """The first branch when each of them is an object, else nothing."""
    targets = [references.target(branch.get("$ref")) or branch for branch in branches]
    return targets[0] if all(is_object(target) for target in targets) else {}


def _allows_null(schema: Any, references: References | None) -> bool:
    """Whether null is legal where this schema stands. References are followed once."""
    if type(schema) is not dict:
        return True
    schema = (references and references.target(schema.get("$ref"))) or schema
    kind = schema.get("type")
    if kind is not None:
        return kind == "null" or (type(kind) is list and "null" in kind)
    if "enum" in schema or "const" in schema:
        return None in list_of(schema, "enum") or schema.get("const", "") is None
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return any(_allows_null(branch, None) for branch in list_of(schema, name))
    return "$ref" not in schema and "properties" not in schema


def _nullable(schema: JSONObject) -> JSONObject:
    kind = schema.get("type")
    if kind is None or "anyOf" in schema or "const" in schema:
        only_branches = schema.keys() <= {"anyOf", "description", "title"}
        if "anyOf" in schema and only_branches:
            return {**schema, "anyOf": [*list_of(schema, "anyOf"), {"type": "null"}]}
        return {"anyOf": [schema, {"type": "null"}]}
    new = {**schema, "type": [*(kind if type(kind) is list else [kind]), "null"]}
    if type(schema.get("enum")) is list:
        new["enum"] = [*schema["enum"], None]
    return new


def _remove(value: Any, path: Path) -> bool:
    """Delete the nulls at `path` inside `value`, which is our own copy."""
    if type(value) is list:
        return path[0] == EACH_ITEM and sum(_remove(item, path[1:]) for item in value) > 0
    if type(value) is not dict or path[0] not in value:
        return False
    if len(path) > 1:
        return _remove(value[path[0]], path[1:])
    if value[path[0]] is not None:
        return False
    del value[path[0]]
    return True


def _is_strict(schema: JSONObject) -> bool:
    if any(keyword in schema for keyword in (*_UNSUPPORTED, *_REFUSED_TOO)):
        return False
    if is_object(schema):
        if schema.get("additionalProperties") is not False:
            return False
        if not properties_of(schema).keys() <= set(required_names(schema)):
            return False
    return all(_is_strict(below) for below in subschemas(schema))
