"""The cache doctor names the first item that changed and who changed it, and calls no hit a miss."""

import copy
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from bench.prompt_caching.client import Agent, recorded_turns
from bench.prompt_caching.routes import ThroughGateway
from bench.prompt_caching.sessions import (
    Begin,
    forked,
    many_subagents,
    tool_search,
    with_subagents,
)
from gateway.admin.requests.request_cards import cache_miss
from gateway.conversion.context import ClientFacts
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.history.caching.diagnosis import (
    CREDENTIAL,
    FORGOTTEN,
    IDLE,
    LOADED,
    NOT_KEPT,
    SHORTER,
    TARGET,
    ComparedRequest,
    diagnosed,
)
from gateway.history.caching.differences import changed_tools, first_difference, shape, whose
from gateway.history.caching.lifetimes import lifetime_of
from gateway.history.caching.stored import count_misses
from gateway.history.content.bodies import packed, store
from gateway.history.content.chunking import packed_request
from gateway.history.outcome import CapturedBodies
from gateway.history.record.follow_up import follow_up
from gateway.models import CacheMiss, ContentNode, FollowUp, RequestBody, RequestLog
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from gateway.wire import jsontext
from tests.conversion.converting import assistant, call, new_ids, request_of, result, system, text, user
from tests.fakes.prompt_caches.rules import FAMILIES, AnthropicMarks

BEGAN = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATE = {"name": "late", "description": "d", "input_schema": {"type": "object"}, "defer_loading": True}


FORMAT = {"type": "json_schema", "schema": {"type": "object"}}


def tool(name):
    return {"name": name, "description": "d" * 300, "input_schema": {"type": "object"}}


def conversation():
    """The request before: three turns, two tools and one that is not loaded."""
    return request_of(
        user("first", text("a" * 300)),
        assistant("b", call("t1", path="x")),
        user(result("t1", content="c" * 300)),
        system("a reminder"),
        assistant("d", call("t2", path="y")),
        user(result("t2", content="e" * 300)),
        system=[text("s" * 400), text("u" * 400)],
        tools=[tool("one"), tool("two"), LATE],
        output_config={"effort": "high"},
        thinking={"type": "adaptive"},
    )


def next_turn(request):
    more = [assistant("f", call("t3", path="z")), user(result("t3", content="g" * 300))]
    return {**request, "messages": [*request["messages"], *more]}


CHAT = {
    "reasoning": "effort",
    "efforts": ["none", "low", "medium", "high"],
    "provider": "p",
    "upstream_model": "m",
}
RESPONSES = {**CHAT, "protocol": "responses"}
PROFILES = {
    "chat": CHAT,
    "responses": RESPONSES,
    "breakpoints": {**RESPONSES, "cache_control": "openai_breakpoint"},
}


def shapes(request, options, session="s"):
    ledger = Ledger()
    profile = Profile.merged({**options, "session_key": "prompt_cache_key"})
    client = ClientFacts("k", session)
    made = DIALECTS[profile.protocol].request(copy.deepcopy(request), profile, client, new_ids(), ledger)
    return shape_of(request), shape_of(made.body), [(entry.path, entry.note) for entry in ledger.entries]


def shape_of(body):
    packed = packed_request(jsontext.dumps(body), json.loads(jsontext.dumps(body)))
    names = [[jsontext.dumps(value) for value in chain.values] for chain in (packed.base, packed.head)]
    return shape(packed.recipe, *names)


def asked(request, options, *, read=0, prompt=50_000, at=0.0, credential="c", session="s"):
    received, sent, ledger = shapes(request, options, session)
    began = BEGAN + timedelta(seconds=at)
    return ComparedRequest(began, began, "p", "m", credential, prompt, read, received, sent, ledger)


def changed(**fields):
    return lambda request: request.update(fields)


def edited(place, value):
    return lambda request: request["messages"][place].update(content=value)


def without_first_messages(request):
    request["messages"] = [user("a summary of all that was said"), *request["messages"][-2:]]


def rewound(request):
    """The user goes back two turns and says something else."""
    request["messages"] = [*request["messages"][:3], assistant("other", call("t9", path="q")), user("go on")]


def taken_out(request):
    del request["messages"][3]


def both(request):
    """Of two changes the one in front is the reason."""
    edited(2, [result("t1", content="other")])(request)
    request["system"][1].update(text="today is the 30th")


def reordered(request):
    request["tools"] = [request["tools"][1], request["tools"][0], *request["tools"][2:]]


