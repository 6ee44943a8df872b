"""Schemas at the root: what every provider needs (docs/conversion.md, "Schemas")."""

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from gateway.conversion.tools.schemas import noted, schema_rewrites, tool_parameters
from tests.conversion.json_schemas import schemas

EMPTY = {"type": "object", "properties": {}}
A = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
AB = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a", "b"]}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({}, EMPTY),
        ({"type": "object"}, EMPTY),
        ({"type": None, "properties": None}, EMPTY),
        ({"type": ["object", "null"]}, EMPTY),
        ({"properties": {"x": {}}}, {"type": "object", "properties": {"x": {}}}),
        ({"$schema": "s", "$id": "i", "$comment": "c"}, EMPTY),
        (
            {"properties": {"$schema": {"$comment": "kept"}}, "propertyNames": {"pattern": "^a"}},
            {
                "type": "object",
                "properties": {"$schema": {"$comment": "kept"}},
                "propertyNames": {"pattern": "^a"},
            },
        ),
        ({"$defs": {"d": A}}, {**EMPTY, "$defs": {"d": A}}),
        ({"$ref": "#/$defs/d", "$defs": {"d": A}}, {**A, "$defs": {"d": A}}),
        ({"$ref": "https://elsewhere/x"}, {**EMPTY, "$ref": "https://elsewhere/x"}),
        ({"type": "object", "additionalProperties": True}, {**EMPTY, "additionalProperties": True}),
    ],
)
def test_the_root_becomes_an_object_with_properties_and_the_rest_stays(schema, sent):
    assert tool_parameters(schema).schema == sent
    assert not tool_parameters(schema).refit


def test_a_value_that_no_schema_may_have_is_left_out_of_the_root_and_told():
    given = tool_parameters({"type": "object", "required": None})
    assert given.schema == EMPTY
    assert given.refit


@pytest.mark.parametrize("schema", [{"type": "string"}, {"type": ["string", "null"]}, {"type": 5}])
def test_a_root_that_is_no_object_is_refused(schema):
    with pytest.raises(ValueError, match="no object"):
        tool_parameters(schema)


@pytest.mark.parametrize("name", ["anyOf", "oneOf"])
def test_alternatives_are_united_and_require_what_all_of_them_require(name):
    schema, folded = tool_parameters({"type": "object", name: [A, AB]})
    assert folded
    assert schema["properties"] == {"a": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "b": {}}
    assert schema["required"] == ["a"]
    assert name not in schema
    assert f'{name}: [{{"type":"object"' in schema["description"]


def test_allof_is_united_and_requires_what_any_branch_requires():
    schema, _ = tool_parameters(
        {"description": "D", "allOf": [A, {"properties": {"b": {}}, "required": ["b"]}]}
    )
    assert schema["properties"] == {"a": {"type": "string"}, "b": {}}
    assert schema["required"] == ["a", "b"]
    assert schema["description"].startswith("D\nallOf: ")


def test_the_same_property_in_all_branches_of_allof_is_merged():
    branches = [{"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"minLength": 1}}}]
    assert tool_parameters({"allOf": branches}).schema["properties"] == {
        "a": {"type": "string", "minLength": 1}
    }


def test_own_properties_and_requirements_of_the_root_stay():
    schema, _ = tool_parameters(
        {"properties": {"a": {"const": 1}}, "required": ["a"], "anyOf": [AB, {"properties": {}}]}
    )
    assert schema["properties"] == {"a": {"const": 1}, "b": {}}
    assert schema["required"] == ["a"]


def test_branches_may_be_references():
    schema, _ = tool_parameters({"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": A}})
    assert schema["properties"] == A["properties"]
    assert schema["required"] == ["a"]


@pytest.mark.parametrize(
    ("name", "value"), [("enum", [{"a": 1}]), ("const", {"a": 1}), ("not", {"required": ["x"]})]
)
def test_enum_const_and_not_become_text(name, value):
    schema, folded = tool_parameters({"type": "object", name: value})
    assert folded
    assert name not in schema
    assert schema["description"].startswith(f"{name}: ")


def test_notes_start_a_description_where_there_is_none():
    assert noted({"description": ""}, ["x"]) == {"description": "x"}
    assert noted({}, []) == {}


@given(schemas(objects=True))
def test_a_cleaned_schema_is_valid_and_cleaning_it_again_changes_nothing(schema):
    sent = tool_parameters(schema).schema
    Draft202012Validator.check_schema(sent)
    assert tool_parameters(sent).schema == sent


@given(schemas(objects=True))
def test_the_request_is_never_changed(schema):
    before = repr(schema)
    schema_rewrites(tool_parameters(schema).schema, ("inline_refs", "gemini", "mfjs"))
    assert repr(schema) == before
