"""The judge of prompt caches keeps each rule that it names."""

import pytest

from tests.fakes.prompt_caches.prompts import BREAKPOINT, rendered
from tests.fakes.prompt_caches.rules import (
    FAMILIES,
    HOUR,
    MINUTE,
    AnthropicMarks,
    DeepSeekDisk,
    GeminiImplicit,
    OpenAIAutomatic,
    OpenAIBreakpoints,
    Receipt,
)

MARK = {BREAKPOINT: {"mode": "explicit"}}


def words(tokens, letter="w"):
    return letter * (4 * tokens)


def said(*texts, marked=(), key="k", **fields):
    """A Responses request with one message of the user for each text; `marked`: the numbers of those with a
    breakpoint."""
    items = [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text, **(MARK if number in marked else {})}],
        }
        for number, text in enumerate(texts)
    ]
    return {"model": "m", "input": items, "prompt_cache_key": key, **fields}


def asked(cache, *requests, seconds=1.0):
    return [cache.ask(request, number * seconds) for number, request in enumerate(requests)]


LONG, MORE, LAST = words(2000, "a"), words(3000, "b"), words(100, "c")


def test_a_breakpoint_is_read_where_it_was_written_and_nowhere_else():
    first, again, unmarked = asked(
        OpenAIBreakpoints(),
        said(LONG, MORE, marked=[1]),
        said(LONG, MORE, LAST, marked=[1, 2]),
        said(LONG, MORE, LAST, LAST),
    )
    assert (first.read, again.read) == (0, first.written)
    # the whole is new to an implicit breakpoint: nothing falls back to the longest prefix
    assert (unmarked.read, unmarked.full) == (0, 0)


def test_the_implicit_breakpoint_stands_at_the_latest_message_and_is_not_made_in_explicit_mode():
    (written,) = asked(OpenAIBreakpoints(), said(LONG, MORE))
    assert (written.written, written.full) == (written.prompt, 0)
    options = {"prompt_cache_options": {"mode": "explicit"}}
    first, second = asked(OpenAIBreakpoints(), said(LONG, MORE, **options), said(LONG, MORE, **options))
    assert (first.written, second.read) == (0, 0)


def test_only_the_latest_marks_are_written_and_a_prefix_of_less_than_1024_tokens_never():
    texts = [words(2000, letter) for letter in "abcdef"]
    options = {"prompt_cache_options": {"mode": "explicit"}}
    cache = OpenAIBreakpoints()
    cache.ask(said(*texts, marked=range(6), **options), 0)
    assert cache.ask(said(texts[0], marked=[0], **options), 1).read == 0
    assert cache.ask(said(*texts[:3], marked=[2], **options), 2).read > 6000
    short, again = asked(OpenAIBreakpoints(), *[said(words(900), marked=[0])] * 2)
    assert (short.written, again.read) == (0, 0)


def test_the_latest_80_breakpoints_are_looked_at():
    texts = [words(1100, "a"), *(words(10, "b") for _ in range(90))]
    options = {"prompt_cache_options": {"mode": "explicit"}}
    cache = OpenAIBreakpoints()
    cache.ask(said(texts[0], marked=[0], **options), 0)
    assert cache.ask(said(*texts[:80], marked=range(80), **options), 1).read > 0
    cache = OpenAIBreakpoints()
    cache.ask(said(texts[0], marked=[0], **options), 0)
    assert cache.ask(said(*texts[:81], marked=range(81), **options), 1).read == 0


def test_an_entry_lives_half_an_hour_after_its_last_use_and_12_hours_for_twice_the_price():
    request = said(LONG, marked=[0])
    cache = OpenAIBreakpoints()
    assert [cache.ask(request, minutes * MINUTE).read > 0 for minutes in (0, 29, 58, 89)] == [
        False, True, True, False,
    ]  # fmt: skip
    longer = said(LONG)
    longer["input"][0]["content"][0][BREAKPOINT] = {"mode": "explicit", "ttl": "12h"}
    cache = OpenAIBreakpoints()
    first, later = cache.ask(longer, 0), cache.ask(longer, 11 * HOUR)
    assert (first.written_long, later.read) == (first.written, first.written)
    rates = OpenAIBreakpoints.rates
    assert first.cost(rates) == 2 * Receipt(0, first.written, 0, first.full).cost(rates)