# what is changed on the way from one turn to the next, and what the doctor has to say of it
BY_CLIENT = {
    "a tool more": (lambda r: r["tools"].insert(2, tool("three")), "tools"),
    "a tool less": (lambda r: r["tools"].pop(0), "tools"),
    "a tool's description": (lambda r: r["tools"][0].update(description="other"), "tools"),
    "tools in another order": (reordered, "tools"),
    "no tools": (lambda r: r.pop("tools"), "tools"),
    "the first system block": (lambda r: r["system"][0].update(text="S" * 400), "system"),
    "the last system block": (lambda r: r["system"][1].update(text="today is the 30th"), "system"),
    "a system block more": (lambda r: r["system"].append(text("v" * 400)), "system"),
    "the first message": (edited(0, "other"), "message"),
    "a result in the middle": (edited(2, [result("t1", content="other")]), "message"),
    "a reminder": (edited(3, "another reminder"), "message"),
    "what the assistant said": (edited(4, [text("other"), call("t2", path="y")]), "message"),
    "the last message before": (edited(5, [result("t2", content="other")]), "message"),
    "compaction": (without_first_messages, "message"),
    "a rewind": (rewound, "message"),
    "a message less": (taken_out, "message"),
    "a space in the system text": (lambda r: r["system"][0].update(text="s" * 400 + " "), "system"),
    "system text and a message": (both, "system"),
    "effort": (changed(output_config={"effort": "low"}), "effort"),
    "thinking": (changed(thinking={"type": "disabled"}), "effort"),
    "format": (
        changed(output_config={"effort": "high", "format": FORMAT}),
        "format of the answer",
    ),
}  # fmt: skip
BY_GATEWAY = {
    "another target": ({"upstream_model": "n"}, None, "model"),
    "effort of another mapping": ({"efforts": ["low"]}, None, "effort"),
    "tools cut": ({"max_tools": 1}, None, "tools"),
    "deferred tools shown": ({"deferred_tools": "expose"}, None, "tools"),
    "system role": ({"mid_system": "user"}, None, "message"),
    "routing key": ({}, "another", "routing key"),
    "format": ({"extra_body": {"verbosity": "low"}}, None, "effort"),
}
ALL = [(profile, name) for profile in PROFILES for name in BY_CLIENT]


@pytest.mark.parametrize(("profile", "name"), ALL)
def test_what_the_client_changed_is_the_clients(profile, name):
    change, item = BY_CLIENT[name]
    before = conversation()
    after = next_turn(before)
    after = copy.deepcopy(after)
    change(after)
    found = diagnosed(asked(before, PROFILES[profile]), asked(after, PROFILES[profile], at=9))
    assert found is not None
    assert (found.culprit, found.difference.item) == ("client", item)
    assert found.tokens == 50_000


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", BY_GATEWAY)
def test_what_the_gateway_changed_is_the_gateways(profile, name):
    options, session, item = BY_GATEWAY[name]
    before = conversation()
    found = diagnosed(
        asked(before, PROFILES[profile]),
        asked(next_turn(before), {**PROFILES[profile], **options}, at=9, session=session or "s"),
    )
    assert (found.culprit, found.difference.item) == ("gateway", item)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_tool_that_is_loaded_late_is_named(profile):
    before = conversation()
    after = next_turn(before)
    after["messages"][-1] = user(result("t3", content=[{"type": "tool_reference", "tool_name": "late"}]))
    found = diagnosed(asked(before, PROFILES[profile]), asked(after, PROFILES[profile], at=9))
    assert (found.culprit, found.difference.item, found.reason) == ("gateway", "tools", LOADED)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("how", "reason"),
    [({"at": 301}, IDLE), ({"at": 9, "credential": "d"}, CREDENTIAL), ({"at": 9}, FORGOTTEN)],
)
def test_what_the_provider_forgot_is_the_providers(profile, how, reason):
    before = conversation()
    found = diagnosed(asked(before, PROFILES[profile]), asked(next_turn(before), PROFILES[profile], **how))
    assert (found.culprit, found.difference, found.reason) == ("provider", None, reason)


def test_compaction_and_another_target_are_called_so():
    before, after = conversation(), copy.deepcopy(next_turn(conversation()))
    without_first_messages(after)
    assert diagnosed(asked(before, PROFILES["chat"]), asked(after, PROFILES["chat"])).reason == SHORTER
    other = {**PROFILES["chat"], "upstream_model": "n"}
    assert diagnosed(asked(before, PROFILES["chat"]), asked(next_turn(before), other)).reason == TARGET


