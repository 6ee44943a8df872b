"""The faults of an upstream, and what a client, the history and a second target make of each.

`Fault.streamed` and `Fault.whole` are scripts (server.py) for a streamed and for a whole
answer; None: the fault does not exist in that form. The outcomes were derived from
docs/conversion.md, "Streams" and "Errors", before they were seen; test_faults.py holds each of
them against a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.fakes.provider import USAGE, chunk, completion
from tests.faults.seen import Seen
from tests.faults.server import CLOSE, HOLD, RESET, Endless, Trickle

MIB: Final = 1024 * 1024
SSE_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END: Final = b"0\r\n\r\n"


@dataclass(frozen=True)
class Outcome:
    """`client`: HTTP status and error type, `error event` and type, or `answer`. `attempts` of the first
    target, `when_two` if there is a second one (None: as many). `moves_on`: a second target is asked, and
    then the client gets its answer."""

    client: str
    attempts: int = 1
    moves_on: bool = False
    when_two: int | None = None


@dataclass(frozen=True)
class Fault:
    name: str
    streamed: tuple[Any, ...] | None
    whole: tuple[Any, ...] | None
    outcome: Outcome
    whole_outcome: Outcome | None = None
    place: str = "script"

    def expected(self, streamed: bool) -> Outcome:
        return self.outcome if streamed or self.whole_outcome is None else self.whole_outcome


def part(*data: bytes) -> bytes:
    """One chunk of a chunked body."""
    joined = b"".join(data)
    return b"%x\r\n%s\r\n" % (len(joined), joined)


def cut_part(data: bytes, announced: int = 4096) -> bytes:
    """The beginning of a chunk of `announced` bytes."""
    return b"%x\r\n%s" % (announced, data)


def plain(status: int, body: bytes, kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


TEXT: Final = part(chunk({"content": "Hello"}))
FINISH: Final = part(chunk({}, "stop"))
USED: Final = part(chunk(usage=USAGE))
DONE: Final = part(b"data: [DONE]\n\n")
BEGUN_CALL: Final = part(
    chunk(
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a":"b'},
                }
            ]
        }
    )
)
BODY: Final = completion("Hello").body or b""
JSON_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
HEAD: Final = JSON_HEAD + f"content-length: {len(BODY)}\r\n\r\n".encode()
HEALTHY_STREAM: Final = (SSE_HEAD, TEXT, FINISH, USED, DONE, END)
HEALTHY_WHOLE: Final = (HEAD, BODY)

UNREACHABLE: Final = Outcome("502 api_error", attempts=2, moves_on=True)
# the same target would be silent again, so a second one is asked at once
SILENT: Final = Outcome("504 timeout_error", attempts=2, moves_on=True, when_two=1)
USELESS: Final = Outcome("502 api_error", attempts=1, moves_on=True)
CUT: Final = Outcome("error event api_error")
LATE: Final = Outcome("error event timeout_error")
ANSWERED: Final = Outcome("answer")

BYTE_BY_BYTE: Final = Trickle(b"".join(HEALTHY_STREAM[1:]))
TALKATIVE: Final = part(b"".join(chunk({"content": f"w{n} "}) for n in range(10_000)))
_HUGE: Final = b"x" * (64 * MIB)

FAULTS: Final = (
    Fault("connection refused", (), (), UNREACHABLE, place="closed"),
    Fault("connection not accepted", (), (), SILENT, place="deaf"),
    Fault("reset at once", (RESET,), (RESET,), UNREACHABLE),
    Fault("reset before the headers", (0, RESET), (0, RESET), UNREACHABLE),
    Fault("closed before the headers", (CLOSE,), (CLOSE,), UNREACHABLE),
    Fault("reset in the headers", (SSE_HEAD[:40], RESET), (HEAD[:40], RESET), UNREACHABLE),
    Fault("reset after the headers", (SSE_HEAD, RESET), (HEAD, RESET), USELESS),
    Fault("closed after the headers", (SSE_HEAD, CLOSE), (HEAD, CLOSE), USELESS),
    Fault(
        "no HTTP at all",
        (b"\x00\x01 garbage\r\n\r\n", CLOSE),
        (b"\x00\x01 garbage\r\n\r\n", CLOSE),
        UNREACHABLE,
    ),
    Fault("stall before the headers", (HOLD,), (HOLD,), SILENT),
    Fault("stall in the headers", (SSE_HEAD[:40], HOLD), (HEAD[:40], HOLD), SILENT),
    Fault("stall after the headers", (SSE_HEAD, HOLD), (HEAD, HOLD), SILENT),
    Fault(
        "stall in the first event",
        (SSE_HEAD, cut_part(b'data: {"cho'), HOLD),
        (HEAD, BODY[:30], HOLD),
        SILENT,
    ),
    Fault("stall in mid-text", (SSE_HEAD, TEXT, HOLD), None, LATE),
    Fault("stall in a tool call", (SSE_HEAD, BEGUN_CALL, HOLD), None, LATE),
    Fault("stall after finish_reason", (SSE_HEAD, TEXT, FINISH, HOLD), None, ANSWERED),
    Fault("stall before [DONE]", (SSE_HEAD, TEXT, FINISH, USED, HOLD), None, ANSWERED),
    Fault(
        "one byte at a time",
        (SSE_HEAD, BYTE_BY_BYTE),
        (HEAD, Trickle(BODY)),
        Outcome("504 timeout_error"),
    ),
    Fault(
        "cut inside a UTF-8 character",
        (SSE_HEAD, TEXT, cut_part('data: {"choices":[{"index":0,"delta":{"content":"é'.encode()[:-1]), CLOSE),
        (HEAD, '{"choices":[{"message":{"content":"é'.encode()[:-1], CLOSE),
        CUT,
        USELESS,
    ),
    Fault(
        "cut inside a JSON string",
        (SSE_HEAD, TEXT, cut_part(b'data: {"choices":[{"index":0,"delta":{"content":"wo'), RESET),
        (HEAD, BODY[:60], RESET),
        CUT,
        USELESS,
    ),
    Fault("cut inside a tool call", (SSE_HEAD, BEGUN_CALL, CLOSE), None, CUT),
    Fault("ended inside a tool call", (SSE_HEAD, BEGUN_CALL, END), None, CUT),
    Fault("ended in mid-text", (SSE_HEAD, TEXT, END), None, CUT),
    Fault("cut after finish_reason", (SSE_HEAD, TEXT, FINISH, RESET), None, ANSWERED),
    Fault("cut before [DONE]", (SSE_HEAD, TEXT, FINISH, USED, CLOSE), None, ANSWERED),
    Fault("ended before [DONE]", (SSE_HEAD, TEXT, FINISH, USED, END), None, ANSWERED),
    Fault(
        "error object in a 200, first",
        (SSE_HEAD, part(b'data: {"error":{"message":"boom","code":500}}\n\n'), END),
        (plain(200, b'{"error":{"message":"boom","code":500}}'),),
        Outcome("500 api_error", attempts=2, moves_on=True),
    ),
    Fault(
        "error object in a 200, after text",
        (SSE_HEAD, TEXT, 0.1, part(b'data: {"error":{"message":"boom","code":500}}\n\n'), END),
        None,
        CUT,
    ),
    Fault(
        "overload in a 200",
        (SSE_HEAD, part(b'data: {"error":{"message":"busy","type":"overloaded_error"}}\n\n'), END),
        (plain(200, b'{"error":{"message":"busy","type":"overloaded_error"}}'),),
        Outcome("529 overloaded_error", attempts=2, moves_on=True),
    ),
    Fault("200 with HTML", *[(plain(200, b"<html>hi</html>", "text/html"),)] * 2, USELESS),
    Fault("200 with nothing", *[(plain(200, b"", "application/json"),)] * 2, USELESS),
    Fault("200 with other JSON", *[(plain(200, b'["hello"]'),)] * 2, USELESS),
    Fault("200 with broken JSON", *[(plain(200, b'{"choices": [{'),)] * 2, USELESS),
    Fault(
        "64 MiB without a newline",
        (SSE_HEAD, part(b"data: " + _HUGE), HOLD),
        (JSON_HEAD + b'\r\n{"x":"' + _HUGE + b'"}', CLOSE),
        USELESS,
    ),
    Fault("10,000 events in one packet", (SSE_HEAD, TALKATIVE, FINISH, USED, DONE, END), None, ANSWERED),
    Fault(
        "never ends",
        (SSE_HEAD, Endless(TEXT)),
        (HEAD.replace(b"content-length", b"x-length"), Endless(b" ")),
        LATE,
        Outcome("504 timeout_error"),
    ),
    Fault("headers of 1 MiB", *[(JSON_HEAD + b"x: " + b"y" * MIB + b"\r\n\r\n", CLOSE)] * 2, UNREACHABLE),
    Fault("redirect", *[(plain(302, b"", more="location: http://127.0.0.1:1/\r\n"),)] * 2, USELESS),
)

# docs/conversion.md, "Errors of providers": upstream status -> what the client gets; the rest of the row
# is in `_outcome`
_INVALID: Final = "400 invalid_request_error"
STATUSES: Final[dict[int, str]] = {
    400: _INVALID,
    401: "502 api_error",
    402: "402 billing_error",
    403: "403 permission_error",
    404: "404 not_found_error",
    405: _INVALID,
    406: _INVALID,
    408: "504 timeout_error",
    409: "409 conflict_error",
    413: "413 request_too_large",
    415: _INVALID,
    422: _INVALID,
    429: "429 rate_limit_error",
    498: "529 overloaded_error",
    500: "500 api_error",
    501: "502 api_error",
    502: "502 api_error",
    503: "529 overloaded_error",
    504: "504 timeout_error",
    **dict.fromkeys((520, 521, 522, 523, 525, 526, 527, 530), "502 api_error"),
    524: "504 timeout_error",
    529: "529 overloaded_error",
}
_NEVER_MOVES: Final = frozenset({400, 406, 409, 413, 415, 422})
_MOVES_AT_ONCE: Final = frozenset({401, 402, 403, 404, 405, 501})
FORMS: Final[dict[str, tuple[bytes, str]]] = {
    "JSON": (json.dumps({"error": {"message": "no"}}).encode(), "application/json"),
    "HTML": (b"<html><h1>no</h1></html>", "text/html"),
    "nothing": (b"", "text/plain"),
}


def _status_fault(status: int, form: str) -> Fault:
    body, kind = FORMS[form]
    script = (plain(status, body, kind),)
    if status in _NEVER_MOVES:
        outcome = Outcome(STATUSES[status])
    else:
        outcome = Outcome(STATUSES[status], 1 if status in _MOVES_AT_ONCE else 2, moves_on=True)
    return Fault(f"{status} with {form}", script, script, outcome)


STATUS_FAULTS: Final = tuple(_status_fault(status, form) for status in STATUSES for form in FORMS)
EVERY: Final = (*FAULTS, *STATUS_FAULTS)


def cells() -> Iterator[tuple[Fault, bool, bool]]:
    """(fault, streamed, with a second target) of every cell."""
    for fault in EVERY:
        for streamed in (True, False):
            if (fault.streamed if streamed else fault.whole) is not None:
                yield fault, streamed, False
                yield fault, streamed, True


def wanted(fault: Fault, streamed: bool, second: bool) -> Seen:
    """What must be seen of a cell, from the catalogue."""
    outcome = fault.expected(streamed)
    rescued = second and outcome.moves_on
    client = "answer" if rescued else outcome.client
    state = "ok" if client == "answer" else "broken" if client.startswith("error event") else "error"
    first = outcome.when_two if second and outcome.when_two is not None else outcome.attempts
    return Seen(client, state, first, int(rescued))