def test_another_key_is_another_machine_and_the_sixteenth_request_of_a_minute_too():
    request = said(LONG, marked=[0])
    cache = OpenAIBreakpoints()
    cache.ask(request, 0)
    assert cache.ask({**request, "prompt_cache_key": "other"}, 1).read == 0
    cache = OpenAIBreakpoints()
    assert [cache.ask(request, 0.1 * number).read > 0 for number in range(17)] == [
        False, *[True] * 14, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"tools": [{"type": "function"}]}, {"reasoning": {"effort": "high"}}, {"model": "n"}]
)
def test_what_stands_in_front_changes_everything(change):
    request = said(LONG, marked=[0])
    cache = OpenAIBreakpoints()
    cache.ask(request, 0)
    assert cache.ask({**request, **change}, 1).read == 0


def test_before_5_6_the_longest_prefix_is_read_in_steps_of_128():
    first, second, third = asked(
        OpenAIAutomatic(), said(LONG, MORE), said(LONG, MORE, LAST), said(LONG, words(3000, "x"))
    )
    assert (first.read, first.written) == (0, 0)
    assert second.read % 128 == third.read % 128 == 0
    assert first.prompt - 128 <= second.read <= first.prompt
    assert 1900 < third.read < 2100
    assert OpenAIAutomatic().ask(said(LONG), 0).read == 0


def test_gemini_reads_nothing_below_its_minimum():
    short, long = said(words(3000)), said(words(5000))
    assert [receipt.read for receipt in asked(GeminiImplicit(), short, short)] == [0, 0]
    assert asked(GeminiImplicit(), long, long)[1].read > 4096


def test_deepseek_reads_a_unit_only_when_all_of_it_is_there():
    # the document's own examples: A+B then A+B+C; A+B, then A+C, then A+D
    cache = DeepSeekDisk()
    first, second = asked(cache, said(LONG, MORE), said(LONG, MORE, LAST))
    assert second.read == first.prompt
    shared = asked(DeepSeekDisk(), *[said(LONG, words(500, letter)) for letter in "bcd"])
    assert [receipt.read > 0 for receipt in shared] == [False, False, True]


def messages(*blocks):
    return {
        "model": "m",
        "max_tokens": 1,
        "system": "s",
        "messages": [{"role": "user", "content": [*blocks]}],
    }


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


CONTROL = {"cache_control": {"type": "ephemeral"}}


def test_anthropic_looks_twenty_blocks_back_from_a_marker():
    head = text(words(2000), **CONTROL)
    for more, hit in ((20, True), (21, False)):
        cache = AnthropicMarks()
        cache.ask(messages(head), 0)
        blocks = [text(words(10, "b")) for _ in range(more - 1)] + [text("end", **CONTROL)]
        assert (cache.ask(messages(text(words(2000)), *blocks), 1).read > 0) is hit


def test_anthropics_marks_live_five_minutes_or_an_hour_and_are_four_at_most():
    five, hour = text(LONG, **CONTROL), text(LONG, cache_control={"type": "ephemeral", "ttl": "1h"})
    for block, reads in ((five, [False, True, False]), (hour, [False, True, True])):
        cache = AnthropicMarks()
        assert [cache.ask(messages(block), at * MINUTE).read > 0 for at in (0, 4, 50)] == reads
    with pytest.raises(ValueError, match="maximum of 4"):
        AnthropicMarks().ask(messages(*[five] * 5), 0)


def test_marks_are_no_part_of_the_prompt():
    assert rendered(said(LONG, marked=[0])).data == rendered(said(LONG)).data


def test_every_rule_says_where_it_is_published():
    for family in FAMILIES:
        documents = " ".join(str(base.__doc__) for base in family.cache.__mro__)
        assert "Source" in documents, family.name
