"""The live tail: who may watch, and what they see."""

import asyncio
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from channels.layers import InMemoryChannelLayer, get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client

from ccproxy_site.asgi import SameOrigin, application
from gateway import consumers
from gateway.history import live_tail
from gateway.history.live_tail import LiveTail, TailedRecorder, viewers
from gateway.history.outcome import ExchangeOutcome
from gateway.models import ClientKey
from gateway.relay.gateway import utc_now
from tests.conftest import MemoryRecorder, asking
from tests.fakes.provider import stream

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/admin/live-tail/socket"
HOST = (b"host", b"localhost:8082")
ORIGIN = (b"origin", b"http://localhost:8082")


@database_sync_to_async
def cookie(*codenames, client=None, **fields):
    user = get_user_model().objects.create_user(**{"username": "ann", "is_staff": True, **fields})
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = client or Client()
    client.force_login(user)
    return (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())


_sockets = []


@pytest.fixture(autouse=True)
async def closed_pages():
    """Each page goes away before the loop does, the refused ones too."""
    yield
    while _sockets:
        await _sockets.pop().disconnect(timeout=60)


def opened(headers, path=PATH, asked=application):
    _sockets.append(WebsocketCommunicator(asked, path, headers=headers))
    return _sockets[-1]


async def page(*headers, path=PATH):
    socket = opened([HOST, *headers], path)
    connected, code = await socket.connect(timeout=60)
    return socket, connected, code


@pytest.mark.parametrize(
    ("permissions", "fields"),
    [
        ((), {}),
        (("view_requestlog",), {"is_staff": False}),
        (("view_provider",), {}),
        (("view_requestlog",), {"is_active": False}),
    ],
)
async def test_only_staff_who_may_see_the_history_may_watch(permissions, fields):
    _, connected, code = await page(ORIGIN, await cookie(*permissions, **fields))
    assert (connected, code) == (False, consumers.NOT_ALLOWED)
    assert not viewers


async def test_nobody_watches_without_a_login_from_elsewhere_or_on_another_path():
    mine = await cookie("view_requestlog")
    assert (await page(ORIGIN))[1] is False
    assert (await page(ORIGIN, mine, path="/admin/other"))[1] is False


@pytest.mark.parametrize(
    ("origin", "served"),
    [
        ("http://localhost:8082", True),
        ("https://trusted.example", True),
        ("https://a.pages.example", True),
        ("http://localhost:3000", False),
        ("http://localhost", False),
        ("https://localhost:8082", False),
        ("http://127.0.0.1:8082", False),
        ("https://trusted.example:8443", False),
        ("http://evil.example", False),
        ("http://localhost:8082.evil.example", False),
        ("null", False),
        ("http://[", False),
        ("", False),
        (None, False),
    ],
)
async def test_only_pages_of_the_same_scheme_host_and_port_may_watch(settings, origin, served):
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example", "https://*.pages.example"]
    headers = [] if origin is None else [(b"origin", origin.encode())]
    fresh = SameOrigin(application._pages._application)
    scope = [HOST, *headers, await cookie("view_requestlog")]
    socket = opened(scope, asked=fresh)
    assert (await socket.connect(timeout=60))[0] is served


async def test_a_host_that_is_not_the_gateway_s_is_no_origin_to_be_the_same_as():
    mine = await cookie("view_requestlog")
    evil = [(b"host", b"evil.example"), (b"origin", b"http://evil.example"), mine]
    assert (await opened(evil).connect(timeout=60))[0] is False


