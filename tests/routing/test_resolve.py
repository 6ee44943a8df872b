import contextlib
import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_protocol.purpose import CONDITIONS, Purpose, condition
from gateway.errors import CredentialUnreadable, NoUsableProvider, UnknownModel
from gateway.models.configuration.condition_words import zone_of
from gateway.routing.allowed_models import model_allowed, visible_models
from gateway.routing.conditions import compiled, condition_of
from gateway.routing.facts import NO_NEEDS, Facts, Needs
from gateway.routing.names import matches
from gateway.routing.resolve import Cause, Manner, candidates, considered, needed, resolve
from gateway.routing.snapshot import (
    LARGEST_MEMO,
    ConfigSnapshot,
    KeyEntry,
    MappingRule,
    ModelRule,
    ProviderConfig,
    Target,
)


def provider(slug="main", **values):
    return ProviderConfig(**{"slug": slug, "name": slug.title(), "base_url": "https://x/v1", **values})


def rule(number, pattern, *, to="main", model="up", family="", **values):
    target = Target(to, model, family)
    return MappingRule(
        **{"id": number, "pattern": pattern, "exact": "*" not in pattern, "targets": (target,), **values}
    )


def when(**conditions):
    return compiled(conditions, zone_of)


def purposed(name):
    return Facts(purpose=condition(name))


def snapshot(*rules, providers=None):
    return ConfigSnapshot(
        stamp=1, providers={entry.slug: entry for entry in providers or [provider()]}, rules=rules
    )


ORIGINAL = snapshot(
    *(rule(number, f"{start}*", model="") for number, start in enumerate(["gpt-", "o1-", "o3-", "o4-"], 1)),
    rule(11, "*haiku*", model="small"),
    rule(12, "*sonnet*", model="middle"),
    rule(13, "*opus*", model="big"),
    rule(14, "*", model="big"),
)


@pytest.mark.parametrize(
    ("asked", "upstream"),
    [
        ("claude-haiku-4-5-20251001", "small"),
        ("claude-3-5-SONNET", "middle"),
        ("claude-opus-5-5[1m]", "big"),
        ("haiku", "small"),
        ("something", "big"),
        ("gpt-4.1", "gpt-4.1"),
        ("gpt-4.1[1m]", "gpt-4.1"),
        ("GPT-5", "GPT-5"),
        ("o3-mini-2025-01-31", "o3-mini-2025-01-31"),
        ("openai/gpt-4o", "gpt-4o"),
        ("openai/claude-opus", "big"),
        ("gpt-opus-haiku", "gpt-opus-haiku"),
    ],
)
def test_the_rules_of_the_original_proxy_hold(asked, upstream):
    assert resolve(ORIGINAL, asked).route.upstream_model == upstream


@pytest.mark.parametrize("asked", ["m", "M", "m[1m]", "m-20250101", "x/m", "x/m-20250101[1m]"])
def test_an_exact_rule_is_found_by_every_spelling_and_beats_an_earlier_pattern(asked):
    found = resolve(snapshot(rule(1, "*", model="wild"), rule(2, "m", model="exact")), asked)
    assert found.route.upstream_model == "exact"


def test_a_public_name_counts_like_an_exact_name():
    found = resolve(
        snapshot(rule(1, "*", model="wild"), rule(2, "m*", model="own", public_names=("claude-x",))),
        "claude-x",
    )
    assert found.route.upstream_model == "own"


def test_the_name_as_asked_comes_before_its_shorter_spellings():
    rules = rule(1, "m", model="short"), rule(2, "m-20250101", model="dated"), rule(3, "m[1m]", model="long")
    assert resolve(snapshot(*rules), "m-20250101").route.upstream_model == "dated"
    assert resolve(snapshot(*rules), "m[1m]").route.upstream_model == "long"


def test_among_patterns_the_order_decides():
    first, second = rule(1, "claude-*", model="a"), rule(2, "claude-opus*", model="b")
    assert resolve(snapshot(first, second), "claude-opus-5").route.upstream_model == "a"
    assert resolve(snapshot(second, first), "claude-opus-5").route.upstream_model == "b"


