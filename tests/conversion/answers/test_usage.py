"""Token counts (docs/conversion.md, "Usage")."""

from __future__ import annotations

import pytest

from gateway.conversion.answers.output import Output
from gateway.conversion.answers.usage import counts_in, latest, own_usage, usage_at_start, usage_of
from gateway.conversion.ledger import Ledger
from gateway.conversion.tokens.messages import estimate_text_tokens
from tests.playbook import DONE, context_of, finish, play, stream_of, text


def numbers(counts, **more):
    usage = usage_of(counts, context_of(), Output(), Ledger(), **more)
    return usage.input_tokens, usage.cache_read, usage.cache_written, usage.output_tokens


@pytest.mark.parametrize(
    "counts, expected",
    [
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60}}, (40, 60, 0)),
        ({"prompt_tokens": 200, "prompt_tokens_details": {"cached_tokens": 80}}, (120, 80, 0)),
        (
            {"prompt_tokens": 1000, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 200},
            (100, 700, 200),
        ),
        (
            {
                "prompt_tokens": 1000,
                "prompt_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 200},
            },
            (100, 700, 200),
        ),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cache_creation_tokens": 2}}, (7, 0, 2)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cache_creation_input_tokens": 2}}, (7, 0, 2)),
        ({"prompt_tokens": 80, "prompt_cache_hit_tokens": 50}, (30, 50, 0)),
        ({"prompt_tokens": 80, "cached_tokens": 50}, (30, 50, 0)),
        ({"prompt_tokens": 80, "num_cached_tokens": 50}, (30, 50, 0)),
        ({"prompt_tokens": 80, "cached_tokens": 0, "num_cached_tokens": 50}, (30, 50, 0)),
        # a part is never more than the whole, so the cached tokens stand beside the prompt
        ({"prompt_tokens": 10, "cached_tokens": 50}, (10, 50, 0)),
        ({"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2}, (10, 5, 2)),
        ({"prompt_cache_hit_tokens": 80, "prompt_cache_miss_tokens": 20}, (20, 80, 0)),
        ({"prompt_tokens": "80", "cached_tokens": 5.0}, (75, 5, 0)),
        ({"prompt_tokens": -5}, (11, 0, 0)),  # no prompt is empty: estimated
        ({"prompt_tokens": 0}, (11, 0, 0)),
        ({"prompt_tokens": 6, "cached_tokens": 5, "total_tokens": 12}, (6, 5, 0)),
        ({"prompt_tokens": 80, "prompt_tokens_details": None}, (80, 0, 0)),
        # what stands in the total alone is what the caches are told to hold, never output
        (
            {
                "prompt_tokens": 10,
                "total_tokens": 1011,
                "cache_read_input_tokens": 800,
                "cache_creation_input_tokens": 200,
            },
            (10, 800, 200),
        ),
        (
            {
                "prompt_tokens": 2000,
                "total_tokens": 3001,
                "cache_read_input_tokens": 800,
                "cache_creation_input_tokens": 200,
            },
            (2000, 800, 200),
        ),
        ({"prompt_tokens": 500, "total_tokens": 701, "cache_creation_input_tokens": 200}, (500, 0, 200)),
        ({"prompt_tokens": 500, "total_tokens": 801, "cached_tokens": 100}, (400, 100, 0)),
    ],
)
def test_input_tokens(counts, expected):
    assert numbers({"completion_tokens": 1, **counts}) == (*expected, 1)


@pytest.mark.parametrize(
    "counts, output, thinking",
    [
        (
            {
                "completion_tokens": 30,
                "completion_tokens_details": {"reasoning_tokens": 25},
                "total_tokens": 40,
            },
            30,
            25,
        ),
        (
            {
                "completion_tokens": 5,
                "completion_tokens_details": {"reasoning_tokens": 25},
                "total_tokens": 40,
            },
            30,
            25,
        ),
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 0}}, 5, 0),
        ({"completion_tokens": 5}, 5, None),
    ],
)
def test_output_tokens_contain_reasoning(counts, output, thinking):
    usage = usage_of({"prompt_tokens": 10, **counts}, context_of(), Output(), Ledger())
    assert (usage.output_tokens, usage.thinking_tokens) == (output, thinking)


