"""POST /v1/messages, not streamed."""

from tests.conftest import asking
from tests.fakes.provider import USAGE, completion, error


async def test_a_question_is_answered_with_the_providers_text(bench):
    bench.provider.answers("m", completion("Hello"))
    answer = await bench.client.messages(asking())
    assert answer.status == 200
    assert answer.json["content"] == [{"type": "text", "text": "Hello"}]
    assert answer.json["usage"]["input_tokens"] == USAGE["prompt_tokens"]
    assert answer.headers["request-id"].startswith("req_")
    sent = bench.provider.requests[0]
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer sk-upstream-secret"
    assert sent.body["messages"] == [{"role": "user", "content": "hi"}]


async def test_the_providers_error_keeps_its_status_and_text_in_anthropics_form(bench):
    bench.provider.answers("m", error(400, "no such parameter"))
    answer = await bench.client.messages(asking())
    assert answer.status == 400
    assert answer.json["type"] == "error"
    assert answer.json["error"] == {"type": "invalid_request_error", "message": "no such parameter"}
    assert answer.json["request_id"] == answer.headers["request-id"]
