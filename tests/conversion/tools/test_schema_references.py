"""References in schemas: RFC 6901 pointers in RFC 3986 fragments, anchors, ids; copied within bounds."""

import json

import pytest
from hypothesis import given

from gateway.conversion.tools.schema_references import MAX_COPIED, inline_refs, plain_refs, resolved
from gateway.conversion.tools.schemas import tool_parameters
from tests.conversion.json_schemas import schemas

TEXT = {"type": "string"}


def references(schema):
    if isinstance(schema, dict):
        return sum(map(references, schema.values())) + isinstance(schema.get("$ref"), str)
    return sum(map(references, schema)) if isinstance(schema, list) else 0


@pytest.mark.parametrize(
    ("ref", "definitions"),
    [
        ("#/$defs/x", {"x": TEXT}),
        ("#/$defs/x%20z", {"x z": TEXT}),
        ("#/$defs/%24Enum", {"$Enum": TEXT}),
        ("#/%24defs/x", {"x": TEXT}),
        ("#/$defs/x~1y", {"x/y": TEXT}),
        ("#/$defs/x~01", {"x~1": TEXT}),
        ("#/$defs/caf%C3%A9", {"café": TEXT}),
        ("#/$defs/List%3CString%3E", {"List<String>": TEXT}),
        ("#/$defs/List<String>", {"List<String>": TEXT}),
        # not as the RFCs write them, but as generators do
        ("#/$defs/a%2Fb", {"a/b": TEXT}),
        ("#/$defs/a%20b", {"a%20b": TEXT}),
        ("#named", {"x": {"$anchor": "named", **TEXT}}),
        ("#named", {"x": {"$id": "#named", **TEXT}}),
        ("https://here/x", {"x": {"$id": "https://here/x", **TEXT}}),
        ("T0#", {"x": {"$id": "T0", **TEXT}}),
        ("#/$defs/x/items/1", {"x": {"items": [{}, TEXT]}}),
        ("#/$defs/a%7E1b", {"a/b": TEXT}),
        ("#/$defs/%e5%90%8d", {"名": TEXT}),
        ("#/$defs/", {"": TEXT}),
    ],
)
def test_a_reference_is_found_however_it_is_written(ref, definitions):
    root = {"properties": {"p": {"$ref": ref}}, "$defs": definitions}
    assert resolved(root, ref)["type"] == "string"
    assert inline_refs(root)["properties"]["p"]["type"] == "string"
    plain = plain_refs(root)
    assert resolved(plain, plain["properties"]["p"]["$ref"])["type"] == "string"


def test_what_rfcs_decode_comes_before_what_generators_mean():
    root = {"$defs": {"a%20b": {"type": "integer"}, "a b": TEXT}}
    assert resolved(root, "#/$defs/a%20b") is root["$defs"]["a b"]


def test_a_root_without_its_id_is_still_meant_by_it():
    schema = {
        "$id": "Node",
        "properties": {"n": {"$ref": "Node"}, "d": {"$ref": "Node#/$defs/x"}},
        "$defs": {"x": TEXT},
    }
    sent = inline_refs(tool_parameters(schema).schema)
    assert sent["properties"] == {"n": {"type": "object"}, "d": TEXT}


@pytest.mark.parametrize("ref", ["tree.json#/$defs/x", "#/$defs/x", "https://here/a/tree.json#/$defs/x"])
def test_a_reference_may_be_relative_to_the_id_of_the_root(ref):
    schema = {"$id": "https://here/a/tree.json", "properties": {"p": {"$ref": ref}}, "$defs": {"x": TEXT}}
    assert inline_refs(tool_parameters(schema).schema)["properties"]["p"] == TEXT
    assert inline_refs(schema)["properties"]["p"] == TEXT


def test_a_base_that_is_no_uri_is_no_base():
    schema = {"$id": "http://[x", "properties": {"p": {"$ref": "y#/$defs/x"}}, "$defs": {"x": TEXT}}
    assert inline_refs(tool_parameters(schema).schema)["properties"]["p"] == {
        "description": "$ref: y#/$defs/x"
    }


