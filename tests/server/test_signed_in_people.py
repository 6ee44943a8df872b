"""People who are signed in, at two processes on PostgreSQL and Redis: policy, verdicts, renewal, leaving."""

import asyncio
import json
import time

import httpx
import pytest

from tests.conftest import asking
from tests.fakes.provider import FakeProvider, completion
from tests.server.conftest import environment, manage
from tests.server.test_leavers import IN_FORCE

pytestmark = [pytest.mark.server, pytest.mark.once]

SIGN_IN = """
import json
from django.contrib.auth import get_user_model
from django.utils import timezone
from gateway.conf import gateway_conf
from gateway.config import sign_in
from gateway.security.encryption import seal_keys
ada, now = get_user_model().objects.create_user("ada", email="ada@example.com"), timezone.now()
begun = sign_in.begin("10.0.0.7", "claude-code/2.1.332", now)
sign_in.approve(sign_in.waiting(begun.user_code, now), ada, now)
made = sign_in.poll(begun.device_code, now, seal_keys(gateway_conf().field_encryption_keys), lambda _: True)
print(json.dumps([made.access_token, made.refresh_token]))
"""
POLICY = {"permissions": {"deny": ["WebFetch"]}}
# so many connections in a row meet both processes
BOTH = 16


async def in_both(url, headers, wanted):
    """Wait until BOTH requests in a row, each on a connection of its own, are answered with a status."""
    deadline, met = time.monotonic() + 60, 0
    while met < BOTH:
        assert time.monotonic() < deadline, met
        async with httpx.AsyncClient() as client:
            met = met + 1 if (await client.get(url, headers=headers)).status_code == wanted else 0


@pytest.mark.timeout(300)
async def test_who_is_signed_in_is_served_alike_by_both_and_refused_by_both(
    postgres, redis_server, serve, tmp_path
):
    provider = await FakeProvider().start()
    provider.answers("gpt-4o", completion("hi"))
    engines = {"DATABASE_URL": postgres.create("signed_in"), "REDIS_URL": redis_server.url()}
    env = environment(tmp_path, **engines)
    manage("migrate", "--verbosity", "0", env=env)
    served = serve(
        "serve", "--processes", "2", SIGN_IN="true", OPENAI_API_KEY="sk-up",
        OPENAI_BASE_URL=provider.base_url, **engines,
    )  # fmt: skip
    access, refresh = json.loads(manage("shell", "-v", "0", "-c", SIGN_IN, env=env).stdout)
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(POLICY))
    manage("setpolicy", "--user", "ada", str(file), env=env)
    bearer, settings = {"authorization": f"Bearer {access}"}, served.url + "/managed/settings"
    await in_both(settings, bearer, 200)

    async def renewed():
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        async with httpx.AsyncClient(timeout=60, verify=False) as client:
            return await client.post(served.url + "/oauth/token", data=form)

    async with httpx.AsyncClient(timeout=60, verify=False) as client:
        assert (await client.get(settings, headers=bearer)).json()["settings"] == POLICY
        body = asking(model="x", safeguards=[{"type": "dangerous_tool_use", "classifier_context": {"v": 1}}])
        answer = await client.post(served.url + "/v1/messages", json=body, headers=bearer)
        assert answer.status_code == 200, answer.text
        status = answer.json()["safeguard_results"][0]["status"]
        assert status == {"type": "unavailable", "reason": "disabled"}
    pairs = await asyncio.gather(*(renewed() for _ in range(3)))
    assert [pair.status_code for pair in pairs] == [200] * 3
    await in_both(settings, {"authorization": f"Bearer {pairs[0].json()['access_token']}"}, 200)

    manage("disableuser", "ada", env=env)
    left = time.monotonic()
    await in_both(settings, bearer, 401)
    assert time.monotonic() - left < IN_FORCE
    assert (await renewed()).json()["error"] == "invalid_grant"
    for _ in range(BOTH):
        async with httpx.AsyncClient(timeout=60, verify=False) as client:
            answer = await client.post(served.url + "/v1/messages", json=asking(model="x"), headers=bearer)
            assert (answer.status_code, answer.headers["x-should-retry"]) == (401, "false")
    await provider.stop()
