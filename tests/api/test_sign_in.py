"""Sign-in as the client meets it: the captured requests, against the real endpoints and the database."""

import dataclasses
import json
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone

from gateway import conf
from gateway.api import auth, client_services, head
from gateway.api import sign_in as views
from gateway.config import sign_in
from gateway.config.last_policies import LastPolicies
from gateway.config.snapshot.loader import load
from gateway.errors import DatabaseAway, NotReady
from gateway.models import ClientKey, ManagedPolicy
from gateway.security.access_tokens import new_access_token
from tests.conftest import FixedConfiguration, asking, rule
from tests.fakes.provider import completion

pytestmark = pytest.mark.django_db(transaction=True)
CAPTURES = Path(__file__).parents[1] / "captures" / "gateway-protocol"
FORM = {"content-type": "application/x-www-form-urlencoded"}
KEYS = (b"k" * 32,)


@pytest.fixture
async def gateway(bench, monkeypatch):
    changed = dataclasses.replace(conf.gateway_conf(), sign_in=True, public_url="http://gw.example:8000")
    for module in (views, client_services, head):
        monkeypatch.setattr(module, "gateway_conf", lambda: changed)
    bench.set(seal_keys=KEYS)
    bench.client.headers.pop("x-api-key", None)
    bench.provider.answers("m", completion("hi"))
    await follow(bench)
    return bench


async def follow(bench):
    """What each process does when the configuration has changed."""
    stored = await sync_to_async(load)()
    made = dataclasses.replace(
        stored, providers={"fake": bench.base}, rules=(rule(),), token_keys=KEYS, anonymous_allowed=False
    )
    bench.set(configuration=FixedConfiguration(made))


@sync_to_async
def ada():
    return get_user_model().objects.get_or_create(username="ada", email="ada@example.com")[0]


def captured(name):
    [path] = CAPTURES.glob(f"{name}*.json")
    return json.loads(path.read_text())


async def form(bench, path, text):
    return await bench.client.request("POST", path, text.encode(), headers=FORM)


async def tokens(bench):
    user = await ada()
    begun = (await form(bench, "/oauth/device_authorization", "surface=claude_code")).json
    await sync_to_async(
        lambda: sign_in.approve(sign_in.waiting(begun["user_code"], timezone.now()), user, timezone.now())
    )()
    await follow(bench)
    text = f"grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={begun['device_code']}"
    answer = await form(bench, "/oauth/token", text)
    assert answer.status == 200, answer.text
    return answer.json


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/oauth/device_authorization", ""),
        ("/oauth/token", "grant_type=refresh_token&refresh_token=x"),
        ("/oauth/revoke", "token=x"),
    ],
)
async def test_while_the_database_is_away_a_machine_is_told_to_come_back(
    gateway, monkeypatch, caplog, path, text
):
    async def away(work, patience):
        raise DatabaseAway

    monkeypatch.setattr(views, "database_calls", away)
    answer = await form(gateway, path, text)
    assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert not [line for line in caplog.records if line.exc_info]


async def test_discovery_has_endpoints_of_the_public_address(gateway):
    request = captured("01")
    answer = await gateway.client.request("GET", request["path"])
    assert answer.status == 200
    assert answer.json["token_endpoint"] == "http://gw.example:8000/oauth/token"


