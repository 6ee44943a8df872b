"""One reader serves all clients of a process: no body that differs in any byte is read as another's."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import jsontext
from gateway.wire.request_cache import RequestReader
from tests.examples import examples
from tests.wire.test_request_cache import TOOLS, history, reader, request, text_of

KINDS = (b"0123456789", b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def differing(body, place):
    """`body` with another letter or digit at `place`, which leaves strings and numbers legal JSON."""
    kind = next(kind for kind in KINDS if body[place] in kind)
    other = kind[(kind.index(body[place]) + 1) % len(kind)]
    return body[:place] + bytes([other]) + body[place + 1 :]


def read_by(read, body):
    try:
        return repr(read(body))
    except jsontext.InvalidJSON as problem:
        return str(problem)


def is_read_alone(known, body):
    """Whether what is remembered makes no difference."""
    return read_by(lambda body: known.read(body)[0], body) == read_by(jsontext.loads, body)


def test_a_body_that_differs_in_any_one_byte_is_never_read_as_the_one_before():
    body = text_of(request(3, system=[{"type": "text", "text": "be brief"}]))
    places = [place for place, byte in enumerate(body) if chr(byte).isalnum()]
    assert len(places) > 300
    for place in places:
        known = reader()
        other = differing(body, place)
        assert read_by(jsontext.loads, other) != read_by(jsontext.loads, body)
        assert is_read_alone(known, body) and is_read_alone(known, other) and is_read_alone(known, body)


@settings(max_examples=examples(100))
@given(
    st.integers(1, 40_000),
    st.data(),
    st.sampled_from(["user", "assistant", "tools", "system"]),
    st.integers(0, 3),
)
def test_so_it_is_with_texts_of_any_length_young_or_old(length, data, where, between):
    place = data.draw(st.integers(0, length - 1))
    same = {name: "x" * (length if name == where else 5) for name in ("user", "assistant", "tools", "system")}
    changed = same[where][:place] + "y" + same[where][place + 1 :]

    def body_of(words):
        messages = [
            {"role": "user", "content": words["user"]},
            {"role": "assistant", "content": words["assistant"]},
            *history(2),
        ]
        lists = {"tools": [{"name": words["tools"]}], "system": [{"type": "text", "text": words["system"]}]}
        return text_of({"model": "m", "messages": messages, **lists})

    known = RequestReader(most_passages=200_000, most_lists=100_000, least_body=0)
    assert is_read_alone(known, body_of(same))
    for number in range(between):
        # the generations turn
        filler = {"role": "user", "content": str(number) * 60_000}
        known.read(text_of({"messages": [filler, *history(2)[1:]]}))
    assert is_read_alone(known, body_of({**same, where: changed}))
    assert is_read_alone(known, body_of(same))


@settings(max_examples=examples(100))
@given(st.lists(st.integers(1, 60), min_size=2, max_size=8), st.data())
def test_the_same_words_cut_into_other_messages_are_other_passages(lengths, data):
    words = data.draw(st.text("ab", min_size=sum(lengths), max_size=sum(lengths)))
    known = reader()
    for cut in (lengths, lengths[::-1], [sum(lengths)], lengths):
        left, messages = words, []
        for number, length in enumerate(cut):
            messages.append({"role": ("user", "assistant")[number % 2], "content": left[:length]})
            left = left[length:]
        assert is_read_alone(known, text_of({"messages": [*messages, *history(1)]}))


def test_equal_passages_at_other_places_are_told_apart():
    pair = history(1)[1:]
    known, messages = reader(), [{"role": "user", "content": "q"}, *pair, *pair, *pair]
    for _ in range(2):
        _, recurring = known.read(text_of({"messages": messages}))
        assert [part.first for part in recurring.passages] == [0, 1, 3]


def test_a_part_has_the_size_of_its_text():
    known = reader()
    _, recurring = known.read(text_of(request(2)))
    assert [part.size for part in recurring.passages] == [
        len(text_of(part.value)) - 2 for part in recurring.passages
    ]
    assert recurring.tools.size == len(text_of(TOOLS))
