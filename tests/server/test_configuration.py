"""A change saved in one process is in force in another without a restart.

Within a second on a machine that has time for it: the processes look twice a second
(gateway/config/snapshot/current.py). A busy one gets ten times as long here.
"""

import time

import httpx
import pytest

from tests.conftest import asking
from tests.fakes.provider import FakeProvider, completion
from tests.server.conftest import environment, manage

pytestmark = pytest.mark.server
IN_FORCE = 10.0


@pytest.fixture
async def provider():
    fake = await FakeProvider().start()
    yield fake
    await fake.stop()


def change(served, code: str) -> float:
    """Run `code` in a process of its own with the same database; the time at which it was saved."""
    manage("shell", "-c", f"from gateway.models import *\n{code}", env=environment(served.data))
    return time.time()


async def asked(served, **headers):
    async with httpx.AsyncClient() as client:
        return await client.post(served.url + "/v1/messages", json=asking(model="x"), headers=headers)


async def test_mappings_providers_and_keys_changed_elsewhere_count_without_a_restart(serve, provider):
    for model in ("first", "second"):
        provider.answers(model, completion(model))
    served = serve()
    saved = change(
        served,
        "p = Provider.objects.create(name='P', slug='p', preset='generic', "
        f"base_url='{provider.base_url}', auth='none')\n"
        "ModelMapping.objects.create(pattern='x', position=1).lead_to(p, 'first')",
    )
    while (answer := await asked(served)).json().get("content", [{}])[0].get("text") != "first":
        assert time.time() - saved < IN_FORCE, answer.text

    saved = change(
        served, "MappingTarget.objects.filter(mapping__pattern='x').update(upstream_model='second')"
    )
    while (await asked(served)).json()["content"][0]["text"] != "second":
        assert time.time() - saved < IN_FORCE

    saved = change(served, "ClientKey.issue('k')")
    while (await asked(served)).status_code != 401:
        assert time.time() - saved < IN_FORCE


async def test_a_change_counts_in_every_process(serve, provider):
    models = ["zero", "one", "two", "three"]
    for model in models:
        provider.answers(model, completion(model))
    served = serve("serve", "--processes", "2")
    change(
        served,
        "p = Provider.objects.create(name='P', slug='p', preset='generic', "
        f"base_url='{provider.base_url}', auth='none')\n"
        "ModelMapping.objects.create(pattern='x', position=1).lead_to(p, 'zero')",
    )
    for model in models[1:]:
        saved = change(
            served, f"MappingTarget.objects.filter(mapping__pattern='x').update(upstream_model='{model}')"
        )
        # each on a connection of its own: so many in a row have met both processes
        in_a_row = 0
        while in_a_row < 16:
            content = (await asked(served)).json().get("content", [{}])
            in_a_row = in_a_row + 1 if content[0].get("text") == model else 0
            assert time.time() - saved < 3 * IN_FORCE, content


async def test_the_emergency_stop_is_in_force_in_every_process_within_two_seconds(serve, provider):
    provider.answers("m", completion("served"))
    settings = {"OPENAI_API_KEY": "sk-up", "OPENAI_BASE_URL": provider.base_url, "BIG_MODEL": "m"}
    served = serve("serve", "--processes", "2", **settings)
    for word, status in (("on", 503), ("off", 200)):
        manage("emergencystop", word, env=environment(served.data))
        saved = time.time()
        in_a_row = 0
        # each request is a new connection, which either process may get
        while in_a_row < 20:
            in_a_row = in_a_row + 1 if (await asked(served)).status_code == status else 0
            assert time.time() - saved < IN_FORCE
