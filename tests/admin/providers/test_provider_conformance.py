import pytest
from django.contrib.admin.models import LogEntry

from gateway.admin.providers import provider_conformance
from gateway.config.change_entries import said_of
from gateway.models import CapabilityResult, ConformanceRun
from gateway.upstream.trial.conformance import Finding
from tests.admin.pages import url
from tests.records import make_provider

FOUND = [
    Finding("parallel_tools", "passed", "", "get_time, get_weather", 1200),
    Finding("structured", "failed", "rejected", "HTTP 400: no json_schema", 90, {"json_schema": "object"}),
]


@pytest.fixture
def at_once(monkeypatch):
    """Runs do not stay in the background."""
    monkeypatch.setattr(provider_conformance, "in_background", lambda work, *given: work(*given))
    monkeypatch.setattr(provider_conformance, "conform", lambda config, model, note: [note(f) for f in FOUND])


def page(client, provider, query=""):
    return client.get(url("provider", "conformance", provider.pk) + query)


def examine(client, provider, model="m"):
    return client.post(url("provider", "conformance", provider.pk), {"test_model": model})


def test_a_page_without_a_run_says_what_one_does(admin_client, provider):
    assert "Not examined yet" in page(admin_client, provider).content.decode()


def test_a_run_fills_the_matrix_with_its_date(admin_client, provider, at_once):
    examine(admin_client, provider)
    text = page(admin_client, provider).content.decode()
    assert ConformanceRun.objects.get().ended_at is not None
    assert "just now" in text
    assert "no json_schema" in text
    assert "json_schema = object" in text


def test_a_running_run_shows_how_far_it_is(admin_client, provider):
    run = ConformanceRun.objects.create(provider=provider, upstream_model="m")
    run.results.create(capability="thinking", outcome="passed")
    text = page(admin_client, provider, "?piece=1").content.decode()
    assert 'data-running="1"' in text
    assert "1 of 8" in text


def test_a_second_run_waits_for_the_first(admin_client, provider, at_once):
    ConformanceRun.objects.create(provider=provider, upstream_model="m")
    examine(admin_client, provider)
    assert ConformanceRun.objects.count() == 1


def test_a_run_that_breaks_says_why(admin_client, provider, at_once, monkeypatch):
    def broken(config, model, note):
        raise RuntimeError("no loop")

    monkeypatch.setattr(provider_conformance, "conform", broken)
    examine(admin_client, provider)
    assert ConformanceRun.objects.get().note == "RuntimeError: no loop"
    assert "no loop" in page(admin_client, provider).content.decode()


def test_a_proposal_is_applied_with_one_click_and_logged(admin_client, provider, at_once):
    provider.options = {"images": "text"}
    provider.save()
    examine(admin_client, provider)
    result = CapabilityResult.objects.exclude(proposal={}).get()
    admin_client.post(url("provider", "conformance", provider.pk), {"apply": str(result.pk)})
    provider.refresh_from_db()
    assert provider.options == {"images": "text", "json_schema": "object"}
    assert "json_schema = object (before: json_schema = None)" in said_of(LogEntry.objects.first())
    assert "applied" in page(admin_client, provider).content.decode()


def test_a_proposal_for_a_provider_of_the_environment_asks_to_take_it_over(admin_client, db, at_once):
    kept = make_provider(origin="environment")
    examine(admin_client, kept)
    result = CapabilityResult.objects.exclude(proposal={}).get()
    admin_client.post(url("provider", "conformance", kept.pk), {"apply": str(result.pk)})
    kept.refresh_from_db()
    assert kept.options == {}


def test_examining_needs_the_right_to_change(clerk, provider, at_once):
    assert examine(clerk("view_provider"), provider).status_code == 403
    assert not ConformanceRun.objects.exists()


def test_without_a_model_nothing_starts(admin_client, provider, at_once):
    examine(admin_client, provider, " ")
    assert not ConformanceRun.objects.exists()
