"""Rewriting schemas for single providers (specification 4.2, table of schema_rewrites)."""

import copy

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from gateway.conversion.tools import schema_dialects
from gateway.conversion.tools.schema_dialects import gemini, inline_refs, mfjs
from tests.conversion.json_schemas import schemas

TREE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}


def references(schema):
    if isinstance(schema, dict):
        return sum(map(references, schema.values())) + isinstance(schema.get("$ref"), str)
    return sum(map(references, schema)) if isinstance(schema, list) else 0


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"a": 1, "$defs": {}}, {"a": 1}),
        ({"$ref": "#/definitions/x", "definitions": {"x": {"type": "string"}}}, {"type": "string"}),
        (
            {
                "properties": {"p": {"$ref": "#/$defs/x", "description": "mine"}},
                "$defs": {"x": {"description": "its", "type": "string"}},
            },
            {"properties": {"p": {"type": "string", "description": "mine"}}},
        ),
        (
            {"items": {"$ref": "#/$defs/tree"}, "$defs": {"tree": TREE}},
            {"items": {"type": "object", "properties": {"next": {"type": "object"}}}},
        ),
        ({"properties": {"p": {"$ref": "#"}}}, {"properties": {"p": {"type": "object"}}}),
        ({"properties": {"p": {"$ref": "#/$defs/none"}}}, {"properties": {"p": {"type": "object"}}}),
        ({"properties": {"p": {"$ref": "http://x/y"}}}, {"properties": {"p": {"$ref": "http://x/y"}}}),
        ({"properties": {"$ref": {"type": "string"}}}, {"properties": {"$ref": {"type": "string"}}}),
        (
            {"properties": {"p": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": {"enum": [1]}}},
            {"properties": {"p": {"enum": [1]}}},
        ),
        (
            {"anyOf": [{"type": "null"}], "not": {"$ref": "#/anyOf/0"}},
            {"anyOf": [{"type": "null"}], "not": {"type": "null"}},
        ),
    ],
)
def test_references_are_replaced_by_copies_of_their_targets(schema, sent):
    assert inline_refs(schema) == sent


def test_references_that_double_at_each_level_do_not_explode():
    levels = {
        f"l{i}": {"type": "object", "properties": {n: {"$ref": f"#/$defs/l{i + 1}"} for n in "ab"}}
        for i in range(40)
    }
    schema = {"properties": {"p": {"$ref": "#/$defs/l0"}}, "$defs": {**levels, "l40": {"type": "string"}}}
    sent = inline_refs(schema)
    assert references(sent) == 0
    assert len(repr(sent)) < 100 * schema_dialects.MAX_INLINED


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (
            {"$schema": "s", "$id": "i", "$comment": "c", "additionalProperties": False, "type": "object"},
            {"type": "object"},
        ),
        ({"patternProperties": {}, "propertyNames": {}, "default": 1, "type": "object"}, {"type": "object"}),
        (
            {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9, "minimum": 1},
            {"type": "integer", "minimum": 1},
        ),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"const": "file"}, {"type": "string", "enum": ["file"]}),
        ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "(one of: 1, 2)"}),
        ({"const": 1, "description": "d"}, {"type": "integer", "description": "d (one of: 1)"}),
        ({"enum": [True]}, {"type": "boolean", "description": "(one of: true)"}),
        ({"enum": [1, 2.5]}, {"type": "number", "description": "(one of: 1, 2.5)"}),
        ({"enum": ["a", None]}, {"description": "(one of: a, null)"}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["null"]}, {"nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (
            {"type": ["string", "integer", "null"], "description": "d"},
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True, "description": "d"},
        ),
        (
            {"type": ["array", "string"], "items": {"type": "integer"}},
            {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "string"}]},
        ),
        (
            {"type": ["object", "array"], "properties": {"a": {}}, "required": ["a"]},
            {
                "anyOf": [
                    {"type": "object", "properties": {"a": {}}, "required": ["a"]},
                    {"type": "array", "items": {"type": "string"}},
                ]
            },
        ),
        ({"properties": {"a": {}}, "required": ["a", "b"]}, {"properties": {"a": {}}, "required": ["a"]}),
        ({"properties": {"a": {}}, "required": ["b"]}, {"properties": {"a": {}}}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        ({"properties": {"default": {"default": 1}}}, {"properties": {"default": {}}}),
        (
            {"anyOf": [{"default": 1}, {"type": "array"}]},
            {"anyOf": [{}, {"type": "array", "items": {"type": "string"}}]},
        ),
    ],
)
def test_gemini_gets_the_keywords_it_knows_and_arguments_keep_their_type(schema, sent):
    before = copy.deepcopy(schema)
    assert gemini(schema) == sent
    assert schema == before


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (
            {"type": "string", "anyOf": [{"minLength": 1}, {"type": "null"}], "title": "t"},
            {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}], "title": "t"},
        ),
        ({"items": [{"type": "string"}]}, {"prefixItems": [{"type": "string"}]}),
        (
            {"properties": {"a": {"type": "array", "items": [{"type": "object", "anyOf": [{}]}]}}},
            {"properties": {"a": {"type": "array", "prefixItems": [{"anyOf": [{"type": "object"}]}]}}},
        ),
        ({"type": "object"}, {"type": "object"}),
    ],
)
def test_moonshots_flavour_has_no_type_beside_anyof(schema, sent):
    assert mfjs(schema) == sent


@pytest.mark.parametrize("rewrite", [inline_refs, gemini, mfjs])
def test_what_needs_no_change_is_not_copied(rewrite):
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {}}}}
    assert rewrite(schema) is schema


@pytest.mark.parametrize("rewrite", [inline_refs, gemini, mfjs])
@given(schema=schemas())
def test_a_rewritten_schema_is_valid_and_rewriting_it_again_changes_nothing(rewrite, schema):
    before = copy.deepcopy(schema)
    sent = rewrite(schema)
    assert schema == before
    Draft202012Validator.check_schema(sent)
    assert rewrite(sent) is sent


@given(schema=schemas())
def test_no_local_reference_is_left(schema):
    assert references(inline_refs(schema)) == 0


def test_mfjs_hands_a_type_down_through_branches_of_branches():
    schema = {"type": "object", "anyOf": [{"anyOf": [{}]}]}
    assert mfjs(schema) == {"anyOf": [{"anyOf": [{"type": "object"}]}]}