async def test_requests_appear_move_and_settle(bench, monkeypatch):
    monkeypatch.setattr(live_tail, "SETTLE", 0.0)
    monkeypatch.setattr(live_tail, "PROGRESS_EVERY", 0.02)
    live = LiveTail(bench.gateway.live.progress)
    bench.set(recorder=TailedRecorder(bench.recorder, live))
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("Hello, this is the beginning of it", go_on, " and this its end."))
    socket, connected, _ = await page(ORIGIN, await cookie("view_requestlog"))
    assert connected
    asked = asyncio.create_task(bench.client.post("/v1/messages", asking("secret words", stream=True)))
    states, tokens = [], []
    while "ok" not in states:
        for row in (await socket.receive_json_from(60))["rows"]:
            assert "secret words" not in str(row)
            if "state" in row:
                states.append(row["state"])
            else:
                tokens.append(row["output_tokens"])
        if any(tokens):
            go_on.set()
    await asked
    assert states == ["open", "ok"]
    assert any(tokens)
    await socket.disconnect()
    assert not viewers


def outcome(number=1, **fields):
    return ExchangeOutcome(f"req_{number}", utc_now(), "messages", **fields)


async def test_nothing_is_made_while_nobody_watches(monkeypatch):
    monkeypatch.setattr(live_tail, "row_of", lambda *_: pytest.fail("made"))
    monkeypatch.setattr(live_tail, "get_channel_layer", InMemoryChannelLayer)
    live = LiveTail(lambda: pytest.fail("asked"))
    recorder = TailedRecorder(MemoryRecorder(), live)
    recorder.opened(outcome())
    await recorder.settled(outcome(state="ok"))
    assert live._timer is None


async def test_what_streams_only_later_is_followed_too(monkeypatch):
    """The first look may come before the provider's answer."""
    sent, streaming = [], []
    begun, told = asyncio.Event(), asyncio.Event()

    class Layer:
        async def group_send(self, _group, message):
            sent.extend(message["rows"])
            begun.set()
            if any("output_tokens" in row and "state" not in row for row in sent):
                told.set()

    monkeypatch.setattr(live_tail, "get_channel_layer", Layer)
    monkeypatch.setattr(live_tail, "SETTLE", 0.0)
    monkeypatch.setattr(live_tail, "PROGRESS_EVERY", 0.01)
    live = LiveTail(lambda: list(streaming))
    live.tell(outcome())
    await asyncio.wait_for(begun.wait(), 60)
    streaming.append({"request_id": "req_1", "output_tokens": 3})
    await asyncio.wait_for(told.wait(), 60)
    streaming.clear()
    live.tell(outcome(state="ok"))
    assert not live._open
    live._timer.cancel()


async def test_a_layer_that_hangs_holds_up_nobody_and_what_waits_is_bounded(monkeypatch):
    class Hanging:
        async def group_send(self, *_):
            await asyncio.Event().wait()

    monkeypatch.setattr(live_tail, "get_channel_layer", Hanging)
    monkeypatch.setattr(live_tail, "SETTLE", 0.0)
    monkeypatch.setattr(live_tail, "MOST_WAITING", 10)
    live = LiveTail(lambda: [])
    recorder = TailedRecorder(MemoryRecorder(), live)
    await recorder.settled(outcome(state="ok"))
    await asyncio.sleep(0)
    for number in range(50):
        await asyncio.wait_for(recorder.settled(outcome(number, state="ok")), 1)
    assert len(live._waiting) <= 10
    live._sending.cancel()


async def test_a_layer_that_fails_is_logged_and_nothing_else(monkeypatch, caplog):
    class Broken:
        async def group_send(self, *_):
            raise ConnectionError("away")

    monkeypatch.setattr(live_tail, "get_channel_layer", Broken)
    await live_tail._send([{"request_id": "x"}])
    assert "live tail not told" in caplog.text


class NotReading(consumers.LiveTailConsumer):
    """A page whose client takes nothing until it is told to."""

    keys = None

    def __init__(self):
        super().__init__()
        self.reads, self.got = asyncio.Event(), []

    async def send_json(self, content, close=False):
        await self.reads.wait()
        self.got += content["rows"]


