"""Schemas with values that no meta-schema allows, as servers of the Model Context Protocol publish them."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.config.presets.presets import preset
from gateway.conversion.tools.schema_dialects import openai
from gateway.conversion.tools.schema_validity import valid
from gateway.conversion.tools.schemas import tool_parameters
from tests.conversion.converting import convert, request_of
from tests.conversion.json_schemas import every_keyword, schemas

META = Draft202012Validator(Draft202012Validator.META_SCHEMA)
WITH_FORMATS = Draft202012Validator(
    Draft202012Validator.META_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER
)
# a parameter of Claude Code's tool `Artifact`; services that compile patterns with Python's engine refused it
CLASSES = '^(?!__.*__$)[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}"\\\\./[\\]]{1,200}$'


def of(**properties):
    return {"type": "object", "properties": properties}


def parameters(slug, schema):
    tools = [{"name": "t", "description": "d", "input_schema": schema}]
    chosen = preset(slug)
    converted = convert(request_of("hi", tools=tools), {"protocol": chosen.protocol, **chosen.options})
    [tool] = converted.body["tools"]
    return tool.get("function", tool)["parameters"], converted.codes


@pytest.mark.parametrize(
    "schema, sent",
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": ["String", "NULL"]}, {"type": ["string", "null"]}),
        ({"type": "int"}, {"type": "integer"}),
        ({"type": "float"}, {"type": "number"}),
        ({"type": "any", "description": "d"}, {"description": "d"}),
        ({"type": ["string", "string"]}, {"type": ["string"]}),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            {"type": "number", "exclusiveMinimum": 0},
        ),
        ({"type": "number", "maximum": 9, "exclusiveMaximum": False}, {"type": "number", "maximum": 9}),
        ({"type": "number", "exclusiveMinimum": True}, {"type": "number"}),
        ({"type": "number", "exclusiveMinimum": 0, "minimum": 1}, None),
        ({"type": "string", "required": False}, {"type": "string"}),
        (of(p={"type": "string", "required": True}), {**of(p={"type": "string"}), "required": ["p"]}),
        (
            {**of(p={"type": "string", "required": True}, q={}), "required": ["q"]},
            {**of(p={"type": "string"}, q={}), "required": ["q", "p"]},
        ),
        ({**of(p={}), "required": ["p", "p", None]}, {**of(p={}), "required": ["p"]}),
        ({**of(p={}), "required": None}, of(p={})),
        ({"enum": ["a", "a", 1, True, 1.5, None]}, {"enum": ["a", 1, True, 1.5, None]}),
        ({"type": "string", "enum": []}, {"type": "string"}),
        (
            {"type": "string", "enum": None, "format": None, "default": None},
            {"type": "string", "default": None},
        ),
        (
            {"type": "array", "items": [{"type": "string"}]},
            {"type": "array", "prefixItems": [{"type": "string"}]},
        ),
        ({"type": "array", "items": True}, None),
        ({"anyOf": ["string", {"type": "null"}]}, {"anyOf": [{"type": "null"}]}),
        ({"anyOf": ["string"]}, {}),
        ({"type": "string", "minLength": "1", "maxLength": -1, "multipleOf": 0}, {"type": "string"}),
        ({"type": "string", "examples": "x", "title": 5, "deprecated": "yes"}, {"type": "string"}),
        ({"properties": {"a": "string", "b": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}),
        ({"$ref": 5, "$anchor": "1 x"}, {}),
        ({"x-order": 3, "x-type": "STRING", "default": {"type": "STRING"}}, None),
        (of(type={"type": "string"}, required={"type": "boolean"}), None),
    ],
)
def test_a_value_that_is_not_allowed_keeps_its_meaning_or_is_left_out(schema, sent):
    before = copy.deepcopy(schema)
    given = valid(schema)
    assert given == (schema if sent is None else sent)
    assert (given is schema) is (sent is None)
    assert schema == before
    assert META.is_valid(given)


@given(every_keyword())
def test_whatever_stands_in_a_schema_the_meta_schema_takes_what_is_sent(schema):
    sent = valid(schema)
    assert list(META.iter_errors(sent)) == []
    assert valid(sent) is sent


@given(schemas(objects=True))
def test_a_schema_that_is_allowed_is_not_copied(schema):
    assert valid(schema) is schema or not META.is_valid(schema)


@given(every_keyword())
def test_openai_takes_every_schema_with_its_formats(schema):
    sent = openai(tool_parameters({"type": "object", "properties": {"p": schema}}).schema)
    assert list(WITH_FORMATS.iter_errors(sent)) == []


@pytest.mark.parametrize(
    "pattern", [CLASSES, "^(?<year>\\d{4})$", "^\\u{1F600}$", "[a", "(?i", "\\z", "x" * 3000, "a**"]
)
@pytest.mark.parametrize("slug", ["openai", "openai-chat", "azure-v1", "azure-deployment", "sglang"])
def test_a_pattern_that_python_does_not_know_is_told_in_words(pattern, slug):
    schema = of(
        p={"type": "string", "pattern": pattern},
        q={"type": "object", "patternProperties": {pattern: {"type": "string"}, "^x": {"type": "string"}}},
    )
    sent, codes = parameters(slug, schema)
    assert "pattern" not in sent["properties"]["p"]
    assert len(pattern) > 200 or "pattern: " in sent["properties"]["p"]["description"]
    assert sent["properties"]["q"]["patternProperties"] == {"^x": {"type": "string"}}
    assert "refit" in codes


@pytest.mark.parametrize("pattern", ["^(?!__.*__$).+$", "^\\d{4}-\\d{2}$", "\\S+", "^[\\w.-]+@x$"])
def test_a_pattern_that_python_knows_stays(pattern):
    sent, codes = parameters("openai", of(p={"type": "string", "pattern": pattern}))
    assert sent["properties"]["p"]["pattern"] == pattern
    assert "refit" not in codes


@pytest.mark.parametrize("slug", ["generic", "vllm", "mistral", "gemini", "moonshot", "llama-cpp"])
def test_every_provider_gets_types_that_json_schema_has(slug):
    sent, codes = parameters(slug, of(p={"type": "STRING", "description": "d"}, q={"type": "Integer"}))
    assert [each["type"] for each in sent["properties"].values()] == ["string", "integer"]
    assert "refit" in codes


def test_regexes_below_definitions_and_in_lists_are_read_too():
    schema = {
        **of(p={"$ref": "#/$defs/d"}, q={"type": "array", "items": {"type": "string", "pattern": CLASSES}}),
        "$defs": {"d": {"anyOf": [{"type": "string", "pattern": CLASSES}, {"type": "null"}]}},
    }
    assert '"pattern":' not in str(parameters("openai", schema)[0]).replace("'", '"')


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text("ab^\\p{}[", max_size=4),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("ab"), below, max_size=2),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from(["items", "type", "required", "enum", "anyOf", "properties"]), ANYTHING)
)
def test_tools_with_any_values_are_sent_to_every_service(schema):
    for slug in ("generic", "openai", "gemini", "moonshot", "llama-cpp"):
        sent, _ = parameters(slug, of(p=schema))
        assert sent["type"] == "object"
