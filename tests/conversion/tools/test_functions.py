"""Custom tools as functions (docs/conversion.md, "Fields of a tool")."""

import pytest

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tools.exposure import Declared
from gateway.conversion.tools.functions import chat_tool, declared_functions
from gateway.errors import InvalidRequest

SCHEMA = {"type": "object", "properties": {}}
CLOSED = {**SCHEMA, "additionalProperties": False}


def written(tool, ledger=None, **options):
    (function,) = declared_functions(Declared("tools.0", tool))
    return chat_tool(function, Profile.merged(options), Ledger() if ledger is None else ledger)


def tool(**fields):
    return {"name": "t", "input_schema": SCHEMA, **fields}


@pytest.mark.parametrize("kind", [{}, {"type": None}, {"type": "custom"}])
def test_a_custom_tool_is_a_function(kind):
    ledger = Ledger()
    assert written(tool(description="D", **kind), ledger) == (
        {"type": "function", "function": {"name": "t", "description": "D", "parameters": SCHEMA}},
        None,
    )
    assert not ledger


def test_no_description_is_no_key():
    assert written(tool()).entry["function"].keys() == {"name", "parameters"}
    assert "description" not in written(tool(description=None)).entry["function"]


def test_an_unknown_type_is_no_function():
    assert declared_functions(Declared("tools.0", {"type": "web_search_20250305"})) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": None}, "tools.0.custom.name: Field required"),
        ({"name": 5}, "tools.0.custom.name: Input should be a valid string"),
        ({"name": ""}, "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        ({"input_schema": None}, "tools.0.custom.input_schema: Field required"),
        ({"input_schema": []}, "tools.0.custom.input_schema: Input should be a valid dictionary"),
        ({"input_schema": {"type": "string"}}, "tools.0.custom.input_schema.type: Input should be 'object'"),
        ({"description": 5}, "tools.0.custom.description: Input should be a valid string"),
        ({"input_examples": {}}, "tools.0.custom.input_examples: Input should be a valid list"),
        ({"input_examples": [1]}, "tools.0.custom.input_examples.0: Input should be a valid dictionary"),
        ({"type": 5}, "tools.0.type: Input should be a valid string"),
        (
            {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
            "tools.0.cache_control.ttl: Input should be '5m' or '1h'",
        ),
    ],
)
def test_mistakes_are_named_in_the_words_of_the_api(fields, message):
    with pytest.raises(InvalidRequest) as refused:
        written(tool(**fields))
    assert refused.value.message == message


def test_a_schema_nested_too_deeply_is_refused():
    schema = {}
    for _ in range(3000):
        schema = {"properties": {"a": schema}}
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        written(tool(input_schema=schema), schema_rewrites=["gemini"])


@pytest.mark.parametrize(
    ("name", "sent"),
    [("a" * 64, "a" * 64), ("fs.read", "fs_read_4074bc02"), ("a_b", "a_b")],
)
def test_an_illegal_name_is_replaced_and_noted(name, sent):
    ledger = Ledger()
    assert written(tool(name=name), ledger).entry["function"]["name"] == sent
    assert [entry.code for entry in ledger.entries] == ([] if name == sent else ["renamed"])


def test_a_name_of_65_characters_ends_in_eight_hexadecimal_digits():
    sent = written(tool(name="n" * 65)).entry["function"]["name"]
    assert len(sent) == 64
    assert sent.startswith("n" * 55 + "_")


@pytest.mark.parametrize(
    ("fields", "options", "strict"),
    [
        ({"strict": True, "input_schema": CLOSED}, {}, True),
        ({"strict": True}, {}, None),
        ({"strict": False, "input_schema": CLOSED}, {}, None),
        ({"input_schema": CLOSED}, {}, None),
        ({"strict": True, "input_schema": CLOSED}, {"strict_tools": "drop"}, None),
        ({"strict": True, "input_schema": CLOSED}, {"schema_rewrites": ["gemini"]}, None),
    ],
)
def test_strict_is_sent_for_compatible_schemas(fields, options, strict):
    ledger = Ledger()
    assert written(tool(**fields), ledger, **options).entry["function"].get("strict") is strict
    dropped = any(entry.path == "tools.0.strict" for entry in ledger.entries)
    assert dropped is (fields.get("strict") is True and strict is None)


def test_example_inputs_stand_in_the_description():
    examples = [{"city": "Köln"}, {"n": 1}]
    function = written(tool(description="D", input_examples=examples)).entry["function"]
    assert function["description"] == 'D\n\nExample inputs:\n{"city":"Köln"}\n{"n":1}'
    assert written(tool(input_examples=[{}])).entry["function"]["description"] == "Example inputs:\n{}"
    assert "description" not in written(tool(input_examples=[])).entry["function"]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("short", "short"),
        ("some words here", "some words"),
        ("x" * 30, "x" * 12),
        ("some words a", "some words a"),
    ],
)
def test_a_long_description_is_cut_at_a_word_and_goes_whole_into_the_system_text(text, sent):
    ledger = Ledger()
    entry, system_text = written(tool(name="a.b", description=text), ledger, tool_description_max=12)
    name = entry["function"]["name"]
    assert entry["function"]["description"] == sent
    assert system_text == (None if text == sent else f"## Tool: {name}\n\n{text}")
    assert ("moved" in [entry.code for entry in ledger.entries]) is (text != sent)


@pytest.mark.parametrize(("mode", "kept"), [("strip", False), ("keep", True), ("openai_breakpoint", False)])
def test_a_cache_marker_stays_on_the_tool_only_where_it_is_kept(mode, kept):
    marker = {"type": "ephemeral"}
    entry = written(tool(cache_control=marker), cache_control=mode).entry
    assert entry.get("cache_control") == (marker if kept else None)
    assert "cache_control" not in entry["function"]


def test_a_refitted_schema_is_noted_once():
    ledger = Ledger()
    written(
        tool(input_schema={"anyOf": [SCHEMA], "additionalProperties": False}),
        ledger,
        schema_rewrites=["gemini"],
    )
    assert [(entry.code, entry.path) for entry in ledger.entries] == [("refit", "tools.0.input_schema")]


def test_cleaning_the_root_is_no_loss():
    ledger = Ledger()
    schema = {"$schema": "http://json-schema.org/draft-07/schema#"}
    assert written(tool(input_schema=schema), ledger).entry["function"]["parameters"] == SCHEMA
    assert not ledger


def test_a_keyword_with_a_value_that_it_cannot_have_goes_and_is_noted():
    ledger = Ledger()
    assert written(tool(input_schema={"required": None}), ledger).entry["function"]["parameters"] == SCHEMA
    assert [entry.code for entry in ledger.entries] == ["refit"]


def test_a_client_tool_keeps_the_name_the_client_gave_it():
    for name, sent in [("bash", "bash"), (None, "bash"), ("my.bash", "my_bash_44fc3cd8")]:
        (function,) = declared_functions(Declared("tools.0", {"type": "bash_20250124", "name": name}))
        assert function.declared == (name or "bash")
        assert function.name[:8] == sent[:8]
