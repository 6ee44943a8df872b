"""Learnt options in admin: proposals to confirm or to refuse."""

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from gateway.config.change_entries import values_of
from gateway.config.snapshot.loader import load
from gateway.models import LearntOption
from gateway.watch.attention import items
from tests.admin.pages import url

pytestmark = [pytest.mark.django_db, pytest.mark.once]
WORDS = "Unsupported parameter: 'max_tokens' <script>alert(1)</script>"
PAGE = "/admin/gateway/learntoption/"


@pytest.fixture
def proposal(mapping):
    return LearntOption.objects.create(
        provider="main",
        upstream_model="gpt-4o",
        option="max_tokens_field",
        old_json='"max_tokens"',
        new_json='"max_completion_tokens"',
        words=WORDS,
        mapping_pk=mapping.pk,
        last_at=timezone.now(),
    )


def decide(client, record, decision, **more):
    return client.post(url("learntoption", "decide", record.pk), {"decision": decision, **more}, follow=True)


def test_the_empty_list_says_what_will_be_there(admin_client):
    assert "Nothing learnt yet" in admin_client.get(PAGE).content.decode()


def test_the_list_shows_what_was_learnt_and_the_words_cannot_act(admin_client, proposal):
    shown = admin_client.get(PAGE).content.decode()
    for part in ("max_tokens_field", "max_completion_tokens", "gpt-4o @ main", "waits for you"):
        assert part in shown
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown


def test_confirming_puts_it_in_force_and_is_logged_with_its_values(admin_client, admin_user, proposal):
    answer = decide(admin_client, proposal, "confirmed")
    assert "in force in every process" in answer.content.decode()
    proposal.refresh_from_db()
    assert (proposal.decision, proposal.decided_by) == ("confirmed", admin_user)
    assert load().learnt == {("main", "gpt-4o"): {"max_tokens_field": "max_completion_tokens"}}
    entry = LogEntry.objects.filter(content_type__model="learntoption", user=admin_user).get()
    assert values_of(entry)["decision"] == ["proposed", "confirmed"]


def test_refusing_holds_for_good(admin_client, proposal):
    decide(admin_client, proposal, "refused")
    assert load().refused_options == {("main", "gpt-4o"): frozenset({"max_tokens_field"})}


def test_several_are_decided_from_the_list(admin_client, proposal):
    admin_client.post(PAGE, {"action": "confirm", "_selected_action": [proposal.pk]})
    proposal.refresh_from_db()
    assert proposal.decision == "confirmed"


def test_the_page_of_its_mapping_shows_it_and_takes_the_decision(admin_client, mapping, proposal):
    page = url("modelmapping", "change", mapping.pk)
    shown = admin_client.get(page).content.decode()
    assert "max_completion_tokens" in shown
    assert "<script>alert" not in shown
    answer = decide(admin_client, proposal, "confirmed", mapping=mapping.pk)
    assert answer.redirect_chain[-1][0] == page
    assert "confirmed" in answer.content.decode()


def test_a_setting_that_goes_before_is_named(admin_client, mapping, proposal):
    mapping.options = {"max_tokens_field": "max_tokens"}
    mapping.save()
    assert (
        "is also set on claude-*"
        in admin_client.get(url("learntoption", "change", proposal.pk)).content.decode()
    )
    assert "is also set on claude-*" in decide(admin_client, proposal, "confirmed").content.decode()


def test_nobody_edits_or_adds_one_and_a_deleted_one_is_forgotten(admin_client, proposal):
    assert admin_client.get(url("learntoption", "add")).status_code == 403
    admin_client.post(url("learntoption", "change", proposal.pk), {"option": "images"})
    proposal.refresh_from_db()
    assert proposal.option == "max_tokens_field"
    admin_client.post(url("learntoption", "delete", proposal.pk), {"post": "yes"})
    assert not LearntOption.objects.exists()


@pytest.mark.parametrize("decision", ["", "proposed", "maybe"])
def test_other_words_decide_nothing(admin_client, proposal, decision):
    decide(admin_client, proposal, decision)
    proposal.refresh_from_db()
    assert proposal.decision == "proposed"


def test_looking_is_no_decision(admin_client, proposal):
    admin_client.get(url("learntoption", "decide", proposal.pk), {"decision": "confirmed"})
    proposal.refresh_from_db()
    assert proposal.decision == "proposed"


def test_who_may_only_look_does_not_decide(clerk, proposal):
    client = clerk("view_learntoption")
    shown = client.get(url("learntoption", "change", proposal.pk)).content.decode()
    assert "max_completion_tokens" in shown
    assert 'value="confirmed"' not in shown
    decide(client, proposal, "confirmed")
    client.post(PAGE, {"action": "confirm", "_selected_action": [proposal.pk]})
    proposal.refresh_from_db()
    assert proposal.decision == "proposed"


def test_who_may_not_look_sees_nothing_on_the_mapping_either(admin_client, clerk, mapping, proposal):
    client, page = clerk("view_modelmapping"), url("modelmapping", "change", mapping.pk)
    assert client.get(PAGE).status_code == 403
    # the new value may be the preset's too; the link to the proposal is not
    link = url("learntoption", "change", proposal.pk)
    assert link in admin_client.get(page).content.decode()
    assert link not in client.get(page).content.decode()


def test_the_dashboard_says_that_one_waits_until_it_is_decided(admin_client, proposal):
    def waiting():
        return [item for item in items(timezone.now()) if "waits for your word" in item.text]

    [item] = waiting()
    shown = admin_client.get(item.url)
    assert "max_completion_tokens" in shown.content.decode()
    decide(admin_client, proposal, "confirmed")
    assert waiting() == []
