"""What stored requests add to the outcomes: each figure on conversations whose truth is known."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.conversion.repairs import ARGUMENTS, PLACEHOLDER
from gateway.history.content import content_store
from gateway.history.outcome import AttemptFacts, CapturedBodies, ExchangeOutcome
from gateway.history.outcomes import counting as outcomes
from gateway.history.outcomes import tool_names
from gateway.history.outcomes.report import report
from gateway.history.record import follow_up as module
from gateway.history.record.follow_up import ended_exchanges, work_off
from gateway.history.record.rows import write
from gateway.history.totals import recosting
from gateway.models import (
    CountedTurn,
    CountedUnit,
    FollowUp,
    HourlyOutcome,
    RequestBody,
    RequestLog,
)
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from tests.examples import examples
from tests.history.index import empty_index
from tests.history.outcomes.talks import (
    NOON,
    Talk,
    by_tool,
    call,
    everything,
    followed,
    numbers,
    priced,
    result,
    text,
)

pytestmark = pytest.mark.django_db(transaction=True)
CAPTURES = Path(__file__).parents[2] / "captures"
REJECTED = "The user doesn't want to proceed with this tool use. The tool use was rejected."
MARKER = "[Request interrupted by user for tool use]"


@pytest.fixture(autouse=True)
def an_empty_index():
    empty_index()


def test_results_count_for_the_answer_that_called():
    talk = Talk()
    talk.ask("mend it", answer=["I will.", call(1, "Edit", file="a"), call(2, "Bash", command="ls")])
    talk.ask(result(1, "no such text", error=True), result(2), answer=["done"], upstream_model="other")
    followed()
    told = numbers(upstream_model="u")
    assert (told["calls"], told["results"], told["errors"]) == (2, 2, 1)
    assert "results" not in numbers(upstream_model="other")
    assert by_tool("errors") == {"Edit": 1} and by_tool("results") == {"Edit": 1, "Bash": 1}


def test_results_count_in_the_hour_of_the_calls():
    talk = Talk(start=NOON)
    talk.ask("go", answer=[call(1)])
    talk.ask(result(1, error=True), answer=["sorry"], later=7200)
    followed()
    first, second = HourlyOutcome.objects.filter(request_class="main").order_by("hour")
    assert (first.errors, second.errors, second.hour - first.hour) == (1, 0, 2)


def test_a_retry_and_a_compaction_bring_the_same_results_and_count_them_once():
    talk = Talk()
    talk.ask("go", answer=[call(1)])
    talk.ask(result(1, error=True), state="error", status=529)
    talk.ask(answer=["summary"], keep=False, request_class="compaction")
    talk.ask(answer=["done"])
    followed()
    told = numbers()
    assert (told["results"], told["errors"], told["compactions"], told["failed"]) == (1, 1, 1, 1)


def test_what_a_person_did_not_allow_is_no_error():
    talk = Talk()
    talk.ask("go", answer=[call(1, "Write"), call(2, "Edit")])
    wrong = "<tool_use_error>InputValidationError: Edit failed due to the following issue</tool_use_error>"
    talk.ask(result(1, REJECTED, error=True), result(2, wrong, error=True), MARKER, "not so", answer=["ok"])
    followed()
    told = numbers()
    assert (told["rejected"], told["errors"], told["invalid_arguments"], told["interruptions"]) == (
        1,
        1,
        1,
        1,
    )
    # the person said something beside the results
    assert told["prompts"] == 2


def test_an_interruption_counts_once_for_the_request_that_was_interrupted():
    talk = Talk()
    talk.ask("go", state="cancelled", status=200, upstream_model="slow")
    # the client says it in the message that stays in the conversation
    talk.ask("[Request interrupted by user]", "do it otherwise", answer=[call(1)])
    talk.ask(result(1), answer=["done"])
    followed()
    assert numbers(upstream_model="slow")["interruptions"] == 1
    assert "interruptions" not in numbers(upstream_model="u")
    assert numbers()["cancelled"] == 1


def test_a_resumed_session_says_the_interruption_before_a_message_of_its_own():
    """As Claude Code 2.1.332 sends it after `-c`."""
    talk = Talk()
    talk.ask("go", state="cancelled")
    talk.messages += [
        {"role": "assistant", "content": [text("half an ans")]},
        {"role": "user", "content": [text("[Request interrupted by user]")]},
        {"role": "assistant", "content": [text("No response requested.")]},
    ]
    talk.ask("go on", answer=["yes"])
    followed()
    assert numbers()["interruptions"] == 1 and numbers(request_class="*")["prompts"] == 2


def test_a_marker_that_is_sent_again_with_a_retry_is_no_second_interruption():
    talk = Talk()
    talk.ask("go", answer=["well"])
    talk.ask("[Request interrupted by user]", "go on", state="error", status=500)
    talk.ask(answer=["done"])
    followed()
    assert numbers()["interruptions"] == 1


def test_a_tool_that_was_not_offered_is_unknown():
    talk = Talk()
    talk.ask("go", answer=[call(1, "Grep"), call(2, "Bash")])
    followed()
    told = numbers()
    assert (told["checked_calls"], told["unknown_tools"]) == (2, 1)
    assert by_tool("unknown_tools") == {"Grep": 1}


def test_a_request_without_tools_offers_none():
    talk = Talk()
    talk.ask("go", answer=[call(1, "Grep")], tools=())
    followed()
    assert numbers()["unknown_tools"] == 1


def test_repairs_are_those_of_the_ledger():
    talk = Talk()
    ledger = [{"code": one.code, "path": one.path, "note": one.note} for one in (ARGUMENTS, PLACEHOLDER)] + [
        {"code": "dropped", "path": "top_k", "note": "x"}
    ]
    talk.ask("go", answer=[call(1), call(2), call(3)], ledger=ledger)
    followed()
    assert numbers()["repaired"] == 2


def test_the_same_call_with_the_same_result_again_is_a_loop():
    talk = Talk()
    talk.ask("go", answer=[call(1, command="make")])
    talk.ask(result(1, "error 2", error=True), answer=[call(2, command="make")])
    # the same call, and another result
    talk.ask(result(2, "error 3", error=True), answer=[call(3, command="make")])
    talk.ask(result(3, "error 2", error=True), answer=[call(4, command="make all")])
    # another call, and the same result
    talk.ask(result(4, "error 2", error=True), answer=["I give up"])
    followed()
    told = numbers()
    assert (told["loops"], told["compared"]) == (1, 4)


def test_the_order_of_arguments_makes_no_other_call():
    talk = Talk()
    talk.ask("go", answer=[call(1, a=1, b=2), call(2, b=2, a=1)])
    talk.ask(result(1), result(2), answer=["done"])
    followed()
    assert numbers()["loops"] == 1


def test_turns_tokens_and_cost_belong_to_the_prompt():
    talk = Talk()
    names = [
        talk.ask("first", answer=[call(1)]),
        talk.ask(result(1), "Tool loaded.", answer=[call(2)]),
        talk.ask(result(2), answer=["done"]),
        talk.ask("<system-reminder>look</system-reminder>", "second", answer=["done"]),
    ]
    for name in names:
        priced(name, "0.25")
    followed()
    told = numbers(request_class="main")
    assert (told["prompts"], told["prompt_turns"], told["prompt_turns_sq"]) == (2, 4, 10)
    assert (told["prompt_tokens"], told["priced_prompts"]) == (4 * 420, 2)
    assert (told["sessions"], told["session_cost"]) == (1, 10**10)
    # the squares are those of hundredths of a thousandth
    assert told["prompt_cost_sq"] == 75_000**2 + 25_000**2


def test_the_client_s_prompt_id_counts_before_any_message():
    talk = Talk(prompt_id="p1")
    talk.ask("one", answer=[call(1)])
    Talk(agent="a1", prompt_id="p1").ask("do a part of it", answer=["done"])
    talk.ask("two", answer=["done"])
    followed()
    every = numbers(request_class="*")
    assert (every["prompts"], every["prompt_turns"], every["sessions"]) == (1, 3, 1)
    assert numbers(request_class="main")["prompt_turns"] == 2
    assert numbers(request_class="subagent")["prompts"] == 1


def test_a_summary_after_a_compaction_goes_on_with_the_prompt():
    talk = Talk()
    talk.ask("go", answer=[call(1)])
    talk.ask(result(1), "Summarise.", answer=["all is well"], keep=False, request_class="compaction")
    talk.messages = []
    talk.ask("This session is being continued from a previous conversation that ran out.", answer=["on"])
    followed()
    told = numbers(request_class="*")
    assert (told["prompts"], told["prompt_turns"]) == (1, 2)
    assert numbers()["compactions"] == 1


def test_two_people_with_one_session_id_are_told_apart():
    for owner in (1, 2):
        Talk(owner_id=owner, agent="").ask("go", answer=["ok"], request_id=f"req_{owner}")
    followed()
    assert numbers(request_class="*")["sessions"] == 2


def test_ends_are_counted_apart():
    talk = Talk()
    talk.ask("a", answer=["..."], stop_reason="max_tokens")
    talk.ask("b", answer=["..."], stop_reason="refusal")
    talk.ask("c", state="broken")
    talk.ask("d", state="interrupted")
    talk.ask("e", state="open")
    talk.ask("f", endpoint="count_tokens")
    talk.ask("g", endpoint="replay")
    talk.ask("h", state="error", status=401, provider="", upstream_model="")
    followed()
    told = numbers()
    assert (told["requests"], told["answered"], told["failed"], told["cut"], told["refused"]) == (
        4,
        2,
        1,
        1,
        1,
    )


def test_a_failed_try_counts_for_the_target_that_failed():
    talk = Talk()
    tries = (
        AttemptFacts(1, NOON, "acme", "u", state="error", status=529),
        AttemptFacts(2, NOON, "backup", "v", state="ok"),
    )
    talk.ask("a", answer=["ok"], provider="backup", upstream_model="v", attempts=2, tries=tries)
    followed()
    failing, answering = numbers(provider="acme"), numbers(provider="backup")
    assert (failing["attempts"], failing["failed_attempts"]) == (1, 1)
    assert (answering["attempts"], answering["requests"]) == (1, 1) and "failed_attempts" not in answering


def test_times_and_the_cache():
    talk = Talk()
    talk.ask("a", answer=["ok"])
    talk.ask("b", answer=["ok"], streamed=False, cache_read_tokens=None)
    talk.ask("c", answer=["ok"], usage_estimated=True)
    followed()
    told = numbers()
    assert (told["timed_requests"], told["timed_tokens"], told["timed_ms"]) == (1, 20, 1000)
    assert (told["cached_requests"], told["cached_tokens"], told["input_tokens"]) == (2, 600, 800)
    assert told["first_byte_06"] + told.get("first_byte_05", 0) == 3


def test_without_contents_results_are_those_of_the_next_request():
    talk = Talk(contents=False)
    talk.ask("a", answer=[call(1), call(2, "Edit")])
    talk.ask(result(1, error=True), result(2), answer=["done"])
    talk.ask("b", answer=["done"])
    followed()
    told = numbers()
    assert (told["calls"], told["results"], told["errors"]) == (2, 2, 1)
    assert by_tool("errors") == {"Bash": 1}
    assert "compared" not in told and "checked_calls" not in told
    assert (told["prompts"], told["prompt_turns"]) == (2, 3)


def test_auxiliary_requests_between_two_turns_change_nothing():
    talk = Talk()
    talk.ask("a", answer=[call(1)])
    for _ in range(20):
        talk.ask(answer=["a title"], keep=False, request_class="auxiliary")
    talk.ask(result(1, error=True), answer=["done"])
    followed()
    assert numbers(request_class="main")["errors"] == 1
    assert numbers(request_class="auxiliary")["requests"] == 20


def recorded(name):
    """A captured request of Claude Code, as it came."""
    value = json.loads((CAPTURES / f"{name}.request.json").read_text())
    headers = json.loads((CAPTURES / f"{name}.headers.json").read_text())
    return value, headers


def before_last(value):
    """(the earlier request, the answer to it) of a request of a conversation."""
    messages = value["messages"]
    last = max(n for n, message in enumerate(messages) if message["role"] == "assistant")
    return {**value, "messages": messages[:last]}, messages[last]


@pytest.mark.parametrize(
    ("name", "calls", "errors", "prompts"),
    [("06-tools-write-read-bash", {"Bash": 1}, 1, 0), ("07-parallel-tools", {"Read": 2, "Bash": 1}, 0, 1),
     ("12-thinking-second-turn", {"Bash": 1}, 0, 1), ("31-tool-search", {"mcp__tiny__add": 1}, 0, 0),
     ("21-subagent-second-late-system", {"Bash": 1}, 0, 0)],
)  # fmt: skip
def test_recorded_turns_of_claude_code_are_read(name, calls, errors, prompts):
    value, _headers = recorded(name)
    subagent = "subagent" in name
    earlier, answer = before_last(value)
    for number, (body, said) in enumerate([(earlier, answer), (value, {"role": "assistant", "content": []})]):
        returned = {
            "type": "message",
            "role": "assistant",
            "content": said["content"],
            "stop_reason": "tool_use",
        }
        write([
            ExchangeOutcome(
                request_id=f"req_{number}", started_at=NOON.replace(second=number), endpoint="messages",
                state="ok", session_id="s", agent_id="a" * subagent,
                request_class="subagent" if subagent else "main", provider="acme",
                upstream_model="u", mapping="*", attempts=1,
                bodies=CapturedBodies(
                    received=json.dumps(body).encode(), returned=json.dumps(returned).encode()
                ),
            )
        ])  # fmt: skip
    followed()
    told = numbers()
    assert by_tool("results") == calls and told.get("errors", 0) == errors
    assert "unknown_tools" not in told
    # a person speaks only in the first message
    assert told.get("prompts", 0) == prompts


def a_session(contents=True):
    """Outcomes of two agents with everything in them, some of which fail."""
    main = Talk(contents=contents)
    sub = Talk(agent="a1", mapping="sub", mapping_pk=8, contents=contents)
    told = [
        main.outcome("start", answer=[call(1, "Task"), call(2, command="make")]),
        sub.outcome("a part", answer=[call(1, "Edit", file="x")]),
        sub.outcome(result(1, "no", error=True), answer=[call(2, "Edit", file="x")]),
        sub.outcome(result(2, "no", error=True), state="error", status=529),
        sub.outcome(answer=["gave up"]),
        main.outcome(result(1), result(2, "e", error=True), answer=[call(3, command="make")]),
        main.outcome(answer=["sum"], keep=False, request_class="compaction"),
        main.outcome(result(3, "e", error=True), answer=[call(4, "Write")], upstream_model="canary"),
        main.outcome(result(4, REJECTED, error=True), MARKER, "no!", answer=["fine"]),
        main.outcome("more", state="cancelled", later=4000),
        main.outcome("[Request interrupted by user]", "less", answer=[call(5, "Nope")]),
        main.outcome(result(5, "No such tool", error=True), answer=["bye"]),
    ]
    return told


COUNTED = ("countedturn", "countedunit", "hourlyoutcome", "dailyoutcome", "hourlytool", "dailytool")
STORED = (
    "followup", "requestbody", "attempt", "requestlog", "contentnode", "contentblob", "sessiontotal",
)  # fmt: skip


def emptied(tables):
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM gateway_{table}")
    content_store.known.forget()


@settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.permutations(range(12)),
    cuts=st.sets(st.integers(1, 11), max_size=5),
    again=st.integers(0, 11),
    contents=st.booleans(),
)
def test_any_order_and_any_portions_give_the_same_totals(order, cuts, again, contents):
    emptied((*STORED, *COUNTED))
    empty_index()
    told = a_session(contents)
    write(told)
    followed()
    expected = everything()
    emptied(COUNTED)
    shuffled = [told[number].request_id for number in order]
    for start, end in pairwise([0, *sorted(cuts), 12]):
        work_off(ended_exchanges(shuffled[start:end]))
    work_off(ended_exchanges([told[again].request_id]))
    assert everything() == expected
    # counting rows that are replaced takes off what they counted before
    write([replace(one, state="error", tools_called=[]) for one in told])
    followed()
    assert numbers()["failed"] == 12 and numbers().get("calls", 0) == 0


def test_a_late_turn_changes_what_it_must_in_a_long_session_and_no_more(monkeypatch):
    talk = Talk()
    # nobody speaks in between, so all turns behind belong to the prompt of the first
    names = [talk.ask("go", answer=[call(0)])]
    names += [talk.ask(result(n), answer=[call(n + 1)]) for n in range(40)]
    followed()
    expected = everything()
    emptied(COUNTED)
    monkeypatch.setattr(outcomes, "_BEHIND", (5, 20, 1000))
    work_off(ended_exchanges(names[1:]))
    work_off(ended_exchanges(names[:1]))
    assert everything() == expected
    written = []
    monkeypatch.setattr(outcomes.PUT_TURN, "many", written.extend)
    work_off(ended_exchanges(names[20:21]))
    assert written == [] and everything() == expected


def test_an_end_that_replaces_another_counts_once():
    talk = Talk()
    told = talk.outcome("go", answer=[call(1)])
    write([replace(told, state="interrupted", bodies=None)])
    followed()
    write([told])
    followed()
    assert (numbers()["requests"], numbers()["answered"]) == (1, 1)


def test_a_death_in_the_middle_neither_loses_nor_doubles(monkeypatch):
    told = a_session()
    write(told)
    dying = iter([True, False, False, True, False, True, False, False])

    def forget(names):
        if next(dying, False):
            raise KeyboardInterrupt
        original(names)

    original = module._forget
    monkeypatch.setattr(module, "_forget", forget)
    monkeypatch.setattr(module, "PORTION", 1)
    for _ in range(8):
        try:
            followed()
        except KeyboardInterrupt:
            # whatever the transaction did is gone, as after kill -9
            continue
    monkeypatch.undo()
    followed()
    found = everything()
    emptied(COUNTED)
    work_off(ended_exchanges([one.request_id for one in told]))
    assert found == everything() and not FollowUp.objects.exists()


@pytest.mark.parametrize("step", ["facts_of", "count"])
def test_one_that_cannot_be_counted_stops_no_other(monkeypatch, step):
    bad = Talk("a").ask("go", answer=["ok"])
    Talk("b").ask("go", answer=["ok"])

    def failing(exchanges, *facts):
        if any(bad in (one, getattr(one, "request_id", None)) for one in exchanges):
            raise ValueError("nobody can count this")
        return original(exchanges, *facts)

    original = getattr(module, step)
    monkeypatch.setattr(module, step, failing)
    followed()
    assert not FollowUp.objects.exists()
    assert numbers()["requests"] == 1


@pytest.mark.parametrize("note", [["x"], {"a": 1}, None, 3])
def test_a_ledger_of_another_form_leaves_its_request_counted(note):
    ledger = [{"code": "repaired", "path": "x", "note": note}]
    Talk("a").ask("go", answer=[call(1)], ledger=ledger)
    followed()
    assert numbers()["requests"] == 1


@pytest.mark.parametrize(
    "message",
    [{"role": "user"}, {"role": "user", "content": {}}, {"role": "user", "content": [None, 1, {"type": []}]},
     {"role": "assistant", "content": [{"type": "tool_use", "id": {}, "name": [], "input": 3}]}, 7, "x", None,
     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": None, "content": [{"text": 3}]}]},
     {"role": "user", "content": [{"type": "text", "text": {"a": 1}}]}],
)  # fmt: skip
def test_whatever_a_client_sent_is_counted_as_a_request(message):
    body = {"model": "m", "tools": {"a": 1}, "messages": [{"role": "user", "content": "a"}, message]}
    odd = {"type": "message", "content": [{"type": "tool_use", "id": 1, "name": None}, 5]}
    outcome = Talk().outcome("x", answer=[call(1)])
    texts = CapturedBodies(received=json.dumps(body).encode(), returned=json.dumps(odd).encode())
    write([replace(outcome, bodies=texts)])
    followed()
    assert numbers()["requests"] == 1


def test_a_new_price_is_in_the_outcomes_too():
    name = Talk().ask("go", answer=["ok"])
    followed()
    assert numbers()["unpriced"] == 1 and "priced_sessions" not in numbers(request_class="*")
    dollar = Price(Rates(Decimal(1), Decimal(1)), source="price 1")
    book = PriceBook((PriceRule(dollar, "u"),), addresses={"acme": "http://acme"})
    recosting.recompute(RequestLog.objects.filter(request_id=name), book)
    assert "unpriced" not in numbers() and numbers()["cost_units"] > 0
    assert numbers(request_class="*")["session_cost"] == numbers()["cost_units"]


def test_purged_rows_stay_counted():
    talk = Talk()
    first = talk.ask("go", answer=[call(1)])
    second = talk.ask(result(1, error=True), answer=["done"])
    followed()
    RequestLog.objects.filter(request_id=first).delete()
    outcomes.forget([first])
    before = numbers()
    # the one that told of it is counted again
    work_off(ended_exchanges([second]))
    assert numbers() == before and before["errors"] == 1
    outcomes.forget_units(10**9)
    assert not CountedUnit.objects.exists() and numbers() == before


def test_contents_that_went_away_were_read_before():
    talk = Talk()
    names = [talk.ask("go", answer=[call(1, "Nope")]), talk.ask(result(1, error=True), answer=["done"])]
    followed()
    before = everything()
    RequestBody.objects.all().delete()
    work_off(ended_exchanges(names))
    assert everything() == before


def test_tools_that_are_not_told_apart_are_one(monkeypatch):
    monkeypatch.setattr(tool_names, "LIMIT", 2)
    talk = Talk()
    talk.ask("go", answer=[call(n, f"tool\x00{n}") for n in range(4)])
    followed()
    assert sorted(by_tool("calls").items()) == [("(other)", 2), ("tool0", 1), ("tool1", 1)]


def test_the_command_counts_what_was_stored_before(capsys):
    write(a_session())
    followed()
    expected = everything()
    emptied(COUNTED)
    call_command("countoutcomes")
    assert everything() == expected
    assert "12 requests" in capsys.readouterr().out
    call_command("countoutcomes")
    assert everything() == expected
    assert "0 requests" in capsys.readouterr().out
    call_command("countoutcomes", "--again")
    assert everything() == expected and CountedTurn.objects.count() == 12


def figures_of(mapping_pk, provider, upstream_model, request_class=""):
    only = {"mapping_pk": mapping_pk, "provider": provider, "upstream_model": upstream_model}
    found = report(NOON, NOON + timedelta(hours=3), **only)
    [target] = found.targets(request_class)
    return found.figures(target, request_class)


def test_the_figures_of_a_target_are_those_of_its_requests():
    write(a_session())
    followed()
    found = figures_of(7, "acme", "u")
    # Task and three calls of Bash had results; two were errors, and so was the call of Nope
    assert (found["tool_errors"].value, found["tool_errors"].number) == (3 / 4, 4)
    assert found["failures"].value == 0
    assert figures_of(8, "acme", "u")["edit_errors"].value == 1
    subagents = {"mapping_pk": 8, "provider": "acme", "upstream_model": "u"}
    assert report(NOON, NOON + timedelta(hours=3), **subagents).targets("main") == []
    other = {"mapping_pk": 9, "provider": "x", "upstream_model": "y"}
    assert report(NOON, NOON + timedelta(hours=3), **other).targets() == []


@pytest.mark.parametrize(
    "refused",
    [
        {"state": "error", "status": 429, "error_type": "rate_limit_error"},
        {"state": "error", "status": 400, "error_type": "invalid_request_error"},
        # an answer that needs no provider, as to max_tokens 0
        {"state": "ok", "stop_reason": "max_tokens", "usage_estimated": True},
    ],
)
def test_what_the_gateway_answers_itself_says_nothing_about_a_model(refused):
    talk = Talk()
    talk.ask("a", answer=["ok"])
    followed()
    alone = numbers(), numbers(request_class="*")
    for _ in range(3):
        talk.ask("b", attempts=0, first_byte_ms=1, **refused)
    followed()
    assert (numbers(), numbers(request_class="*")) == alone
