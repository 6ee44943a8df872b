"""One connection, fed by hand: framing, limits, flow control, what may be used again."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.http1.connection import (
    JOINED,
    MAX_HEAD,
    MAX_HEADERS,
    STALE_WINDOW,
    ConnectionOrigin,
    LeanConnection,
    StaleConnection,
)
from gateway.upstream.http1.response import HIGH_WATER

ORIGIN = ConnectionOrigin("http", "127.0.0.1", 80)
BODY = b"Hello, world: \xf0\x9f\x8c\x8d"
SIZED = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-Empty:\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-Empty:\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"7;note=x\r\n%s\r\n%x\r\n%s\r\n0\r\nX-Trailer: t\r\n\r\n" % (BODY[:7], len(BODY) - 7, BODY[7:])
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-Empty:\r\n\r\n%s" % BODY
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes = []
        self.reading = True
        self.closed = False
        self.unsent = 0

    def write(self, data):
        self.writes.append(bytes(data))

    def writelines(self, parts):
        self.writes.append(list(parts))

    def pause_reading(self):
        assert self.reading
        self.reading = False

    def resume_reading(self):
        assert not self.reading
        self.reading = True

    def is_closing(self):
        return self.closed

    def abort(self):
        self.closed = True

    def get_write_buffer_size(self):
        return self.unsent


class FakeLoop:
    """The clock and the timers of a loop."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers = []

    def time(self):
        return self.now

    def create_future(self):
        raise AssertionError("nothing may wait here")

    def call_later(self, delay, callback):
        timer = Timer(callback)
        self.timers.append((delay, timer))
        return timer


class Timer:
    def __init__(self, callback) -> None:
        self.callback = callback

    def cancel(self):
        self.callback = None


class Owner:
    def __init__(self) -> None:
        self.kept = []
        self.gone = []

    def idle(self, connection):
        self.kept.append(connection)

    def lost(self, connection):
        self.gone.append(connection)


class Wire:
    """A connection with everything around it, and one exchange begun."""

    def __init__(self) -> None:
        self.owner, self.loop, self.transport = Owner(), FakeLoop(), FakeTransport()
        self.connection = LeanConnection(ORIGIN, self.owner, self.loop)
        self.connection.connection_made(self.transport)
        self.answer = self.connection.start(b"HEAD", b"BODY", 60.0)

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)

    def again(self):
        self.answer = self.connection.start(b"HEAD", b"BODY", 60.0)
        return self.answer

    @property
    def kept(self) -> bool:
        return self.owner.kept == [self.connection] and not self.transport.closed


