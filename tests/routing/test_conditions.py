"""Conditions: what they take, what is wrong with them, and what a naive reader makes of them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_protocol.purpose import CONDITIONS, Purpose, RequestClass, Task
from gateway.models.configuration.condition_words import condition_in_words, problem_of, zone_of
from gateway.routing import names
from gateway.routing.condition_index import ConditionIndex, met
from gateway.routing.conditions import (
    BadCondition,
    Flaw,
    carries_credentials,
    client_range,
    compiled,
    condition_of,
)
from gateway.routing.facts import Client, Facts
from gateway.routing.reach import never_reached
from gateway.routing.resolve import candidates
from gateway.routing.snapshot import ConfigSnapshot, MappingRule

WEB = frozenset({"WebSearch"})
OFFERED = {"tools": {"from": 1, "to": 2, "name": ["Web*"]}}
NIGHT = {"days": ["fri"], "from": "18:00", "to": "08:00", "zone": "Europe/Berlin"}
FRIDAY = datetime(2026, 11, 27, 17, 0, tzinfo=UTC)


def when(**conditions):
    return compiled(conditions, zone_of)


@pytest.mark.parametrize(
    ("condition", "facts", "taken"),
    [
        ({}, Facts(), True),
        ({"class": ["auxiliary"]}, Facts(Purpose(RequestClass.AUXILIARY, task=Task.CLASSIFIER)), True),
        ({"class": ["classifier"]}, Facts(Purpose(RequestClass.AUXILIARY)), False),
        ({"agent_type": ["explore", "plan*"]}, Facts(Purpose(agent_type="Explore")), True),
        ({"agent_type": ["*"]}, Facts(), False),
        ({"input_tokens": {"from": 60000}}, Facts(input_tokens=59999), False),
        ({"input_tokens": {"from": 60000}}, Facts(input_tokens=60000), True),
        ({"input_tokens": {"to": 10}}, Facts(input_tokens=10), True),
        ({"input_tokens": {"to": 10}}, Facts(), False),
        ({"images": False}, Facts(images=False), True),
        ({"images": False}, Facts(), False),
        (OFFERED, Facts(tools=2, tool_names=WEB), True),
        (OFFERED, Facts(tools=3, tool_names=WEB), False),
        ({"tools": {"name": ["Web*"]}}, Facts(tools=2, tool_names=frozenset({"Bash"})), False),
        ({"group": ["red"]}, Facts(groups=frozenset({"blue", "Red"})), True),
        ({"header": {"X-Team": ["a", "b*"]}}, Facts(headers={"x-team": "blue"}), True),
        ({"header": {"x-team": ["a", "b*"]}}, Facts(), False),
        ({"client": ["claude-cli >=2.1.300 <2.2"]}, Facts(client=Client("claude-cli", (2, 1, 332))), True),
        ({"client": ["claude-cli >=2.1.300 <2.2"]}, Facts(client=Client("claude-cli", (2, 2))), False),
        ({"client": ["claude-cli >=2.1"]}, Facts(client=Client("claude-cli")), False),
        ({"client": ["claude-*"]}, Facts(client=Client("claude-cli")), True),
        ({"time": NIGHT}, Facts(moment=FRIDAY), True),
        ({"time": NIGHT}, Facts(moment=FRIDAY - timedelta(seconds=1)), False),
        ({"time": NIGHT}, Facts(moment=FRIDAY + timedelta(hours=13, minutes=59)), True),
        ({"time": NIGHT}, Facts(moment=FRIDAY + timedelta(hours=14)), False),
        ({"time": NIGHT}, Facts(moment=FRIDAY - timedelta(hours=12)), False),
        ({"time": {"days": ["sun"]}}, Facts(moment=FRIDAY + timedelta(days=2)), True),
        ({"time": {"days": ["sun"]}}, Facts(), False),
        ({"images": True, "streamed": True}, Facts(images=True, streamed=False), False),
    ],
)  # fmt: skip
def test_a_condition_takes_what_it_says(condition, facts, taken):
    assert compiled(condition, zone_of).meets(facts) is taken
    assert bool(found_by_index(condition, facts) & 1) is taken


def found_by_index(condition, facts):
    read = compiled(condition, zone_of)
    return met(facts, ConditionIndex([read]).of(sorted(read.needs.facts)))


@pytest.mark.parametrize(
    ("condition", "flaw"),
    [
        ([], Flaw.NO_OBJECT),
        ({"klass": ["main"]}, Flaw.UNKNOWN_FACT),
        ({"class": "main"}, Flaw.NO_LIST),
        ({"class": []}, Flaw.EMPTY_LIST),
        ({"class": ["dreaming"]}, Flaw.UNKNOWN_CLASS),
        ({"class": [[]]}, Flaw.NO_TEXT),
        ({"key": [" "]}, Flaw.NO_TEXT),
        ({"key": ["x" * 201]}, Flaw.NO_TEXT),
        ({"key": [str(n) for n in range(101)]}, Flaw.TOO_MANY),
        ({"images": "yes"}, Flaw.NO_FLAG),
        ({"images": 1}, Flaw.NO_FLAG),
        ({"input_tokens": 60000}, Flaw.NO_RANGE),
        ({"input_tokens": {}}, Flaw.NO_RANGE),
        ({"input_tokens": {"above": 3}}, Flaw.NO_RANGE),
        ({"input_tokens": {"from": "60000"}}, Flaw.NO_NUMBER),
        ({"input_tokens": {"from": -1}}, Flaw.NO_NUMBER),
        ({"input_tokens": {"from": True}}, Flaw.NO_NUMBER),
        ({"input_tokens": {"from": 2, "to": 1}}, Flaw.REVERSED),
        ({"tools": {"to": 0, "name": ["a"]}}, Flaw.NO_TOOLS),
        ({"tools": {"to": 0}, "web_search": True}, Flaw.NO_TOOLS),
        ({"client": ["claude-cli >2"]}, Flaw.NO_CLIENT),
        ({"client": [">=2"]}, Flaw.NO_CLIENT),
        ({"client": ["claude-cli>=2.1.300"]}, Flaw.NO_CLIENT),
        ({"client": ["a >=x"]}, Flaw.NO_CLIENT),
        ({"client": ["a >=2 >=3"]}, Flaw.NO_CLIENT),
        ({"client": ["a >=3 <3.0"]}, Flaw.REVERSED),
        ({"time": {}}, Flaw.NO_TIME),
        ({"time": {"from": "18:00"}}, Flaw.NO_TIME),
        ({"time": {"from": "18:00", "to": "18:00"}}, Flaw.EMPTY_TIME),
        ({"time": {"from": "18", "to": "19:00"}}, Flaw.NO_TIME),
        ({"time": {"from": "24:30", "to": "19:00"}}, Flaw.NO_TIME),
        ({"time": {"days": ["Monday"]}}, Flaw.UNKNOWN_DAY),
        ({"time": {"days": ["mon"], "zone": "Mars/Olympus"}}, Flaw.UNKNOWN_ZONE),
        ({"time": {"days": ["mon"], "zone": "../../etc/passwd"}}, Flaw.UNKNOWN_ZONE),
        ({"time": {"days": ["mon"], "zone": ""}}, Flaw.UNKNOWN_ZONE),
        ({"header": {}}, Flaw.NO_HEADER),
        ({"header": {"a b": ["x"]}}, Flaw.NO_HEADER),
        ({"header": {"x-a": ["x"], "X-A": ["y"]}}, Flaw.NO_HEADER),
        ({"header": {"x-a": []}}, Flaw.EMPTY_LIST),
        ({"header": {"Authorization": ["x"]}}, Flaw.CREDENTIAL_HEADER),
    ],
)
def test_what_is_wrong_with_a_condition_is_said_and_it_takes_nothing(condition, flaw):
    with pytest.raises(BadCondition) as raised:
        compiled(condition, zone_of)
    assert raised.value.flaw is flaw
    said = problem_of(condition)
    assert said and "%(" not in said
    stored = condition_of(condition, zone_of)
    assert not stored.meets(Facts(images=True)) and not stored.always


@pytest.mark.parametrize(
    "name",
    ["authorization", "x-api-key", "Cookie", "cf-access-client-secret", "x-amz-security-token", "api_key",
     "proxy-authorization", "x-goog-api-key", "x-auth", "x-accesstoken", "x-mysecret2",
     "ocp-apim-subscription-key", "x.jwt", "x-accesskey", "x-subscriptionkey", "x-basicauth", "proxyauth",
     "x-oauth2", "x-sso-ticket", "x-userpass", "x-otp", "x-creds", "x-pin", "x-monkey"],
)  # fmt: skip
def test_headers_that_carry_credentials_can_not_be_named(name):
    assert carries_credentials(name)
    assert problem_of({"header": {name: ["x"]}})


@pytest.mark.parametrize("name", ["x-team", "x-opinion", "x-claude-code-session-id", "anthropic-beta"])
def test_other_headers_can_be_named(name):
    assert problem_of({"header": {name: ["x"]}}) == ""


def test_a_condition_is_said_in_words():
    phrases = condition_in_words(
        {"class": ["subagent", "classifier"], "input_tokens": {"from": 60000}, "images": True, "pdfs": False,
         "tools": {"to": 3, "name": ["Bash"]}, "key": ["a", "b"], "time": NIGHT, "header": {"x-a": ["r"]},
         "klass": 4}
    )  # fmt: skip
    assert phrases == [
        "subagent, safety check by the client",
        "input tokens (estimated): from 60,000",
        "with images",
        "without PDFs",
        "tools offered: up to 3",
        "a tool of the name: Bash",
        "client key: a, b",
        "Friday 18:00–08:00 Europe/Berlin",
        "header x-a: r",
        "klass: 4",
    ]


# --- properties: a small world in which rules often mean the same requests

WORDS = st.sampled_from(["a", "b", "ab", "A", "ba"])
PATTERNS = st.sampled_from(["a", "b", "*", "a*", "*b", "AB"])
NUMBERS = st.integers(0, 6)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"])


def lists(values):
    return st.lists(values, min_size=1, max_size=3)


@st.composite
def ranges(draw):
    low, high = sorted([draw(NUMBERS), draw(NUMBERS)])
    return draw(st.sampled_from([{"from": low}, {"to": high}, {"from": low, "to": high}]))


@st.composite
def windows(draw):
    start, end = draw(st.lists(st.integers(0, 23), min_size=2, max_size=2, unique=True))
    hours = {"from": f"{start}:00", "to": f"{end}:00"}
    days = {"days": draw(lists(st.sampled_from(["mon", "tue", "sun"])))}
    return {**draw(st.sampled_from([hours, days, {**days, **hours}])), "zone": draw(ZONES)}


@st.composite
def clients(draw):
    low, high = sorted(draw(st.lists(st.integers(1, 4), min_size=2, max_size=2, unique=True)))
    return draw(PATTERNS) + draw(st.sampled_from(["", f" >={low}", f" <{high}.0", f" >={low}.0 <{high}"]))


WHENS = st.fixed_dictionaries(
    {},
    optional={
        "class": lists(st.sampled_from(CONDITIONS)),
        "agent_type": lists(PATTERNS),
        "input_tokens": ranges(),
        "images": st.booleans(),
        "thinking": st.booleans(),
        "tools": st.one_of(ranges(), st.fixed_dictionaries({"name": lists(PATTERNS)})),
        "key": lists(PATTERNS),
        "group": lists(PATTERNS),
        "client": lists(clients()),
        "time": windows(),
        "header": st.dictionaries(st.sampled_from(["x-a", "x-b"]), lists(PATTERNS), min_size=1),
    },
)
PURPOSES = st.builds(
    lambda kind, task, agent: Purpose(
        kind, task=task if kind == "auxiliary" else Task.NONE, agent_type=agent
    ),
    st.sampled_from(RequestClass),
    st.sampled_from([Task.NONE, Task.CLASSIFIER]),
    st.one_of(st.just(""), WORDS),
)  # fmt: skip
FACTS = st.builds(
    Facts,
    purpose=PURPOSES,
    input_tokens=st.one_of(st.none(), NUMBERS),
    images=st.sampled_from([None, False, True]),
    thinking=st.booleans(),
    tools=NUMBERS,
    tool_names=st.frozensets(WORDS, max_size=3),
    key=st.one_of(st.just(""), WORDS),
    groups=st.frozensets(WORDS, max_size=2),
    client=st.builds(Client, WORDS, st.sampled_from([(), (1,), (2, 0), (3, 1)])),
    moment=st.one_of(
        st.none(), st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 4), timezones=st.just(UTC))
    ),
    headers=st.dictionaries(st.sampled_from(["x-a", "x-b"]), WORDS),
)


def naive(condition, facts):
    """Whether the JSON means these facts, read without any of the code under test but `names.matches`."""

    def named(patterns, *texts):
        return any(text and names.matches(one, text) for one in patterns for text in texts)

    def within(bounds, value):
        return value is not None and bounds.get("from", 0) <= value <= bounds.get("to", 10**12)

    def client(text):
        name, *bounds = text.split()
        if not named([name], facts.client.name):
            return False
        version = (*facts.client.version, 0, 0)[:2]
        for bound in bounds:
            wanted = tuple(map(int, (bound.lstrip("<>=") + ".0").split(".")))[:2]
            if not facts.client.version or not (version >= wanted if bound[0] == ">" else version < wanted):
                return False
        return True

    def time(window):
        if facts.moment is None:
            return False
        local = facts.moment.astimezone(ZoneInfo(window["zone"]))
        days = window.get("days", ["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
        start, end = (
            int(window.get(name, usual)[:-3]) for name, usual in (("from", "0:00"), ("to", "24:00"))
        )
        began = local if start < end or local.hour >= start else local - timedelta(days=1)
        inside = start <= local.hour < end if start < end else local.hour >= start or local.hour < end
        return inside and began.strftime("%a").lower() in days

    purpose = facts.purpose
    meaning = {
        "class": lambda wanted: purpose.request_class in wanted or purpose.task in wanted,
        "agent_type": lambda wanted: named(wanted, purpose.agent_type),
        "input_tokens": lambda wanted: within(wanted, facts.input_tokens),
        "images": lambda wanted: facts.images is wanted,
        "thinking": lambda wanted: facts.thinking is wanted,
        "tools": lambda wanted: (
            within(wanted, facts.tools) and ("name" not in wanted or named(wanted["name"], *facts.tool_names))
        ),
        "key": lambda wanted: named(wanted, facts.key),
        "group": lambda wanted: named(wanted, *facts.groups),
        "client": lambda wanted: any(map(client, wanted)),
        "time": time,
        "header": lambda wanted: all(
            named(values, facts.headers.get(name)) for name, values in wanted.items()
        ),
    }
    return all(meaning[fact](wanted) for fact, wanted in condition.items())


def readable(conditions):
    """Of two contradictions at once, such as no tools and one of a name, the reader says so."""
    return [one for one in conditions if not problem_of(one)]


@given(st.lists(WHENS, min_size=1, max_size=6), st.lists(FACTS, min_size=1, max_size=4))
def test_conditions_and_their_index_mean_what_a_naive_reader_says(made, requests):
    made = readable(made)
    conditions = [compiled(one, zone_of) for one in made]
    index = ConditionIndex(conditions)
    asked = sorted({fact for one in conditions for fact in one.needs.facts})
    for facts in requests:
        expected = [naive(one, facts) for one in made]
        assert [one.meets(facts) for one in conditions] == expected
        found = met(facts, index.of(asked))
        assert [bool(found >> place & 1) for place in range(len(made))] == expected


@given(
    st.lists(st.tuples(st.integers(-90, 90), st.sampled_from([UTC, ZoneInfo("Asia/Kolkata")])), max_size=8)
)
def test_an_index_takes_each_request_at_its_own_moment_whatever_came_before(moments):
    condition = compiled({"time": NIGHT}, zone_of)
    parts = ConditionIndex([condition]).of(["time"])
    for seconds, zone in moments:
        facts = Facts(moment=(FRIDAY + timedelta(seconds=seconds)).astimezone(zone))
        assert bool(met(facts, parts) & 1) == condition.meets(facts) == (seconds >= 0)


@given(WHENS.filter(lambda made: not problem_of(made)), st.randoms(use_true_random=False))
def test_a_condition_is_told_alike_whatever_order_a_database_keeps(made, dice):
    names = list(made)
    dice.shuffle(names)
    shuffled = {name: made[name] for name in names}
    assert compiled(shuffled, zone_of) == compiled(made, zone_of)
    assert condition_in_words(shuffled) == condition_in_words(made)


@given(WHENS, WHENS, FACTS)
def test_what_covers_another_condition_takes_each_of_its_requests(first, second, facts):
    first, second = condition_of(first, zone_of), condition_of(second, zone_of)
    assert not first.covers(second) or not second.meets(facts) or first.meets(facts)


RULES = st.lists(
    st.tuples(st.sampled_from(["*", "a*", "*b", "ab", "b"]), st.one_of(st.just({}), WHENS), st.booleans()),
    min_size=1,
    max_size=6,
)


@given(RULES, st.lists(st.tuples(WORDS, FACTS), min_size=1, max_size=6))
def test_no_rule_that_some_request_reaches_is_called_unreachable(made, requests):
    rules = tuple(
        MappingRule(number, pattern, "*" not in pattern, (), condition=condition_of(one, zone_of), enabled=on)
        for number, (pattern, one, on) in enumerate(made)
    )
    unreached = never_reached(rules)
    snapshot = ConfigSnapshot(1, rules=rules)
    for name, facts in requests:
        won = [one.rule.id for one in candidates(snapshot, name, facts) if one.won]
        assert not unreached.keys() & set(won)


@pytest.mark.parametrize(
    ("first", "second", "covers"),
    [
        ({}, {"images": True}, True),
        ({"images": True}, {}, False),
        ({"images": True}, {"images": True, "streamed": True}, True),
        ({"input_tokens": {"from": 10}}, {"input_tokens": {"from": 20, "to": 30}}, True),
        ({"input_tokens": {"from": 20, "to": 30}}, {"input_tokens": {"from": 10}}, False),
        ({"class": ["auxiliary"]}, {"class": ["classifier"]}, True),
        ({"key": ["a*"]}, {"key": ["ab", "ac*"]}, True),
        ({"client": ["claude-cli >=2"]}, {"client": ["claude-cli >=2.1 <3"]}, True),
        ({"client": ["claude-cli >=2.1"]}, {"client": ["claude-cli"]}, False),
        ({"time": {"days": ["mon", "tue"], "zone": "UTC"}},
         {"time": {"days": ["mon"], "from": "08:00", "to": "09:00"}}, True),
        ({"time": {"days": ["mon"]}}, {"time": {"days": ["mon"], "zone": "Asia/Kolkata"}}, False),
        ({"time": {"days": ["mon", "tue"]}},
         {"time": {"days": ["mon"], "from": "18:00", "to": "08:00"}}, True),
        ({"header": {"x-a": ["*"]}}, {"header": {"x-a": ["b"], "x-b": ["c"]}}, True),
    ],
)  # fmt: skip
def test_a_weaker_condition_covers_a_stronger_one(first, second, covers):
    assert compiled(first, zone_of).covers(compiled(second, zone_of)) is covers


def test_a_client_is_written_with_bounds_of_its_version():
    assert client_range("claude-cli >= 2.1.300 < 2.2") == client_range("claude-cli >=2.1.300 <2.2")