@pytest.mark.parametrize(("read", "missed"), [(50_000, False), (46_000, False), (45_000, True), (0, True)])
def test_a_request_that_read_nearly_all_is_no_miss(read, missed):
    before = conversation()
    after = asked(next_turn(before), PROFILES["chat"], read=read, prompt=52_000, at=9)
    assert (diagnosed(asked(before, PROFILES["chat"]), after) is not None) is missed


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("made", [lambda: with_subagents(20), many_subagents, forked, tool_search])
def test_in_sessions_that_hit_nothing_is_called_a_miss_and_loaded_tools_are_found(made, family):
    session = made()
    gateway = ThroughGateway(family)
    agents, last = {}, {}
    for event in session.events:
        if isinstance(event, Begin):
            agents[event.agent] = Agent(event, event.agent or "s", session.late_tools)
            if event.like is not None:
                agents[event.agent].goes_on_with(agents[event.like])
            continue
        agent = agents[event.agent]
        request = agent.request(event)
        receipt, content, body = gateway.ask(agent, event)
        began = BEGAN + timedelta(seconds=event.at)
        shaped = shape_of(request), shape_of(body)
        now = ComparedRequest(began, began, "p", "m", "c", receipt.prompt, receipt.read, *shaped)
        before, last[event.agent] = last.get(event.agent), now
        found = before and diagnosed(before, now)
        # the judge's read is the truth: what was read up to the end of the last prompt is no miss
        if before is not None and receipt.read >= before.prompt - 200:
            assert found is None
        if found is not None and session.late_tools:
            assert (found.culprit, found.difference.item) == ("gateway", "tools")
        elif found is not None:
            assert (found.culprit, found.reason) == ("provider", IDLE)
        agent.heard(content, event)


RECORDED = [
    "06-tools-write-read-bash", "07-parallel-tools", "09-image-tool-result", "10-pdf-document-sibling",
    "12-thinking-second-turn", "21-subagent-second-late-system", "36-compaction-request",
]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("capture", RECORDED)
def test_recorded_conversations_are_read_from_the_cache_turn_by_turn(capture, family):
    gateway = ThroughGateway(family)
    agent = Agent(Begin("", 0.0, "", "01-plain-text"), "s")
    before = None
    for number, request in enumerate(recorded_turns(capture)):
        converted = gateway.converted(agent, request)
        body = json.loads(jsontext.dumps(converted.body))
        receipt = gateway.cache.ask(body, 9.0 * number)
        began = BEGAN + timedelta(seconds=9 * number)
        shaped = shape_of(request), shape_of(body)
        now = ComparedRequest(began, began, "p", "m", "c", receipt.prompt, receipt.read, *shaped)
        if before is not None:
            assert first_difference(before.sent, now.sent) is None
            # Anthropic's markers are the client's own, which leaves its first reminder behind them
            least = 0.9 if family.cache is AnthropicMarks else 0.98
            assert receipt.read >= least * before.prompt - 200
            assert diagnosed(before, now) is None
        before = now


def stored_request(request_id, body, at, **numbers):
    """A row of a session with what came and what was sent."""
    profile = PROFILES["chat"]
    row = RequestLog.objects.create(
        request_id=request_id, session_id="s", started_at=BEGAN + timedelta(seconds=at), state="ok",
        status=200, provider="p", upstream_model="m", duration_ms=100, client="c", mapping="*", attempts=1,
        **numbers,
    )  # fmt: skip
    client = ClientFacts("k", "s")
    sent = DIALECTS["chat"].request(body, Profile.merged(profile), client, new_ids(), Ledger()).body
    store([(request_id, packed(CapturedBodies({}, jsontext.dumps(body), jsontext.dumps(sent))))])
    return row


@pytest.fixture
def session_with_a_miss(db):
    first = conversation()
    changed_tools = {**next_turn(first), "tools": [tool("one"), LATE]}
    stored_request("r1", first, 0, input_tokens=50_000, cache_read_tokens=0)
    stored_request("r2", next_turn(first), 9, input_tokens=2_000, cache_read_tokens=50_000)
    stored_request("r3", changed_tools, 18, input_tokens=52_000, cache_read_tokens=0)


PRICES = PriceBook((PriceRule(Price(Rates(Decimal("2.00"), Decimal(0), Decimal("0.10"))), "m"),))


def count(*names):
    return count_misses(names or ("r1", "r2", "r3"), lambda: PRICES)


