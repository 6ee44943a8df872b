"""The live tail on a real server: a browser's handshake, a real stream, an ordered stop."""

import json

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import asking
from tests.server.conftest import environment, manage

pytestmark = pytest.mark.server
PATH = "/admin/live-tail/socket"


@pytest.fixture
def watched(serve, tmp_path):
    served = serve()
    manage(
        "createsuperuser", "--noinput", "--username", "ann", "--email", "a@example.com",
        env=environment(served.data, DJANGO_SUPERUSER_PASSWORD="secret"),
    )  # fmt: skip
    return served


def logged_in(served):
    with httpx.Client(base_url=served.url, follow_redirects=False, timeout=60) as browser:
        browser.get("/admin/login/")
        form = {
            "username": "ann", "password": "secret", "csrfmiddlewaretoken": browser.cookies["csrftoken"]
        }  # fmt: skip
        browser.post("/admin/login/", data=form)
        return browser.cookies["sessionid"]


def socket(served, session="", origin=""):
    return connect(
        f"ws://127.0.0.1:{served.port}{PATH}",
        origin=origin or served.url,
        additional_headers={"Cookie": f"sessionid={session}"},
        proxy=None,
    )


def test_a_stream_is_seen_from_its_beginning_to_its_end(watched):
    with socket(watched, logged_in(watched)) as page:
        answer = httpx.post(
            watched.url + "/v1/messages",
            json=asking("Are you there?", stream=True),
            headers={"x-api-key": "x"},
        )
        states = []
        while "ok" not in states:
            states += [row["state"] for row in json.loads(page.recv(10))["rows"] if "state" in row]
    assert b"message_stop" in answer.content
    assert set(states) <= {"open", "ok"}


def test_without_a_login_or_from_another_site_there_is_nothing_to_see(watched):
    with pytest.raises(InvalidStatus):
        socket(watched)
    session = logged_in(watched)
    with pytest.raises(InvalidStatus):
        socket(watched, session, origin="http://evil.example")


def test_an_open_page_does_not_hold_up_the_stop(watched):
    with socket(watched, logged_in(watched)):
        assert watched.stop() == 0
