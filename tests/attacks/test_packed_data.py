"""Small data that becomes large: signatures that clients write, and answers that providers compress."""

import base64
import gzip
import json
import zlib
from functools import cache

import pytest

from tests.attacks.toll import MB, watched
from tests.attacks.wire import answer, connected, post, status
from tests.fakes.provider import Answer, completion

pytestmark = [pytest.mark.server, pytest.mark.once]


def packed(size):
    """What the gateway would pack, with that many bytes of text in it; nobody signed it."""
    text = json.dumps({"v": 1, "p": "openai", "m": "m", "t": "x" * size, "rd": [{"text": "y" * 100}]})
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).rstrip(b"=").decode()


def asking(messages, **more):
    body = {"model": "m", "max_tokens": 9, "messages": messages, **more}
    return post(json.dumps(body).encode(), "connection: close")


def signatures(number, tag):
    made = f"gw1.{packed(4 * MB - 300)}{tag}"
    block = {"type": "thinking", "thinking": "", "signature": made}
    turn = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [block]}]
    return [*turn * number, {"role": "user", "content": "go on"}]


def tool_ids(number, tag):
    payload = packed(64 * 1024 - 300)
    messages = [{"role": "user", "content": "hi"}]
    for n in range(number):
        name = f"call_{n}_gw1_{payload}{tag}"
        messages += [
            {"role": "assistant", "content": [{"type": "tool_use", "id": name, "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": name, "content": "ok"}]},
        ]
    return messages


KINDS = {
    "signatures": lambda: signatures(40, ""),
    "signatures with a tag": lambda: signatures(40, "." + "A" * 22),
    "tool ids": lambda: tool_ids(200, ""),
    "tool ids with a tag": lambda: tool_ids(200, "A" * 22),
}


@pytest.mark.parametrize("made", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_what_nobody_signed_is_not_unpacked(attacked, provider, made, path):
    request = asking(made()).replace(b"/v1/messages", path.encode(), 1)
    before = len(provider.requests)
    with watched(attacked) as toll, connected(attacked) as connection:
        connection.sendall(request)
        found = answer(connection)
    assert status(found) in (200, 400)
    assert toll.cpu < 1 and toll.held < 0.3
    assert toll.memory < 32
    for sent in provider.requests[before:]:
        assert len(sent.raw) < len(request) + MB


@cache
def zipped():
    """Whole JSON with 300 MB of text."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head, _, tail = completion("@").body.partition(b"@")
    pieces = [packer.compress(head)]
    pieces += [packer.compress(b" " * MB) for _ in range(300)]
    return b"".join([*pieces, packer.compress(tail), packer.flush()])


# what is announced, and what makes the body
BOMBS = {
    "gzip": ("gzip", zipped),
    "gzip in gzip": ("gzip, gzip", lambda: gzip.compress(zipped())),
    "zstd": ("zstd", lambda: b"\x28\xb5\x2f\xfd" + bytes(30_000)),
    "br": ("br", lambda: bytes(30_000)),
    "deflate": ("deflate", lambda: zlib.compress(bytes(30 * MB))),
}


@pytest.mark.parametrize(("coding", "made"), BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_becomes_large_is_given_up(attacked, provider, coding, made, streamed):
    kind = "text/event-stream" if streamed else "application/json"
    headers = {"content-type": kind, "content-encoding": coding}
    provider.answers("m", Answer(headers=headers, body=made()))
    try:
        request = asking([{"role": "user", "content": "hi"}], stream=streamed)
        with watched(attacked) as toll, connected(attacked) as connection:
            connection.sendall(request)
            found = answer(connection)
    finally:
        provider.answers("m", completion())
    assert status(found) == 502 or (streamed and b"event: error" in found)
    assert toll.held < 0.5
    # 64 MB is as long as an answer may be
    assert toll.memory < 200 and toll.cpu < 4