@pytest.mark.parametrize(
    ("pattern", "model", "asked", "upstream"),
    [
        ("local/*", "*", "local/llama3", "llama3"),
        ("fast-*-v2", "org/*:free", "fast-x-v2", "org/x:free"),
        ("my-*", "*", "my-model[1m]", "model"),
        ("a*b*", "*-*", "a1b2", "1-*"),
        ("*", "", "asked[1m][1M]", "asked"),
        ("plain", "", "plain", "plain"),
    ],
)
def test_a_star_in_the_upstream_model_is_what_the_first_star_matched(pattern, model, asked, upstream):
    assert resolve(snapshot(rule(1, pattern, model=model)), asked).route.upstream_model == upstream


def test_a_disabled_rule_loses_and_says_so():
    config = snapshot(rule(1, "m", enabled=False), rule(2, "*", model="next"))
    assert resolve(config, "m").route.upstream_model == "next"
    lost, won = candidates(config, "m")
    assert [(c.rule.id, c.won) for c in (lost, won)] == [(1, False), (2, True)]
    assert (lost.cause, lost.manner, lost.spelling) == (Cause.DISABLED, Manner.EXACT_NAME, "m")


def test_the_losers_say_why():
    rules = rule(1, "*"), rule(2, "m*"), rule(3, "m"), rule(4, "other")
    shown = [(c.rule.id, c.won, c.cause, c.manner, c.spelling)
             for c in candidates(snapshot(*rules), "m[1m]")]  # fmt: skip
    assert shown == [
        (3, True, Cause.FIRST, Manner.EXACT_NAME, "m"),
        (1, False, Cause.BEHIND_EXACT, Manner.PATTERN, "m[1m]"),
        (2, False, Cause.BEHIND_EXACT, Manner.PATTERN, "m[1m]"),
    ]


def test_candidates_can_be_asked_for_when_nothing_wins():
    [lost] = candidates(snapshot(rule(1, "m", enabled=False)), "m")
    assert (lost.won, lost.cause) == (False, Cause.DISABLED)


@pytest.mark.parametrize("rules", [(), (rule(1, "other"),), (rule(1, "m", enabled=False),)])
def test_without_an_enabled_rule_the_model_is_unknown(rules):
    with pytest.raises(UnknownModel) as caught:
        resolve(snapshot(*rules), "m")
    assert caught.value.message == "model: m"


def test_a_name_of_megabytes_is_unknown_at_once_and_not_repeated_back():
    with pytest.raises(UnknownModel) as caught:
        resolve(ORIGINAL, "x" * 10_000_000)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("providers", [[provider("other")], [provider(enabled=False)]])
def test_a_missing_or_disabled_provider_is_said_and_not_replaced_by_another_rule(providers):
    rules = rule(1, "m"), rule(2, "*", to="other")
    with pytest.raises(NoUsableProvider):
        resolve(snapshot(*rules, providers=[*providers, provider("other")]), "m")


def test_an_unreadable_credential_is_named_by_its_provider():
    with pytest.raises(CredentialUnreadable, match="Main"):
        resolve(snapshot(rule(1, "m"), providers=[provider(credential_unreadable=True)]), "m")


def test_of_several_targets_the_usable_ones_stay_in_order():
    targets = tuple(Target(slug, slug) for slug in ("off", "sealed", "a", "b", "gone"))
    several = dataclasses.replace(rule(1, "m"), targets=targets)
    providers = [
        provider("off", enabled=False),
        provider("sealed", credential_unreadable=True),
        provider("a"),
        provider("b"),
    ]
    found = resolve(snapshot(several, providers=providers), "m")
    assert [route.provider.slug for route in found.routes] == ["a", "b"]
    assert found.route.provider.slug == "a"


