"""What a piece of a stream costs does not grow with what came before it: adversaries repeat one piece."""

import time

import pytest

from gateway.conversion.answers.writing.writer import MOST_CALLS
from gateway.errors import UpstreamBroken
from tests.conversion.answers.test_chat_message import answer, function
from tests.playbook import call, chunk, sse, stream_of, text, thought, usage

PIECES = 4_000
# CPU seconds; it takes a fifth, and ten times as much where each piece looks through those before it
LONGEST = 1.0

BEGINNINGS = {
    "at the beginning": [],
    "in a think tag": [text("<think>")],
    "in a call": [call(0, "a", "f", '{"a":"')],
}
KINDS = {
    "text": lambda n: text("x"),
    "blank text": lambda n: text(" "),
    "half a tag": lambda n: text("<"),
    "a tag": lambda n: text("<think>"),
    "an end tag": lambda n: text("</think>"),
    "thought": lambda n: thought(" "),
    "thought and text": lambda n: text("x") if n % 2 else thought("x"),
    "arguments": lambda n: call(0, None, None, "x"),
    "blank arguments": lambda n: call(0, None, None, " "),
    "levels": lambda n: call(0, None, None, "["),
    "escapes": lambda n: call(0, None, None, "\\"),
    "a name": lambda n: call(0, None, "x"),
    "ids": lambda n: call(0, f"i{n}"),
    "the same call": lambda n: call(0, "a", "f", "{}"),
    "calls": lambda n: call(n + 1, f"i{n}", "f", "{}"),
    "calls that stay open": lambda n: call(n + 1, f"i{n}", "f", '{"a":'),
    "calls without a name": lambda n: call(n + 1, f"i{n}", None, '{"a":1}'),
    "calls without an index": lambda n: call(None, f"i{n}", "f", '{"b":1}'),
    "calls of one id": lambda n: call(None, "a", "f", f'{{"b":{n}}}'),
    "calls and text": lambda n: text("x") if n % 2 else call(n + 1, f"i{n}", "f", "{}"),
    "nothing": lambda n: chunk({}),
    "usage": lambda n: usage(n, 1),
    "details": lambda n: chunk({"reasoning_details": [{"type": "reasoning.text", "text": "x", "index": n}]}),
    "sealed details": lambda n: chunk(
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "id": f"r{n}"}]}
    ),
    "citations": lambda n: chunk(
        {
            "content": "x",
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": f"http://x.example/{n}", "title": "t"}}
            ],
        }
    ),
    "refusals": lambda n: chunk({"refusal": "x"}),
    "ends": lambda n: chunk({}, "length"),
}


@pytest.mark.parametrize("piece", KINDS.values(), ids=KINDS.keys())
def test_a_piece_costs_the_same_however_many_came_before_it(piece):
    costs = {}
    for name, before in BEGINNINGS.items():
        stream = stream_of(thinking_requested=True)
        reads = [sse(one) for one in (*before, *map(piece, range(PIECES)))]
        began = time.thread_time()
        for data in reads:
            stream.feed(data)
        stream.finish()
        costs[name] = time.thread_time() - began
    assert max(costs.values()) < LONGEST, costs


def test_an_answer_has_a_bounded_number_of_calls():
    stream = stream_of()
    for number in range(MOST_CALLS):
        stream.feed(sse(call(number, f"i{number}", "f", '{"a":1}')))
    assert stream.failure is None
    stream.feed(sse(call(MOST_CALLS, "one-more", "f", '{"a":1}')))
    assert isinstance(stream.failure, UpstreamBroken)
    assert str(stream.failure) == "upstream sent more than 500 tool calls in one answer"


def test_so_has_an_answer_that_is_not_streamed():
    calls = [function(f"f{n}", '{"a":1}', f"i{n}") for n in range(5_000)]
    began = time.thread_time()
    try:
        answer({"content": None, "tool_calls": calls}, "tool_calls")
    except UpstreamBroken as broken:
        assert "more than 500" in str(broken)
    assert time.thread_time() - began < LONGEST
