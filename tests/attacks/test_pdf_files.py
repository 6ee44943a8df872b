"""PDFs made to keep their reader busy: small, and never done. Nobody else waits for them."""

import contextlib
import json
import time

import pytest

from tests.attacks.toll import MB, cpu, processes, watched
from tests.attacks.wire import answer, connected, post, status
from tests.conversion.pdf_files import pdf_of_forms, pdf_of_streams
from tests.server.conftest import KEY, start, until

pytestmark = [pytest.mark.server, pytest.mark.once]

FILES = {
    "forms in forms": lambda: pdf_of_forms(b"BT (first) Tj ET"),
    "500 times one page of 1 MB": lambda: pdf_of_streams(b"BT (x) Tj ET " * 80_000, times=500),
    "a page of 60 MB": lambda: pdf_of_streams(b"BT (x) Tj ET " * 4_800_000),
    "a page that unpacks to 300 MB": lambda: pdf_of_streams(b" " * 300 * MB),
    "large numbers": lambda: pdf_of_streams(b"[" + b"9" * 4_000_000 + b"] TJ"),
}


@pytest.fixture(scope="module")
def attacked(provider, tmp_path_factory):
    served = start(
        tmp_path_factory.mktemp("attacked"),
        ANTHROPIC_API_KEY=KEY,
        OPENAI_API_KEY="sk-up",
        OPENAI_BASE_URL=provider.base_url,
        BIG_MODEL="m",
    )
    yield served
    readers = processes(served)[1:]
    served.stop()
    until(lambda: not any(map(runs, readers)))


def runs(pid):
    try:
        return cpu(pid) >= 0
    except OSError:
        return False


def asking(*files):
    source = {"type": "base64", "media_type": "application/pdf"}
    content = [{"type": "document", "source": {**source, "data": data}} for data in files]
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    return post(json.dumps(body).encode(), "connection: close")


@pytest.mark.parametrize("made", FILES.values(), ids=FILES.keys())
def test_a_file_costs_its_reader_some_seconds_and_others_nothing(attacked, made):
    request = asking(made())
    with watched(attacked, [attacked.process.pid]) as toll, connected(attacked) as connection:
        connection.sendall(request)
        assert status(answer(connection)) == 200
    # what its reader costs is bounded by the system (tests/relay/pdf_extraction/test_workers.py)
    assert toll.cpu < 1 and toll.held < 0.5
    assert toll.memory < 32


def test_a_client_that_leaves_takes_the_reader_with_it(attacked):
    idle = {pid: cpu(pid) for pid in processes(attacked)[1:]}
    with connected(attacked) as connection:
        connection.sendall(asking(pdf_of_forms(b"BT (and leaves) Tj ET")))
        readers = until(lambda: [pid for pid in processes(attacked)[1:] if cpu(pid) > idle.get(pid, 0) + 0.3])
    until(lambda: not any(map(runs, readers)), seconds=3)


def test_large_requests_are_served_while_a_key_sends_file_after_file(attacked):
    large = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "word " * 100_000}]}
    with contextlib.ExitStack() as stack:
        for number in range(8):
            connection = stack.enter_context(connected(attacked))
            connection.sendall(asking(pdf_of_forms(b"BT (%d) Tj ET" % number)))
        until(lambda: len(processes(attacked)) > 1)
        began = time.monotonic()
        with connected(attacked) as connection:
            connection.sendall(post(json.dumps(large).encode(), "connection: close"))
            assert status(answer(connection)) == 200
        assert time.monotonic() - began < 3
        # of one key one after the other
        assert len(processes(attacked)) <= 2
    # those who sent them have left
    until(lambda: not [pid for pid in processes(attacked)[1:] if runs(pid)], seconds=5)
