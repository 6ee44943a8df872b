"""A gateway whose PUBLIC_URL has a sub-path: pages, static files and the API, however the server in front
hands the path on."""

import re
import socket
from collections import deque
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import asking
from tests.server.conftest import KEY, environment, manage, start

pytestmark = [pytest.mark.server, pytest.mark.once]
HOST = "ccproxy.example.org"
PREFIX = "/teams/ai"
ORIGIN = f"https://{HOST}"
SECURE = {"host": HOST, "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1"}
# pages that one visit looks at
MOST_PAGES = 60
LINK = re.compile(r'\b(href|src|action|data-refresh|data-page|data-socket|hx-get)="([^"#]*)')


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    served = start(
        folder,
        PUBLIC_URL=ORIGIN + PREFIX,
        TRUSTED_PROXIES="127.0.0.1",
        SECURE_COOKIES="true",
        ANTHROPIC_API_KEY=KEY * 2,
        SIGN_IN="true",
    )
    manage(
        "createsuperuser", "--noinput", "--username", "ann", "--email", "a@example.com",
        env=environment(folder, DJANGO_SUPERUSER_PASSWORD="secret"),
    )  # fmt: skip
    yield served
    served.stop()


class Visitor:
    """A browser behind a server that hands the prefix on (`kept`) or takes it off."""

    def __init__(self, gateway, kept):
        self._client = httpx.Client(base_url=gateway.url, headers=SECURE, timeout=60, trust_env=False)
        self._kept = kept
        self.cookies = {}

    def ask(self, path, method="GET", **more):
        assert path.startswith(PREFIX + "/"), path
        sent = path if self._kept else path.removeprefix(PREFIX)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"cookie": cookies, "origin": ORIGIN, **more.pop("headers", {})}
        answer = self._client.request(method, sent, headers=headers, **more)
        self.cookies |= dict(answer.cookies)
        return answer

    def log_in(self):
        form = self.ask(f"{PREFIX}/admin/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)[1]
        answer = self.ask(
            f"{PREFIX}/admin/login/?next={PREFIX}/admin/",
            "POST",
            data={"username": "ann", "password": "secret", "csrfmiddlewaretoken": token},
            headers={"referer": f"{ORIGIN}{PREFIX}/admin/login/"},
        )
        assert answer.status_code == 302, answer.text[:500]
        return answer.headers["location"]


@pytest.fixture(params=["kept", "taken off"])
def visitor(request, gateway):
    return Visitor(gateway, kept=request.param == "kept")


def test_a_page_that_needs_a_login_leads_to_it_and_back(visitor):
    answer = visitor.ask(f"{PREFIX}/admin/gateway/provider/")
    assert answer.status_code == 302
    assert answer.headers["location"] == f"{PREFIX}/admin/login/?next={PREFIX}/admin/gateway/provider/"
    assert visitor.log_in() == f"{PREFIX}/admin/"


def test_every_link_of_the_console_leads_to_a_page_under_the_prefix(visitor):
    visitor.log_in()
    waiting, seen, wrong = deque([f"{PREFIX}/admin/"]), set(), []
    while waiting and len(seen) < MOST_PAGES:
        page = waiting.popleft()
        path = urlsplit(page).path
        if path in seen or "logout" in path:
            continue
        seen.add(path)
        answer = visitor.ask(page)
        if answer.status_code in (301, 302):
            wrong += [f"{page} leads to {answer.headers['location']}"] * (
                not answer.headers["location"].startswith((PREFIX, "./", "?", ORIGIN + PREFIX))
            )
            continue
        if answer.status_code >= 400:
            wrong.append(f"{page}: {answer.status_code}")
            continue
        if "text/html" not in answer.headers["content-type"]:
            continue
        for attribute, link in LINK.findall(answer.text):
            target = urlsplit(urljoin(ORIGIN + page, unescape(link)))
            if target.scheme not in ("http", "https") or target.netloc != HOST:
                continue
            if not target.path.startswith(PREFIX + "/"):
                wrong.append(f"{page} has {link}")
            elif attribute not in ("action", "data-socket"):
                waiting.append(target.path + ("?" + target.query if target.query else ""))
    assert not wrong, "\n".join(sorted(set(wrong))[:40])
    assert len(seen) > 30


def test_a_client_is_answered_and_told_addresses_under_the_prefix(visitor):
    answer = visitor.ask(
        f"{PREFIX}/v1/messages", "POST", json=asking(model="x"), headers={"x-api-key": KEY * 2}
    )
    assert answer.status_code == 200, answer.text
    document = visitor.ask(f"{PREFIX}/.well-known/oauth-authorization-server").json()
    assert document["token_endpoint"].startswith(f"{ORIGIN}{PREFIX}/")
    begun = visitor.ask(f"{PREFIX}/oauth/device_authorization", "POST", data={"client_id": "x"}).json()
    page = urlsplit(begun["verification_uri"])
    answer = visitor.ask(f"{page.path}?{page.query}")
    assert answer.headers["location"].startswith(f"{ORIGIN}{PREFIX}/admin/")


def test_a_body_without_a_key_is_refused_by_its_head_under_the_prefix_too(gateway):
    visitor = Visitor(gateway, kept=True)
    answer = visitor.ask(f"{PREFIX}/v1/messages", "POST", content=b"x" * 3_000_000)
    assert answer.status_code == 401


def test_a_large_body_with_a_key_comes_through_under_the_prefix(visitor):
    text = "word " * 600_000
    body = asking(model="x", messages=[{"role": "user", "content": text}])
    answer = visitor.ask(f"{PREFIX}/v1/messages", "POST", json=body, headers={"x-api-key": KEY * 2})
    assert answer.status_code == 200, answer.text[:300]


def test_the_live_page_hears_of_requests(visitor, gateway):
    visitor.log_in()
    page = visitor.ask(f"{PREFIX}/admin/gateway/requestlog/live/")
    path = re.search(r'data-socket="([^"]+)"', page.text)[1]
    sent = path if visitor._kept else path.removeprefix(PREFIX)
    cookie = f"sessionid={visitor.cookies['sessionid']}"
    headers = {**SECURE, "Cookie": cookie}
    headers.pop("host")
    with connect(
        f"ws://{HOST}{sent}",
        sock=socket.create_connection(("127.0.0.1", gateway.port)),
        origin=ORIGIN,
        additional_headers=headers,
        proxy=None,
    ) as watching:
        visitor.ask(f"{PREFIX}/v1/messages", "POST", json=asking(model="x"), headers={"x-api-key": KEY * 2})
        assert watching.recv(timeout=20)
