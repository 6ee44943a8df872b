"""Structured output (docs/conversion.md, "Structured output")."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.requests.structured_output import (
    StructuredPlan,
    response_format,
    without_invented_nulls,
)
from gateway.conversion.tools.strict_schemas import is_strict_compatible
from gateway.errors import InvalidRequest
from tests.conversion.json_schemas import nonsense

TESTS = Path(__file__).parents[2]
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}


def plan(schema, ledger=None, **options):
    request = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    before = copy.deepcopy(request)
    made = response_format(request, Profile.merged(options), Ledger() if ledger is None else ledger)
    assert request == before
    return made


def sent(made):
    return made.body["response_format"]["json_schema"]


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"output_config": None},
        {"output_config": {}},
        {"output_config": {"format": None}, "output_format": None},
    ],
)
def test_nothing_asked_is_nothing_sent(request_body):
    assert response_format(request_body, Profile(), Ledger()) == StructuredPlan()


@pytest.mark.parametrize(("schema", "strict"), [(CLOSED, True), (OPEN, False), ({"type": "array"}, False)])
def test_the_schema_is_sent_as_it_is_and_strict_where_it_can_be(schema, strict):
    ledger = Ledger()
    made = plan(schema, ledger)
    assert sent(made) == {"name": "output", "schema": schema, "strict": strict}
    assert sent(made)["schema"] is not None
    assert (made.system_text, made.nullable_paths) == (None, None)
    assert not ledger


def test_the_vector_of_structured_output():
    vector = json.loads((TESTS / "vectors" / "r11_json_schema.json").read_text())
    body = response_format(vector["request"], Profile(), Ledger()).body
    assert body == {"response_format": vector["expect_upstream"]["response_format"]}


def test_claude_codes_title_request_is_strict():
    request = json.loads((TESTS / "captures" / "23-title-structured-output.request.json").read_text())
    assert sent(response_format(request, Profile(), Ledger()))["strict"] is True


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("My Answer", "My_Answer"),
        ("ü.x", "__x"),
        ("x" * 80, "x" * 64),
        ("", "output"),
        (5, "output"),
        ("a-b_C9", "a-b_C9"),
    ],
)
def test_the_name_is_the_title_in_legal_characters(title, name):
    assert sent(plan({**CLOSED, "title": title}))["name"] == name


def test_schema_rewrites_apply_before_strictness_is_judged():
    ledger = Ledger()
    made = plan(CLOSED, ledger, schema_rewrites=["gemini"])
    assert "additionalProperties" not in sent(made)["schema"]
    assert sent(made)["strict"] is False
    assert [(entry.code, entry.path) for entry in ledger.entries] == [
        ("refit", "output_config.format.schema")
    ]


def test_forced_strict_makes_optional_properties_nullable_and_tells_where():
    ledger = Ledger()
    made = plan(OPEN, ledger, json_schema="force_strict")
    assert is_strict_compatible(sent(made)["schema"])
    assert sent(made)["strict"] is True
    assert made.nullable_paths == (("a",),)
    assert without_invented_nulls('{"a":null}', made.nullable_paths) == "{}"
    assert [entry.code for entry in ledger.entries] == ["refit"]


def test_a_strict_schema_needs_no_forcing_and_no_second_look_at_the_answer():
    ledger = Ledger()
    made = plan(CLOSED, ledger, json_schema="force_strict")
    assert made.nullable_paths is None
    assert not ledger


@pytest.mark.parametrize(
    ("mode", "body"), [("object", {"response_format": {"type": "json_object"}}), ("prompt", {})]
)
def test_where_schemas_are_not_taken_the_system_text_asks(mode, body):
    ledger = Ledger()
    made = plan(CLOSED, ledger, json_schema=mode)
    assert made.body == body
    assert json.dumps(CLOSED, separators=(",", ":")) in made.system_text
    assert [entry.code for entry in ledger.entries] == ["replaced"]


def test_the_older_spelling_counts_where_the_newer_one_is_absent():
    old, new = ({"type": "json_schema", "schema": {"title": title}} for title in ("old", "new"))
    both = {"output_config": {"format": new}, "output_format": old}
    assert sent(response_format(both, Profile(), Ledger()))["name"] == "new"
    assert sent(response_format({"output_format": old}, Profile(), Ledger()))["name"] == "old"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"type": "json_schema"}, "output_config.format.schema: Field required"),
        (
            {"type": "json_schema", "schema": 1},
            "output_config.format.schema: Input should be a valid dictionary",
        ),
        ("json", "output_config.format: Input should be a valid dictionary"),
        (
            {"type": "text"},
            "output_config.format: Input tag 'text' found using 'type' does not match any of the "
            "expected tags: 'json_schema'",
        ),
    ],
)
def test_mistakes_are_named_in_the_words_of_the_api(asked, message):
    with pytest.raises(InvalidRequest) as refused:
        response_format({"output_config": {"format": asked}}, Profile(), Ledger())
    assert refused.value.message == message


@pytest.mark.parametrize("mode", ["auto", "force_strict"])
def test_a_schema_nested_too_deeply_is_refused(mode):
    schema = {}
    for _ in range(3000):
        schema = {
            "type": "object",
            "properties": {"a": schema},
            "required": ["a"],
            "additionalProperties": False,
        }
    with pytest.raises(InvalidRequest, match=r"output_config\.format\.schema: nested too deeply"):
        response_format(
            {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
            Profile.merged({"json_schema": mode}),
            Ledger(),
        )


@pytest.mark.parametrize("mode", ["auto", "force_strict"])
@given(schema=nonsense())
def test_a_schema_nobody_has_checked_breaks_nothing(mode, schema):
    assert sent(plan(schema, json_schema=mode))["strict"] in (True, False)
