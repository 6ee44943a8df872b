"""Replay and compare."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from gateway.history.content.bodies import packed, store
from gateway.history.outcome import CapturedBodies
from gateway.history.record.rows import write
from gateway.models import ContentRead, ModelMapping, Provider, RequestLog
from gateway.wire import jsontext
from tests.admin.history import HOSTILE, keep, one_row
from tests.admin.pages import url
from tests.conftest import asking
from tests.fakes.provider import completion, stream

pytestmark = pytest.mark.django_db(transaction=True)


class Writing:
    """A recorder that writes at once."""

    def opened(self, outcome):
        pass

    async def settled(self, outcome):
        await sync_to_async(write)([outcome])

    def closed(self, outcome):
        raise AssertionError("nobody left")


@sync_to_async
def a_request(streamed=True):
    provider = Provider.objects.create(name="Fake", slug="fake", base_url="http://127.0.0.1:9/v1")
    mapping = ModelMapping.objects.create(pattern="gpt-*")
    target = mapping.lead_to(provider, "other")
    row = one_row(asked_model="m", state="ok")
    keep(row, {"anthropic-version": "x"}, jsontext.dumps(asking("hello", stream=streamed)))
    return row, target


@pytest.fixture
def admin_async(async_client, admin_user):
    async_client.force_login(admin_user)
    return async_client


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_request_is_asked_again_of_several_and_shown_side_by_side(bench, admin_async, streamed):
    row, target = await a_request(streamed)
    bench.set(recorder=Writing())
    bench.provider.answers(
        "other", *([stream("**from the mapping**")] if streamed else [completion("**from the mapping**")])
    )
    bench.provider.answers(
        "third", *([stream("from the provider")] if streamed else [completion("from the provider")])
    )
    page = url("requestlog", "replay", row.pk)
    posted = await admin_async.post(page, {"target": [target.pk], "provider": "fake", "model": "third"})
    assert posted.status_code == 302
    replays = [one async for one in RequestLog.objects.filter(replay_of=row.request_id)]
    assert {(one.endpoint, one.state, one.upstream_model) for one in replays} == {
        ("replay", "ok", "other"), ("replay", "ok", "third")
    }  # fmt: skip
    text = (await admin_async.get(page)).content.decode()
    for part in ("<strong>from the mapping</strong>", "from the provider", "gpt-*", "The request itself"):
        assert part in text
    # from the page of a replay one comes to the same comparison
    again = (await admin_async.get(url("requestlog", "replay", replays[0].pk))).content.decode()
    assert "from the provider" in again
    assert await ContentRead.objects.filter(request_id=row.request_id, part="replay").aexists()


async def test_nothing_is_asked_when_nothing_is_chosen(bench, admin_async):
    row, _ = await a_request()
    page = url("requestlog", "replay", row.pk)
    await admin_async.post(page, {"provider": "unknown", "target": ["999", "x"]})
    assert bench.provider.requests == []
    assert "Choose at least one target" in (await admin_async.get(page)).content.decode()


@pytest.mark.parametrize(
    "codenames",
    [["view_requestlog"], ["view_requestlog", "read_content"], ["view_requestlog", "replay_requestlog"]],
)
def test_a_replay_needs_the_rights_to_see_to_read_and_to_replay(clerk, codenames):
    row = one_row()
    client = clerk(*codenames)
    assert client.post(url("requestlog", "replay", row.pk), {"provider": "fake"}).status_code in (403, 404)


def test_without_its_content_a_request_cannot_be_asked_again(admin_client):
    row = one_row()
    assert b"its content is not kept" in admin_client.get(url("requestlog", "replay", row.pk)).content


def test_a_hostile_answer_is_inert(admin_client):
    row = one_row(provider=HOSTILE, upstream_model=HOSTILE, asked_model=HOSTILE)
    answer = {"type": "message", "content": [{"type": "text", "text": HOSTILE}]}
    store([(row.request_id, packed(CapturedBodies(received=b"{}", returned=jsontext.dumps(answer))))])
    text = admin_client.get(url("requestlog", "replay", row.pk)).content.decode()
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert asyncio.iscoroutinefunction(Writing.settled)
