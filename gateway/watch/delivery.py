"""Sending a notice: a signed POST of JSON, or a mail. Waits for an answer; never called in a request's way.

A webhook's body has `text`, so chat services show it as it is. The header X-Ccproxy-Signature is
`t=UNIX_SECONDS,v1=HEX`: the HMAC-SHA256, by the channel's secret, of the seconds, a full stop and the body.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import logging
import socket
import ssl
import threading
import time
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Exists, F, OuterRef
from django.utils.translation import gettext as _

from gateway.conf import gateway_conf
from gateway.models import Delivery, NotificationChannel
from gateway.models.base import storable_text
from gateway.models.operation.notification import ChannelKind, DeliveryState
from gateway.security.destinations import is_link_local
from gateway.security.encryption import EncryptionError
from gateway.watch import notices

logger = logging.getLogger("gateway.watch")

SIGNATURE: Final = "X-Ccproxy-Signature"
# seconds for one call from connecting to its status
PATIENCE: Final = 10.0
# seconds after which a look begins no further call: with the call under way it ends before the lease does
LONGEST: Final = 30.0
# before the next try; after the last of them it is given up
PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (15, 60, 300, 900, 3600, 3 * 3600))
_TAKEN: Final = timedelta(minutes=2)


class NotDelivered(Exception):
    """The message says why, for an admin."""


def send_waiting(now: datetime, most: int = 20) -> int:
    """Send what is due; how many were tried. A message that another process sends meanwhile is left to it."""
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING)
    unwanted = waiting.filter(channel__enabled=False, notice__isnull=False)
    unwanted.update(state=DeliveryState.FAILED, next_at=None, problem=_("The channel is disabled."))
    untold = waiting.filter(channel=OuterRef("channel"), notice=OuterRef("notice"), event=notices.BEGAN)
    # an end waits until its beginning was sent
    due = waiting.filter(next_at__lte=now).exclude(Exists(untold), event=notices.ENDED)
    due = due.order_by("next_at", "pk")
    tried, started = 0, time.monotonic()
    for delivery in due.select_related("channel", "notice")[:most]:
        if time.monotonic() - started > LONGEST:
            break
        # taking it moves its next try, so nobody else sees it as due
        taken = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING, next_at=delivery.next_at)
        if taken.update(next_at=now + _TAKEN, tries=F("tries") + 1):
            delivery.tries += 1
            settle(delivery, now)
            tried += 1
    return tried


def settle(delivery: Delivery, now: datetime) -> None:
    """Send one message and note how it went."""
    try:
        deliver(delivery)
    except Exception as problem:
        # whatever went wrong counts as a try, so that one message cannot stop those behind it
        if not isinstance(problem, NotDelivered):
            logger.exception("unexpected error while a notice was sent")
        delivery.problem = storable_text(problem, 300)
        if delivery.tries > len(PAUSES) or not delivery.channel.enabled or delivery.notice_id is None:
            delivery.state, delivery.next_at = DeliveryState.FAILED, None
            _drop_end(delivery)
        else:
            delivery.next_at = now + PAUSES[delivery.tries - 1]
    else:
        delivery.state, delivery.next_at, delivery.problem = DeliveryState.SENT, None, ""
        delivery.sent_at = now
    delivery.save(update_fields=["state", "next_at", "problem", "sent_at"])


def _drop_end(delivery: Delivery) -> None:
    """Give up the end of a notice whose beginning was never told."""
    if delivery.event == notices.BEGAN:
        Delivery.objects.filter(
            channel=delivery.channel_id,
            notice=delivery.notice_id,
            event=notices.ENDED,
            state=DeliveryState.WAITING,
        ).update(state=DeliveryState.FAILED, next_at=None, problem=delivery.problem)


def deliver(delivery: Delivery) -> None:
    """Send one message now. Raises NotDelivered."""
    channel = delivery.channel
    message = _message(delivery)
    if channel.kind == ChannelKind.MAIL:
        _mail(channel, message)
    else:
        _post(channel, json.dumps(message, ensure_ascii=False).encode())


def _message(delivery: Delivery) -> dict[str, Any]:
    notice = delivery.notice
    if notice is None:
        text = _("This is a test of the notifications of ccproxy. Nothing is wrong.")
        return {"event": notices.TEST, "text": text, "urgency": "hint"}
    over = delivery.event == notices.ENDED
    facts: dict[str, Any] = {
        "event": delivery.event,
        "id": f"notice-{notice.pk}",
        "key": notice.key,
        "text": _("Over: %(text)s") % {"text": notice.text} if over else notice.text,
        "urgency": notice.urgency,
        "url": notices.address_of(notice),
        "began_at": notice.began_at.isoformat(timespec="seconds"),
    }
    return {**facts, "ended_at": notice.ended_at.isoformat(timespec="seconds")} if notice.ended_at else facts


def _mail(channel: NotificationChannel, message: dict[str, Any]) -> None:
    if not settings.MAIL_CONFIGURED:
        raise NotDelivered(_("EMAIL_URL is not set: the gateway does not know how to send mail."))
    body = "\n\n".join(str(message[name]) for name in ("text", "url") if message.get(name))
    subject = "ccproxy: " + " ".join(str(message["text"]).split())[:120]
    try:
        EmailMessage(subject, body, to=list(channel.addresses)).send()
    except (OSError, ValueError) as problem:
        # smtplib's errors are OSErrors
        raise NotDelivered(_("The mail server did not take it: %(problem)s") % {"problem": problem}) from None


def signature(secret: str, moment: int, body: bytes) -> str:
    """The value of the header for a body sent at `moment` (Unix seconds)."""
    signed = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={signed}"


def _post(channel: NotificationChannel, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "ccproxy"}
    try:
        secret = channel.revealed()
    except EncryptionError as problem:
        raise NotDelivered(str(problem)) from None
    if secret:
        headers[SIGNATURE] = signature(secret, int(time.time()), body)
    parts = urlsplit(channel.url)
    address = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as problem:
        raise NotDelivered(_("The webhook was not reached: %(problem)s") % {"problem": problem}) from None
    secure, host = parts.scheme == "https", parts.hostname or ""
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(host, port, timeout=PATIENCE)
    until = time.monotonic() + PATIENCE
    timer: threading.Timer | None = None
    try:
        connection.sock = made = _connected(host, port, secure, until)
        timer = threading.Timer(max(0.0, until - time.monotonic()), _cut, [made])
        timer.daemon = True
        timer.start()
        if isinstance(made, ssl.SSLSocket):
            made.do_handshake()
        connection.request("POST", address, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as problem:
        why = str(problem) or type(problem).__name__
        raise NotDelivered(_("The webhook was not reached: %(problem)s") % {"problem": why}) from None
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()
    # a redirect is not followed: it could lead where the address may not
    if not 200 <= status < 300:
        raise NotDelivered(_("The webhook answered HTTP %(status)d.") % {"status": status})


def _cut(made: socket.socket) -> None:
    """End a call: whoever reads slowly byte by byte never meets the timeout of a single read."""
    with contextlib.suppress(OSError):
        # not SSLSocket.shutdown, which takes the TLS state away from the thread that reads
        socket.socket.shutdown(made, socket.SHUT_RDWR)


def _connected(host: str, port: int, secure: bool, until: float) -> socket.socket:
    """A socket to an address that calls may go to, decided where the system has read the host.

    `until`: when to give up (time.monotonic). A TLS handshake is left to the caller.
    """
    problem: OSError | None = None
    for family, kind, protocol, _name, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if is_link_local(str(place[0])) and not gateway_conf().allow_link_local:
            problem = problem or OSError(_("%(host)s is a link-local address.") % {"host": host})
            continue
        made = socket.socket(family, kind, protocol)
        made.settimeout(max(0.01, until - time.monotonic()))
        try:
            made.connect(place)
        except OSError as refused:
            made.close()
            problem = refused
            continue
        if not secure:
            return made
        context = ssl.create_default_context()
        return context.wrap_socket(made, server_hostname=host, do_handshake_on_connect=False)
    raise problem or OSError(_("%(host)s has no address.") % {"host": host})