@pytest.mark.parametrize(
    "counts", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": True}, {"prompt_tokens": "x"}]
)
def test_what_is_not_told_is_estimated_and_written_down(counts):
    ledger, output = Ledger(), Output()
    output.text("some words of an answer")
    usage = usage_of(counts, context_of(), output, ledger)
    assert usage.estimated and usage.input_tokens == 11 and usage.output_tokens > 3
    assert [entry.code for entry in ledger.entries] == ["defaulted"]


@pytest.mark.parametrize(
    "tier, expected",
    [
        ("priority", "priority"),
        ("fast", "priority"),
        ("scale", "priority"),
        ("default", "standard"),
        ("flex", "standard"),
        ("auto", "standard"),
        (None, "standard"),
        (["x"], "standard"),
    ],
)
def test_service_tier(tier, expected):
    assert usage_of({}, context_of(), Output(), Ledger(), tier=tier).whole()["service_tier"] == expected


def test_the_whole_object():
    counts = {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "cache_creation_input_tokens": 4,
        "num_search_queries": 3,
    }
    assert usage_of(counts, context_of(), Output(), Ledger()).whole() == {
        "input_tokens": 6,
        "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 0,
        "output_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 0},
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0},
        "service_tier": "standard",
        "inference_geo": None,
        "speed": None,
    }


def test_the_start_has_the_estimate_or_the_first_numbers():
    assert usage_at_start(None, context_of()).input_tokens == 11
    assert usage_at_start({"prompt_tokens": 5}, context_of()).at_start()["output_tokens"] == 0


def test_where_usage_is_found():
    counts = {"prompt_tokens": 1}
    assert counts_in({"usage": counts}) == counts
    assert counts_in({"usage": None, "x_groq": {"usage": counts}}) == counts
    assert counts_in({}, {"usage": counts}) == counts
    assert counts_in({"usage": {}, "x_groq": 5}, {"usage": "no"}) is None


def test_a_later_count_takes_nothing_away():
    first = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}}
    for later in (
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": None},
        {"prompt_tokens": None},
        {},
        None,
    ):
        assert latest(first, later, Ledger()) == first
    assert latest(first, {"completion_tokens": 9}, Ledger()) == {**first, "completion_tokens": 9}
    assert latest(None, first, Ledger()) == first


@pytest.mark.parametrize("later", [{"cached_tokens": 0}, {"cached_tokens": None}, {}, {"cached_tokens": "0"}])
def test_a_later_count_takes_nothing_away_one_level_down(later):
    first = {"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 800}}
    ledger = Ledger()
    told = {"prompt_tokens": 1000, "completion_tokens": 5, "prompt_tokens_details": later}
    assert latest(first, told, ledger) == {**first, "completion_tokens": 5}
    assert bool(ledger.as_json()) is (later.get("cached_tokens") is not None)
    more = {"prompt_tokens_details": {"cached_tokens": 900, "audio_tokens": 0}}
    assert latest(first, more, Ledger())["prompt_tokens_details"] == more["prompt_tokens_details"]


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (None, False),
        ({"prompt_tokens": 9}, False),
        ({"prompt_tokens": 9, "prompt_tokens_details": {}}, False),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": None}}, False),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 0}}, True),
        ({"prompt_tokens": 9, "num_cached_tokens": 0}, True),
        ({"prompt_tokens": 9, "cached_tokens": 3}, True),
        ({"prompt_tokens": 9, "cache_creation_input_tokens": 0}, True),
    ],
)
def test_a_provider_tells_of_its_cache_or_does_not(counts, told):
    assert usage_of(counts, context_of(), Output(), Ledger()).cache_told is told


@pytest.mark.parametrize("told", [False, True])
def test_a_provider_of_the_messages_api_tells_of_its_cache_or_does_not(told):
    counts = {"input_tokens": 3, "output_tokens": 1} | ({"cache_read_input_tokens": 0} if told else {})
    assert own_usage(counts, context_of(), written=1).cache_told is told


