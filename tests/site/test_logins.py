"""Logins: guessing is slowed down and written down, and sessions end."""

import pytest
from django.contrib.auth.password_validation import get_default_password_validators, validate_password
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client

from ccproxy_site import logins
from gateway.security import sessions

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


class Clock:
    now = 1_000_000.0

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    cache.clear()
    clock = Clock()
    monkeypatch.setattr(logins, "time", clock)
    yield clock
    cache.clear()


@pytest.fixture(autouse=True)
def ann(django_user_model):
    return django_user_model.objects.create_superuser("ann", password=PASSWORD)


def attempt(password="wrong", name="ann", address="192.0.2.1"):
    """Whether it let in, and the page."""
    answer = Client(REMOTE_ADDR=address).post("/admin/login/", {"username": name, "password": password})
    return answer.status_code == 302, answer.content.decode()


def test_after_five_failures_even_the_right_password_waits_longer_each_time(clock):
    for _ in range(5):
        assert "Too many" not in attempt()[1]
    let_in, page = attempt(PASSWORD)
    assert not let_in
    assert "Too many failed logins. Try again in 1 second." in page
    for pause in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300):
        clock.now += pause - 1
        assert "Too many" in attempt()[1]
        clock.now += 1
        assert "Too many" not in attempt()[1]
    clock.now += 300
    assert attempt(PASSWORD)[0]
    # the name is forgiven
    assert "Too many" not in attempt(address="198.51.100.1")[1]


def test_a_name_is_slowed_down_from_wherever_it_is_tried_and_however_it_is_written(clock):
    for number in range(5):
        attempt(name=("ann", "ANN")[number % 2], address=f"192.0.2.{number}")
    assert "Too many" in attempt(PASSWORD, address="198.51.100.1")[1]
    assert "Too many" not in attempt(name="bob", address="198.51.100.2")[1]


def test_an_address_is_slowed_down_whatever_name_it_tries(clock):
    for number in range(5):
        attempt(name=f"user{number}", address=f"2001:db8::{number}")
    assert "Too many" in attempt(PASSWORD, address="2001:db8::99")[1]
    assert attempt(PASSWORD, address="2001:db8:0:1::1")[0]


def test_a_success_from_an_address_does_not_forgive_what_it_tries_of_others(clock):
    for number in range(4):
        attempt(name=f"user{number}")
    assert attempt(PASSWORD)[0]
    assert "Too many" not in attempt(name="user4")[1]
    assert "Too many" in attempt(PASSWORD)[1]


def test_a_team_behind_one_address_signs_in_without_a_pause(clock, django_user_model):
    for number in range(20):
        django_user_model.objects.create_superuser(f"colleague{number}", password=PASSWORD)
        assert attempt(PASSWORD, name=f"colleague{number}")[0]


def test_a_failure_is_a_line_in_the_log_with_address_and_name_and_no_password(clock, caplog):
    attempt("hunter2hunter2")
    [line] = [record for record in caplog.records if record.getMessage() == "login failed"]
    assert (line.client_address, line.user, line.levelname) == ("192.0.2.1", "ann", "WARNING")
    assert "hunter2" not in str(line.__dict__)


def test_without_the_cache_a_login_is_possible(clock, monkeypatch, caplog):
    def away(*_, **__):
        raise ConnectionError

    for name in ("get", "set", "delete"):
        monkeypatch.setattr(logins.cache, name, away, raising=False)
    assert attempt(PASSWORD)[0]
    assert "failed logins cannot be counted" in caplog.text


@pytest.mark.parametrize("password", ["Sommer26", "83736283", "ccproxy1", "elevenchars", "q1w2e3r4t5y6"])
def test_short_and_known_passwords_are_refused(password):
    with pytest.raises(ValidationError):
        validate_password(password, password_validators=get_default_password_validators())


@pytest.mark.parametrize(
    ("steps", "still_in"),
    [
        ([3500] * 12, True),
        ([3500] * 13, False),
        ([3601], False),
        ([3599], True),
        ([-7200], False),
    ],
)
def test_a_session_ends_after_an_hour_without_a_request_and_after_twelve_in_all(clock, steps, still_in):
    client = Client()
    assert client.login(username="ann", password=PASSWORD)
    for step in steps:
        clock.now += step
        status = client.get("/admin/password_change/").status_code
    assert (status == 200) is still_in
    if not still_in:
        assert not client.session.get("_auth_user_id")


def test_a_session_from_before_the_upgrade_begins_to_count_now():
    session = {"_auth_user_id": "1"}
    assert not sessions.is_over(session, 5.0)
    sessions.note_request(session, 5.0)
    assert sessions.is_over(session, 5.0 + sessions.LONGEST_IDLE)