async def test_the_whole_way_in_and_out(gateway):
    begun = captured("02")
    answer = await form(gateway, begun["path"], "surface=claude_code&future=1")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert {"device_code", "user_code", "verification_uri", "expires_in", "interval"} <= answer.json.keys()
    got = await tokens(gateway)
    assert (got["email"], got["token_type"], got["expires_in"]) == ("ada@example.com", "Bearer", 3600)
    bearer = {"authorization": f"Bearer {got['access_token']}"}
    assert (await gateway.client.messages(asking(), headers=bearer)).status == 200
    assert gateway.recorder.last.owner_id == (await ada()).pk
    renewed = await form(
        gateway, "/oauth/token", f"grant_type=refresh_token&refresh_token={got['refresh_token']}"
    )
    assert renewed.status == 200 and renewed.json["access_token"] != got["access_token"]
    out = await form(gateway, "/oauth/revoke", f"token={got['access_token']}")
    assert (out.status, out.text) == (200, b"")
    await follow(gateway)
    answer = await gateway.client.messages(asking(), headers=bearer)
    assert (answer.status, answer.headers["x-should-retry"]) == (401, "false")
    assert answer.json["error"]["type"] == "authentication_error"
    again = await form(
        gateway, "/oauth/token", f"grant_type=refresh_token&refresh_token={renewed.json['refresh_token']}"
    )
    assert (again.status, again.json["error"]) == (401, "invalid_grant")


async def test_a_leaver_is_refused_and_let_in_again(gateway):
    got = await tokens(gateway)
    bearer = {"authorization": f"Bearer {got['access_token']}"}
    await sync_to_async(get_user_model().objects.update)(is_active=False)
    await follow(gateway)
    answer = await gateway.client.messages(asking(), headers=bearer)
    assert (answer.status, answer.headers["x-should-retry"]) == (401, "false")
    assert "not active" in answer.json["error"]["message"]
    await sync_to_async(get_user_model().objects.update)(is_active=True)
    await follow(gateway)
    assert (await gateway.client.messages(asking(), headers=bearer)).status == 200


async def test_an_access_token_ends_at_its_time(gateway, monkeypatch):
    got = await tokens(gateway)
    snapshot = gateway.gateway.configuration.snapshot
    headers = {"authorization": f"Bearer {got['access_token']}"}
    now = timezone.now().timestamp()
    entry = auth.authenticated(headers, "::1", snapshot, now=now, open_to_all=False)
    assert entry is not None and entry.owner == "ada"
    with pytest.raises(auth.AuthenticationFailed, match="expired"):
        auth.authenticated(headers, "::1", snapshot, now=now + 3601, open_to_all=False)


@pytest.mark.parametrize(
    "text", ["", "grant_type=password", "grant_type=refresh_token", "&" * 5000, "\xff=1"]
)
async def test_an_odd_form_is_an_oauth_error(gateway, text):
    answer = await form(gateway, "/oauth/token", text)
    assert answer.status in (400, 401)
    assert isinstance(answer.json["error"], str)


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs", "/v1/traces"])
async def test_telemetry_is_taken_of_who_is_signed_in_alone(gateway, path):
    refused = await gateway.client.post(path, {}, headers={"authorization": "Bearer not-a-token"})
    assert (refused.status, refused.headers["x-should-retry"]) == (401, "false")
    bearer = {"authorization": f"Bearer {(await tokens(gateway))['access_token']}"}
    assert (await gateway.client.post(path, {}, headers=bearer)).status == 200
    packed = {**bearer, "content-type": "application/x-protobuf"}
    answer = await gateway.client.request("POST", path, b"", headers=packed)
    assert (answer.status, answer.text) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/.well-known/oauth-authorization-server"), ("POST", "/oauth/device_authorization"),
        ("POST", "/oauth/token"), ("POST", "/oauth/revoke"), ("GET", "/device"), ("POST", "/v1/logs"),
    ],
)  # fmt: skip
async def test_nothing_of_it_is_there_where_it_is_not_asked_for(bench, method, path):
    assert (await bench.client.request(method, path, b"")).status == 404
    assert not await sync_to_async(ClientKey.objects.exists)()


async def test_the_link_of_the_terminal_leads_to_the_page_and_carries_no_code(gateway):
    begun = (await form(gateway, "/oauth/device_authorization", "surface=claude_code")).json
    assert "verification_uri_complete" not in begun
    for link in ("/device", "/device?user_code=bcdf-ghjk", "/device?user_code=%0d%0aX:1"):
        answer = await gateway.client.request("GET", link)
        assert answer.status == 302
        assert answer.headers["location"] == "http://gw.example:8000/admin/gateway/clientkey/device/"


