"""What was worked out of a passage or of tools in an earlier request is what would be worked out anew."""

import copy
import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from gateway.conversion.context import AnsweredLocally, ClientFacts
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.errors import InvalidRequest
from gateway.wire import jsontext
from gateway.wire.request_cache import NOTHING, RequestReader
from tests.conversion import vectors
from tests.conversion.converting import (
    assistant,
    call,
    new_ids,
    request_of,
    result,
    system,
    text,
    thinking,
    user,
)
from tests.conversion.requests.test_request_property import (
    exchanges,
    fields,
    messages,
    options,
    some_texts,
    tools,
)
from tests.examples import examples

CAPTURES = sorted((Path(__file__).parent.parent.parent.parent / "captures").glob("*.request.json"))
LONG_NUMBER = re.compile(rb"[0-9]{19}")
CACHED = {"cache_control": {"type": "ephemeral"}}
TOOLS = [
    {"name": name, "description": "d", "input_schema": {"type": "object"}, "defer_loading": deferred}
    for name, deferred in (("get_time", False), ("fs.read", True), ("mcp__a__b", True), ("x" * 90, False))
]


def converted(request, profile, recurring=NOTHING):
    """All that comes out of a conversion, as values that can be compared."""
    ledger = Ledger()
    try:
        made = DIALECTS[profile.protocol].request(
            request, profile, ClientFacts(), new_ids(), ledger, recurring
        )
    except InvalidRequest as error:
        return ("refused", error.message, error.details, ledger.as_json())
    context = dataclasses.replace(made.context, new_id=str)
    if isinstance(made, AnsweredLocally):
        return ("answered", made.message, context, ledger.as_json())
    return ("converted", jsontext.dumps(made.body), context, made.headers, ledger.as_json())


def text_of(request):
    return json.dumps(request, separators=(",", ":")).encode()


def told_alike(requests, *profiles):
    """Each request converts to the same with what is remembered. (how many passages were, what came out)."""
    reader, remembered, results = RequestReader(least_body=0), 0, []
    for request in requests:
        body = text_of(request)
        if b"\\ud800" in body and LONG_NUMBER.search(body):
            # half a pair makes all numbers of a text exact, of a part those of the part
            continue
        for profile in profiles:
            read, recurring = reader.read(body)
            assert repr(read) == repr(jsontext.loads(body))
            expected = converted(jsontext.loads(body), profile)
            assert converted(read, profile, recurring) == expected
            # nobody has changed what is shared
            assert repr(read) == repr(jsontext.loads(body))
            remembered += len(recurring.passages)
            results.append(expected[0])
    return remembered, results


def turn_by_turn(request):
    """The requests of a client which says one message more each time, with its marker on the last block."""
    every = request["messages"]
    for number in range(1, len(every) + 1):
        shown = copy.deepcopy(every[:number])
        content = shown[-1]["content"]
        if content and type(content) is list:
            content[-1].setdefault("cache_control", CACHED["cache_control"])
        yield {**request, "messages": shown}


conversations = st.lists(exchanges(), min_size=1, max_size=5).map(
    lambda pieces: [{"role": "user", "content": "hi"}, *[one for piece in pieces for one in piece]]
)