def step(coroutine):
    """The value of a coroutine that needs no loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


def pieces(answer) -> list[bytes]:
    """Everything that can be taken now, to the end."""
    taken = []
    while True:
        try:
            taken.append(step(answer.__anext__()))
        except StopAsyncIteration:
            return taken


def body(answer) -> bytes:
    return b"".join(pieces(answer))


# --- framing ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [SIZED, CHUNKED, INTERIM + INTERIM + CHUNKED], ids=["sized", "chunked", "1xx"]
)
def test_an_answer_split_between_any_two_bytes_is_the_same(raw):
    for cut in range(1, len(raw)):
        wire = Wire()
        wire.feed(raw[:cut], raw[cut:])
        assert wire.answer.status == 200
        assert (b"X-A", b"1") in wire.answer.headers
        assert (b"X-Empty", b"") in wire.answer.headers
        assert body(wire.answer) == BODY
        assert wire.kept


@pytest.mark.parametrize("raw", [SIZED, CHUNKED, INTERIM + SIZED], ids=["sized", "chunked", "1xx"])
def test_an_answer_byte_by_byte_is_the_same(raw):
    wire = Wire()
    wire.feed(*(raw[at : at + 1] for at in range(len(raw))))
    assert (wire.answer.status, body(wire.answer), wire.kept) == (200, BODY, True)
    assert [name for name, _ in wire.answer.headers][:2] == [b"X-A", b"X-Empty"]


def test_a_body_without_framing_ends_with_the_connection_byte_by_byte():
    wire = Wire()
    wire.feed(*(UNTIL_CLOSE[at : at + 1] for at in range(len(UNTIL_CLOSE))))
    wire.connection.eof_received()
    assert body(wire.answer) == BODY
    assert not wire.owner.kept
    assert wire.transport.closed


header_names = st.from_regex(rb"\AX-[A-Za-z0-9]{1,8}\Z")
header_values = st.from_regex(rb"\A[!-~]([ -~]{0,20}[!-~])?\Z")


@st.composite
def answers(draw):
    """Raw bytes, headers, body, whether the end of the connection ends it."""
    headers = draw(st.lists(st.tuples(header_names, header_values), max_size=8))
    parts = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    content = b"".join(parts)
    framing = draw(st.sampled_from(["sized", "chunked", "close"]))
    head = INTERIM * draw(st.integers(0, 2)) + b"HTTP/1.1 200 Fine\r\n"
    head += b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    if framing == "sized":
        raw = head + b"Content-Length: %d\r\n\r\n" % len(content) + content
    elif framing == "chunked":
        trailer = b"X-T: 1\r\n" * draw(st.integers(0, 2))
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        raw = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailer + b"\r\n"
    else:
        raw = head + b"\r\n" + content
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    split = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True) if b > a]
    return split, headers, content, framing == "close"


@given(answers())
def test_any_split_of_any_answer_gives_its_headers_and_body(drawn):
    split, headers, content, until_close = drawn
    wire = Wire()
    wire.feed(*split)
    if until_close:
        wire.connection.eof_received()
    assert wire.answer.headers[: len(headers)] == headers
    assert body(wire.answer) == content
    assert wire.kept is not until_close


def test_what_one_read_brought_is_one_piece():
    wire = Wire()
    wire.feed(CHUNKED[: CHUNKED.index(b"\r\n\r\n") + 4])
    wire.feed(b"1\r\na\r\n" * 100)
    assert step(wire.answer.__anext__()) == b"a" * 100


def test_what_waited_is_taken_as_one_piece():
    wire = Wire()
    wire.feed(CHUNKED[: CHUNKED.index(b"\r\n\r\n") + 4], b"1\r\na\r\n", b"1\r\nb\r\n", b"0\r\n\r\n")
    assert pieces(wire.answer) == [b"ab"]


def test_an_answer_without_a_body_is_complete_with_its_head():
    wire = Wire()
    wire.feed(EMPTY)
    assert (wire.answer.status, pieces(wire.answer), wire.kept) == (204, [], True)


def test_two_framings_at_once_mean_chunks_and_no_second_use():
    wire = Wire()
    wire.feed(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    )
    assert body(wire.answer) == b"a"
    assert wire.transport.closed


def test_a_coding_other_than_chunks_ends_with_the_connection():
    wire = Wire()
    wire.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc")
    wire.connection.connection_lost(None)
    assert body(wire.answer) == b"abc"


def test_bare_line_feeds_and_padded_chunk_sizes_are_put_up_with():
    wire = Wire()
    wire.feed(b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2  \r\nok\r\n0\r\n\r\n")
    assert body(wire.answer) == b"ok"


# --- cuts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [SIZED[:-1], CHUNKED[:-4], CHUNKED[: CHUNKED.index(b"7;") + 12], SIZED[:20], INTERIM],
    ids=["sized", "last chunk", "chunk", "head", "1xx"],
)
@pytest.mark.parametrize("reset", [True, False])
def test_a_cut_answer_never_looks_complete(raw, reset):
    wire = Wire()
    wire.feed(raw)
    if reset:
        wire.connection.connection_lost(ConnectionResetError("reset"))
    else:
        wire.connection.eof_received()
    with pytest.raises(httpx.ReadError if reset else httpx.RemoteProtocolError):
        pieces(wire.answer)
    assert not wire.owner.kept
    assert wire.owner.gone


def test_a_reset_breaks_a_body_that_only_a_proper_end_completes():
    wire = Wire()
    wire.feed(UNTIL_CLOSE)
    wire.connection.connection_lost(ConnectionResetError("reset"))
    assert step(wire.answer.__anext__()) == BODY
    with pytest.raises(httpx.ReadError) as caught:
        step(wire.answer.__anext__())
    assert isinstance(caught.value.__cause__, ConnectionResetError)


def test_the_data_before_an_invalid_chunk_are_given_first():
    wire = Wire()
    wire.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzzz\r\n")
    assert step(wire.answer.__anext__()) == b"a"
    with pytest.raises(httpx.RemoteProtocolError, match="not valid HTTP"):
        step(wire.answer.__anext__())
    assert wire.transport.closed


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-OpenSSH\r\n", b"\x15\x03\x01\x00\x02\x02P", b"HTTP/1.1 2x0 OK\r\n\r\n"]
)
def test_what_is_not_http_is_an_error(raw):
    wire = Wire()
    wire.feed(raw)
    with pytest.raises(httpx.RemoteProtocolError):
        step(wire.answer.head())


def test_a_switch_to_another_protocol_is_an_error():
    wire = Wire()
    wire.feed(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    with pytest.raises(httpx.RemoteProtocolError, match="another protocol"):
        step(wire.answer.head())


# --- limits -------------------------------------------------------------------------


def endless(start: bytes, more: bytes, reads: int = 200):
    wire = Wire()
    wire.feed(start)
    for _ in range(reads):
        if wire.transport.closed:
            return wire
        wire.feed(more)
    raise AssertionError("it was read on and on")


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Big: ", b"a" * 4096),
        (b"HTTP/1.1 200 OK\r\n", b"X-B: " + b"a" * 4000 + b"\r\n"),
        (b"HTTP/1.1 200 " + b"O" * 100, b"O" * 4096),
        (INTERIM, INTERIM * 50),
        (CHUNKED[: CHUNKED.index(b"7;")] + b"1;", b"x" * 4096),
        (CHUNKED[:-2], b"X-T: " + b"a" * 4000 + b"\r\n"),
        (CHUNKED[:-2] + b"X-T: ", b"a" * 4096),
    ],
    ids=["one header", "headers", "reason", "1xx", "chunk extension", "trailers", "one trailer"],
)
def test_nothing_around_the_body_is_read_without_end(start, more):
    wire = endless(start, more)
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        pieces(wire.answer)


def test_a_large_head_in_one_read_is_refused_too():
    wire = Wire()
    wire.feed(b"HTTP/1.1 200 OK\r\nX-Big: " + b"a" * MAX_HEAD + b"\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        step(wire.answer.head())


def test_too_many_headers_are_refused():
    wire = Wire()
    wire.feed(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\n")
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        step(wire.answer.head())


def test_the_limit_counts_between_pieces_of_body_not_over_the_whole_answer():
    wire = Wire()
    wire.feed(CHUNKED[: CHUNKED.index(b"7;")])
    for _ in range(MAX_HEAD // 100):
        wire.feed(b"1;" + b"x" * 200 + b"\r\n", b"a\r\n")
    assert not wire.transport.closed


# --- flow control -------------------------------------------------------------------


def test_reading_stops_above_the_high_water_mark_and_goes_on_when_all_was_taken():
    wire = Wire()
    wire.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    wire.feed(b"a" * HIGH_WATER)
    assert wire.transport.reading
    wire.feed(b"a")
    assert not wire.transport.reading
    # some transports deliver once more
    wire.feed(b"b")
    assert len(step(wire.answer.__anext__())) == HIGH_WATER + 2
    assert wire.transport.reading


def test_a_connection_that_was_paused_at_the_end_reads_again_when_it_is_kept():
    wire = Wire()
    wire.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (HIGH_WATER + 2), b"a" * (HIGH_WATER + 1))
    assert not wire.transport.reading
    wire.feed(b"a")
    assert wire.kept
    assert wire.transport.reading
    assert len(body(wire.answer)) == HIGH_WATER + 2
    assert wire.transport.reading


# --- writing ------------------------------------------------------------------------


def test_a_small_request_is_one_write_and_a_large_body_is_not_copied():
    wire = Wire()
    assert wire.transport.writes == [b"HEADBODY"]
    wire.feed(EMPTY)
    large = bytes(JOINED + 1)
    wire.connection.start(b"HEAD", large)
    assert wire.transport.writes[1][1] is large


def test_a_server_that_does_not_read_the_request_is_given_up():
    wire = Wire()
    wire.connection.pause_writing()
    ((delay, timer),) = wire.loop.timers
    assert delay == 60.0
    timer.callback()
    with pytest.raises(httpx.WriteTimeout):
        step(wire.answer.head())
    assert wire.transport.closed


def test_a_server_that_reads_a_large_request_slowly_has_the_time_again():
    wire = Wire()
    wire.transport.unsent = 30_000_000
    wire.connection.pause_writing()
    for _ in range(20):
        wire.transport.unsent -= 1_000_000
        wire.loop.timers[-1][1].callback()
    assert len(wire.loop.timers) == 21 and not wire.transport.closed
    wire.loop.timers[-1][1].callback()
    with pytest.raises(httpx.WriteTimeout):
        step(wire.answer.head())


def test_a_server_that_reads_on_is_not():
    wire = Wire()
    wire.connection.pause_writing()
    wire.connection.resume_writing()
    assert wire.loop.timers[0][1].callback is None


def test_an_answer_before_the_end_of_the_request_costs_the_connection():
    wire = Wire()
    wire.transport.unsent = 1
    wire.feed(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert wire.answer.status == 413
    assert pieces(wire.answer) == []
    assert wire.transport.closed


# --- the second use -----------------------------------------------------------------


def test_trailers_of_one_answer_do_not_become_headers_of_the_next():
    wire = Wire()
    wire.feed(CHUNKED)
    answer = wire.again()
    wire.feed(SIZED)
    assert b"X-Trailer" not in dict(answer.headers)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + SIZED,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok?",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok?",
    ],
    ids=["close", "1.0", "second answer", "surplus", "surplus behind close"],
)
def test_an_answer_is_whole_although_its_connection_cannot_be_kept(raw):
    wire = Wire()
    wire.feed(raw)
    assert body(wire.answer) == b"ok"
    assert len(wire.answer.headers) <= 2
    assert not wire.owner.kept
    assert wire.transport.closed


@pytest.mark.parametrize("event", ["data", "eof", "lost"])
def test_anything_that_happens_to_an_idle_connection_ends_it(event):
    wire = Wire()
    wire.feed(EMPTY)
    {
        "data": lambda: wire.feed(b"HTTP/1.1 408 Request Timeout\r\n\r\n"),
        "eof": wire.connection.eof_received,
        "lost": lambda: wire.connection.connection_lost(None),
    }[event]()
    assert not wire.connection.usable
    assert wire.owner.gone == [wire.connection]


@pytest.mark.parametrize("problem", [None, ConnectionResetError("reset")])
def test_a_kept_connection_that_ends_before_a_byte_is_stale(problem):
    wire = Wire()
    wire.feed(EMPTY)
    answer = wire.again()
    wire.loop.now += STALE_WINDOW / 2
    wire.connection.connection_lost(problem)
    with pytest.raises(StaleConnection):
        step(answer.head())


def test_a_fresh_connection_a_late_end_and_a_byte_of_answer_are_not_stale():
    fresh, late, begun = Wire(), Wire(), Wire()
    for wire in (late, begun):
        wire.feed(EMPTY)
        wire.again()
    late.loop.now += STALE_WINDOW
    begun.feed(b"H")
    for wire in (fresh, late, begun):
        wire.connection.connection_lost(ConnectionResetError("reset"))
        with pytest.raises(httpx.ReadError) as caught:
            step(wire.answer.head())
        assert not isinstance(caught.value, StaleConnection)


def test_giving_up_an_answer_after_its_end_leaves_the_next_exchange_alone():
    wire = Wire()
    wire.feed(EMPTY)
    first = wire.answer
    second = wire.again()
    first.close()
    assert not wire.transport.closed
    second.close()
    assert wire.transport.closed


def test_aborting_twice_tells_the_pool_once():
    wire = Wire()
    wire.connection.abort()
    wire.connection.abort()
    wire.connection.connection_lost(None)
    assert wire.owner.gone == [wire.connection]
    with pytest.raises(httpx.ReadError):
        step(wire.answer.head())


def test_a_connection_given_up_while_it_was_opened_closes_when_it_opens():
    connection, transport = LeanConnection(ORIGIN, Owner(), FakeLoop()), FakeTransport()
    connection.abort()
    connection.connection_made(transport)
    assert transport.closed