async def test_a_person_is_told_the_policy_once_and_that_it_has_not_changed(gateway, tmp_path):
    got = await tokens(gateway)
    bearer = {"authorization": f"Bearer {got['access_token']}"}
    assert (await gateway.client.get("/managed/settings", headers=bearer)).status == 404
    refused = await gateway.client.get("/managed/settings", headers={"authorization": "Bearer x"})
    assert (refused.status, refused.headers["x-should-retry"]) == (401, "false")
    wanted = {"companyAnnouncements": ["\u00e9\u4e2d"], "env": {"CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1"}}
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(wanted))
    await sync_to_async(call_command)("setpolicy", "--user", "ada", str(file))
    await follow(gateway)
    answer = await gateway.client.get("/managed/settings", headers=bearer)
    assert (answer.status, answer.json["settings"]) == (200, wanted)
    assert answer.headers["etag"] == f'"{answer.json["checksum"]}"'
    same = {**bearer, "if-none-match": answer.headers["etag"]}
    again = await gateway.client.get("/managed/settings", headers=same)
    assert (again.status, again.text) == (304, b"")
    other = await gateway.client.get("/managed/settings", headers={**bearer, "if-none-match": '"sha256:0"'})
    assert other.status == 200
    file.write_text("{}")
    await sync_to_async(call_command)("setpolicy", "--user", "ada", str(file))
    await follow(gateway)
    assert (await gateway.client.get("/managed/settings", headers=bearer)).json["settings"] == {}


async def test_usage_is_told_in_dollars(gateway):
    got = await tokens(gateway)
    bearer = {"authorization": f"Bearer {got['access_token']}"}
    free = (await gateway.client.get("/api/oauth/usage", headers=bearer)).json
    assert (free["limits"], free["extra_usage"]["used_credits"]) == ([], 0)
    await sync_to_async(call_command)("setspend", "--user", "ada", "--percent", "82")
    await follow(gateway)
    told = (await gateway.client.get("/api/oauth/usage", headers=bearer)).json
    assert told["extra_usage"]["used_credits"] == 8200
    assert told["extra_usage"]["monthly_limit"] == 10000
    assert (told["limits"][0]["percent"], told["limits"][0]["group"]) == (82, "monthly")
    await sync_to_async(call_command)("setspend", "--user", "ada", "--percent", "0")
    assert (await gateway.client.get("/api/oauth/usage", headers=bearer)).json["extra_usage"][
        "used_credits"
    ] == 0


async def test_the_usage_that_is_told_is_that_of_the_headers(gateway):
    got = await tokens(gateway)
    bearer = {"authorization": f"Bearer {got['access_token']}"}
    await sync_to_async(call_command)("setspend", "--user", "ada", "--percent", "20")
    # nothing of it is left, so it is fuller than that of the person
    await sync_to_async(ClientKey.objects.update)(spend_budget=0, budget_period="day")
    await follow(gateway)
    told = (await gateway.client.get("/api/oauth/usage", headers=bearer)).json
    assert (told["limits"][0]["percent"], told["limits"][0]["group"]) == (100, "daily")
    await sync_to_async(ClientKey.objects.update)(spend_budget=None, token_budget=0)
    await follow(gateway)
    # the client goes by the headers then
    assert (await gateway.client.get("/api/oauth/usage", headers=bearer)).status == 404


async def kept_on_disk(bench, monkeypatch, tmp_path, *, written=True):
    """The gateway after a restart without its database; what it keeps is that of before."""
    disk = LastPolicies(tmp_path / "kept.json")
    if written:
        disk.keep(bench.gateway.configuration.snapshot)

    async def away():
        raise NotReady

    monkeypatch.setattr(client_services.runtime, "gateway", away)
    monkeypatch.setattr(client_services.runtime, "kept_policies", lambda: disk.read(KEYS))


