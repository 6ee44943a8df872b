"""Answers in every framing and envelope, to a stream and to a whole request, whatever they are called."""

from __future__ import annotations

import json

import pytest

from tests.conftest import asking
from tests.fakes.provider import Answer

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def chunk(delta, finish=None):
    return {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


CHUNKS = [
    chunk({"role": "assistant", "content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    {"id": "c1", "choices": [], "usage": USAGE},
]
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
WHOLE = {"id": "c1", "object": "chat.completion", "choices": [CHOICE], "usage": USAGE}


def text(value, **options):
    return json.dumps(value, **options).encode()


def sse(values=CHUNKS, *, end=b"\n", field=b"data: ", done=True):
    every = [text(value) for value in values] + ([b"[DONE]"] if done else [])
    return b"".join(field + each + end + end for each in every)


READABLE = {
    "events": sse(),
    "events with CRLF": sse(end=b"\r\n"),
    "events with CR": sse(end=b"\r"),
    "events behind a byte order mark": b"\xef\xbb\xbf" + sse(),
    "events without a space": sse(field=b"data:"),
    "events without an end mark": sse(done=False),
    "events behind comments": b": OPENROUTER PROCESSING\n\n" * 3 + sse(),
    "events behind blank lines": b"\n\n\n" + sse(),
    "events within events": sse(field=b"data: data: "),
    "events with ids": b"retry: 1000\n\nid: 1\n" + sse(),
    "events with names": sse(field=b"event: message\ndata: "),
    "events without blank lines": sse().replace(b"\n\n", b"\n"),
    "JSON lines": b"\n".join(map(text, CHUNKS)),
    "JSON lines with an end mark": b"\n".join(map(text, CHUNKS)) + b"\n[DONE]\n",
    "a list of chunks": text(CHUNKS),
    "a list over many lines": text(CHUNKS, indent=2),
    "chunks in an envelope": sse([{"response": each} for each in CHUNKS]),
    "a whole answer": text(WHOLE),
    "a whole answer over many lines": text(WHOLE, indent=2),
    "a whole answer in white space": b"\n\n  \n" + text(WHOLE) + b"\n",
    "a whole answer behind a byte order mark": b"\xef\xbb\xbf" + text(WHOLE),
    "a whole answer in a list": text([WHOLE]),
    "a whole answer as an event": sse([WHOLE]),
    "a whole answer as the only event": sse([WHOLE], done=False),
    "a whole answer behind comments": b": ping\n\n: ping\n\n" + text(WHOLE),
    "a whole answer in data": text({"code": 0, "message": "success", "data": WHOLE}),
    "a whole answer in result": text({"result": WHOLE, "success": True, "errors": [], "messages": []}),
    "a whole answer in response": text({"response": WHOLE}),
    "chunks with NaN and raw tabs": sse().replace(b'"id": "c1"', b'"id": "c\t1", "logprobs": NaN'),
    "a whole answer with NaN": text({**WHOLE, "logprobs": float("nan"), "score": float("-inf")}),
    "a whole answer with raw line ends": text({**WHOLE, "about": "a-b"}).replace(b"a-b", b"a\n\tb"),
    "choices in output, usage beside": text({"output": {"choices": [CHOICE]}, "usage": USAGE}),
}
TYPES = ["text/event-stream", "application/json", None, "text/plain; charset=utf-8", "text/html"]


async def said(bench, body, content_type, *, stream):
    headers = {"content-type": content_type} if content_type else {}
    bench.provider.answers("m", Answer(headers=headers, body=body))
    return await bench.client.post("/v1/messages", asking("hi", stream=stream))


@pytest.mark.parametrize("form", READABLE)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_can_be_read_is_the_answer_in_any_framing(bench, form, stream):
    for content_type in TYPES:
        answer = await said(bench, READABLE[form], content_type, stream=stream)
        assert answer.status == 200, answer.json
        if stream:
            deltas = [each["delta"] for each in answer.events if each["type"] == "content_block_delta"]
            told = "".join(delta.get("text", "") for delta in deltas)
            [end] = [each for each in answer.events if each["type"] == "message_delta"]
            assert answer.events[-1]["type"] == "message_stop"
            stop, usage = end["delta"]["stop_reason"], end["usage"]
        else:
            told = "".join(block["text"] for block in answer.json["content"])
            stop, usage = answer.json["stop_reason"], answer.json["usage"]
        assert (told, stop) == ("Hello", "end_turn")
        assert (usage["input_tokens"], usage["output_tokens"]) == (9, 2)


ERROR = {"error": {"message": "boom", "code": 503}}
ERRORS = {
    "an error": text(ERROR),
    "an error in a list": text([ERROR]),
    "an error as an event": sse([ERROR], done=False),
    "an event named error": b"event: error\n" + sse([ERROR["error"]], done=False),
    "a code and a message": text({"code": 503, "message": "boom"}),
    "a status and a message": text({"status": 503, "message": "boom"}),
    "a status with both": text({"status": {"code": 503, "message": "boom"}}),
    "an error beside no choices": text({"choices": None, **ERROR}),
    "an error in an envelope": text({"result": None, "success": False, "errors": [ERROR["error"]]}),
    "an error behind comments": b": ping\n\n" + text(ERROR),
}


@pytest.mark.parametrize("form", ERRORS)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_with_a_200_has_its_words_in_any_framing(bench, form, stream):
    for content_type in TYPES:
        answer = await said(bench, ERRORS[form], content_type, stream=stream)
        assert answer.status in (502, 529)
        assert answer.json["error"]["message"] == "boom"


@pytest.mark.parametrize("error", [text(ERROR), sse([ERROR]), sse([[ERROR]]), text([ERROR])])
async def test_an_error_behind_text_has_its_words_in_any_framing(bench, error):
    body = sse(CHUNKS[:2], done=False) + error + b"\n"
    for stream in (True, False):
        answer = await said(bench, body, "text/event-stream", stream=stream)
        told = answer.json if answer.status != 200 else answer.events[-1]
        assert told["error"]["message"] == "boom"


@pytest.mark.parametrize(
    "body",
    [b"", b"\n\n", b"null", b"{}", b"[]", b'{"choices":[]}', b"data: [DONE]\n\n", b"<html>502</html>", b"a",
     text({"data": {"choices": []}}), text({"data": [WHOLE, WHOLE]}), sse(CHUNKS[:2], done=False)],
)  # fmt: skip
@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_no_answer_never_looks_like_one(bench, body, stream):
    for content_type in TYPES:
        answer = await said(bench, body, content_type, stream=stream)
        assert answer.status == 502 or answer.events[-1]["type"] == "error"
