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

from bench.prompt_caching.client import Agent
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
    SHORTER,
    TARGET,
    ComparedRequest,
    diagnosed,
    money_lost,
)
from gateway.history.caching.differences import shape
from gateway.history.caching.stored import miss_of, misses
from gateway.history.content.bodies import packed, store
from gateway.history.content.chunking import packed_request
from gateway.history.outcome import CapturedBodies
from gateway.models import RequestBody, RequestLog
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from gateway.wire import jsontext
from tests.conversion.converting import assistant, call, new_ids, request_of, result, system, text, user
from tests.fakes.prompt_caches.rules import FAMILIES

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
    # a chat provider has the system text as its first message
    items = {item, "message"} if item == "system" else {item}
    assert found is not None
    assert found.culprit == "client"
    assert found.difference.item in items, found
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


def test_the_money_is_the_difference_between_writing_and_reading():
    assert money_lost(1_000_000, Decimal("2.50"), Decimal("0.10")) == Decimal("2.40")
    assert money_lost(1_000_000, Decimal("2.50"), None) == 0


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


def stored_request(request_id, body, at, **numbers):
    """A row of a session with what came and what was sent."""
    profile = PROFILES["chat"]
    row = RequestLog.objects.create(
        request_id=request_id, session_id="s", started_at=BEGAN + timedelta(seconds=at), state="ok",
        status=200, provider="p", upstream_model="m", duration_ms=100, client="c", mapping="*", **numbers,
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


def test_misses_are_found_in_the_history_with_their_money(session_with_a_miss):
    price = Price(Rates(Decimal("2.00"), Decimal(0), Decimal("0.10")))
    prices = PriceBook((PriceRule(price, "m"),))
    (found,) = misses(BEGAN, BEGAN + timedelta(hours=1), lambda: prices)
    assert (found.row.request_id, found.before.request_id) == ("r3", "r2")
    assert (found.miss.culprit, str(found.miss.difference), found.miss.tokens) == ("client", "tools", 52_000)
    assert found.money == Decimal("1.90") * 52_000 / 1_000_000
    assert miss_of(found.row, lambda: prices) == found
    assert miss_of(found.before, lambda: prices) is None
    assert "the client changed the list of tools" in cache_miss(found.row)
    assert cache_miss(found.before) == ""


def test_a_hit_costs_one_query(session_with_a_miss, django_assert_num_queries):
    row = RequestLog.objects.get(request_id="r2")
    with django_assert_num_queries(1):
        assert cache_miss(row) == ""


def test_without_contents_nothing_is_said(session_with_a_miss):
    RequestBody.objects.all().delete()
    assert list(misses(BEGAN, BEGAN + timedelta(hours=1), PriceBook)) == []


@pytest.mark.parametrize(
    ("form", "expected"), [("text", "client, tools, changed"), ("csv", "r3,"), ("json", '"r3"')]
)
def test_the_report_is_text_csv_or_json(session_with_a_miss, form, expected):
    RequestLog.objects.update(started_at=F("started_at") + (timezone.now() - BEGAN - timedelta(hours=1)))
    out = StringIO()
    call_command("cachereport", "--format", form, stdout=out)
    assert expected in out.getvalue()
    if form == "json":
        assert [row["request_id"] for row in json.loads(out.getvalue())] == ["r3"]


def test_a_report_of_nothing_says_so(db):
    out = StringIO()
    call_command("cachereport", stdout=out)
    assert out.getvalue() == "No request missed the cache.\n"