async def test_a_policy_outlives_database_and_restart(gateway, monkeypatch, tmp_path):
    bearer = {"authorization": f"Bearer {(await tokens(gateway))['access_token']}"}
    policy = await sync_to_async(ManagedPolicy.objects.create)(name="all", settings={"model": "opus"})
    await follow(gateway)
    before = await gateway.client.get("/managed/settings", headers=bearer)
    await kept_on_disk(gateway, monkeypatch, tmp_path)
    after = await gateway.client.get("/managed/settings", headers=bearer)
    assert (after.status, after.json) == (200, before.json)
    same = {**bearer, "if-none-match": after.headers["etag"]}
    assert (await gateway.client.get("/managed/settings", headers=same)).status == 304
    wrong = {"authorization": "Bearer cca_1.ffffffffff.x.y"}
    assert (await gateway.client.get("/managed/settings", headers=wrong)).status == 401
    answer = await gateway.client.messages(asking(), headers=bearer)
    assert (answer.status, answer.json["error"]["type"]) == (503, "api_error")
    assert answer.headers["retry-after"] == "5"
    assert policy.pk


@pytest.mark.parametrize("on_disk", [False, True])
async def test_who_cannot_renew_keeps_the_policy_while_the_sign_in_is_good(
    gateway, monkeypatch, tmp_path, on_disk
):
    await tokens(gateway)
    key = await sync_to_async(ClientKey.objects.get)()
    await sync_to_async(ManagedPolicy.objects.create)(name="all", settings={"model": "opus"})
    await follow(gateway)
    now = int(timezone.now().timestamp())
    path = "/managed/settings"

    def bearer(ago, keys=KEYS):
        return {"authorization": f"Bearer {new_access_token(key.pk, now - ago, keys)}"}

    if on_disk:
        await kept_on_disk(gateway, monkeypatch, tmp_path)
    month = int(sign_in.REFRESH_LIFETIME.total_seconds())
    for ago, status in ((1, 200), (86_400, 200), (month - 60, 200), (month + 60, 401)):
        assert (await gateway.client.get(path, headers=bearer(ago))).status == status
    assert (await gateway.client.get(path, headers=bearer(1, (b"another" * 5,)))).status == 401
    if not on_disk:
        assert (await gateway.client.messages(asking(), headers=bearer(1))).status == 401
        assert (await gateway.client.get("/api/oauth/usage", headers=bearer(1))).status == 401
        await sync_to_async(key.revoke)()
        await follow(gateway)
        assert (await gateway.client.get(path, headers=bearer(1))).status == 401


async def test_no_policy_is_said_only_where_that_is_known(gateway, monkeypatch, tmp_path):
    bearer = {"authorization": f"Bearer {(await tokens(gateway))['access_token']}"}
    await kept_on_disk(gateway, monkeypatch, tmp_path)
    assert (await gateway.client.get("/managed/settings", headers=bearer)).status == 404
    await kept_on_disk(gateway, monkeypatch, tmp_path / "other", written=False)
    assert (await gateway.client.get("/managed/settings", headers=bearer)).status == 503


async def test_a_client_keeps_its_policy_where_sign_in_was_switched_off(gateway, monkeypatch):
    bearer = {"authorization": f"Bearer {(await tokens(gateway))['access_token']}"}
    await sync_to_async(ManagedPolicy.objects.create)(name="all", settings={"model": "opus"})
    await follow(gateway)
    off = dataclasses.replace(conf.gateway_conf(), sign_in=False)
    monkeypatch.setattr(client_services, "gateway_conf", lambda: off)
    assert (await gateway.client.get("/managed/settings", headers=bearer)).status == 200
    assert (await gateway.client.get("/managed/settings")).status == 404