@settings(
    max_examples=examples(120),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(conversations | messages, some_texts, fields, options, options, st.sampled_from(["repair", "strict"]))
@example([], "x", {"tools": TOOLS}, {"provider": "p1", "max_tools": 2}, {"provider": ""}, "repair")
def test_a_conversation_becomes_the_same_whatever_is_remembered_of_it(
    history, last, given_fields, given_options, other_options, how
):
    request = request_of(*history, {"role": "user", "content": last}, **{"max_tokens": 4096, **given_fields})
    profiles = [
        Profile.merged({**given_options, "history": how}),
        Profile.merged({**other_options, "upstream_model": "other"}),
    ]
    remembered, results = told_alike(turn_by_turn(request), *profiles)
    event(f"much remembered: {remembered > 6}, {results[-1:]}")


@pytest.mark.parametrize("protocol", ["responses", "anthropic"])
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(conversations, some_texts, fields, options)
def test_so_it_does_in_the_other_protocols(protocol, history, last, given_fields, given_options):
    request = request_of(*history, {"role": "user", "content": last}, **{"max_tokens": 4096, **given_fields})
    told_alike(turn_by_turn(request), Profile.merged({**given_options, "protocol": protocol}))


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(conversations, st.lists(st.tuples(tools, st.sampled_from([None, {"type": "any"}])), max_size=4))
def test_so_do_several_conversations_with_tools_in_turn(history, several):
    profiles = [Profile(), Profile(deferred_tools="expose", max_tools=2)]
    requests = [
        request_of(*history[: 2 + number], "x", tools=[*TOOLS, *own][: 6 - len(own)], tool_choice=choice)
        for number, (own, choice) in enumerate(several)
    ]
    told_alike([*requests, *requests], *profiles)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name.partition(".")[0])
def test_so_do_captured_requests(path):
    request = json.loads(path.read_bytes())
    remembered, _ = told_alike(
        [request, request, *turn_by_turn(request), request], Profile(), Profile(max_tools=5)
    )
    assert remembered or len(request["messages"]) < 3


def test_so_do_the_vectors():
    requests = [vector["request"] for vector in vectors.load("r*").values()]
    profiles = [Profile(), Profile(history="strict", mid_system="user", cache_control="keep")]
    told_alike([*requests, *requests], *profiles)


LONG = "a paragraph of the user " * 20


@pytest.mark.parametrize(
    ("history", "given_options"),
    [
        # turns that go on over the cut
        (
            [user("a"), assistant(call("t1")), assistant("b"), user(result("t1")), assistant("c")],
            {"history": "strict"},
        ),
        ([user("a"), assistant(call("t1")), user(""), assistant(call("t2")), user(result("t2"))], {}),
        ([user("a"), assistant(text("")), user("b"), assistant("c"), user("d"), assistant("e")], {}),
        # nothing is left of an assistant's message, and results stand in front of it
        (
            [user("a"), assistant(call("t1")), user(result("t1", "r")), assistant(thinking("t")), user("b")],
            {"assistant_after_tool": True},
        ),
        # what comes later decides
        (
            [
                user("a"),
                system("s", clear_at="next_user_message"),
                assistant("b"),
                system("t", clear_at="next_user_message"),
                assistant("c"),
            ],
            {"mid_system": "user"},
        ),
        ([user("a"), system("s", clear_at="next_user_message"), assistant("b")], {}),
        (
            [
                user("a"),
                assistant(thinking("t"), call("t1")),
                user(result("t1")),
                assistant(thinking("u"), "b"),
            ],
            {"reasoning_replay": "reasoning_content", "replay_scope": "tool_turns"},
        ),
        # too many breakpoints
        (
            [
                one
                for number in range(6)
                for one in (user(text(str(number), **CACHED)), assistant(f"b{number}"))
            ],
            {"cache_control": "openai_breakpoint"},
        ),
        # the last message is the assistant's
        ([user("a"), assistant("b"), user("c"), assistant("d")], {"prefill": "prefix"}),
        ([user("a"), assistant(call("t1", **{"x": 1})), user(result("t1")), assistant("b")], {}),
        ([user("a"), assistant(call("t1", **{"x": True})), user(result("t1")), assistant("b")], {}),
    ],
)
@pytest.mark.parametrize("marker", [None, CACHED["cache_control"]])
def test_what_reaches_from_one_passage_into_another_is_minded(history, given_options, marker):
    request = request_of(*history, user(LONG), tools=TOOLS, cache_control=marker)
    remembered, results = told_alike(
        [*turn_by_turn(request), *turn_by_turn(request)], Profile.merged(given_options)
    )
    assert remembered and "converted" in results
