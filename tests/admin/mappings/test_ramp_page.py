"""The page of a mapping's shares: begin, watch and end a ramp."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from gateway.config.snapshot.rules import mapping_rules
from gateway.models import ModelMapping, Origin, Ramp, RequestLog
from gateway.models.configuration.ramp import RampState
from gateway.watch.ramps import look
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def mapping():
    mapping = make_mapping("claude-*", make_provider(), "old")
    mapping.lead_to(mapping.targets.get().provider, "new")
    return mapping


def page(mapping):
    return reverse("admin:gateway_modelmapping_ramp", args=[mapping.pk])


def filled(client, mapping, **changes):
    """What a browser sends from the form of the page."""
    form = client.get(page(mapping) + "?steps=" + changes.pop("steps", "five")).context["form"]
    data = {name: form[name].value() for name in form.fields}
    data["target"] = getattr(data["target"], "pk", data["target"])
    return {"do": "begin", **{name: value for name, value in data.items() if value is not None}, **changes}


def press(client, mapping, button):
    ramp = mapping.ramps.first()
    facts = {"ramp": ramp.pk, "state": ramp.state, "step": ramp.step}
    return client.post(page(mapping), {"do": button, **facts}, follow=True)


def test_a_switch_at_a_time_a_tenth_first_is_begun_in_a_form(admin_client, mapping):
    at = timezone.localtime(timezone.now() + timedelta(hours=5)).replace(second=0, microsecond=0)
    data = filled(admin_client, mapping, steps="tenth", starts_at=f"{at:%Y-%m-%dT%H:%M}")
    answer = admin_client.post(page(mapping), data, follow=True)
    assert "The ramp waits for its time." in answer.content.decode()
    ramp = Ramp.objects.get()
    assert (ramp.target.upstream_model, ramp.starts_at, ramp.state) == ("new", at, RampState.WAITING)
    assert ramp.steps == [{"share": 10, "seconds": 3600}, {"share": 100, "seconds": 3600}]
    assert (ramp.guard_errors, ramp.guard_first_byte, ramp.guard_tools, ramp.guard_cost) == (5, 100, 10, None)
    assert "It starts at" in answer.content.decode()


def test_a_ramp_without_a_time_begins_at_once_and_its_buttons_do_what_they_say(admin_client, mapping):
    admin_client.post(page(mapping), filled(admin_client, mapping))
    ramp = Ramp.objects.get()
    assert (ramp.state, [step["share"] for step in ramp.steps]) == (RampState.RUNNING, [1, 5, 20, 50, 100])
    for button, state, step in (
        ("step", RampState.RUNNING, 1),
        ("pause", RampState.PAUSED, 1),
        ("go_on", RampState.RUNNING, 1),
        ("roll_back", RampState.ROLLED_BACK, 1),
    ):
        press(admin_client, mapping, button)
        ramp.refresh_from_db()
        assert (ramp.state, ramp.step) == (state, step)
    assert dict(mapping.targets.values_list("upstream_model", "weight")) == {"old": 100, "new": None}
    users = set(
        LogEntry.objects.filter(change_message__contains="gateway.ramp").values_list("user__username")
    )
    assert users == {("admin",)}


def test_a_button_of_a_page_that_is_out_of_date_does_nothing(admin_client, mapping):
    admin_client.post(page(mapping), filled(admin_client, mapping))
    stale = {"do": "step", "ramp": Ramp.objects.get().pk, "state": "running", "step": 0}
    admin_client.post(page(mapping), stale)
    answer = admin_client.post(page(mapping), stale, follow=True)
    assert "has changed meanwhile" in answer.content.decode()
    assert Ramp.objects.get().step == 1
    for odd in ({"do": "explode"}, {"do": "step", "ramp": "x"}, {}):
        assert admin_client.post(page(mapping), odd, follow=True).status_code == 200


def test_a_waiting_ramp_is_called_off_and_leaves_the_mapping_as_it_was(admin_client, mapping):
    at = timezone.localtime(timezone.now() + timedelta(hours=5))
    data = filled(admin_client, mapping, starts_at=f"{at:%Y-%m-%dT%H:%M}")
    admin_client.post(page(mapping), data)
    press(admin_client, mapping, "roll_back")
    assert Ramp.objects.get().state == RampState.ROLLED_BACK
    assert mapping_rules()[0].shares is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"share_1": "0.5"}, "Each share is larger than the one before it."),
        ({f"share_{row}": "" for row in range(6)}, "1 to 20 steps"),
        ({"share_0": "x"}, "Enter a number"),
        ({"share_0": "nan"}, "Enter a number"),
        ({"length_0": "721"}, "at most 30 days"),
        ({"starts_at": "2020-01-01T10:00"}, "This time is over"),
        ({"starts_at": "soon"}, "Enter a valid date"),
        ({"guard_errors": "-1"}, "greater than or equal to 0"),
        ({"unit_0": "parsecs"}, "not one of the available choices"),
        ({"target": "999"}, "not one of the available choices"),
    ],
)
def test_what_makes_no_sense_is_said_in_the_form(admin_client, mapping, changes, problem):
    answer = admin_client.post(page(mapping), filled(admin_client, mapping, **changes))
    assert answer.status_code == 200 and not Ramp.objects.exists()
    assert problem in answer.content.decode()


def test_the_target_that_gets_all_already_is_refused_with_the_reason(admin_client, mapping):
    old = mapping.targets.get(upstream_model="old")
    answer = admin_client.post(page(mapping), filled(admin_client, mapping, target=old.pk))
    assert "This target gets all sessions already." in answer.content.decode()


def test_steps_may_last_for_sessions(admin_client, mapping):
    data = filled(admin_client, mapping, steps="tenth", unit_0="sessions", length_0="25")
    admin_client.post(page(mapping), data)
    assert Ramp.objects.get().steps[0] == {"share": 10, "sessions": 25}
    assert "for 25 sessions" in admin_client.get(page(mapping)).content.decode()


def test_the_page_shows_what_the_guards_see_and_why_one_tripped(admin_client, mapping):
    admin_client.post(page(mapping), filled(admin_client, mapping, guard_sessions="1"))
    RequestLog.objects.create(
        request_id="r", mapping_pk=mapping.pk, arm="p/new", state="error", attempts=1, session_id="s"
    )
    text = admin_client.get(page(mapping)).content.decode()
    assert "What the guards see" in text and "100.0 %" in text and "<strong>1 %</strong>" in text
    look(timezone.now())
    text = admin_client.get(page(mapping)).content.decode()
    assert "Failures: 100.0 % of 1 requests; others: 0.0 %, at most 5.0 %." in text
    assert "went back from new @ P" in admin_client.get("/admin/").content.decode()


def test_who_may_only_see_mappings_gets_no_form_and_no_button(client, mapping, django_user_model):
    user = django_user_model.objects.create_user("vera", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_modelmapping"))
    client.force_login(user)
    answer = client.get(page(mapping))
    assert answer.status_code == 200 and answer.context["form"] is None
    assert client.post(page(mapping), {"do": "begin"}).status_code == 403
    user.user_permissions.clear()
    assert client.get(page(mapping)).status_code == 403


def test_a_mapping_of_the_environment_is_taken_over_first(admin_client, mapping):
    ModelMapping.objects.update(origin=Origin.ENVIRONMENT)
    assert admin_client.get(page(mapping)).context["form"] is None
    assert admin_client.post(page(mapping), {"do": "begin"}).status_code == 403


def test_weights_are_fields_of_the_targets_and_percentages_in_the_list(admin_client, mapping):
    mapping.targets.filter(upstream_model="old").update(weight=3)
    mapping.targets.filter(upstream_model="new").update(weight=1)
    text = admin_client.get(reverse("admin:gateway_modelmapping_changelist")).content.decode()
    assert "old @ P (75 %)" in text and "new @ P (25 %)" in text
    text = admin_client.get(reverse("admin:gateway_modelmapping_change", args=[mapping.pk])).content.decode()
    assert 'name="targets-0-weight"' in text and page(mapping) in text


def test_where_would_it_go_says_the_shares_and_the_arm_of_a_session(admin_client, mapping, capsys):
    mapping.targets.update(weight=1)
    where = reverse("admin:gateway_modelmapping_where") + "?model=claude-x"
    text = admin_client.get(where).content.decode()
    assert "Its sessions are divided among the targets" in text and text.count(">50 %<") == 2
    [rule] = mapping_rules()
    for session in ("a", "b", "c", "d", "e"):
        arm = rule.shares.arm(session.encode(), 0.0, {"p/old", "p/new"}).name
        explanation = admin_client.get(where + f"&session={session}").context["explanation"]
        assert explanation.division == f"The session {session} is with {arm}, which has 50 % of the sessions."
        assert explanation.first.upstream_model == arm.partition("/")[2]
        call_command("explainroute", "claude-x", session=session)
        told = capsys.readouterr().out
        assert explanation.division in told and ", 50 %  <- asked first" in told


def test_a_page_of_no_mapping_is_not_found(admin_client):
    assert admin_client.get(reverse("admin:gateway_modelmapping_ramp", args=[999])).status_code in (302, 404)