def test_the_profile_is_merged_from_all_layers_in_order():
    rules = (ModelRule(re.compile("^up"), {"stop_max": 2, "images": "text", "top_k": "pass"}),)
    main = provider(
        preset_options={"stop_max": 1, "system_role": "developer", "sampling": "drop"},
        model_rules=rules,
        options={"images": "url", "pdf": "file"},
    )
    one = rule(1, "m", options={"pdf": "reject", "sampling": None}, context_window=9, max_output_tokens=5)
    profile = resolve(snapshot(one, providers=[main]), "m").route.profile
    assert (profile.stop_max, profile.images, profile.top_k) == (2, "url", "pass")
    assert (profile.system_role, profile.pdf, profile.sampling) == ("developer", "reject", "pass")
    assert (profile.provider, profile.upstream_model) == ("main", "up")
    assert (profile.context_window, profile.max_output_tokens, profile.min_output_tokens) == (9, 5, None)


def test_empty_limits_of_the_mapping_leave_those_of_the_model_rules():
    main = provider(model_rules=(ModelRule(re.compile("up"), {"max_output_tokens": 16384}),))
    assert resolve(snapshot(rule(1, "m"), providers=[main]), "m").route.profile.max_output_tokens == 16384


def test_the_model_family_stands_in_for_a_name_that_hides_the_model():
    main = provider(model_rules=(ModelRule(re.compile("^gpt-4"), {"system_role": "developer"}),))
    rules = rule(1, "m", model="prod-1", family="gpt-4o"), rule(2, "n", model="prod-1")
    both = snapshot(*rules, providers=[main])
    assert resolve(both, "m").route.profile.system_role == "developer"
    assert resolve(both, "n").route.profile.system_role == "system"


def test_the_upstream_model_fills_its_place_in_the_base_url():
    main = provider(base_url="https://r.openai.azure.com/openai/deployments/{model}")
    route = resolve(snapshot(rule(1, "m", model="a b/c"), providers=[main]), "m").route
    assert route.provider.base_url == "https://r.openai.azure.com/openai/deployments/a%20b%2Fc"


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        ("https://p.example/v1/{model}/x", ".."),
        ("https://p.example/v1/{model}/x", "."),
        ("https://p.example/v1/{model}", ".."),
        ("https://p.example/v1/.{model}/x", "."),
        ("https://p.example/v1/{model}{model}/x", "."),
        ("https://p.example/v1/{model}/x", "..[1m]"),
        ("https://p.example/v1/{model}/x", "a/../b"),
        ("https://p.example/v1/{model}/x", "a/.."),
        ("https://p.example/v1/{model}/x", "..\\a"),
        ("https://p.example/v1/{model}/x", "%2e%2E"),
        ("https://p.example/v1/{model}/x", "%2e%2e%2fa"),
    ],
)
def test_a_model_that_would_change_the_path_of_the_base_url_is_unknown(base, asked):
    wild = snapshot(rule(1, "*", model=""), providers=[provider(base_url=base)])
    with pytest.raises(UnknownModel):
        resolve(wild, asked)
    assert considered(wild, asked)[0].cause is Cause.MODEL_CHANGES_PATH


@pytest.mark.parametrize("asked", ["...", "a..", "..a", "v1.5", "a./b", "%2e%2ea"])
def test_a_model_with_dots_in_it_is_one_step_of_the_path(asked):
    wild = snapshot(rule(1, "*", model=""), providers=[provider(base_url="https://p.example/v1/{model}/x")])
    assert re.fullmatch(r"https://p.example/v1/[^/]+/x", resolve(wild, asked).route.provider.base_url)


def test_another_target_serves_a_model_that_would_change_the_first_ones_path():
    first = provider("first", base_url="https://p.example/v1/{model}/x")
    targets = (Target("first", ""), Target("main", ""))
    wild = snapshot(rule(1, "*", targets=targets), providers=[first, provider()])
    assert [route.provider.slug for route in resolve(wild, "..").routes] == ["main"]


def test_the_second_request_for_a_model_gets_the_same_resolution():
    assert resolve(ORIGINAL, "claude-opus") is resolve(ORIGINAL, "claude-opus")


def test_what_is_remembered_has_a_bound():
    wild = snapshot(rule(1, "*"))
    for number in range(LARGEST_MEMO + 10):
        resolve(wild, f"m{number}")
    assert len(wild.memo) <= LARGEST_MEMO


def key(*allowed):
    return KeyEntry(id=1, name="k", digest="d", allowed_models=allowed)


