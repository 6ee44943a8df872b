"""`manage.py evaluate` against a real database: killed in the middle it goes on, and asks nothing twice."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections import Counter

import httpx
import pytest

from tests.evaluation.scenario import CANDIDATE, RECORDED, ScriptedProvider, proposed, request_of, steps_of
from tests.server.conftest import ROOT, environment, manage, start, until

pytestmark = [pytest.mark.server, pytest.mark.once]
SESSIONS = range(4)
MADE = """
from django.contrib.auth import get_user_model
from django.utils import timezone
from gateway.evaluation.selection import StepFilter, make_dataset
from gateway.evaluation.starting import start
user = get_user_model().objects.create_superuser("owner", "", "a-long-password-of-a-test")
dataset = make_dataset(user, "d", StepFilter(), timezone.now())
start(user, dataset, "e", timezone.now(), provider="fake", upstream_model="candidate-model", concurrency=2)
"""


@pytest.fixture
def provider():
    """The scenario's provider on a loop of its own."""
    loop = asyncio.new_event_loop()
    made = ScriptedProvider()
    loop.run_until_complete(made.start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield made, loop
    asyncio.run_coroutine_threadsafe(made.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


def evaluating(folder) -> subprocess.Popen:
    log = (folder / "evaluate.log").open("ab")
    command = [sys.executable, "manage.py", "evaluate", "1"]
    return subprocess.Popen(command, cwd=ROOT, env=environment(folder), stdout=log, stderr=log)


def test_an_evaluation_that_is_killed_goes_on_and_asks_nothing_twice_that_it_stored(tmp_path, provider):
    scripted, loop = provider
    config = {
        "ccproxy": 1,
        "providers": [{"slug": "fake", "name": "Fake", "base_url": scripted.base_url, "auth": "none"}],
        "mappings": [{"pattern": "*", "targets": [{"provider": "fake", "upstream_model": RECORDED}]}],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    served = start(tmp_path, CONFIG_FILE=str(tmp_path / "config.json"), ALLOW_ANONYMOUS="true")
    try:
        for number in SESSIONS:
            for agent, step in steps_of(number):
                headers, body = request_of(number, agent, step)
                headers = {name: value for name, value in headers.items() if name not in SET_BY_HTTP}
                answer = httpx.post(f"{served.url}/v1/messages", json=body, headers=headers, timeout=60)
                assert answer.status_code == 200, answer.text
    finally:
        served.stop()
    manage("shell", "-c", MADE, env=environment(tmp_path))
    whole = [(number, *step) for number in SESSIONS for step in steps_of(number)]

    # two sessions go on until one of them waits for its answer
    held = scripted.held[1] = asyncio.Event()
    running = evaluating(tmp_path)
    try:
        until(lambda: len(stored(served)) >= 6 and (1, "", 0) in scripted.asked(CANDIDATE), 60)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait(30)
    before = stored(served)
    asked_before = Counter(scripted.asked(CANDIDATE))
    loop.call_soon_threadsafe(held.set)

    again = evaluating(tmp_path)
    assert again.wait(120) == 0, (tmp_path / "evaluate.log").read_text()
    after = stored(served)
    assert before.items() <= after.items()
    assert len(after) == len(whole)
    asked = Counter(scripted.asked(CANDIDATE))
    twice = {step for step, count in asked.items() if count > 1}
    # only what had no stored answer is asked again
    assert len(twice) <= 2
    assert sum(asked.values()) <= len(whole) + 2
    assert sum(asked_before.values()) >= len(before)
    verdicts = [row["verdict"] for row in served.rows(BY_PLACE)]
    assert Counter(verdicts) == Counter(proposed(*step)[1] for step in whole)
    [evaluation] = served.rows("SELECT state FROM gateway_evaluation")
    assert evaluation["state"] == "done"


SET_BY_HTTP = {"host", "content-length", "accept-encoding", "connection", "x-api-key"}
BY_PLACE = "SELECT * FROM gateway_evaluationstep ORDER BY recorded_id"


def stored(served):
    """{step: the request id of its answer} of what was compared."""
    rows = served.rows(BY_PLACE)
    return {row["recorded_id"]: row["answer_id"] for row in rows if row["state"] == "done"}
