"""A client that names its last message hears what keeps this request from reading that one's cache."""

import pytest

from tests.conftest import asking
from tests.fakes.provider import completion, stream

TOOL = {"name": "one", "description": "d", "input_schema": {"type": "object"}}
BODY = asking("first", system=[{"type": "text", "text": "s"}], tools=[TOOL], thinking={"type": "adaptive"})


def next_turn(body, **changed):
    more = [{"role": "assistant", "content": "Hello"}, {"role": "user", "content": "and now?"}]
    return {**body, "messages": [*body["messages"], *more], **changed}


async def told(bench, body, previous=None, **options):
    """The message, with its diagnostics."""
    asked = {**body, "diagnostics": {"previous_message_id": previous}}
    answer = await bench.client.messages(asked, **options)
    assert answer.status == 200
    return answer.json


@pytest.fixture
def answering(bench):
    bench.provider.answers("m", *(completion("Hello") for _ in range(4)))
    bench.provider.answers("n", *(completion("Hello") for _ in range(4)))
    return bench


async def test_a_first_turn_and_one_that_goes_on_have_nothing_to_say(answering):
    first = await told(answering, BODY)
    assert first["diagnostics"] is None
    assert (await told(answering, next_turn(BODY), first["id"]))["diagnostics"] is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model": "n"}, "model_changed"),
        ({"speed": "fast"}, "model_changed"),
        ({"system": [{"type": "text", "text": "today"}]}, "system_changed"),
        ({"system": None}, "system_changed"),
        ({"tools": []}, "tools_changed"),
        ({"tools": [{**TOOL, "description": "other"}]}, "tools_changed"),
        ({"tools": [], "system": None}, "system_changed"),
        ({"messages": [{"role": "user", "content": "other"}]}, "messages_changed"),
        ({"thinking": {"type": "disabled"}}, "unavailable"),
        ({"tool_choice": {"type": "any"}}, "unavailable"),
        (
            {"thinking": {"type": "disabled"}, "messages": [{"role": "user", "content": "x"}]},
            "messages_changed",
        ),
        ({"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]}, None),
        ({"metadata": {"user_id": "u"}, "max_tokens": 7, "temperature": 1}, None),
    ],
)  # fmt: skip
async def test_the_first_thing_that_changed_is_said(answering, changed, reason):
    first = await told(answering, BODY)
    found = (await told(answering, next_turn(BODY, **changed), first["id"]))["diagnostics"]
    if reason is None:
        assert found is None
    elif reason == "unavailable":
        assert found == {"cache_miss_reason": {"type": reason}}
    else:
        # the prompt of the request before had 20 tokens
        assert found == {"cache_miss_reason": {"type": reason, "cache_missed_input_tokens": 20}}


async def test_a_marker_that_moves_on_is_no_change(answering):
    first = await told(answering, BODY)
    marked = next_turn(BODY)
    marked["messages"][-1] = {
        "role": "user",
        "content": [{"type": "text", "text": "and now?", "cache_control": {"type": "ephemeral"}}],
    }
    second = await told(answering, marked, first["id"])
    assert second["diagnostics"] is None


@pytest.mark.parametrize("previous", ["msg_of_nobody", ""])
async def test_a_message_that_nobody_knows_is_not_found(answering, previous):
    found = (await told(answering, BODY, previous))["diagnostics"]
    assert found == {"cache_miss_reason": {"type": "previous_message_not_found"}}


async def test_requests_that_do_not_ask_are_not_remembered_and_not_told(answering):
    plain = (await answering.client.messages(BODY)).json
    assert "diagnostics" not in plain
    found = (await told(answering, next_turn(BODY), plain["id"]))["diagnostics"]
    assert found["cache_miss_reason"]["type"] == "previous_message_not_found"


@pytest.mark.parametrize("value", [{}, {"previous_message_id": 7}, {"previous_message_id": None, "x": []}])
async def test_what_names_nothing_is_compared_with_nothing(answering, value):
    answer = await answering.client.messages({**BODY, "diagnostics": value})
    assert answer.status == 200 and answer.json["diagnostics"] is None


@pytest.mark.parametrize("value", [[], "x", 7, None])
async def test_another_type_is_no_question(answering, value):
    answer = await answering.client.messages({**BODY, "diagnostics": value})
    assert answer.status == 200 and "diagnostics" not in answer.json


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": "x"},
        {"messages": None},
        {"messages": []},
        {"messages": [7]},
        {"tools": 7},
        {"system": [7]},
    ],
)
async def test_a_request_that_is_no_request_is_refused_as_without_it(answering, fields):
    plain = await answering.client.messages({**BODY, **fields})
    asked = await answering.client.messages({**BODY, **fields, "diagnostics": {}})
    assert asked.status == plain.status == 400
    assert asked.json["error"] == plain.json["error"]


async def test_a_stream_says_it_in_its_beginning(answering):
    first = await told(answering, BODY)
    answering.provider.answers("m", stream("Hello"))
    asked = {**next_turn(BODY, tools=[]), "diagnostics": {"previous_message_id": first["id"]}, "stream": True}
    answer = await answering.client.messages(asked)
    begun = next(event for event in answer.events if event["type"] == "message_start")["message"]
    assert begun["diagnostics"]["cache_miss_reason"]["type"] == "tools_changed"
    again = {**next_turn(BODY, tools=[]), "diagnostics": {"previous_message_id": begun["id"]}}
    answering.provider.answers("m", completion("Hello"))
    assert (await answering.client.messages(again)).json["diagnostics"] is None


async def test_the_ledger_says_nothing_of_it_and_the_provider_hears_nothing(answering):
    await told(answering, BODY)
    assert [entry["path"] for entry in answering.recorder.last.ledger if "diagnos" in entry["path"]] == []
    assert b"diagnostics" not in answering.provider.requests[-1].raw


async def test_a_request_that_failed_is_not_remembered(answering):
    await answering.client.messages({**BODY, "max_tokens": -1, "diagnostics": {}})
    memory = answering.gateway.diagnosed
    assert not memory._young and not memory._old


async def test_a_marker_that_moves_is_no_change(answering):
    """A client makes a list of a text to mark it, and a text of it again later."""
    marked = [{"type": "text", "text": "first", "cache_control": {"type": "ephemeral"}}]
    first = await told(answering, {**BODY, "messages": [{"role": "user", "content": marked}]})
    assert (await told(answering, next_turn(BODY), first["id"]))["diagnostics"] is None


async def test_the_clients_line_about_itself_is_no_part_of_the_system_prompt(answering):
    def asked(word):
        line = {"type": "text", "text": f"x-anthropic-billing-header: cc_version={word};"}
        return {**BODY, "system": [line, {"type": "text", "text": "s"}]}

    first = await told(answering, asked("one"))
    assert (await told(answering, next_turn(asked("two")), first["id"]))["diagnostics"] is None