@pytest.mark.parametrize(
    ("allowed", "asked", "expected"),
    [
        ((), "anything", True),
        (("claude-haiku-*",), "claude-haiku-4", True),
        (("claude-haiku-4-5",), "claude-haiku-4-5-20251001", True),
        (("claude-opus",), "Claude-Opus[1m]", True),
        (("claude-haiku-*",), "claude-opus-4", False),
        (("a", "b"), "b", True),
        # a prefix that changes nothing
        (("claude-haiku-*",), "dear/claude-haiku-4", True),
        (("claude-haiku-4-5",), "dear/claude-haiku-4-5-20251001[1m]", True),
        # one that only looks like a name of the list
        (("claude-haiku-*",), "claude-haiku-/gpt-4o", False),
        (("claude-haiku-*",), "claude-haiku-4-5/gpt-4o", False),
        (("*haiku*",), "haiku/gpt-4o[1m]", False),
        (("claude-haiku-*",), "gpt-4o/claude-haiku-4", False),
        # the whole name is sent on
        (("gpt-4o",), "gpt-4o/x", False),
        (("gpt-*",), "gpt-4o/x", True),
        (("claude-haiku-*",), "x" * 300 + "/claude-haiku-4", False),
    ],
)
def test_a_key_may_ask_for_the_models_of_its_list(allowed, asked, expected):
    assert model_allowed(key(*allowed), asked, ORIGINAL) is expected


def test_a_prefix_that_leads_elsewhere_is_not_the_bare_name():
    split = snapshot(rule(1, "dear/*", model="expensive"), rule(2, "*", model="cheap"))
    assert model_allowed(key("small"), "small", split)
    assert not model_allowed(key("small"), "dear/small", split)
    assert model_allowed(key("dear/*"), "dear/small", split)
    passed_on = snapshot(rule(1, "*", model=""))
    assert not model_allowed(key("small"), "dear/small", passed_on)


LETTERS = st.text("ab/", min_size=1, max_size=5)
WILD = st.text("ab/*", min_size=1, max_size=5).filter(lambda text: text.count("*") < 2)


@given(st.lists(WILD, min_size=1, max_size=4, unique=True), st.lists(WILD, min_size=1, max_size=2), LETTERS)
def test_what_a_key_is_given_it_is_given_by_a_name_of_its_list(patterns, allowed, asked):
    found = snapshot(*(rule(number, pattern, model=f"m{number}") for number, pattern in enumerate(patterns)))
    if not model_allowed(key(*allowed), asked, found):
        return
    with contextlib.suppress(UnknownModel):
        resolve(found, asked)
        winner = candidates(found, asked)[0]
        others = [name for name in (asked, asked.partition("/")[2]) if name]
        assert any(
            candidates(found, name)[:1]
            and candidates(found, name)[0].rule == winner.rule
            and any(matches(pattern, name) for pattern in allowed)
            and (name != asked or winner.spelling == asked)
            for name in others
        )


def test_a_request_without_a_key_may_ask_for_every_model():
    assert model_allowed(None, "anything", ORIGINAL)


def test_the_model_list_has_exact_and_public_names_that_lead_somewhere_once_each():
    rules = (
        rule(1, "*opus*", public_names=("claude-opus-5-5",)),
        rule(2, "gpt-4o"),
        rule(3, "off", enabled=False),
        rule(4, "nowhere", to="gone"),
        rule(5, "second", public_names=("claude-opus-5-5", "second")),
    )
    entries = visible_models(snapshot(*rules), None)
    assert [(entry.id, entry.route.rule.id) for entry in entries] == [
        ("claude-opus-5-5", 1),
        ("gpt-4o", 2),
        ("second", 5),
    ]


def test_the_model_list_shows_only_what_the_key_may_use():
    rules = rule(1, "a"), rule(2, "b")
    assert [entry.id for entry in visible_models(snapshot(*rules), key("b"))] == ["b"]


def test_opaque_data_is_held_by_a_user_or_by_the_lineage_of_a_key():
    first, rotated = KeyEntry(1, "k", "d"), KeyEntry(2, "k", "e", lineage=1)
    assert first.holder == rotated.holder == "key:1" != KeyEntry(3, "k", "f").holder
    assert KeyEntry(1, "k", "d", owner_id=7).holder == KeyEntry(2, "k", "e", owner_id=7).holder == "user:7"