@pytest.mark.parametrize("vocabulary", ["none", "o200k_base"])
def test_calls_without_counts_cost_what_each_of_their_texts_costs(vocabulary):
    output = Output()
    parts = ["get_weather", "get_time", "get_time", '{"city":"Bern"}', "{}"]
    output.names += parts[:3]
    output.call().add(parts[3])
    output.call().add(parts[4])
    output.call()
    context = context_of({"vocabulary": vocabulary})
    assert usage_of(None, context, output, Ledger()).output_tokens == sum(
        estimate_text_tokens(part, vocabulary) for part in parts
    )


GEMINI = {"promptTokenCount": 50, "candidatesTokenCount": 9, "totalTokenCount": 59}


@pytest.mark.parametrize(
    "counts, expected",
    [
        (GEMINI, (50, 0, 9, None)),
        ({**GEMINI, "cachedContentTokenCount": 20}, (30, 20, 9, None)),
        ({**GEMINI, "thoughtsTokenCount": 30, "totalTokenCount": 89}, (50, 0, 39, 30)),
        ({**GEMINI, "thoughtsTokenCount": 4}, (50, 0, 9, 4)),
        ({"promptTokenCount": 50, "thoughtsTokenCount": 30, "totalTokenCount": 80}, (50, 0, 30, 30)),
        ({"promptTokenCount": "50", "candidatesTokenCount": "9"}, (50, 0, 9, None)),
        ({"prompt_token_count": 50, "candidates_token_count": 9}, (50, 0, 9, None)),
        ({"promptTokens": 50, "completionTokens": 9, "totalTokens": 59}, (50, 0, 9, None)),
        ({"inputTokens": 50, "outputTokens": 9, "cachedInputTokens": 20}, (30, 20, 9, None)),
    ],
)
@pytest.mark.parametrize("place", ["usage", "usageMetadata", "usage_metadata"])
def test_counts_under_a_providers_native_names_are_the_same_streamed_and_whole(counts, expected, place):
    def told(usage):
        return usage.input_tokens, usage.cache_read, usage.output_tokens, usage.thinking_tokens

    context = context_of()
    output = Output()
    output.text("Hello")
    assert told(usage_of(counts_in({place: counts}), context, output, Ledger())) == expected
    for chunks in (
        [text("Hello"), finish("stop", **{place: counts})],
        [text("Hello"), finish("stop"), {"choices": [], place: counts}],
        [{**text("Hello"), place: {**counts}}, finish("stop")],
    ):
        stream = stream_of()
        play(stream, *chunks, DONE)
        assert told(stream.usage) == expected
        assert not stream.usage_estimated


def test_chats_own_counts_are_believed_before_native_ones():
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    assert counts_in({"usage": usage, "usageMetadata": GEMINI}) is usage
    assert counts_in({"usage": {}, "usageMetadata": GEMINI})["prompt_tokens"] == 50
    assert counts_in({"usage": {"cost": 1}}) == {"cost": 1}


def test_counts_that_grow_with_each_chunk_are_the_last_ones():
    chunks = [
        {
            **text(word),
            "usageMetadata": {**GEMINI, "candidatesTokenCount": number, "totalTokenCount": 50 + number},
        }
        for number, word in enumerate(("Hel", "lo", "!"), 1)
    ]
    stream = stream_of()
    play(stream, *chunks, finish("stop"), DONE)
    assert stream.usage.output_tokens == 3


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ("flex", "flex"), ("priority", "priority"), ("Batch", "batch"), ("default", ""), ("standard", ""),
        ("auto", ""), ("on_demand", ""), ("", ""), (None, ""), (7, ""), (["flex"], ""),
        ("x" * 17, ""), ("<b>", ""), ("flex\n", "flex"), ("ﬂex", ""),
    ],
)  # fmt: skip
def test_the_tier_to_price_by_is_the_answers(told, tier):
    assert usage_of({}, context_of(), Output(), Ledger(), tier=told).tier == tier
    assert own_usage({"service_tier": told}, context_of(), written=1).tier == tier


def test_a_fast_answer_of_the_messages_api_is_of_the_fast_tier():
    counts = {"service_tier": "standard", "speed": "fast"}
    assert own_usage(counts, context_of(), written=1).tier == "fast"
    assert own_usage({**counts, "speed": "standard"}, context_of(), written=1).tier == ""