def test_misses_are_found_in_the_history_with_their_money(session_with_a_miss):
    assert count() == 1
    (found,) = CacheMiss.objects.all()
    assert (found.pk, found.before_id, found.session_id) == ("r3", "r2", "s")
    assert (found.culprit, found.item, found.place, found.tokens) == ("client", "tools", None, 52_000)
    assert found.source == "two"
    assert found.money == Decimal("1.90") * 52_000 / 1_000_000
    assert "the client changed the list of tools: two" in cache_miss(found.log)
    assert cache_miss(RequestLog.objects.get(request_id="r2")) == ""


def test_the_follow_up_finds_them_and_empties_its_queue(session_with_a_miss):
    FollowUp.objects.bulk_create(FollowUp(request_id=name) for name in ("r1", "r2", "r3"))
    follow_up(prices=lambda: PRICES)
    assert list(CacheMiss.objects.values_list("pk", "money")) == [("r3", Decimal("0.0988"))]
    assert not FollowUp.objects.exists()


def test_one_that_cannot_be_judged_stops_nothing(session_with_a_miss, monkeypatch, caplog):
    FollowUp.objects.bulk_create(FollowUp(request_id=name) for name in ("r1", "r2", "r3"))
    RequestBody.objects.filter(pk="r2").update(recipe=b"\x28\xb5\x2f\xfd broken")
    monkeypatch.setattr("gateway.history.caching.stored.is_miss", lambda *_: 1 / 0)
    follow_up(prices=lambda: PRICES)
    assert not FollowUp.objects.exists()
    assert not CacheMiss.objects.exists()


@pytest.mark.parametrize("order", [("r1", "r2", "r3"), ("r3", "r1", "r2"), ("r3", "r3", "r2")])
def test_order_and_repetition_change_nothing(session_with_a_miss, order):
    for name in order:
        count(name)
    assert list(CacheMiss.objects.values_list("pk", "before_id")) == [("r3", "r2")]


def test_a_row_that_turns_out_to_be_a_hit_is_a_miss_no_more(session_with_a_miss):
    count()
    RequestLog.objects.filter(request_id="r3").update(cache_read_tokens=51_000, input_tokens=1_000)
    assert count() == 0
    assert not CacheMiss.objects.exists()


