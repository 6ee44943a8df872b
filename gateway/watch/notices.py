"""Notices: what needs attention as records, so that its beginning and its end are told once.

Whichever process holds the lease looks; the records are the memory of all. A message is a Delivery: made with
the notice in one transaction, sent later, tried again until it got there or was given up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from gateway.conf import gateway_conf
from gateway.config.startup.client_setup_text import base_url
from gateway.models import Delivery, Notice, NotificationChannel
from gateway.models.base import storable_text
from gateway.models.operation.notification import DeliveryState
from gateway.watch.attention import Item

# a notice is over when nobody has seen it for so long: what comes and goes within it is one
CALM: Final = timedelta(minutes=2)
# of what ended, with its deliveries
KEPT: Final = timedelta(days=90)
BEGAN: Final = "began"
ENDED: Final = "ended"
TEST: Final = "test"
# what one look may begin; a broken source must not send mail without end
MOST_AT_ONCE: Final = 100


def update(items: Iterable[Item], now: datetime) -> None:
    """Bring the notices in step with what needs attention at `now`, and queue what is to be told."""
    with transaction.atomic():
        open_notices = {notice.key: notice for notice in Notice.objects.filter(ended_at=None)}
        channels = list(NotificationChannel.objects.filter(enabled=True))
        fresh = 0
        seen: set[str] = set()
        for item in items:
            if item.key[:200] in seen:
                continue
            seen.add(item.key[:200])
            notice = open_notices.pop(item.key[:200], None)
            if notice is not None:
                Notice.objects.filter(pk=notice.pk).update(
                    seen_at=now, text=_text(item), urgency=item.urgency, url=item.url[:500]
                )
                if notice.urgency != item.urgency:
                    _tell(notice, item.urgency, channels, now)
            elif fresh < MOST_AT_ONCE:
                fresh += 1
                _begin(item, channels, now)
        for notice in open_notices.values():
            if notice.seen_at <= now - CALM:
                _end(notice, channels, now)
        Notice.objects.filter(ended_at__lt=now - KEPT).delete()


def address_of(notice: Notice) -> str:
    """The page of a notice, as people outside reach it."""
    return base_url(gateway_conf()) + (notice.url or "/admin/")


def _begin(item: Item, channels: Iterable[NotificationChannel], now: datetime) -> None:
    notice = Notice.objects.create(
        key=item.key[:200],
        text=_text(item),
        url=item.url[:500],
        urgency=item.urgency,
        began_at=now,
        seen_at=now,
    )
    _tell(notice, item.urgency, channels, now)


def _tell(notice: Notice, urgency: str, channels: Iterable[NotificationChannel], now: datetime) -> None:
    """Queue the beginning for channels that want this urgency and have not been told."""
    for channel in channels:
        if channel.wants(urgency):
            Delivery.objects.get_or_create(
                channel=channel, notice=notice, event=BEGAN, defaults={"next_at": now}
            )


def _end(notice: Notice, channels: Iterable[NotificationChannel], now: datetime) -> None:
    Notice.objects.filter(pk=notice.pk).update(ended_at=now)
    for channel in channels:
        begun = Delivery.objects.filter(channel=channel, notice=notice, event=BEGAN)
        # what nobody heard the beginning of has no end to tell
        if begun.exclude(state=DeliveryState.FAILED).exists():
            Delivery.objects.create(channel=channel, notice=notice, event=ENDED, next_at=now)


def _text(item: Item) -> str:
    return storable_text(item.text, 1000)
