"""Who signs in behind a proxy is throttled by their own address, and nobody chooses which that is."""

import re

import httpx
import pytest

from gateway.config.sign_in import MOST_MISSES_OF_ADDRESS, MOST_STARTS
from tests.server.conftest import environment, manage

pytestmark = pytest.mark.server

# the wrong codes of an office: nobody of it may try another one
GUESS = """
from django.contrib.auth import get_user_model
from django.utils import timezone
from gateway.config import sign_in
get_user_model().objects.create_superuser("ada", password="a long enough one")
for number in range({misses}):
    sign_in.looked_up("BCDF-GHJK", 1_000 + number, {address!r}, timezone.now())
"""
ONE, OTHER, PROXY = "203.0.113.1", "203.0.113.2", "127.0.0.1"
CODES = "/admin/gateway/clientkey/device/"


def token_of(page: httpx.Response) -> str:
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]


class Client:
    """What comes from `address`, if the gateway believes the proxy that says so."""

    def __init__(self, url: str, address: str) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"x-forwarded-for": address}, timeout=60, trust_env=False
        )

    def start(self) -> int:
        return self._http.post("/oauth/device_authorization", data={"surface": "claude_code"}).status_code

    def begun(self) -> dict[str, str]:
        return self._http.post("/oauth/device_authorization", data={}).json()

    def poll(self, device_code: str) -> str:
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device_code}
        return self._http.post("/oauth/token", data=form).json()["error"]

    def log_in(self) -> None:
        page = self._http.get("/admin/login/")
        form = {"username": "ada", "password": "a long enough one", "csrfmiddlewaretoken": token_of(page)}
        assert self._http.post("/admin/login/?next=/admin/", data=form).status_code == 302

    def type_code(self) -> str:
        form = {"code": "BCDF-GHJK", "csrfmiddlewaretoken": token_of(self._http.get(CODES))}
        return self._http.post(CODES, data=form).text


@pytest.fixture
def served(serve):
    """`served(networks, address)`: a gateway that trusts these proxies; codes were guessed at `address`."""

    def started(networks: str, address: str):
        made = serve(SIGN_IN="true", TRUSTED_PROXIES=networks, PUBLIC_URL="http://127.0.0.1")
        guesses = GUESS.format(misses=MOST_MISSES_OF_ADDRESS, address=address)
        manage("shell", "-v", "0", "-c", guesses, env=environment(made.data))
        return made

    return started


def test_two_clients_behind_one_trusted_proxy_are_throttled_apart(served):
    url = served(PROXY, ONE).url
    one, other = Client(url, ONE), Client(url, OTHER)
    waiting = [client.begun()["device_code"] for client in (one, other)]
    assert [one.start() for _ in range(MOST_STARTS)] == [200] * (MOST_STARTS - 1) + [429]
    assert other.start() == 200
    # a machine that polls too fast slows down itself alone
    assert [one.poll(waiting[0]) for _ in range(2)] == ["authorization_pending", "slow_down"]
    assert other.poll(waiting[1]) == "authorization_pending"
    for client, answer in ((one, "Too many codes were tried"), (other, "No machine waits with this code")):
        client.log_in()
        assert answer in client.type_code()


def test_an_address_that_no_trusted_proxy_gives_is_not_believed(served):
    url = served("198.51.100.0/24", PROXY).url
    forgers = [Client(url, f"203.0.113.{number}") for number in range(MOST_STARTS + 1)]
    assert [one.start() for one in forgers] == [200] * MOST_STARTS + [429]
    forgers[0].log_in()
    assert "Too many codes were tried" in forgers[0].type_code()
