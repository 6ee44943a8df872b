"""Who may ask: keys, anonymous clients, and what a refusal looks like."""

import time

import pytest

from tests.asgi_client import Client
from tests.conftest import asking, key_entry
from tests.fakes.provider import completion

KEY = "ccp_right"


@pytest.fixture
async def keyed(bench):
    bench.configure(keys=[key_entry(KEY)])
    bench.provider.answers("m", completion())
    bench.client.headers.pop("x-api-key")
    return bench


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEY},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"x-api-key": KEY, "authorization": "Bearer other"},
        {"x-api-key": "other", "authorization": f"Bearer {KEY}"},
    ],
)
async def test_either_header_with_the_right_key_is_enough(keyed, headers):
    answer = await keyed.client.messages(asking(), headers=headers)
    assert answer.status == 200
    assert keyed.recorder.last.key_name == "test"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "x-api-key header is required"),
        ({"x-api-key": ""}, "x-api-key header is required"),
        ({"authorization": "Basic abc"}, "x-api-key header is required"),
        ({"x-api-key": "wrong"}, "invalid x-api-key"),
        ({"authorization": "Bearer wrong"}, "invalid x-api-key"),
    ],
)
async def test_without_a_valid_key_nothing_is_asked_and_the_client_does_not_retry(keyed, headers, message):
    answer = await keyed.client.messages(asking(), headers=headers)
    assert answer.status == 401
    assert answer.json["error"] == {"type": "authentication_error", "message": message}
    assert answer.headers["x-should-retry"] == "false"
    assert keyed.provider.requests == []


@pytest.mark.parametrize("open_to_all", [False, True])
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"revoked": True}, "this key was revoked"),
        ({"expires_at": 1.0}, "this key has expired"),
        ({"owner_active": False}, "the account of this key's owner is not active"),
    ],
)
async def test_a_key_that_no_longer_works_is_refused_with_the_reason(bench, fields, reason, open_to_all):
    bench.configure(keys=[key_entry(KEY, **fields)], anonymous_allowed=open_to_all)
    answer = await bench.client.messages(asking(), headers={"x-api-key": KEY})
    assert answer.status == 401
    assert answer.json["error"]["message"].startswith(f"invalid x-api-key: {reason}; ask whoever runs")
    assert bench.provider.requests == []


async def test_a_key_that_expires_later_is_taken(bench):
    bench.configure(keys=[key_entry(KEY, expires_at=time.time() + 100)])
    bench.provider.answers("m", completion())
    assert (await bench.client.messages(asking(), headers={"x-api-key": KEY})).status == 200


async def test_a_key_may_ask_only_for_its_models(bench):
    bench.configure(keys=[key_entry(KEY, allowed_models=("claude-*",))])
    answer = await bench.client.messages(asking(), headers={"x-api-key": KEY})
    assert (answer.status, answer.json["error"]["type"]) == (403, "permission_error")
    assert answer.json["error"]["message"].endswith("model m")
    assert bench.recorder.last.key_name == "test"


async def test_without_any_key_a_client_on_this_machine_is_served_whatever_it_shows(bench):
    bench.provider.answers("m", completion())
    assert (await bench.client.messages(asking())).status == 200
    bench.client.headers.pop("x-api-key")
    assert (await bench.client.messages(asking())).status == 200


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip"])
async def test_without_any_key_a_proxys_client_is_not_this_machine(bench, name):
    answer = await bench.client.messages(asking(), headers={name: "203.0.113.5"})
    assert answer.status == 401


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://evil.example:8082", "null", "http://[", "http://localhost.evil.example"],
)
async def test_without_any_key_a_page_of_another_site_in_a_browser_here_is_refused(bench, origin):
    answer = await bench.client.messages(asking(), headers={"origin": origin})
    assert (answer.status, bench.provider.requests) == (401, [])


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1:8082", "http://[::1]:1", "vscode-webview://abc"]
)
async def test_without_any_key_a_page_of_this_machine_is_served(bench, origin):
    bench.provider.answers("m", completion())
    assert (await bench.client.messages(asking(), headers={"origin": origin})).status == 200


async def test_without_any_key_a_client_from_elsewhere_is_refused(bench):
    stranger = Client(bench.client.application, address="192.0.2.7")
    assert (await stranger.messages(asking())).status == 401


async def test_a_refused_body_is_in_the_history_when_the_key_was_known(keyed):
    answer = await keyed.client.messages(b"{", headers={"x-api-key": KEY})
    assert answer.status == 400
    assert keyed.recorder.last.key_name == "test"
    assert keyed.recorder.last.error_type == "invalid_request_error"
