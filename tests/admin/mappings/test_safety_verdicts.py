"""Blocked actions in the console, and a rule out of one."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission

from gateway.history.outcome import CapturedBodies, ExchangeOutcome
from gateway.history.record.rows import write
from gateway.history.retention import drop_bodies
from gateway.models import ContentRead, RequestLog, SafeguardRule, SafeguardVerdict
from gateway.safeguards.rules import Action, ActionRule, ruling
from gateway.wire import jsontext

LIST = "/admin/gateway/safeguardverdict/"


def answered(*verdicts, calls=(), **fields):
    content = [
        {"type": "tool_use", "id": f"t{n}", "name": name, "input": given}
        for n, (name, given) in enumerate(calls)
    ]
    message = {"type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use"}
    text = jsontext.dumps(message)
    write(
        [
            ExchangeOutcome(
                request_id="req_1",
                started_at=datetime(2026, 11, 30, tzinfo=UTC),
                endpoint="messages",
                state="ok",
                verdicts=list(verdicts),
                bodies=CapturedBodies({}, b"{}", b"", b"", text),
                **fields,
            )
        ]
    )


DENIED = {
    "tool": "Bash",
    "decision": "deny",
    "rule_id": None,
    "model": "judge",
    "took_ms": 120,
    "check_id": "req_c",
}


def made_rule(client, number=1):
    pk = SafeguardVerdict.objects.get(number=number).pk
    answer = client.get(f"{LIST}{pk}/rule/")
    if answer.status_code != 302:
        return answer.status_code
    assert urlsplit(answer["location"]).path == "/admin/gateway/safeguardrule/add/"
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["location"]).query).items()}


def test_what_was_blocked_is_listed_with_what_decided(admin_client):
    answered(DENIED, {"tool": "Read", "decision": "allow", "rule_id": 4})
    text = admin_client.get(LIST, {"decision__exact": "deny"}).content.decode()
    assert "judge, 120 ms" in text and "req_1" in text and "q=req_c" in text and ">Read<" not in text
    assert "safeguardrule/4/" in admin_client.get(LIST, {"rule_id": 4}).content.decode()


def test_blocked_actions_and_their_reasons_are_shown_to_who_may_read_them(
    admin_client, client, django_user_model
):
    denied = {**DENIED, "reason": "It deletes <work>."}
    answered(
        denied, {**DENIED, "decision": "allow"}, calls=[("Bash", {"command": "rm  -rf\n<x>"}), ("Read", {})]
    )
    text = admin_client.get(LIST).content.decode()
    assert "rm -rf &lt;x&gt;" in text and "It deletes &lt;work&gt;." in text
    assert [(one.request_id, one.part) for one in ContentRead.objects.all()] == [("req_1", "safety verdicts")]
    someone = django_user_model.objects.create_user("op", is_staff=True)
    someone.user_permissions.set(Permission.objects.filter(codename="view_safeguardverdict"))
    client.force_login(someone)
    text = client.get(LIST).content.decode()
    assert "req_1" in text and "rm -rf" not in text and "It deletes" not in text
    assert ContentRead.objects.count() == 1


def test_a_reason_is_masked_and_goes_with_the_contents(db):
    secret = "ghp_" + "a1B2c3D4e5" * 4
    answered({**DENIED, "reason": f"It sends {secret} " + "x" * 900})
    [reason] = SafeguardVerdict.objects.values_list("reason", flat=True)
    assert reason.startswith("It sends ") and "a1B2" not in reason and len(reason) == 500
    drop_bodies(["req_1"])
    assert SafeguardVerdict.objects.get().reason == ""


def test_a_request_is_shown_with_its_verdicts_and_what_they_cost(admin_client):
    answered(DENIED)
    RequestLog.objects.create(request_id="req_c", state="ok", status=200, cost=Decimal("0.0125"))
    pk = RequestLog.objects.get(request_id="req_1").pk
    text = admin_client.get(f"/admin/gateway/requestlog/{pk}/change/").content.decode()
    assert "Bash: blocked" in text and "judge, 120 ms" in text and "0.0125" in text


def test_a_request_is_shown_with_why_a_call_was_blocked_to_who_may_read_it(
    admin_client, client, django_user_model
):
    answered({**DENIED, "reason": "It deletes <work>."})
    page = f"/admin/gateway/requestlog/{RequestLog.objects.get().pk}/change/"
    someone = django_user_model.objects.create_user("op", is_staff=True)
    someone.user_permissions.set(Permission.objects.filter(codename="view_requestlog"))
    client.force_login(someone)
    text = client.get(page).content.decode()
    assert "Bash: blocked" in text and "It deletes" not in text and not ContentRead.objects.exists()
    assert "reason: <q>It deletes &lt;work&gt;.</q>" in admin_client.get(page).content.decode()
    assert ("req_1", "safety verdicts") in ContentRead.objects.values_list("request_id", "part")
    chinese = admin_client.get(page, headers={"accept-language": "zh-hans"}).content.decode()
    assert "原因: <q>It deletes &lt;work&gt;.</q>" in chinese


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        (("Bash", {"command": "make clean"}), {"command": "make clean"}),
        (("Edit", {"file_path": "/w/a.py", "new_string": "x"}), {"path": "/w/a.py"}),
        (("Bash", {"command": "git commit -m 'fix it'"}), {"command": "git commit -m 'fix it'"}),
        (("Bash", {"command": "grep 'a*' x"}), {"command": "grep 'a*' x"}),
        (("Bash", {"command": "rm *"}), {}),
        (("Bash", {"command": "cd x && npm test"}), {}),
        (("Bash", {"command": "npm test", "dangerouslyDisableSandbox": True}), {}),
        (("Edit", {"file_path": "/w//a.py", "new_string": "x"}), {}),
        (("Bash", {"command": "x" * 501}), {}),
        (("Bash", {"command": ["no", "text"]}), {}),
        (("WebFetch", {"url": "https://x"}), {}),
    ],
)
def test_a_blocked_call_becomes_a_rule_that_fits_it_alone(admin_client, call, fields):
    answered({**DENIED, "tool": call[0]}, calls=[call])
    assert made_rule(admin_client) == {"decision": "allow", "tool": call[0], **fields}
    assert ContentRead.objects.get().part == "safety verdict"


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        ("git commit -m 'fix it'", "git commit -m fix it"),
        ("cd x && npm test\nls", "cd x npm test ls"),
        ("rm *", None),
    ],
)
def test_an_allowed_call_becomes_a_rule_that_denies_it(admin_client, command, pattern):
    answered({**DENIED, "decision": "allow"}, calls=[("Bash", {"command": command})])
    made = made_rule(admin_client)
    assert made == {"decision": "deny", "tool": "Bash"} | ({"command": pattern} if pattern else {})
    if pattern:
        rule = ActionRule(1, **made)
        assert ruling(Action("", "Bash", {"command": command}), [rule]).rule == rule


def test_it_is_said_that_no_rule_can_allow_a_chain(admin_client):
    answered(DENIED, calls=[("Bash", {"command": "cd x && npm test"})])
    pk = SafeguardVerdict.objects.get().pk
    text = admin_client.get(f"{LIST}{pk}/rule/", follow=True).content.decode()
    assert "No rule can allow exactly this call" in text


def test_who_may_not_read_contents_makes_a_rule_without_them(client, django_user_model):
    answered(DENIED, calls=[("Bash", {"command": "cat secret"})])
    someone = django_user_model.objects.create_user("op", is_staff=True)
    someone.user_permissions.set(
        Permission.objects.filter(codename__in=["view_safeguardverdict", "add_safeguardrule"])
    )
    client.force_login(someone)
    assert made_rule(client) == {"decision": "allow", "tool": "Bash"}
    assert not ContentRead.objects.exists()
    someone.user_permissions.set(Permission.objects.filter(codename="view_safeguardverdict"))
    assert made_rule(client) == 403


def test_rules_say_how_many_calls_they_decided(admin_client):
    rule = SafeguardRule.objects.create(decision="deny", command="rm")
    other = SafeguardRule.objects.create(decision="deny", command="dd")
    answered(*[{"tool": "Bash", "decision": "deny", "rule_id": rule.pk}] * 3)
    text = admin_client.get("/admin/gateway/safeguardrule/").content.decode()
    assert f'?rule_id={rule.pk}">3</a>' in text and f'?rule_id={other.pk}">0</a>' in text


def test_verdicts_are_written_once_however_often_their_exchange_is(db):
    for _ in range(2):
        answered(DENIED, {"tool": "a\x00b" * 200, "decision": "undecided", "unavailable": "timeout"})
    first, second = SafeguardVerdict.objects.order_by("number")
    assert (first.model, first.check_id, first.took_ms) == ("judge", "req_c", 120)
    assert len(second.tool) == 200 and "\x00" not in second.tool and second.unavailable == "timeout"


def test_nothing_of_what_a_call_says_stands_beside_its_contents(db):
    answered(DENIED, calls=[("Bash", {"command": "cat /home/ada/key"})])
    assert "ada" not in json.dumps(list(SafeguardVerdict.objects.values()), default=str)
