"""Fragments that follow each other become one event, and the stream says the same."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import messages, sse
from gateway.wire.message_reader import _from_events, read_answer
from gateway.wire.stored_stream import joined_deltas, other_events

_SAID = st.text(st.sampled_from('ab"\\}{\n é'), max_size=5)
_INDEX = st.integers(0, 1)


def two_texts(said):
    delta = {"type": "text_delta", "text": said, "x": said}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


_EVENTS = st.one_of(
    st.builds(messages.text_delta, _INDEX, _SAID),
    st.builds(lambda said: messages.text_delta(0, said), _SAID),
    st.builds(messages.thinking_delta, _INDEX, _SAID),
    st.builds(messages.signature_delta, _INDEX, _SAID),
    st.builds(messages.input_json_delta, _INDEX, _SAID),
    st.builds(two_texts, _SAID),
    st.builds(
        lambda index, text: messages.block_start(index, {"type": "text", "text": text}), _INDEX, _SAID
    ),
    st.builds(lambda said: messages.error_event({"type": "error", "error": {"message": said}}), _SAID),
    st.sampled_from([messages.PING, messages.block_stop(0), messages.MESSAGE_STOP]),
)  # fmt: skip


@given(events=st.lists(_EVENTS, max_size=20), tail=st.sampled_from([b"", b"\n", b"data: x\n\n", b"event: y"]))
def test_a_joined_stream_is_read_as_the_one_it_was(events, tail):
    stream = sse.encode_all([messages.message_start({"content": []}), *events]) + tail
    apart = _from_events(other_events(stream))
    assert _from_events(other_events(joined_deltas(stream))) == apart
    assert read_answer(stream) == apart


def test_an_answer_of_hundreds_of_fragments_is_a_few_events():
    texts = [f'{number} "é\n' for number in range(300)]
    stream = sse.encode_all(
        [
            messages.message_start({"content": []}),
            messages.block_start(0, {"type": "text", "text": ""}),
            *(messages.text_delta(0, text) for text in texts),
            messages.block_stop(0),
            messages.MESSAGE_STOP,
        ]
    )
    assert joined_deltas(stream).count(b"\ndata: ") < 8
    assert read_answer(stream).message == {"content": [{"type": "text", "text": "".join(texts)}]}


@given(stream=st.binary(max_size=80))
def test_any_other_bytes_stay_as_they_are(stream):
    assert joined_deltas(stream) == stream
