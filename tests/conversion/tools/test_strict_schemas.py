"""OpenAI's strict mode (docs/conversion.md, "Structured output")."""

import copy
import json

import pytest
from hypothesis import example, given
from jsonschema import Draft202012Validator

from gateway.conversion.tools.strict_schemas import force_strict, is_strict_compatible, without_invented_nulls
from tests.conversion.json_schemas import plain_objects, schemas

CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "compatible"),
    [
        (CLOSED, True),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({"type": "array", "items": CLOSED}, False),
        ({**CLOSED, "anyOf": [CLOSED]}, False),
        ({**CLOSED, "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, True),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, False),
        ({**CLOSED, "properties": {"a": {"type": ["object", "null"]}}}, False),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "$defs": {"d": {"type": "object"}}}, False),
        *[
            ({**CLOSED, "properties": {"a": {keyword: value}}}, False)
            for keyword, value in [
                ("allOf", [{}]),
                ("not", {}),
                ("oneOf", [{}]),
                ("if", {}),
                ("then", {}),
                ("else", {}),
                ("dependentRequired", {}),
                ("dependentSchemas", {}),
                ("patternProperties", {}),
            ]
        ],
    ],
)
def test_strict_may_be_said_of_closed_objects_without_optional_properties(schema, compatible):
    assert is_strict_compatible(schema) is compatible


def forced(properties, **more):
    schema, paths = force_strict({"type": "object", "properties": properties, **more})
    assert is_strict_compatible(schema)
    return schema["properties"], paths


@pytest.mark.parametrize(
    ("optional", "sent", "paths"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}, (("p",),)),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}, (("p",),)),
        ({"type": "string", "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}, (("p",),)),
        ({"enum": ["a"]}, {"anyOf": [{"enum": ["a"]}, {"type": "null"}]}, (("p",),)),
        ({"const": 1}, {"anyOf": [{"const": 1}, {"type": "null"}]}, (("p",),)),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, (("p",),)),
        ({"oneOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, (("p",),)),
        # null was legal already, so a null in the answer may be meant
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}, ()),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            (),
        ),
        ({"enum": ["a", None]}, {"enum": ["a", None]}, ()),
        ({}, {}, ()),
        (
            {"type": "string", "default": "x"},
            {"type": ["string", "null"], "description": 'default: "x"'},
            (("p",),),
        ),
        (
            {"type": "string", "not": {"const": "x"}, "description": "d"},
            {"type": ["string", "null"], "description": 'd\nnot: {"const":"x"}'},
            (("p",),),
        ),
        (
            {"allOf": [{"type": "string"}], "title": "t"},
            {"type": ["string", "null"], "title": "t"},
            (("p",),),
        ),
    ],
)
def test_an_optional_property_becomes_required_and_nullable(optional, sent, paths):
    properties, found = forced({"p": optional})
    assert properties == {"p": sent}
    assert found == paths


def test_a_required_property_stays_as_it_is():
    assert forced({"p": {"type": "string"}}, required=["p"]) == ({"p": {"type": "string"}}, ())


def test_paths_lead_through_objects_lists_and_references():
    schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            "deep": {"type": "object", "properties": {"x": {"type": "string"}}},
        },
        "required": ["list", "deep"],
        "$defs": {"item": {"type": "object", "properties": {"y": {"type": "integer"}}}},
    }
    strict, paths = force_strict(schema)
    assert is_strict_compatible(strict)
    assert set(paths) == {("list", "*", "y"), ("deep", "x")}
    answer = '{"list":[{"y":null},{"y":1}],"deep":{"x":null}}'
    assert json.loads(without_invented_nulls(answer, paths)) == {"list": [{}, {"y": 1}], "deep": {}}


def test_a_recursive_schema_has_paths_for_several_levels():
    strict, paths = force_strict({"type": "object", "properties": {"next": {"$ref": "#"}}})
    assert is_strict_compatible(strict)
    answer = '{"next":{"next":{"next":null}}}'
    assert without_invented_nulls(answer, paths) == '{"next":{"next":{}}}'


