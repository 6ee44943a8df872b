"""Schemas as single providers take them (`schema_rewrites`), judged by what those publish."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given

from gateway.conversion.tools.schema_dialects import gemini, llama_cpp, mfjs, openai
from gateway.conversion.tools.schemas import tool_parameters
from tests.conversion.json_schemas import nonsense, schemas
from tests.conversion.schema_judges import gemini_refuses, llama_cpp_refuses, mfjs_refuses, openai_refuses

DIALECTS = {
    gemini: gemini_refuses,
    mfjs: mfjs_refuses,
    openai: openai_refuses,
    llama_cpp: llama_cpp_refuses,
}
CAPTURES = Path(__file__).parents[2] / "captures"
TREE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}, "of": {"type": "string"}}}


def captured():
    for path in sorted(CAPTURES.glob("*.request.json")):
        for tool in json.loads(path.read_text()).get("tools") or ():
            if "input_schema" in tool:
                yield tool["input_schema"]


def of(**properties):
    return {"type": "object", "properties": properties}


# as servers of the Model Context Protocol publish them
ODD = (
    of(action={"type": "string", "enum": ["list", "open", ""]}),
    of(query={"type": "object", "description": "free"}),
    of(domain={"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Domain"}),
    of(data={"description": "any value"}),
    of(data={}, more=True, never=False, null=None),
    of(a={"type": "array", "items": True}, b={"type": "array"}, c={"type": ["array", "null"]}),
    of(a={"type": "array", "items": [{"type": "string"}, {"type": "number"}]}),
    of(data={"type": "string", "properties": {"x": {"type": "string"}}, "required": ["x"]}),
    of(p={"allOf": [{"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}]}),
    of(p={"allOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"description": "d"}]}),
    of(
        p={
            "type": "object",
            "properties": {"a": {}, "b": {}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        }
    ),
    of(p={"oneOf": [{"const": "a"}, {"const": 1}, {"type": "null"}]}),
    of(p={"enum": ["a", 1, None, True, 2.5, ["x"]]}),
    of(p={"type": ["string", "integer", "null"], "enum": ["a", 1, None], "description": "d"}),
    of(p={"type": "integer", "exclusiveMinimum": 0, "multipleOf": 2, "format": "int64"}),
    of(p={"type": "string", "format": "uri", "pattern": "(?i)^x\\d+", "x-order": 3, "examples": ["x"]}),
    of(p={"type": "object", "if": {}, "then": {}, "dependentRequired": {"a": ["b"]}, "readOnly": True}),
    of(p={"type": "object", "additionalProperties": {"type": "string"}}),
    of(p={"type": "any"}, q={"type": "int"}, r={"type": []}, s={"type": ["null"]}),
    of(required={"type": "string"}, anyOf={"type": "string"}, **{"$ref": {"type": "string"}}),
    {**of(p={"type": "string"}), "required": ["p", "gone", 5]},
    {**of(a={"$ref": "#/$defs/List<String>"}), "$defs": {"List<String>": {"type": "array"}}},
    {**of(a={"$ref": "#/definitions/tree"}), "definitions": {"tree": TREE}},
    {**of(a={"$ref": "#/$defs/tree"}), "$defs": {"tree": TREE}},
    {**of(a={"$ref": "#node"}), "$defs": {"n": {"$anchor": "node", "properties": {"x": {"$ref": "#node"}}}}},
    of(a={"$ref": "https://elsewhere/x"}, b={"$ref": "#/$defs/none"}, c={"$ref": 5}),
    of(p={"anyOf": []}, q={"anyOf": [{}]}, r={"anyOf": [True, {"anyOf": [{"type": "null"}]}]}),
    of(p={"type": "string", "minLength": "1", "maxLength": 10**9, "description": ["d"], "title": 5}),
    {},
    {"type": "object"},
)


@pytest.mark.parametrize("rewrite", DIALECTS)
def test_the_tools_of_claude_code_and_odd_ones_come_as_the_provider_takes_them(rewrite):
    every = [*captured(), *ODD]
    assert len(every) > 50
    for schema in every:
        sent = rewrite(tool_parameters(schema).schema)
        assert list(DIALECTS[rewrite](sent)) == [], (schema, sent)


@pytest.mark.parametrize("rewrite", DIALECTS)
@given(schema=schemas(objects=True))
def test_no_schema_comes_out_as_one_that_the_provider_refuses(rewrite, schema):
    parameters = tool_parameters(schema).schema
    before = copy.deepcopy(parameters)
    sent = rewrite(parameters)
    assert list(DIALECTS[rewrite](sent)) == []
    assert parameters == before
    assert rewrite(sent) == sent


@pytest.mark.parametrize("rewrite", DIALECTS)
@given(schema=nonsense())
def test_nonsense_comes_out_as_a_schema_all_the_same(rewrite, schema):
    sent = rewrite({**schema, "type": "object", "properties": {"p": schema}})
    assert list(DIALECTS[rewrite](sent)) == []


@pytest.mark.parametrize("rewrite", DIALECTS)
def test_what_needs_no_change_is_not_copied(rewrite):
    schema = of(a={"type": "string"}, b={"type": "array", "items": {"type": "integer"}})
    assert rewrite(schema) is schema


@pytest.mark.parametrize("rewrite", DIALECTS)
def test_a_hostile_schema_takes_bounded_room(rewrite):
    # each level doubles: 2 to the power of 60 without a bound
    for keyword in ("properties", "allOf", "anyOf"):
        levels = {}
        for number in range(60):
            twice = [{"$ref": f"#/$defs/l{number + 1}"}] * 2
            below = dict(zip("ab", twice, strict=True)) if keyword == "properties" else twice
            levels[f"l{number}"] = {keyword: below}
        schema = {**of(p={"$ref": "#/$defs/l0"}), "$defs": {**levels, "l60": {"type": "string"}}}
        assert len(json.dumps(rewrite(schema))) < 3_000_000
    long = {
        **of(**{f"p{n}": {"$ref": "#/$defs/x"} for n in range(2_000)}),
        "$defs": {"x": {"description": "d" * 10_000}},
    }
    assert len(json.dumps(rewrite(long))) < 1_000_000


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "T"},
            {"type": "string", "nullable": True, "title": "T"},
        ),
        ({"const": "file"}, {"type": "string", "enum": ["file"]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "(one of: 1, 2)"}),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        (
            {"type": "string", "enum": ["a", ""]},
            {"type": "string", "enum": ["a"], "description": "(or an empty string)"},
        ),
        (
            {"type": "integer", "exclusiveMinimum": 0},
            {"type": "integer", "description": "exclusiveMinimum: 0"},
        ),
        ({"type": "string", "format": "uri"}, {"type": "string", "description": 'format: "uri"'}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        (
            {"type": ["string", "integer", "null"], "description": "d"},
            {
                "anyOf": [
                    {"description": "d", "type": "string", "nullable": True},
                    {"type": "integer", "nullable": True},
                ]
            },
        ),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, {"type": "string", "minLength": 1}),
    ],
)
def test_gemini_gets_the_fields_it_has_and_arguments_keep_their_type(schema, sent):
    assert gemini(of(p=schema))["properties"]["p"] == sent


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (
            {"type": "string", "anyOf": [{"minLength": 1}, {"type": "null"}], "title": "t"},
            {"title": "t", "anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
        ),
        (
            {"type": ["string", "null"], "enum": ["a", None]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "description": 'anyOf: [{"required":["a"]}]',
            },
        ),
    ],
)
def test_moonshots_flavour_has_one_type_and_anyof_alone(schema, sent):
    assert mfjs(of(p=schema))["properties"]["p"] == sent


def test_openai_keeps_recursion_and_reads_the_names_of_references():
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Tree<T>"}}}
    sent = openai({**of(a={"$ref": "#/$defs/Tree<T>"}), "$defs": {"Tree<T>": tree}})
    assert sent["properties"]["a"] == {"$ref": "#/$defs/Tree_T"}
    assert sent["$defs"] == {"Tree_T": of(next={"$ref": "#/$defs/Tree_T"})}


def test_llama_cpp_gets_patterns_it_can_follow_and_words_for_the_others():
    sent = llama_cpp(
        of(a={"type": "string", "pattern": "^\\d{4}$"}, b={"type": "string", "pattern": "^\\S+$"})
    )
    assert sent == of(
        a={"type": "string", "pattern": "^[0-9]{4}$"},
        b={"type": "string", "description": 'pattern: "^\\\\S+$"'},
    )


@pytest.mark.parametrize(
    "said",
    [
        {"uniqueItems": True},
        {"if": {"type": "object"}, "then": {"type": "object"}, "else": {"type": "object"}},
        {"patternProperties": {"^a": {"type": "string"}}},
    ],
)
def test_moonshot_reads_in_the_description_what_its_validator_refuses(said):
    inner = {"type": "array", "items": {"type": "string"}, "prefixItems": [{"type": "string"}], **said}
    sent = mfjs({"type": "object", "properties": {"a": inner}})["properties"]["a"]
    assert not said.keys() & sent.keys()
    assert all(f"{name}: " in sent["description"] for name in said)
    assert "prefixItems" in sent
