"""Shares and ramps in real processes: two gateways on one database, a restart, a target that fails."""

import asyncio
import json

import httpx
import pytest

from tests.conftest import asking
from tests.fakes.provider import FakeProvider, completion, error
from tests.server.conftest import environment, follows, manage, start, until

# two gateways on one SQLite file
# three starts of a gateway, and two looks of the watch, on a machine that may be busy
pytestmark = [pytest.mark.server, pytest.mark.once, pytest.mark.timeout(400)]

FAILING_STEPS = [{"share": 50, "seconds": 86_400}]


@pytest.fixture
async def provider():
    fake = await FakeProvider().start()
    fake.answers("one", completion("one"))
    fake.answers("two", completion("two"))
    yield fake
    await fake.stop()


def configure(folder, provider, *weights, **mapping):
    targets = [
        {"provider": "fake", "upstream_model": model, "weight": weight}
        for model, weight in zip(("one", "two"), weights, strict=True)
    ]
    sections = {
        "providers": [
            {"slug": "fake", "name": "Fake", "base_url": provider.base_url, "auth": "none", "max_retries": 0}
        ],
        "mappings": [{"pattern": "*", "targets": targets, **mapping}],
    }  # fmt: skip
    file = folder / "configuration.json"
    file.write_text(json.dumps({"ccproxy": 1, **sections}))
    manage("importconfig", str(file), env=environment(folder))


async def said(client, served, session, turn=0):
    messages = [{"role": "user", "content": "go"}]
    for number in range(turn):
        messages += [{"role": "assistant", "content": f"{number}"}, {"role": "user", "content": "on"}]
    answer = await client.post(
        served.url + "/v1/messages",
        json={**asking(), "messages": messages},
        headers={"x-claude-code-session-id": session},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["content"][0]["text"]


async def test_a_session_keeps_its_arm_through_fifty_turns_two_gateways_and_a_restart(tmp_path, provider):
    first = start(tmp_path)
    try:
        configure(tmp_path, provider, 1, 1)
        second = start(tmp_path)
        try:
            async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
                arms = {}
                for session in ("a", "b", "c", "d", "e", "f"):
                    arms[session] = {
                        await said(client, (first, second)[turn % 2], session, turn) for turn in range(50)
                    }
                assert all(len(texts) == 1 for texts in arms.values())
                assert {text for texts in arms.values() for text in texts} == {"one", "two"}
                await asyncio.to_thread(first.stop)
                first = await asyncio.to_thread(start, tmp_path)
                for session, texts in arms.items():
                    assert await said(client, first, session, 51) in texts
        finally:
            second.stop()
    finally:
        first.stop()
    rows = first.rows("SELECT DISTINCT session_id, arm, arm_share FROM gateway_requestlog")
    assert len(rows) == 6 and {row["arm_share"] for row in rows} == {0.5}


async def test_a_new_target_that_fails_is_rolled_back_and_no_request_is_lost(tmp_path, provider):
    provider.answers("two", error(503, "no"))
    served = start(tmp_path)
    try:
        ramp = {
            "target": 1,
            "steps": FAILING_STEPS,
            "guard_errors": 5,
            "guard_sessions": 3,
            "guard_minutes": 5,
        }
        configure(tmp_path, provider, None, None, ramp=ramp)

        def state():
            return served.rows("SELECT state, figures FROM gateway_ramp")[0]

        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            # the watch begins with a process's first request
            assert await said(client, served, "before") == "one"
            await asyncio.to_thread(until, lambda: state()["state"] == "running", 120)
            await asyncio.to_thread(follows, served)
            for number in range(24):
                assert await said(client, served, f"session {number}") == "one"
            await asyncio.to_thread(until, lambda: state()["state"] == "rolled_back", 120)
            figures = json.loads(state()["figures"])
            assert (figures["guard"], figures["seen"]) == ("errors", 100)

            def given_back():
                named = "SELECT upstream_model, weight FROM gateway_mappingtarget"
                weights = {row["upstream_model"]: row["weight"] for row in served.rows(named)}
                return (weights["one"], weights["two"]) == (100, None)

            await asyncio.to_thread(until, given_back, 60)
            await asyncio.to_thread(follows, served)
            for number in range(24):
                assert await said(client, served, f"session {number}") == "one"
        last = served.rows("SELECT arm FROM gateway_requestlog ORDER BY id DESC LIMIT 24")
        assert {row["arm"] for row in last} == {"fake/one"}
        statuses = {row["status"] for row in served.rows()}
        assert statuses == {200}
    finally:
        served.stop()
