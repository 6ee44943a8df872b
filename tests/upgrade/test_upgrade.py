"""A database that an earlier revision filled goes on working.

`revision-e8fe7f4.sqlite3.xz` was filled by that revision itself: an installation with a provider and its
credential, a mapping, a price, a person with a client key, a pattern of secrets, and a history (40 made-up
requests, two streamed turns of one session and one call of a tool, asked by a client). It is never made anew.
"""

import lzma
import re
import sqlite3
from pathlib import Path

import httpx
import pytest

from tests.fakes.provider import FakeProvider, stream
from tests.server.conftest import environment, manage, start, until

FILLED = Path(__file__).with_name("revision-e8fe7f4.sqlite3.xz")
SECRETS = {
    "SECRET_KEY": "upgrade-fixture-secret-key-0123456789-abcdefghij",
    "FIELD_ENCRYPTION_KEYS": "dXBncmFkZS1maXh0dXJlLWtleS0wMTIzNDU2Nzg5YWI=",
}
KEY = "doras-client-key-0123456789"
CREDENTIAL = "acme-credential-0123456789"

# the fixture is an SQLite file
pytestmark = [pytest.mark.server, pytest.mark.once]


@pytest.fixture
async def provider():
    fake = await FakeProvider().start()
    yield fake
    await fake.stop()


@pytest.fixture
def upgraded(tmp_path, provider):
    """The gateway of today on the database of then; its provider is where ours is."""
    database = tmp_path / "ccproxy.sqlite3"
    database.write_bytes(lzma.decompress(FILLED.read_bytes()))
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE gateway_provider SET base_url = ? WHERE slug = 'acme'", [provider.base_url]
        )
    manage("migrate", "--verbosity", "0", env=environment(tmp_path, **SECRETS))
    served = start(tmp_path, **SECRETS)
    yield served
    served.stop()


@pytest.fixture
def console(upgraded):
    """The admin of then, signed in."""
    with httpx.Client(base_url=upgraded.url, follow_redirects=True, timeout=30, trust_env=False) as client:
        page = client.get("/admin/login/")
        form = {
            "username": "admin",
            "password": "admin-password-1",
            "csrfmiddlewaretoken": re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1],
            "next": "/admin/",
        }
        entered = client.post("/admin/login/", data=form, headers={"referer": upgraded.url})
        assert entered.status_code == 200 and entered.url.path == "/admin/"
        yield client


async def ask(served):
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        return await client.post(
            served.url + "/v1/messages",
            headers={"x-api-key": KEY},
            json={
                "model": "acme-x",
                "max_tokens": 10,
                "stream": True,
                "messages": [{"role": "user", "content": "Hi"}],
            },
        )


def found(console, word: str) -> set[str]:
    page = console.get("/admin/gateway/requestlog/", params={"q": word})
    return set(re.findall(r"/admin/gateway/requestlog/(\d+)/", page.text))


async def test_its_clients_are_served_and_the_credential_opens(upgraded, provider):
    provider.answers("acme-large", stream("Hello", " again"))
    before = {row["request_id"] for row in upgraded.rows()}

    answer = await ask(upgraded)

    assert answer.status_code == 200 and "again" in answer.text
    assert provider.requests[0].headers["authorization"] == f"Bearer {CREDENTIAL}"
    after = {row["request_id"] for row in upgraded.rows()}
    assert len(before) == 43 and before < after and len(after) == 44


def test_its_history_is_listed_found_and_read(upgraded, provider, console):
    turns = found(console, "zebra")
    assert len(turns) == 2
    for turn in turns:
        page = console.get(f"/admin/gateway/requestlog/{turn}/change/", params={"tab": "conversation"})
        assert "the quick brown zebra" in page.text and "TICKET-12345678" not in page.text
    for name in ("requestlog", "sessiontotal", "clientkey", "provider", "modelmapping", "modelprice"):
        assert console.get(f"/admin/gateway/{name}/").status_code == 200, name


async def test_what_is_asked_today_is_found_beside_it(upgraded, provider, console):
    provider.answers("acme-large", stream("A zebra", " of today"))
    await ask(upgraded)
    # the follow-up indexes it beside the requests
    until(lambda: len(found(console, "zebra")) == 3)
