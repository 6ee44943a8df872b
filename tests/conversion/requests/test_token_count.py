"""count_tokens and the estimate of every request (docs/conversion.md, "Counting tokens")."""

import copy
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion import provider_state
from gateway.conversion.blocks import pdf
from gateway.conversion.profile import Profile
from gateway.conversion.requests.token_count import (
    count_tokens,
    estimate_input_tokens,
    input_counts,
)
from gateway.conversion.tokens import vocabulary
from gateway.conversion.tokens.messages import estimate_text_tokens
from gateway.errors import InvalidRequest
from tests.conversion.pdf_files import pdf_of

TESTS = Path(__file__).parents[2]
CAPTURES = sorted((TESTS / "captures").glob("*.request.json"))
VECTORS = sorted((TESTS / "vectors").glob("c*.json"))
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
WORDS = "one two three four five six seven eight nine ten"
BARE = 3 + 4
counted = estimate_text_tokens
READ = counted("Read")
ARGUMENTS = counted(json.dumps({"a": WORDS}, separators=(",", ":")))


def count(*messages, options=None, **fields):
    return estimate_input_tokens({"messages": list(messages), **fields}, Profile.merged(options or {}))


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def text(value):
    return {"type": "text", "text": value}


def result(content):
    return {"type": "tool_result", "tool_use_id": "t", "content": content}


def thinking(value, signature=""):
    return {"type": "thinking", "thinking": value, "signature": signature}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_vectors(path):
    vector = json.loads(path.read_text())
    low, high = vector["expect_range"]
    answer = count_tokens(vector["request"], Profile.merged(vector["options"]))
    assert low <= answer["input_tokens"] <= high


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_real_requests_are_counted_and_not_changed(path):
    request = json.loads(path.read_text())
    before = copy.deepcopy(request)
    tokens = estimate_input_tokens(request, Profile())
    assert request == before
    assert tokens == estimate_input_tokens(copy.deepcopy(request), Profile())
    size = len(path.read_bytes())
    if size > 10_000:
        # filler words: between three and eight characters a token
        assert size / 8 < tokens < size / 3


def test_a_greeting_costs_little_and_never_nothing():
    assert 5 <= count(user(text("hi"))) <= 20
    assert count(user(text(""))) == BARE
    assert count(options={"token_factor": 0.01}) == 1


def test_twice_the_text_costs_twice_as_much():
    once, twice = (count(user(text(WORDS * n))) - BARE for n in (100, 200))
    assert twice == pytest.approx(2 * once, rel=0.01)


def test_string_and_block_cost_the_same():
    assert count({"role": "user", "content": WORDS}) == count(user(text(WORDS))) == BARE + 10


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        (text(WORDS), 10),
        (result(None), 6),
        (result(WORDS), 16),
        (result([text(WORDS), text(WORDS)]), 26),
        (result([IMAGE]), 7),
        ({"type": "tool_use", "id": "t", "name": "Read", "input": {}}, READ + counted("{}") + 8),
        ({"type": "tool_use", "id": "t", "name": "Read", "input": {"a": WORDS}}, READ + ARGUMENTS + 8),
        (IMAGE, 1),
        ({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}, 1600),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": WORDS}}, 18),
        (
            {"type": "document", "title": WORDS, "context": WORDS, "source": {"type": "text", "data": WORDS}},
            38,
        ),
        ({"type": "document", "source": {"type": "content", "content": [text(WORDS), IMAGE]}}, 19),
        ({"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}, 2008),
        ({"type": "search_result", "title": "one", "source": "two", "content": [text(WORDS)]}, 12),
        ({"type": "compaction", "content": WORDS}, 10),
        ({"type": "tool_reference", "tool_name": "Read"}, counted("Tool available: Read")),
        ({"type": "redacted_thinking", "data": "x" * 1000}, 0),
        ({"type": "tool_removal", "tool": {"type": "tool_reference", "name": "x"}}, 0),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {"type": "web_search_result", "title": WORDS, "url": "u", "encrypted_content": "x" * 999}
                ],
            },
            11,
        ),
    ],
)
def test_each_block_has_its_price(block, tokens):
    assert count(user(block)) == BARE + tokens