def test_alternatives_at_the_root_are_folded():
    strict, paths = force_strict(
        {
            "type": "object",
            "anyOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}],
        }
    )
    assert is_strict_compatible(strict)
    assert paths == (("a",), ("b",))


def test_a_root_that_is_no_object_is_left_alone():
    schema = {"type": "array", "items": {}}
    assert force_strict(schema) == (schema, ())


@pytest.mark.parametrize(
    "text", ["no JSON", "", '{"a": 1}', "[]", "null", '{"a": {"b": null}}', '{ "b" : null }']
)
def test_an_answer_without_invented_nulls_is_returned_as_it_is(text):
    assert without_invented_nulls(text, (("a",), ("c", "d"), ("*", "x"))) is text


def test_only_nulls_at_the_paths_are_removed():
    text = '{"a":null,"b":null,"é":"ü"}'
    assert without_invented_nulls(text, (("a",),)) == '{"b":null,"é":"ü"}'


def filled(value, paths, prefix=()):
    """`value` as a strict model would write it: null where a property is left out."""
    if isinstance(value, list):
        return [filled(item, paths, (*prefix, "*")) for item in value]
    if not isinstance(value, dict):
        return value
    full = {name: filled(item, paths, (*prefix, name)) for name, item in value.items()}
    for path in paths:
        if path[:-1] == prefix:
            full.setdefault(path[-1], None)
    return full


@given(plain_objects())
def test_a_strict_answer_comes_back_as_the_client_schema_promised(made):
    schema, value = made
    before = copy.deepcopy(schema)
    strict, paths = force_strict(schema)
    assert schema == before
    assert is_strict_compatible(strict)
    answer = filled(value, paths)
    if not any_lacking(schema, value):
        Draft202012Validator(strict).validate(answer)
    assert json.loads(without_invented_nulls(json.dumps(answer), paths)) == value
    Draft202012Validator(schema).validate(value)


def any_lacking(schema, value):
    """Whether an optional property that was nullable by itself is left out: strict mode wants it written."""
    if isinstance(value, list):
        return any(any_lacking(schema["items"], item) for item in value)
    if not isinstance(value, dict):
        return False
    return any(
        (name not in value and "null" in below["type"]) or (name in value and any_lacking(below, value[name]))
        for name, below in schema["properties"].items()
    )


def test_a_structure_that_holds_itself_in_a_combination_keeps_its_reference():
    schema = {
        "type": "object",
        "properties": {
            "a": {"allOf": [{"$ref": "#"}, {"type": "object", "properties": {"b": {"type": "string"}}}]}
        },
    }
    strict, _ = force_strict(schema)
    assert is_strict_compatible(strict)
    once = strict["properties"]["a"]
    assert set(once["properties"]) == {"a", "b"}
    assert once["properties"]["a"]["anyOf"][0]["$ref"] == "#"


@given(schemas(objects=True))
@example(
    {
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/$defs/two"}, {"type": "object", "properties": {}}]}},
        "$defs": {
            "two": {
                "type": "object",
                "properties": {
                    "b": {"allOf": [{"$ref": "#/$defs/two"}, {"type": "object", "properties": {}}]}
                },
            }
        },
    }
)
def test_a_forced_schema_is_valid_and_strict_and_forcing_it_again_changes_nothing(schema):
    before = copy.deepcopy(schema)
    strict, _ = force_strict(schema)
    assert schema == before
    Draft202012Validator.check_schema(strict)
    assert is_strict_compatible(strict)
    assert force_strict(strict) == (strict, ())


@pytest.mark.parametrize(
    "said", [{"default": "x"}, {"uniqueItems": True}, {"propertyNames": {}}, {"minProperties": 1}]
)
def test_strict_is_not_said_of_keywords_that_strict_mode_refuses(said):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", **said}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert not is_strict_compatible(schema)
    assert is_strict_compatible({**schema, "properties": {"a": {"type": "string"}}})
    named_so = {**schema, "properties": {name: {"type": "string"} for name in said}, "required": list(said)}
    assert is_strict_compatible(named_so)
