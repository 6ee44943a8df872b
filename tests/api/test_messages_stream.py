"""POST /v1/messages, streamed."""

from tests.conftest import asking
from tests.fakes.provider import stream


async def test_a_stream_is_answered_event_by_event(bench):
    bench.provider.answers("m", stream("Hel", "lo"))
    answer = await bench.client.messages(asking(stream=True))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    kinds = [event["type"] for event in answer.events]
    assert kinds[:2] == ["message_start", "ping"]
    assert kinds[-2:] == ["message_delta", "message_stop"]
