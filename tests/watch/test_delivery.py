"""Webhooks: signed, to addresses that calls may go to, without following redirects."""

import hashlib
import hmac
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from gateway.models import Delivery, Notice, NotificationChannel
from gateway.watch import delivery
from gateway.watch.delivery import SIGNATURE, NotDelivered

pytestmark = pytest.mark.django_db


class Hook(HTTPServer):
    """A receiver that answers `status` and keeps what it gets."""

    status = 200

    def __init__(self):
        self.got = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook?token=x"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "http://169.254.169.254/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture
def hook():
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def channel(url, **fields):
    return NotificationChannel.objects.create(name="hook", url=url, **fields)


def message(to):
    now = timezone.now()
    notice = Notice.objects.create(
        key="k", text="acme fails", url="/admin/x/", urgency="problem", began_at=now, seen_at=now
    )
    return Delivery(channel=to, notice=notice, event="began")


def test_a_notice_is_json_that_is_signed(hook):
    delivery.deliver(message(channel(hook.url, secret="s3cret")))
    [(path, headers, body)] = hook.got
    assert path == "/hook?token=x"
    facts = json.loads(body)
    assert (facts["event"], facts["text"], facts["urgency"]) == ("began", "acme fails", "problem")
    assert facts["url"].endswith("/admin/x/")
    moment, signed = (part.split("=")[1] for part in headers[SIGNATURE].split(","))
    assert signed == hmac.new(b"s3cret", f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def test_without_a_secret_nothing_is_signed(hook):
    delivery.deliver(message(channel(hook.url)))
    assert SIGNATURE not in hook.got[0][1]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_anything_but_a_yes_is_tried_again_and_no_redirect_is_followed(hook, status):
    hook.status = status
    with pytest.raises(NotDelivered, match=str(status)):
        delivery.deliver(message(channel(hook.url)))
    assert len(hook.got) == 1


def test_nobody_listens(hook):
    hook.server_close()
    with pytest.raises(NotDelivered, match="not reached"):
        delivery.deliver(message(channel(hook.url)))


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "[fe80::1]", "[::ffff:169.254.169.254]"])
def test_addresses_of_metadata_services_are_not_called(host):
    with pytest.raises(NotDelivered, match="not reached"):
        delivery.deliver(message(channel(f"http://{host}/")))


def test_a_port_that_is_none_is_refused_and_counts_as_a_failed_try():
    to = channel("https://example.org:99999/x")
    with pytest.raises(ValidationError):
        to.full_clean()
    with pytest.raises(NotDelivered):
        delivery.deliver(message(to))


def test_a_webhook_that_answers_byte_by_byte_is_cut_off(monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE", 0.3)
    cut = threading.Event()

    def drip(listener):
        taken, _address = listener.accept()
        with taken:
            taken.recv(65_536)
            # ends by itself, should nobody cut it off
            for _byte in range(400):
                try:
                    taken.sendall(b"H")
                except OSError:
                    cut.set()
                    return
                cut.wait(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=[listener], daemon=True)
        thread.start()
        with pytest.raises(NotDelivered):
            delivery.deliver(message(channel(f"http://127.0.0.1:{listener.getsockname()[1]}/x")))
        assert cut.wait(10)
        thread.join(10)
