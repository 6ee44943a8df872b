"""What each provider refuses in a schema, written from what it publishes and not from what the gateway does.

Each judge yields its objections; none = accepted. Sources: Gemini's `Schema` at
ai.google.dev/api/caching#Schema and the refusals of its service; MoonshotAI/walle (mfjs-spec,
keyword_validators.go); llama.cpp's json-schema-to-grammar; OpenAI's refusals of functions.
"""

import re

GEMINI_FIELDS = {
    *("type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties"),
    *("required", "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example"),
    *("anyOf", "propertyOrdering", "default", "items", "minimum", "maximum"),
}
TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}
URI_NOT = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")


def gemini_refuses(schema, *, at_root=True):
    if not isinstance(schema, dict):
        yield f"no schema: {schema!r}"
        return
    yield from (f"unknown name {name}" for name in schema.keys() - GEMINI_FIELDS)
    if "anyOf" in schema:
        if len(schema) > 1:
            yield "any_of must be the only field set"
        for branch in schema["anyOf"]:
            yield from gemini_refuses(branch, at_root=False)
        return
    kind = schema.get("type")
    if kind not in TYPES:
        yield f"type {kind!r}"
    if "enum" in schema and (kind != "string" or not all(isinstance(v, str) and v for v in schema["enum"])):
        yield "enum: only strings that are not empty"
    if schema.get("format", "enum") not in ("enum", "date-time"):
        yield f"format {schema['format']}"
    if kind == "array":
        yield from gemini_refuses(schema.get("items"), at_root=False)
    if kind == "object" and not at_root and not schema.get("properties"):
        yield "properties: should be non-empty for OBJECT type"
    only = {
        "items": "array",
        "properties": "object",
        "required": "object",
        "pattern": "string",
        "minItems": "array",
    }
    yield from (f"{name} of {kind}" for name, owner in only.items() if name in schema and kind != owner)
    for name in ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"):
        if name in schema and (type(schema[name]) is not int or schema[name] < 0):
            yield f"{name} is no count"
    for name in ("title", "description"):
        if not isinstance(schema.get(name, ""), str):
            yield f"{name} is no text"
    properties = schema.get("properties", {})
    if not set(schema.get("required", ())) <= properties.keys():
        yield "required names no property"
    for below in properties.values():
        yield from gemini_refuses(below, at_root=False)


def mfjs_refuses(schema):
    if not isinstance(schema, dict):
        yield f"no schema: {schema!r}"
        return
    if "type" in schema and ("anyOf" in schema or "$ref" in schema):
        yield "type beside anyOf or $ref"
    if "type" not in schema and "anyOf" not in schema and "$ref" not in schema:
        yield "type is not defined"
    if "type" in schema and schema["type"] not in TYPES:
        yield f"type {schema['type']!r}"
    if not isinstance(schema.get("description", ""), str):
        yield "description must be a string"
    if "$ref" in schema:
        yield "a reference is left"
    for name in ("uniqueItems", "if", "then", "else", "patternProperties"):
        if name in schema:
            yield f"{name} is left"
    if "enum" in schema:
        kind = schema.get("type")
        python = {"string": str, "integer": (int, float), "number": (int, float), "boolean": bool}.get(kind)
        if (
            not schema["enum"]
            or python is None
            or not all(isinstance(value, python) for value in schema["enum"])
        ):
            yield "enum does not match its type"
    properties = schema.get("properties", {})
    if properties.keys() & {"$defs", "$ref", "anyOf", "required", "additionalProperties"}:
        yield "a property has a reserved name"
    if not set(schema.get("required", ())) <= properties.keys():
        yield "required names no property"
    if "items" in schema:
        yield from mfjs_refuses(schema["items"])
    if "anyOf" in schema:
        if not schema["anyOf"]:
            yield "anyOf is empty"
        for branch in schema["anyOf"]:
            yield from mfjs_refuses(branch)
            if isinstance(branch, dict) and branch.keys() & schema.keys() - {"description", "title"} - {
                "anyOf"
            }:
                yield "a branch repeats a keyword of its parent"
    for below in properties.values():
        yield from mfjs_refuses(below)
    extra = schema.get("additionalProperties", True)
    if not isinstance(extra, (bool, dict)):
        yield "additionalProperties"


def openai_refuses(schema, *, names=None):
    if names is None:
        names = schema.get("$defs", {}).keys() if isinstance(schema.get("$defs", {}), dict) else ()
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    if isinstance(kinds, list) and "array" in kinds and not isinstance(schema.get("items"), dict):
        yield "array schema missing items"
    if "$ref" in schema:
        ref = schema["$ref"]
        if not isinstance(ref, str) or URI_NOT.search(ref):
            yield f"{ref!r} is no URI reference"
        elif ref != "#" and ref.removeprefix("#/$defs/") not in names:
            yield f"{ref} leads nowhere"
    for below in schema.get("properties", {}).values():
        if not isinstance(below, dict):
            yield "a property is no object"
        elif not below.keys() & {"type", "$ref", "anyOf"}:
            yield "schema must have a 'type' key"
        else:
            yield from openai_refuses(below, names=names)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from openai_refuses(schema[keyword], names=names)
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for below in schema.get(keyword) or () if isinstance(schema.get(keyword), list) else ():
            if isinstance(below, dict):
                yield from openai_refuses(below, names=names)


def llama_cpp_refuses(schema):
    if not isinstance(schema, dict):
        yield f"Unrecognized schema: {schema!r}"
        return
    if "$ref" in schema:
        yield "Unsupported ref"
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    if not set(kinds) <= TYPES or not (kinds or "anyOf" in schema):
        yield f"Unrecognized schema: {schema!r}"
    if "pattern" in schema:
        pattern = schema["pattern"]
        if not (pattern.startswith("^") and pattern.endswith("$")):
            yield "Pattern must start with '^' and end with '$'"
        if re.search(r"\\[^\^.\[\]()|{}*+?]", pattern) or "(?" in pattern:
            yield f"unknown escape or group in {pattern}"
    if not isinstance(schema.get("format", ""), str):
        yield "format is no text"
    if schema.get("enum") == []:
        yield "an empty enum"
    for name in ("minLength", "maxLength", "minItems", "maxItems"):
        if name in schema and not (type(schema[name]) is int and 0 <= schema[name] <= 2_000):
            yield f"{name}: number of repetitions exceeds sane defaults"
    for below in schema.get("properties", {}).values():
        yield from llama_cpp_refuses(below)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from llama_cpp_refuses(schema[keyword])
    for keyword in ("anyOf", "prefixItems"):
        for below in schema.get(keyword, ()):
            yield from llama_cpp_refuses(below)