@pytest.mark.parametrize(
    ("reference", "definition"),
    [
        ({"$dynamicRef": "#n"}, {"$dynamicAnchor": "n", **TEXT}),
        ({"$dynamicRef": "#/$defs/x"}, TEXT),
        ({"$dynamicRef": "#n", "$recursiveRef": "#"}, {"$anchor": "n", **TEXT}),
    ],
)
def test_a_dynamic_reference_means_its_target_where_nothing_extends_it(reference, definition):
    schema = {"type": "object", "properties": {"p": reference}, "$defs": {"x": definition}}
    assert inline_refs(schema)["properties"]["p"] == TEXT
    plain = plain_refs(schema)
    assert resolved(plain, plain["properties"]["p"]["$ref"]) == TEXT
    assert [*plain["properties"]["p"]] == ["$ref"]


def test_a_recursive_reference_keeps_the_type_of_the_root():
    schema = {"$recursiveAnchor": True, "type": "object", "properties": {"p": {"$recursiveRef": "#"}}}
    assert inline_refs(schema) == {"type": "object", "properties": {"p": {"type": "object"}}}
    assert plain_refs(schema)["properties"]["p"] == {"$ref": "#"}


@pytest.mark.parametrize("ref", ["#/$defs/none", "https://elsewhere/x", "#none", "#/$defs/x/9", "#/%zz"])
def test_a_reference_to_nowhere_allows_anything_and_is_told(ref):
    root = {"properties": {"p": {"$ref": ref}}, "$defs": {"x": [1]}}
    assert inline_refs(root)["properties"]["p"] == {"description": f"$ref: {ref}"}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"a": 1, "$defs": {}}, {"a": 1}),
        ({"$ref": "#/definitions/x", "definitions": {"x": TEXT}}, TEXT),
        (
            {
                "properties": {"p": {"$ref": "#/$defs/x", "description": "mine"}},
                "$defs": {"x": {"description": "its", **TEXT}},
            },
            {"properties": {"p": {"description": "mine", **TEXT}}},
        ),
        ({"properties": {"p": {"$ref": "#"}}}, {"properties": {"p": {"type": "object"}}}),
        ({"properties": {"$ref": TEXT}}, {"properties": {"$ref": TEXT}}),
        ({"properties": {"p": {"$ref": "#/$defs/x"}}, "$defs": {"x": True}}, {"properties": {"p": {}}}),
        (
            {
                "items": {"$ref": "#/$defs/l"},
                "$defs": {"l": {"type": "array", "items": {"$ref": "#/%24defs/l"}}},
            },
            {"items": {"type": "array", "items": {"type": "array"}}},
        ),
    ],
)
def test_references_are_replaced_by_copies_and_recursion_keeps_its_type(schema, sent):
    assert inline_refs(schema) == sent


def test_what_doubles_at_each_level_or_is_long_is_copied_within_bounds():
    levels = {
        f"l{i}": {"type": "object", "properties": {n: {"$ref": f"#/$defs/l{i + 1}"} for n in "ab"}}
        for i in range(40)
    }
    doubling = {"properties": {"p": {"$ref": "#/$defs/l0"}}, "$defs": {**levels, "l40": TEXT}}
    long = {
        "properties": {f"p{n}": {"$ref": "#/$defs/x"} for n in range(5_000)},
        "$defs": {"x": {"description": "d" * 9_999}},
    }
    chain = {f"c{i}": {"properties": {"p": {"$ref": f"#/$defs/c{i + 1}"}}} for i in range(5_000)}
    for schema in (doubling, long, {"properties": {"p": {"$ref": "#/$defs/c0"}}, "$defs": chain}):
        sent = inline_refs(schema)
        assert references(sent) == 0
        assert len(json.dumps(sent)) < 3 * MAX_COPIED


@given(schema=schemas())
def test_plain_references_mean_what_the_others_did(schema):
    plain = plain_refs(schema)
    assert plain_refs(plain) is plain
    assert inline_refs(plain) == inline_refs(schema)
