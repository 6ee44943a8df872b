"""The embedded demo provider, through the same path as a real one."""

import pytest

from gateway.upstream import demo
from tests.conftest import asking


@pytest.fixture
async def demo_bench(bench, monkeypatch):
    monkeypatch.setattr(demo, "PAUSE", 0)
    bench.configure(provider={"demo": True, "base_url": demo.BASE_URL})
    return bench


@pytest.mark.parametrize("stream", [True, False])
async def test_the_demo_says_what_it_is_repeats_the_question_and_tells_how_to_go_on(demo_bench, stream):
    answer = await demo_bench.client.messages(asking("What is up?", stream=stream))
    assert answer.status == 200
    text = (
        "".join(e["delta"]["text"] for e in answer.events if e["type"] == "content_block_delta")
        if stream
        else answer.json["content"][0]["text"]
    )
    assert "demo provider" in text
    assert "You asked: What is up?" in text
    assert "OPENAI_API_KEY" in text
    assert demo_bench.recorder.last.output_tokens > 10


async def test_the_demo_repeats_what_a_person_wrote_not_the_clients_reminders(demo_bench):
    content = [
        {"type": "text", "text": "<system-reminder>\nlong\n</system-reminder>"},
        {"type": "text", "text": "hello there"},
    ]
    body = asking() | {"messages": [{"role": "user", "content": content}]}
    answer = await demo_bench.client.messages(body)
    assert "You asked: hello there" in answer.json["content"][0]["text"]