def test_a_hit_costs_one_query(session_with_a_miss, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert count("r2") == 0


def test_a_miss_goes_with_its_row(session_with_a_miss):
    count()
    RequestLog.objects.all().delete()
    assert not CacheMiss.objects.exists()


def test_without_contents_only_the_loss_is_known(session_with_a_miss):
    RequestBody.objects.all().delete()
    assert count() == 1
    (found,) = CacheMiss.objects.all()
    assert (found.culprit, found.item, found.reason) == ("unknown", "", NOT_KEPT)
    RequestLog.objects.filter(request_id="r3").update(upstream_model="n")
    count()
    assert CacheMiss.objects.values_list("culprit", "item", "reason").get() == ("gateway", "model", TARGET)


def test_a_request_is_compared_with_the_last_that_had_ended(session_with_a_miss):
    # r2 still runs when r3 begins, so r3 could not read what it wrote
    RequestLog.objects.filter(request_id="r2").update(duration_ms=60_000)
    count()
    assert CacheMiss.objects.get().before_id == "r1"


def test_a_compaction_is_compared_with_the_conversation(session_with_a_miss):
    RequestLog.objects.filter(request_id="r3").update(request_class="compaction")
    count()
    assert CacheMiss.objects.get().before_id == "r2"


def test_requests_of_another_holder_or_agent_are_not_compared(session_with_a_miss):
    RequestLog.objects.filter(request_id="r3").update(agent_id="a")
    assert count() == 0
    RequestLog.objects.filter(request_id="r3").update(agent_id="", owner_id=7)
    assert count() == 0


def test_rows_from_before_are_counted_by_a_command(session_with_a_miss):
    out = StringIO()
    call_command("countcachemisses", stdout=out)
    assert out.getvalue() == "3 requests were looked at, 1 missed the cache.\n"
    assert CacheMiss.objects.get().pk == "r3"


@pytest.mark.parametrize(
    ("form", "expected"), [("text", "client, tools, changed"), ("csv", "r3,"), ("json", '"r3"')]
)
def test_the_report_is_text_csv_or_json(session_with_a_miss, form, expected):
    RequestLog.objects.update(started_at=F("started_at") + (timezone.now() - BEGAN - timedelta(hours=1)))
    count()
    out = StringIO()
    call_command("cachereport", "--format", form, stdout=out)
    assert expected in out.getvalue()
    if form == "json":
        assert [row["request_id"] for row in json.loads(out.getvalue())] == ["r3"]


def test_a_report_of_nothing_says_so(db):
    out = StringIO()
    call_command("cachereport", stdout=out)
    assert out.getvalue() == "No request missed the cache.\n"


def named(*names):
    return [{"type": "function", "function": {"name": name}} for name in names]


@pytest.mark.parametrize(
    ("before", "after", "names", "source"),
    [
        (named("a", "mcp__x__b"), named("a"), ["mcp__x__b"], "mcp__x"),
        (named("mcp__x__b"), named("mcp__x__c"), ["mcp__x__b", "mcp__x__c"], "mcp__x"),
        (named("mcp__x__b"), named("mcp__y__b"), ["mcp__x__b", "mcp__y__b"], "mcp__x__b, mcp__y__b"),
        (named("a", "b"), named("b", "a"), [], ""),
        ([tool("a")], [{**tool("a"), "cache_control": {}}], [], ""),
        ([tool("a")], [{**tool("a"), "description": "other"}], ["a"], "a"),
        (None, ["odd", {}, tool("a")], ["None", "a"], "None, a"),
        (named(*(f"mcp__{'x' * 300}__{n}" for n in "ab")), [], None, "mcp__" + "x" * 195),
    ],
)
def test_whose_tools_changed_is_told(before, after, names, source):
    found = changed_tools(before, after)
    assert names is None or found == names
    assert whose(found) == source


@pytest.mark.parametrize(
    ("asked_model", "culprit", "item"), [("a", "gateway", "provider"), ("b", "client", "model")]
)
def test_the_same_model_of_another_provider_has_another_cache(asked_model, culprit, item):
    before = asked(conversation(), CHAT)._replace(asked_model="a")
    after = asked(next_turn(conversation()), CHAT, at=9)._replace(provider="q", asked_model=asked_model)
    found = diagnosed(before, after)
    assert (found.culprit, found.difference.item) == (culprit, item)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_place_is_that_of_the_clients_own_message(profile):
    before = conversation()
    after = copy.deepcopy(next_turn(before))
    edited(4, [text("other"), call("t2", path="y")])(after)
    found = diagnosed(asked(before, PROFILES[profile]), asked(after, PROFILES[profile], at=9))
    assert str(found.difference) == "message 4"


def shared_pieces(profile, change):
    """What the database says two stored requests have in common, and what comparing their pieces does."""
    before = conversation()
    after = copy.deepcopy(next_turn(before))
    change(after)
    found = diagnosed(asked(before, PROFILES[profile]), asked(after, PROFILES[profile], at=9))
    for name, body, at in (("b", before, 0), ("a", after, 9)):
        stored_request(name, body, at, input_tokens=50_000, cache_read_tokens=0)
    assert count("b", "a") == 1
    miss = CacheMiss.objects.get()
    return (miss.culprit, miss.item, miss.place), (
        found.culprit,
        found.difference.item,
        found.difference.place,
    )


@pytest.mark.django_db
@pytest.mark.parametrize("name", BY_CLIENT)
def test_stored_requests_differ_where_their_pieces_do(name):
    stored, compared = shared_pieces("chat", BY_CLIENT[name][0])
    assert stored == compared


@pytest.mark.django_db
def test_a_chain_with_a_gap_is_no_error(session_with_a_miss):
    with_gap = ContentNode.objects.exclude(parent=None).first()
    with_gap.delete()
    assert count() == 1


def test_an_answer_that_needed_no_provider_is_no_miss(session_with_a_miss):
    RequestLog.objects.filter(request_id="r3").update(attempts=0)
    assert count() == 0


@pytest.mark.parametrize(
    ("model", "written_for_an_hour", "lifetime"),
    [
        ("gpt-5.6-sol", 0, timedelta(minutes=30)),
        ("openai/gpt-6.1", None, timedelta(minutes=30)),
        ("gpt-5", 0, timedelta(minutes=5)),
        ("deepseek-chat", 0, timedelta(hours=2)),
        ("claude-opus-5", 500, timedelta(hours=1)),
        ("claude-opus-5", 0, timedelta(minutes=5)),
        ("", None, timedelta(minutes=5)),
    ],
)
def test_a_pause_is_idle_when_it_is_longer_than_the_lifetime(model, written_for_an_hour, lifetime):
    shaped = shape_of(conversation())
    kept = lifetime_of(model, written_for_an_hour)
    for pause, reason in ((lifetime, FORGOTTEN), (lifetime + timedelta(seconds=1), IDLE)):
        before, after = (
            ComparedRequest(at, at, "p", model, "c", 50_000, 0, shaped, shaped, lifetime=kept)
            for at in (BEGAN, BEGAN + pause)
        )
        assert diagnosed(before, after).reason == reason
