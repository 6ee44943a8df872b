"""What is told while everything is made ready, and what stops it before anything is made."""

import io
import socket

import pytest
from django.core.management.base import CommandError

from gateway.management import preparation
from gateway.management.preparation import Preparation


@pytest.fixture
def out():
    return io.StringIO()


def test_a_port_that_is_taken_is_told_with_the_next_step(out):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(CommandError, match="is the gateway running already"),
    ):
        Preparation(out).address("127.0.0.1", taken.getsockname()[1])


def test_a_host_that_is_no_address_of_this_machine_is_told(out, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(preparation.socket, "getaddrinfo", unknown)
    with pytest.raises(CommandError, match=r"HOST is gateway\.example, which is no address"):
        Preparation(out).address("gateway.example", 8082)


def test_a_port_for_administrators_is_told(out, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(preparation.socket, "create_server", refused)
    with pytest.raises(CommandError, match="above 1023"):
        Preparation(out).address("127.0.0.1", 80)


def test_an_address_of_ipv6_can_be_looked_at(out):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("NOT TESTED: this machine has no IPv6")
    Preparation(out).address("::1", 0)
    assert "is free" in out.getvalue()


def collecting(monkeypatch, folder):
    """Stands for `collectstatic`, which writes the list of hashed names; gives the calls."""
    calls = []

    def collect(name, **_):
        calls.append(name)
        (folder / "staticfiles.json").write_text("{}")

    monkeypatch.setattr(preparation, "call_command", collect)
    return calls


@pytest.mark.django_db
def test_a_step_is_one_line_with_its_seconds(out):
    Preparation(out).database()
    line = out.getvalue()
    assert line.startswith("Database   ... ") and line.endswith(" s)\n") and line.count("\n") == 1
    assert "up to date" in line
    assert preparation.is_prepared()


def test_the_pages_of_an_installed_release_are_collected_once(out, settings, tmp_path, monkeypatch):
    settings.STATIC_ROOT = tmp_path
    settings.FILES_MAY_CHANGE = False
    calls = collecting(monkeypatch, tmp_path)
    Preparation(out).static_files()
    Preparation(out).static_files()
    assert calls == ["collectstatic"]
    monkeypatch.setattr(preparation, "__version__", "99")
    Preparation(out).static_files()
    assert len(calls) == 2


def test_files_that_were_collected_without_hashed_names_are_collected_again(
    out, settings, tmp_path, monkeypatch
):
    settings.STATIC_ROOT = tmp_path
    settings.FILES_MAY_CHANGE = False
    calls = collecting(monkeypatch, tmp_path)
    (tmp_path / ".release").write_text(preparation.__version__)
    Preparation(out).static_files()
    Preparation(out).static_files()
    assert calls == ["collectstatic"]
