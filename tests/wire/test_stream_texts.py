"""The texts of a stream are found in its raw bytes, as if each event was searched by itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import stored_stream as module
from gateway.wire.stored_stream import stream_texts

LITERAL = "sk-ant-"
_SAID = st.text(st.sampled_from('sk-ant"\\{}:,é\n x'), max_size=6)
_KEYS = st.sampled_from(["content", "reasoning_content", "refusal"])


def chat(key, said, **more):
    return {"id": "c1", "choices": [{"index": 0, "delta": {key: said}, "finish_reason": None}], **more}


def call(index, said):
    return {
        "id": "c1",
        "choices": [{"delta": {"tool_calls": [{"index": index, "function": {"arguments": said}}]}}],
    }


_EVENTS = st.one_of(
    st.builds(chat, _KEYS, _SAID),
    st.builds(lambda said: chat("content", said), _SAID),
    st.builds(lambda said, odd: chat("content", said, obfuscation=odd), _SAID, _SAID),
    st.builds(call, st.integers(0, 1), _SAID),
    st.builds(lambda said: {"type": "content_block_delta", "delta": {"text": said, "reasoning": "x"}}, _SAID),
    st.builds(lambda said: {"type": said, "name": "n"}, _SAID),
)
_LINES = st.builds(
    lambda event: b"data: " + json.dumps(event, ensure_ascii=False).encode(), _EVENTS
) | st.sampled_from(
    [b": sk-ant-", b"data: [DONE]", b'event: ping\ndata: {"type":"ping"}', b'data: {"content":"sk-ant']
)


def one_by_one(body):
    parts = module._SAID.split(body)
    return b"\n".join(parts[::2]), b"".join(parts[1::2])


@given(lines=st.lists(_LINES, max_size=12), end=st.sampled_from([b"\n\n", b"\r\n\r\n"]))
def test_what_stands_in_a_stream_is_found_wherever_it_is(lines, end):
    body = end.join([*lines, b""])
    found, plain = stream_texts(body), one_by_one(body)
    for literal in (b"sk-ant-", b"sk-", b"nt", b"ant-s", b"DONE", b"ping", b"choices"):
        if any(literal in part for part in plain):
            assert any(literal in part for part in found), literal


@given(
    runs=st.lists(
        st.tuples(st.sampled_from(["content", "reasoning_content"]), st.lists(_SAID, min_size=1, max_size=6)),
        max_size=4,
    )
)
def test_the_texts_of_a_stream_are_joined_in_order(runs):
    events = [chat(key, said) for key, texts in runs for said in texts]
    body = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    assert stream_texts(body).joined == one_by_one(body)[1]


def test_an_event_like_the_one_before_is_not_searched(monkeypatch):
    searched = []

    class Pattern:
        def __getattr__(self, name):
            return lambda event: searched.append(event) or getattr(real, name)(event)

    real = module._SAID
    monkeypatch.setattr(module, "_SAID", Pattern())
    body = b"".join(b"data: %b\n\n" % json.dumps(chat("content", f"w{n}")).encode() for n in range(300))
    assert stream_texts(body).joined == b"".join(b"w%d" % n for n in range(300))
    assert len(searched) < 12


@pytest.mark.parametrize("body", [b"", b"\n\n", b"data:", b"\ndata:\ndata:", b"\xff" * 9])
def test_a_stream_that_says_nothing_has_no_texts(body):
    assert stream_texts(body).joined == b""
