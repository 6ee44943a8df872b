"""What needs attention is told once when it begins and once when it is over."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from gateway.models import Delivery, Notice, NotificationChannel
from gateway.watch import delivery, notices
from gateway.watch.attention import Item
from gateway.watch.delivery import PAUSES, NotDelivered, send_waiting

pytestmark = pytest.mark.django_db
NOW = timezone.now()
DOWN = Item("failing:acme", "acme fails", "/admin/x/", "problem")


@pytest.fixture
def channel():
    return NotificationChannel.objects.create(
        name="ops", kind="mail", addresses=["ops@example.com"], least="warning"
    )


@pytest.fixture(autouse=True)
def mailing(settings):
    settings.MAIL_CONFIGURED = True


def after(minutes):
    return NOW + timedelta(minutes=minutes)


def test_a_beginning_and_an_end_are_one_mail_each(channel):
    for minute in range(3):
        notices.update([DOWN], after(minute))
        send_waiting(after(minute))
    for minute in range(3, 8):
        notices.update([], after(minute))
        send_waiting(after(minute))
    assert [message.subject for message in mail.outbox] == [
        "ccproxy: acme fails",
        "ccproxy: Over: acme fails",
    ]
    assert "/admin/x/" in mail.outbox[0].body
    assert Notice.objects.get().ended_at is not None


def test_what_comes_back_within_two_minutes_is_not_told_again(channel):
    for minute, items in enumerate([[DOWN], [], [DOWN], [DOWN]]):
        notices.update(items, after(minute))
    assert Delivery.objects.count() == 1


def test_what_comes_back_later_is_told_again(channel):
    for minute, items in enumerate([[DOWN], [], [], [], [DOWN]]):
        notices.update(items, after(minute))
    assert [one.event for one in Delivery.objects.order_by("pk")] == ["began", "ended", "began"]


def test_a_channel_hears_only_what_it_wants(channel):
    notices.update([Item("hint", "a hint", "", "hint")], NOW)
    assert Notice.objects.count() == 1 and Delivery.objects.count() == 0


def test_what_is_not_taken_is_tried_again_later_and_then_given_up(channel, monkeypatch):
    def refuse(_delivery):
        raise NotDelivered("no route")

    monkeypatch.setattr(delivery, "deliver", refuse)
    notices.update([DOWN], NOW)
    moment, tried = NOW, 0
    while Delivery.objects.get().state == "waiting":
        tried += send_waiting(moment)
        assert send_waiting(moment) == 0
        moment += timedelta(hours=4)
        assert tried < 20
    one = Delivery.objects.get()
    assert (tried, one.state, one.problem) == (len(PAUSES) + 1, "failed", "no route")


def test_one_message_is_taken_by_one_process(channel, monkeypatch):
    sent = []

    def slow(one):
        sent.append(one.pk)
        # another process looks while this one is sending
        send_waiting(NOW)

    monkeypatch.setattr(delivery, "deliver", slow)
    notices.update([DOWN], NOW)
    send_waiting(NOW)
    assert len(sent) == 1


def test_without_a_mail_server_it_says_what_to_set(channel, settings):
    settings.MAIL_CONFIGURED = False
    notices.update([DOWN], NOW)
    send_waiting(NOW)
    assert "EMAIL_URL" in Delivery.objects.get().problem


def test_old_notices_go(channel):
    notices.update([DOWN], NOW)
    notices.update([], after(10))
    notices.update([], after(100 * 24 * 60))
    assert not Notice.objects.exists()


def test_two_items_with_one_key_are_one_notice(channel):
    notices.update([DOWN, DOWN], NOW)
    assert Notice.objects.count() == 1
    notices.update([DOWN, DOWN], after(1))
    assert Notice.objects.count() == 1


def test_a_channel_for_problems_hears_of_a_warning_that_becomes_a_problem(channel):
    NotificationChannel.objects.filter(pk=channel.pk).update(least="problem")
    notices.update([Item("budget:1", "80 % used", "", "warning")], NOW)
    assert not Delivery.objects.exists()
    for minute in (1, 2):
        notices.update([Item("budget:1", "100 % used", "", "problem")], after(minute))
    assert [one.event for one in Delivery.objects.all()] == ["began"]


def test_an_end_is_not_told_before_its_beginning(channel, monkeypatch):
    sent, reached = [], []

    def post(one):
        if not reached:
            raise NotDelivered("down")
        sent.append(one.event)

    monkeypatch.setattr(delivery, "deliver", post)
    for minute in range(4):
        notices.update([DOWN], after(minute))
        send_waiting(after(minute))
    notices.update([], after(10))
    reached.append(True)
    for minute in range(10, 40):
        send_waiting(after(minute))
    assert sent == ["began", "ended"]


def test_an_end_is_not_told_where_the_beginning_was_given_up(channel, monkeypatch):
    def post(_one):
        raise NotDelivered("down")

    monkeypatch.setattr(delivery, "deliver", post)
    notices.update([DOWN], NOW)
    notices.update([], after(10))
    Delivery.objects.filter(event="began").update(tries=len(PAUSES))
    send_waiting(after(10))
    assert {one.state for one in Delivery.objects.all()} == {"failed"}


def test_a_disabled_channel_sends_nothing_more(channel):
    notices.update([DOWN], NOW)
    NotificationChannel.objects.update(enabled=False)
    assert send_waiting(NOW) == 0
    assert not mail.outbox
    assert Delivery.objects.get().state == "failed"


def test_an_unexpected_error_with_one_message_holds_up_no_other(channel, monkeypatch):
    sent = []

    def post(one):
        if one.channel_id == channel.pk:
            raise RuntimeError("unforeseen")
        sent.append(one.pk)

    monkeypatch.setattr(delivery, "deliver", post)
    NotificationChannel.objects.create(name="later", kind="mail", addresses=["b@example.com"])
    notices.update([DOWN], NOW)
    send_waiting(NOW)
    assert len(sent) == 1
    assert "unforeseen" in Delivery.objects.get(channel=channel).problem


def test_a_look_begins_no_call_once_its_time_is_used(channel, monkeypatch):
    clock = [0.0]

    def slow(_one):
        clock[0] += 12

    monkeypatch.setattr(delivery, "deliver", slow)
    monkeypatch.setattr(delivery.time, "monotonic", lambda: clock[0])
    for number in range(9):
        NotificationChannel.objects.create(name=f"c{number}", kind="mail", addresses=["b@example.com"])
    notices.update([DOWN], NOW)
    assert send_waiting(NOW) == 3