def test_a_rule_with_a_condition_takes_only_what_it_asks_for():
    found = snapshot(
        rule(1, "*", model="small", condition=when(**{"class": ["auxiliary"]})),
        rule(2, "*", model="big"),
    )
    assert resolve(found, "m", purposed("auxiliary")).route.upstream_model == "small"
    assert resolve(found, "m", purposed("classifier")).route.upstream_model == "small"
    assert resolve(found, "m", purposed("main")).route.upstream_model == "big"
    assert resolve(found, "m").route.upstream_model == "big"
    # and once more, from the memo
    assert resolve(found, "m", purposed("auxiliary")).route.upstream_model == "small"


def test_the_safety_checks_of_the_client_can_be_led_away_alone():
    found = snapshot(
        rule(1, "claude-sonnet-5", model="judge", condition=when(**{"class": ["classifier"]})),
        rule(2, "claude-sonnet-5", model="big"),
    )
    assert resolve(found, "claude-sonnet-5", purposed("classifier")).route.upstream_model == "judge"
    assert resolve(found, "claude-sonnet-5", purposed("auxiliary")).route.upstream_model == "big"


def test_a_rule_whose_condition_is_not_met_says_so_and_lists_no_model():
    found = snapshot(rule(1, "m", condition=when(**{"class": ["subagent"]})), rule(2, "*"))
    [first, second] = candidates(found, "m", purposed("main"))
    assert (first.cause, first.won) == (Cause.UNMET, False)
    assert second.won
    assert considered(found, "m", purposed("main"))[0].route.rule.id == 2
    alone = snapshot(rule(1, "m", condition=when(**{"class": ["subagent"]})))
    assert visible_models(alone, None) == []
    with pytest.raises(UnknownModel):
        resolve(alone, "m", purposed("main"))


SIZES = (
    rule(1, "*", model="huge", condition=when(input_tokens={"from": 60000})),
    rule(2, "big-*", model="large"),
    rule(3, "*", model="usual"),
)


@pytest.mark.parametrize(
    ("asked", "tokens", "model"),
    [("m", 59_999, "usual"), ("m", 60_000, "huge"), ("m", None, "usual"), ("big-m", 60_000, "huge"),
     ("big-m", 1, "large")],
)  # fmt: skip
def test_the_first_rule_whose_condition_is_met_wins(asked, tokens, model):
    config = snapshot(*SIZES)
    for _ in range(2):
        assert resolve(config, asked, Facts(input_tokens=tokens)).route.upstream_model == model


def test_exact_names_beat_patterns_whatever_their_conditions():
    config = snapshot(
        rule(1, "*", model="pattern", condition=when(images=True)),
        rule(2, "m", model="name", condition=when(streamed=True)),
        rule(3, "m-20250101", model="dated", condition=when(thinking=True)),
        rule(4, "*", model="rest"),
    )

    def goes(asked, **facts):
        return resolve(config, asked, Facts(**facts)).route.upstream_model

    assert goes("m", images=True, streamed=True) == "name"
    assert goes("m", images=True, streamed=False) == "pattern"
    assert goes("m-20250101", images=True, streamed=True, thinking=True) == "dated"
    assert goes("m-20250101", images=True, streamed=True, thinking=False) == "name"
    assert goes("m-20250101", images=False, streamed=False, thinking=False) == "rest"


def test_only_the_facts_that_the_rules_for_a_name_ask_for_are_needed():
    config = snapshot(
        rule(1, "a*", condition=when(input_tokens={"from": 1}, header={"x-team": ["red"]})),
        rule(2, "b*", condition=when(tools={"name": ["Web*"]})),
        rule(3, "c*", skips_blind=True),
        rule(4, "d*", enabled=False, condition=when(images=True)),
        rule(5, "*"),
        rule(6, "*", condition=when(pdfs=True)),
    )
    assert needed(config, "ax").facts == {"input_tokens", "header:x-team"}
    assert needed(config, "ax").headers == ("x-team",)
    assert needed(config, "bx") == Needs(frozenset({"tool names"}), ("Web*",))
    assert needed(config, "cx").facts == {"images"}
    assert needed(config, "dx") == needed(config, "zz") == needed(config, "z" * 300) == NO_NEEDS


