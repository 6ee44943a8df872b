"""A response of very many items takes time in proportion to their number."""

from __future__ import annotations

import time

import pytest

from tests.conversion.openai_responses.scripts import event, sse, stream_of
from tests.playbook import play_bytes

MANY = 8000
# CPU seconds; it takes half of one, and with a look at every earlier item for each, a minute and more
BOUND = 8


def items(kind, delta, part):
    for at in range(MANY):
        yield event("output_item.added", output_index=at, item={"type": kind, "id": f"i{at}"})
        if part:
            yield event("content_part.added", output_index=at, content_index=0, part=part)
        if delta:
            yield event(delta, output_index=at, content_index=0, summary_index=0, delta="x")


@pytest.mark.parametrize(
    ("kind", "delta", "part"),
    [
        ("reasoning", "reasoning_summary_text.delta", None),
        ("reasoning", "reasoning_text.delta", None),
        ("reasoning", None, {"type": "reasoning_text", "text": "x"}),
        ("reasoning", None, None),
        ("message", "output_text.delta", None),
        ("message", None, {"type": "output_text", "text": "x"}),
    ],
)
@pytest.mark.parametrize("shown", [True, False])
def test_items_without_an_end_are_looked_at_once(kind, delta, part, shown):
    data = sse(*items(kind, delta, part))
    began = time.process_time()
    play_bytes(stream_of(thinking_requested=shown), [data])
    assert time.process_time() - began < BOUND
