"""Who may ask: keys, anonymous clients, and what a refusal looks like."""

import time

import pytest

from gateway.app.runtime import runtime
from gateway.conf import GatewayConf
from tests.conftest import asking, key_entry, rule
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


UNKNOWN = "this client key is not known here; ask whoever runs the gateway"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "x-api-key header is required"),
        ({"x-api-key": ""}, "x-api-key header is required"),
        ({"authorization": "Basic abc"}, "x-api-key header is required"),
        ({"x-api-key": "wrong"}, UNKNOWN),
        ({"authorization": "Bearer wrong"}, UNKNOWN),
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
        ({"revoked": True}, "this client key was revoked"),
        ({"expires_at": 60.0}, "this client key expired on 1970-01-01 00:01 UTC"),
        ({"owner_active": False}, "the account of this client key's owner is not active"),
    ],
)
async def test_a_key_that_no_longer_works_is_refused_with_the_reason(bench, fields, reason, open_to_all):
    bench.configure(keys=[key_entry(KEY, **fields)], anonymous_allowed=open_to_all)
    answer = await bench.client.messages(asking(), headers={"x-api-key": KEY})
    assert answer.status == 401
    assert answer.json["error"]["message"] == f"{reason}; ask whoever runs the gateway"
    assert bench.provider.requests == []


async def test_a_key_that_expires_later_is_taken(bench):
    bench.configure(keys=[key_entry(KEY, expires_at=time.time() + 100)])
    bench.provider.answers("m", completion())
    assert (await bench.client.messages(asking(), headers={"x-api-key": KEY})).status == 200


async def test_a_key_may_ask_only_for_its_models(bench):
    bench.configure(keys=[key_entry(KEY, allowed_models=("claude-*",))])
    answer = await bench.client.messages(asking(), headers={"x-api-key": KEY})
    assert (answer.status, answer.json["error"]["type"]) == (403, "permission_error")
    said = "model m (it may ask for: claude-*; for more ask whoever runs the gateway)"
    assert answer.json["error"]["message"].endswith(said)
    assert bench.recorder.last.key_name == "test"


@pytest.fixture(
    params=["POST /v1/messages", "POST /v1/messages/count_tokens", "GET /v1/models", "GET /v1/models/m"]
)
async def knock(request, bench):
    """Ask without any key; gives the answer. Whatever needs a key is behind the same door."""
    method, path = request.param.split()
    bench.provider.answers("m", completion())
    bench.client.headers.pop("x-api-key")
    bench.configure(rules=[rule("*", public_names=("m",))])

    async def ask(headers=None, **changes):
        for name, value in changes.items():
            setattr(bench.client, name, value)
        body = asking() if method == "POST" else b""
        return await bench.client.request(method, path, body, headers=headers)

    return ask


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "whatever"}, {"authorization": "Bearer whatever"}])
async def test_without_any_key_a_program_of_this_machine_is_served_whatever_it_shows(knock, headers):
    assert (await knock(headers)).status == 200


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({"address": "192.0.2.7"}, "this request came from another machine"),
        ({"headers": {"via": "1.1 proxy"}}, "a proxy passed this request on (via)"),
        ({"http_version": "1.0"}, "a proxy passed this request on (HTTP/1.0)"),
        ({"headers": {"host": "evil.example"}}, "this request asks for a host of another name"),
        ({"headers": {"host": None}}, "this request asks for a host of another name"),
        ({"headers": {"origin": "https://evil.example"}}, "a web page sent this request"),
        ({"headers": {"sec-fetch-site": "cross-site"}}, "a web page sent this request"),
    ],
)
async def test_without_any_key_others_are_refused_and_told_what_to_do(knock, bench, changes, sign):
    answer = await knock(**changes)
    assert (answer.status, bench.provider.requests) == (401, [])
    message = answer.json["error"]["message"]
    assert message.startswith("x-api-key header is required: without a key only programs on its own machine")
    assert f"and {sign}. There is no client key yet: make one" in message
    assert "`manage.py createclientkey NAME`" in message
    assert answer.headers["x-should-retry"] == "false"


async def test_with_allow_anonymous_everybody_is_served(knock, monkeypatch):
    monkeypatch.setattr("gateway.api.refusals.gateway_conf", lambda: GatewayConf(allow_anonymous=True))
    strange = {"x-forwarded-for": "203.0.113.5", "host": "evil.example"}
    assert (await knock(strange, address="192.0.2.7")).status == 200


async def test_where_keys_are_required_this_machine_too_is_told_to_make_one(knock, bench):
    bench.configure(anonymous_allowed=False)
    answer = await knock()
    assert answer.status == 401
    assert answer.json["error"]["message"].startswith("x-api-key header is required: There is no client key")


async def test_a_refused_body_is_in_the_history_when_the_key_was_known(keyed):
    answer = await keyed.client.messages(b"{", headers={"x-api-key": KEY})
    assert answer.status == 400
    assert keyed.recorder.last.key_name == "test"
    assert keyed.recorder.last.error_type == "invalid_request_error"


async def test_a_refused_key_is_counted_by_what_may_be_shown_of_it(bench, monkeypatch):
    told = []
    monkeypatch.setattr(runtime, "key_refused", lambda refusal, address: told.append((refusal, address)))
    bench.client.address = "192.0.2.7"
    bench.client.headers.pop("x-api-key")
    bench.configure(keys=[key_entry(KEY, revoked=True)])
    for shown in (KEY, "ccp_guessed-by-somebody", "sk-ant-of-somebody-else", None):
        await bench.client.messages(asking(), headers={"x-api-key": shown} if shown else {})
    facts = [(one.reason, one.prefix, bool(one.key_id), address) for one, address in told]
    assert facts == [
        ("revoked", "ccp_righ", True, "192.0.2.7"),
        ("unknown", "ccp_gues", False, "192.0.2.7"),
        ("unknown", "", False, "192.0.2.7"),
    ]


async def test_people_are_told_whom_to_ask(bench):
    bench.configure(keys=[key_entry(KEY, revoked=True)], contact="ann@example.com")
    answer = await bench.client.messages(asking(), headers={"x-api-key": KEY})
    assert answer.json["error"]["message"] == "this client key was revoked; ask ann@example.com"