def test_a_deeply_nested_result_does_no_harm():
    content = WORDS
    for _ in range(900):
        content = [content]
    count(assistant({"type": "mcp_tool_result", "content": content}))


@pytest.mark.parametrize(
    ("system", "tokens"),
    [
        (None, 0),
        ("", 0),
        ([], 0),
        (WORDS, 14),
        ([text(WORDS), text(WORDS)], 24),
        ([text("x-anthropic-billing-header: cc_version=2.1"), text(WORDS)], 14),
    ],
)
def test_system_text_costs_its_words_and_four(system, tokens):
    assert count(user(text("")), system=system) == BARE + tokens


TOOL = {"name": "Read", "description": WORDS, "input_schema": {"type": "object", "properties": {}}}
TOOL_TOKENS = 12 + 1 + 10 + estimate_text_tokens('{"type":"object","properties":{}}')


def test_tools_cost_their_text_and_forty_once():
    assert count(user(), tools=[TOOL]) == BARE + 40 + TOOL_TOKENS
    assert count(user(), tools=[TOOL, {**TOOL, "name": "Edit"}]) == BARE + 40 + 2 * TOOL_TOKENS
    assert count(user(), tools=[]) == BARE


def test_deferred_tools_cost_nothing_until_they_are_referenced():
    tools = [TOOL, {**TOOL, "name": "Edit", "defer_loading": True}]
    reference = result([{"type": "tool_reference", "tool_name": "Edit"}])
    assert count(user(), tools=tools) == BARE + 40 + TOOL_TOKENS
    assert count(user(reference), tools=tools) > BARE + 40 + 2 * TOOL_TOKENS


def test_a_client_tool_costs_the_schema_it_becomes():
    assert count(user(), tools=[{"type": "computer_toolset_20260801"}]) > BARE + 40 + 17 * 12


def test_a_server_tool_costs_nothing_because_it_is_not_sent():
    assert count(user(), tools=[{"type": "web_search_20250305", "name": "web_search"}]) == BARE


def test_the_schema_of_a_structured_answer_is_counted():
    asked = {"format": {"type": "json_schema", "schema": {"type": "object", "description": WORDS}}}
    assert count(user(), output_config=asked) > BARE + 10


@pytest.mark.parametrize(
    ("options", "early", "late"),
    [
        ({}, 0, 0),
        ({"reasoning_replay": "reasoning_content"}, 10, 10),
        ({"reasoning_replay": "reasoning_content", "replay_scope": "tool_turns"}, 0, 10),
        ({"protocol": "anthropic"}, 10, 10),
    ],
)
def test_thinking_is_counted_where_it_goes_back(options, early, late):
    tokens = count(assistant(thinking(WORDS)), user(text("")), assistant(thinking("")), options=options)
    assert tokens == BARE + 8 + early
    tokens = count(user(text("")), assistant(thinking(WORDS)), user(result(None)), options=options)
    assert tokens == BARE + 8 + 6 + late


def test_hidden_thinking_is_read_from_its_signature():
    signature, _ = provider_state.signature({"p": "x", "t": WORDS})
    options = {"reasoning_replay": "reasoning"}
    assert count(assistant(thinking("", signature)), options=options) == BARE + 10
    assert count(assistant(thinking("", "foreign")), options=options) == BARE


def test_images_become_a_few_words_for_a_model_without_vision():
    big = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    assert count(user(big), options={"images": "text"}) < BARE + 20
    assert count(user(IMAGE), options={"image_tokens": "openai_tiles"}) == BARE + 255


def test_a_pdf_costs_its_text_or_two_thousand_a_page(monkeypatch):
    document = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": pdf_of(WORDS, WORDS)},
    }
    assert BARE + 20 <= count(user(document)) <= BARE + 50
    assert count(user(document), options={"pdf": "file"}) == BARE + 8 + 4000
    monkeypatch.setattr(pdf, "page_texts", None)
    monkeypatch.setattr(pdf, "page_count", None)
    # the second time nothing is extracted or decoded
    assert BARE + 20 <= count(user(document)) <= BARE + 50


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_the_token_factor_multiplies_all(factor):
    plain = count(user(text(WORDS * 50)))
    assert count(user(text(WORDS * 50)), options={"token_factor": factor}) == pytest.approx(
        plain * factor, abs=1
    )


