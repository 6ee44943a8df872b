"""JSON Schemas adapted to Chat Completions.

All functions are pure: they return the given object when nothing had to change, otherwise a copy of the
changed levels. Too deep a schema raises RecursionError, which `functions` and `structured_output` turn into
an answer to the client.

See docs/conversion.md, "Schemas".
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.conversion.tools.schema_dialects import gemini, llama_cpp, mfjs, openai
from gateway.conversion.tools.schema_references import References, inline_refs, resolved, without_base
from gateway.conversion.tools.schema_validity import valid
from gateway.conversion.tools.schema_walk import branches_of, noted, properties_of, required_names
from gateway.wire import jsontext
from gateway.wire.messages import JSONObject

_NO_MEANING_AT_ROOT: Final = ("$schema", "$id", "$comment")
_COMBINATORS: Final = ("allOf", "anyOf", "oneOf", "enum", "const", "not")
_REWRITES: Final = {
    "inline_refs": inline_refs,
    "gemini": gemini,
    "mfjs": mfjs,
    "openai": openai,
    "llama_cpp": llama_cpp,
}


class Parameters(NamedTuple):
    """`schema` as it may be sent; `refit`: combinators of the root were given up, or values that no
    meta-schema allows.
    """

    schema: JSONObject
    refit: bool


def tool_parameters(schema: JSONObject) -> Parameters:
    """The root of a tool's input_schema as every provider takes it.

    An object with `properties`, without `$schema` and the like, its combinators folded into one object.
    Raises
    ValueError when the root is not an object. See docs/conversion.md, "Schemas".
    """
    if type(schema.get("$id")) is str:
        schema = without_base(schema, schema["$id"].removesuffix("#"))
    root = {key: value for key, value in schema.items() if key not in _NO_MEANING_AT_ROOT}
    if "$ref" in root:
        target = resolved(schema, root["$ref"])
        if target is not None and target is not schema:
            del root["$ref"]
            root = {**target, **root}
    kind = root.get("type")
    if kind is None or (type(kind) is list and "object" in kind):
        root["type"] = "object"
    elif kind != "object":
        raise ValueError("the root is no object")
    if type(root.get("properties")) is not dict:
        root["properties"] = {}
    allowed = valid(root)
    refit, root = allowed is not root, allowed
    combined = any(name in root for name in _COMBINATORS)
    if combined:
        root = folded(root, References(schema))
    return Parameters(root, combined or refit)


def folded(schema: JSONObject, references: References) -> JSONObject:
    """One object in place of a combination of objects; the combination stays as text in `description`.

    Properties are united; required is what every outcome requires.
    """
    properties = dict(properties_of(schema))
    required = required_names(schema)
    for name in ("allOf", "anyOf", "oneOf"):
        branches = [_branch(references, branch) for branch in branches_of(schema, name)]
        if not branches:
            continue
        united: dict[str, list[Any]] = {}
        for branch in branches:
            for key, below in properties_of(branch).items():
                variants = united.setdefault(key, [])
                if below not in variants:
                    variants.append(below)
        for key, variants in united.items():
            properties.setdefault(key, _together(variants, every=name == "allOf"))
        lists = [required_names(branch) for branch in branches]
        if name == "allOf":
            more = [key for keys in lists for key in keys]
        else:
            more = [key for key in lists[0] if all(key in keys for keys in lists)]
        required = list(dict.fromkeys(required + more))
    notes = [f"{name}: {jsontext.dumps_text(schema[name])}" for name in _COMBINATORS if name in schema]
    kept = {key: value for key, value in schema.items() if key not in _COMBINATORS}
    kept["properties"] = properties
    if required:
        kept["required"] = required
    return noted(kept, notes)


def schema_rewrites(schema: JSONObject, rewrites: tuple[str, ...]) -> JSONObject:
    """`schema` in the provider's dialect, by the names of option `schema_rewrites`, in this order."""
    for name in rewrites:
        schema = _REWRITES[name](schema)
    return schema


def _branch(references: References, branch: JSONObject) -> JSONObject:
    target = references.target(branch["$ref"]) if "$ref" in branch else None
    return branch if target is None else {**target, **branch}


def _together(variants: list[Any], *, every: bool) -> Any:
    if len(variants) == 1:
        return variants[0]
    if not every:
        return {"anyOf": variants}
    merged: JSONObject = {}
    for variant in variants:
        merged |= variant if type(variant) is dict else {}
    return merged
