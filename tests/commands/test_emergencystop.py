"""emergencystop, and the same switch in the console."""

from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.utils import timezone

from gateway.config import undoing
from gateway.config.snapshot.loader import load
from gateway.models import ConfigStamp, EmergencyStop
from gateway.watch.attention import emergency_stop
from tests.admin.conftest import clerk
from tests.admin.pages import form_data, url

__all__ = ["clerk"]
pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command("emergencystop", *arguments, stdout=out)
    return out.getvalue().strip()


def test_the_command_stops_and_serves_again_and_each_turn_is_logged():
    assert load().stopped is None
    before = ConfigStamp.current()
    assert run("on", "--reason", "fire") == "New requests are refused: fire"
    assert load().stopped == "fire"
    assert ConfigStamp.current() > before
    assert [item.urgency for item in emergency_stop(timezone.now())] == ["problem"]
    assert run("state") == "New requests are refused: fire"
    assert run("off") == "Requests are taken."
    assert load().stopped is None
    assert list(emergency_stop(timezone.now())) == []
    assert LogEntry.objects.filter(content_type__model="emergencystop").count() == 2


def test_turning_it_to_what_it_is_changes_nothing():
    run("off")
    assert not LogEntry.objects.exists()


def test_a_reason_that_is_too_long_is_said():
    with pytest.raises(CommandError, match="200"):
        run("on", "--reason", "x" * 300)
    assert load().stopped is None


def test_the_page_turns_it_and_undoing_turns_it_back(admin_client):
    change = url("emergencystop", "change", EmergencyStop.ROW)
    assert admin_client.get(url("emergencystop", "changelist")).url == change
    assert not EmergencyStop.objects.exists()
    page = admin_client.get(change)
    assert admin_client.post(change, form_data(page, engaged="on", reason="fire")).status_code == 302
    assert load().stopped == "fire"
    home = admin_client.get("/admin/").content.decode()
    assert "every new request is refused. fire" in home
    entry = LogEntry.objects.get(content_type__model="emergencystop")
    undoing.undo(entry)
    assert load().stopped is None


def test_it_takes_the_right_to_turn_it(clerk):
    client = clerk("view_emergencystop")
    change = url("emergencystop", "change", EmergencyStop.ROW)
    assert client.get(change).status_code == 200
    assert client.post(change, {"engaged": "on"}).status_code == 403
    assert load().stopped is None