def test_the_answer_repeats_the_number_for_context_management():
    request = {"model": "m", "messages": [user(text("hi"))]}
    tokens = count_tokens(request, Profile())["input_tokens"]
    assert count_tokens(request, Profile()) == {"input_tokens": tokens}
    assert count_tokens({**request, "context_management": {"edits": []}}, Profile()) == {
        "input_tokens": tokens,
        "context_management": {"original_input_tokens": tokens},
    }


def test_counting_refuses_what_the_request_would_be_refused_for():
    request = {"model": "m", "messages": [user(text("hi"))], "tools": [{"name": "a"}]}
    with pytest.raises(InvalidRequest, match=r"tools\.0\.custom\.input_schema: Field required"):
        count_tokens(request, Profile())


def test_only_tools_and_tool_results_are_counted_too():
    request = {"model": "m", "messages": [user(result("x"))], "tools": [TOOL]}
    assert count_tokens(request, Profile())["input_tokens"] > 60


def test_a_known_history_is_counted_in_well_under_a_millisecond_each_hundred_kilobytes():
    blocks = [text(f"block {number} {WORDS * 40}\n") for number in range(50)]
    request = {"messages": [user(*blocks)]}
    estimate_input_tokens(request, Profile())
    fastest = min(timed(request) for _ in range(10))
    assert fastest < 0.002


def timed(request):
    fresh = json.loads(json.dumps(request))
    started = time.perf_counter()
    estimate_input_tokens(fresh, Profile())
    return time.perf_counter() - started


def test_the_counts_of_a_request_are_what_its_estimate_was_made_from():
    request = {"messages": [user(text("да " * 100), text("漢字" * 100), text(WORDS))]}
    counts = input_counts(request, Profile())
    assert counts == (BARE + 72 + 144 + 10, 72, 144)
    options = {"token_factor": 1.5, "token_letters": 2.0, "token_cjk": 0.5, "token_overhead": 30}
    expected = 1.5 * (BARE + 10 + 2 * 72 + 144 / 2) + 30
    assert estimate_input_tokens(request, Profile.merged(options)) == pytest.approx(expected, abs=1)


def test_a_factor_that_an_admin_sets_is_that_of_every_class():
    request = {"messages": [user(text("да " * 100))]}
    learnt = {"token_factor": 1.0, "token_letters": 2.0}
    once, twice = (
        estimate_input_tokens(request, Profile.merged(learnt, {"token_factor": factor})) for factor in (1, 2)
    )
    assert twice == 2 * once


def test_a_vocabulary_of_a_model_tells_no_classes():
    request = {"messages": [user(text("да 漢字"))]}
    if vocabulary.available():
        assert input_counts(request, Profile(vocabulary="o200k_base"))[1:] == (0, 0)


prices = st.floats(0.05, 8)
profiles = st.builds(
    Profile,
    token_factor=prices,
    token_letters=prices,
    token_cjk=prices,
    token_overhead=st.integers(0, 300),
)
texts = st.text(st.sampled_from("ab1. \nдж漢字ßé—😀"), max_size=60)


@given(texts=st.lists(texts, max_size=4), more=texts, profile=profiles)
def test_a_request_never_costs_less_than_1_nor_less_for_a_block_more(texts, more, profile):
    less = count_for(profile, texts)
    assert 1 <= less <= count_for(profile, [*texts, more])


@given(text=texts, profile=profiles)
def test_a_text_twice_as_long_never_costs_less(text, profile):
    # a word or sign of its own between: runs at the seam are one longer run
    assert count_for(profile, [text]) <= count_for(profile, [f"{text}\n{text}"])


def count_for(profile, texts):
    return estimate_input_tokens({"messages": [user(*map(text, texts))]}, profile)