async def test_a_page_that_does_not_read_costs_its_newest_rows_and_no_more(monkeypatch):
    monkeypatch.setattr(consumers, "MOST_UNSENT", 10)
    page = NotReading()
    for number in range(500):
        begun = {"request_id": f"req_{number}", "state": "open", "open": True}
        moving = {"request_id": f"req_{number}", "output_tokens": 4}
        over = {"request_id": f"req_{number}", "state": "ok", "open": False, "output_tokens": 5}
        # a message of the group never waits
        for row in (begun, moving, over, moving):
            async with asyncio.timeout(5):
                await page.tail_rows({"rows": [row]})
        assert len(page._unsent) <= 10
        # what is being sent is taken out
        await asyncio.sleep(0)
    page.reads.set()
    await page._sending
    newest = [
        {"request_id": f"req_{number}", "state": "ok", "open": False, "output_tokens": 5}
        for number in range(490, 500)
    ]
    assert page.got[-10:] == newest
    assert len(page.got) <= 11
    assert not page._unsent


@database_sync_to_async
def a_key_of(name):
    record, _ = ClientKey.issue("mine", user=get_user_model().objects.get(username=name))
    return record.pk


async def test_the_owner_of_a_key_sees_its_requests_alone():
    mine = await cookie()
    key = await a_key_of("ann")
    socket, connected, _ = await page(ORIGIN, mine)
    assert connected
    rows = [
        {"request_id": "req_1", "client_key_id": key},
        {"request_id": "req_2", "client_key_id": key + 1},
        {"request_id": "req_3", "client_key_id": None},
        {"request_id": "req_1", "output_tokens": 4},
        {"request_id": "req_2", "output_tokens": 4},
    ]
    await get_channel_layer().group_send(live_tail.GROUP, {"type": "tail.rows", "rows": rows})
    seen = (await socket.receive_json_from(60))["rows"]
    assert seen == [{"request_id": "req_1", "client_key_id": key, "output_tokens": 4}]
    await get_channel_layer().group_send(live_tail.GROUP, {"type": "tail.rows", "rows": rows[1:3]})
    assert await socket.receive_nothing()
    await socket.disconnect()


def logged_out(client):
    client.post("/admin/logout/")


def with_another_password(client):
    ann = get_user_model().objects.get(username="ann")
    ann.set_password("another")
    ann.save()


def deactivated(client):
    get_user_model().objects.filter(username="ann").update(is_active=False)


def deleted(client):
    get_user_model().objects.get(username="ann").delete()


def without_the_right(client):
    get_user_model().objects.get(username="ann").user_permissions.clear()


def with_a_session_whose_time_is_up(client):
    Session.objects.update(expire_date=utc_now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    "end",
    [
        logged_out,
        with_another_password,
        deactivated,
        deleted,
        without_the_right,
        with_a_session_whose_time_is_up,
    ],
)
async def test_the_view_ends_by_itself_with_its_session_or_its_right(monkeypatch, end):
    monkeypatch.setattr(consumers, "LOOK_AGAIN", 0.05)
    client = Client()
    socket, connected, _ = await page(ORIGIN, await cookie("view_requestlog", client=client))
    assert connected
    await database_sync_to_async(end)(client)
    # nothing happens that there would be to show
    assert (await socket.receive_output(60))["code"] == consumers.NOT_ALLOWED
    await get_channel_layer().group_send(
        live_tail.GROUP, {"type": "tail.rows", "rows": [{"request_id": "req_1"}]}
    )
    assert await socket.receive_nothing()
    await socket.disconnect()
    assert not viewers


async def test_a_database_that_is_away_ends_the_view_and_the_page_may_try_again(monkeypatch):
    monkeypatch.setattr(consumers, "LOOK_AGAIN", 0.05)
    socket, connected, _ = await page(ORIGIN, await cookie("view_requestlog"))
    assert connected

    def away(session_key):
        raise OperationalError("gone")

    monkeypatch.setattr(consumers, "_keys_to_watch", away)
    assert (await socket.receive_output(60))["code"] == consumers.NOT_NOW
    await socket.disconnect()