def test_a_condition_that_cannot_be_read_takes_no_request_and_stands_in_nobodys_way():
    broken = condition_of({"klass": ["main"]}, zone_of)
    config = snapshot(rule(1, "*", model="never", condition=broken), rule(2, "*", model="rest"))
    assert resolve(config, "m").route.upstream_model == "rest"
    assert candidates(config, "m")[0].cause is Cause.NEVER_MET


def test_what_is_remembered_has_a_bound_whatever_facts_come():
    config = snapshot(*(rule(n, "*", condition=when(agent_type=[f"t{n}"])) for n in range(20)), rule(99, "*"))
    for number in range(LARGEST_MEMO):
        facts = Facts(purpose=Purpose(agent_type=f"t{number % 25}"))
        assert resolve(config, f"m{number}", facts).route.rule.id == (number % 25 if number % 25 < 20 else 99)
    assert len(config.memo) <= LARGEST_MEMO


def blind_and_sighted(**fields):
    targets = Target("blind", "dark"), Target("main", "light")
    blind = provider("blind", options={"images": "text"})
    return snapshot(rule(1, "*", targets=targets, **fields), providers=[blind, provider()])


def test_a_target_that_cannot_see_is_left_out_for_images_when_the_mapping_says_so():
    config = blind_and_sighted(skips_blind=True)
    for images, models in ((True, ["light"]), (False, ["dark", "light"]), (True, ["light"])):
        found = resolve(config, "m", Facts(images=images))
        assert [route.upstream_model for route in found.routes] == models
    first, second = considered(config, "m", Facts(images=True))
    assert (first.cause, second.cause) == (Cause.CANNOT_SEE, None)


def test_a_target_that_cannot_see_stays_when_there_is_no_other_or_nobody_says_so():
    assert len(resolve(blind_and_sighted(), "m", Facts(images=True)).routes) == 2
    blind = provider("blind", options={"images": "text"})
    alone = snapshot(rule(1, "*", to="blind", skips_blind=True), providers=[blind])
    assert resolve(alone, "m", Facts(images=True)).route.provider.slug == "blind"


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_class_of_a_condition_is_met_by_its_own_purpose(name):
    found = snapshot(rule(1, "*", model="named", condition=when(**{"class": [name]})))
    assert resolve(found, "claude", purposed(name)).route.upstream_model == "named"


@pytest.mark.parametrize("name", [*CONDITIONS, "rules"])
def test_a_model_that_is_named_like_a_purpose_disturbs_nobody(name):
    judge = rule(1, "*", model="judge", condition=when(**{"class": ["safeguards"]}))
    found = snapshot(judge, rule(2, "*", model="main"))
    for _ in range(2):
        assert resolve(found, name).route.upstream_model == "main"
        assert resolve(found, "claude", purposed("safeguards")).route.upstream_model == "judge"
        assert resolve(found, name, purposed("safeguards")).route.upstream_model == "judge"


def test_the_gateway_s_own_checks_go_where_a_rule_names_them_and_nowhere_else():
    everything = rule(1, "*", model="main")
    auxiliary = rule(2, "*", model="small", condition=when(**{"class": ["auxiliary"]}))
    judge = rule(3, "*", model="judge", condition=when(**{"class": ["safeguards"]}))
    check, asked = purposed("safeguards"), purposed("main")
    with pytest.raises(UnknownModel):
        resolve(snapshot(everything, auxiliary), "claude", check)
    found = snapshot(everything, auxiliary, judge)
    assert resolve(found, "claude", check).route.upstream_model == "judge"
    assert resolve(found, "claude", asked).route.upstream_model == "main"
    [candidate] = candidates(found, "claude", check)
    assert (candidate.rule, candidate.won) == (judge, True)
    [only] = considered(found, "claude", check)
    assert only.target == judge.targets[0]
    # a rule for everything in front of it takes none of them
    assert not everything.condition.covers(judge.condition)
