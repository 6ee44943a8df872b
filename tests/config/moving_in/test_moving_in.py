"""Configurations of other gateways, as people publish them, taken in."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from gateway.config.moving_in import claude_code_router, litellm_keys, litellm_proxy
from gateway.config.moving_in.draft import Draft, Fate, variable_of
from gateway.config.moving_in.readers import UnreadableFile, loose_json, yaml_object
from gateway.config.snapshot.loader import load
from gateway.errors import UnknownModel
from gateway.models import ClientKey, MappingTarget, ModelMapping, Provider
from gateway.routing.facts import Facts
from gateway.routing.resolve import resolve
from gateway.security.client_keys import digest
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db

HERE = Path(__file__).parent
ROUTER, TEAM = HERE / "several_providers.json", HERE / "a_team.yaml"
SECRETS = ("sk-in-clear-text", "a-shared-secret", "sk-of-nobody", "an-azure-key", "sk-1234", "password")


def took_in(gateway, path, *more):
    out = StringIO()
    call_command("importfrom", gateway, str(path), *more, stdout=out)
    return out.getvalue()


@pytest.fixture
def variables(monkeypatch):
    for name in ("OPENROUTER", "GEMINI", "ANTHROPIC", "GROQ"):
        monkeypatch.setenv(f"{name}_TEST_KEY", f"{name.lower()}-value-of-the-variable")


def goes(asked, **facts):
    usual = {"images": False, "thinking": False, "web_search": False, "input_tokens": 100}
    route = resolve(load(), asked, Facts(**{**usual, **facts})).route
    return f"{route.provider.slug}/{route.upstream_model}"


def test_the_scenes_of_a_router_become_rules(variables):
    took_in("ccr", ROUTER)
    assert goes("claude-opus-5") == "deepseek/deepseek-chat"
    assert goes("claude-opus-5", thinking=True) == "deepseek/deepseek-reasoner"
    assert goes("claude-opus-5", thinking=True, web_search=True) == "gemini/gemini-2.5-flash"
    assert goes("claude-haiku-4-5", thinking=True) == "local-models/qwen2.5-coder:latest"
    assert goes("claude-haiku-4-5", input_tokens=60001) == "openrouter/google/gemini-2.5-pro"
    assert goes("claude-opus-5", input_tokens=60000) == "deepseek/deepseek-chat"
    assert goes("openrouter,moonshotai/kimi-k2") == "openrouter/moonshotai/kimi-k2"
    routes = resolve(load(), "claude-opus-5", Facts(input_tokens=1)).routes
    assert [route.upstream_model for route in routes] == ["deepseek-chat", "moonshotai/kimi-k2"]


def test_providers_come_with_their_presets_options_and_credentials(variables):
    took_in("ccr", ROUTER)
    presets = dict(Provider.objects.values_list("slug", "preset"))
    assert (
        presets.items()
        >= {
            "deepseek": "deepseek",
            "openrouter": "openrouter",
            "local-models": "ollama",
            "gemini": "gemini",
        }.items()
    )
    assert Provider.objects.get(slug="openrouter").options == {"max_output_tokens": 16384}
    assert ModelMapping.objects.get(pattern="gemini,gemini-2.5-flash").options == {"cache_control": "strip"}
    held = {one.slug: [key.revealed() for key in one.credentials.all()] for one in Provider.objects.all()}
    assert held["deepseek"] == ["sk-in-clear-text-0123456789"]
    assert held["openrouter"] == ["openrouter-value-of-the-variable"]
    assert held["local-models"] == []
    assert ClientKey.objects.get(name="claude-code-router").digest == digest("a-shared-secret-of-mine")


@pytest.mark.parametrize(
    ("gateway", "path", "lines"),
    [
        (
            "ccr",
            ROUTER,
            (
                "no counterpart: CUSTOM_ROUTER_PATH: has no counterpart here",
                "taken: Providers[0].transformer: deepseek: not needed",
                "no counterpart: Providers[0].transformer.deepseek-chat: tooluse: has no counterpart here",
                "taken: Providers[1].transformer: maxtoken: profile options max_output_tokens = 16384",
                "changed: Providers[3] gemini.api_base_url: https://generativelanguage.googleapis.com/v1beta/openai",
                "no counterpart: Providers[4]: is no provider with a name",
                "changed: Router.longContextThreshold: more than 60000 tokens",
                "no counterpart: Router.image: nobody,model is no model of a provider that was taken",
                "no counterpart: Router.subagent: has no counterpart here",
            ),
        ),
        (
            "litellm",
            TEAM,
            (
                "taken: model_list[0] claude-sonnet: provider anthropic (preset Anthropic",
                "no counterpart: model_list[1] claude-sonnet.rpm: has no counterpart here",
                "no counterpart: model_list[5] on-aws: bedrock/us.anthropic.claude-x is of a service",
                "no counterpart: model_list[7] elsewhere: api_base names a variable",
                "no counterpart: litellm_settings.drop_params: has no counterpart here",
                "no counterpart: litellm_settings.fallbacks[0].claude-sonnet: nobody is no model",
                "taken: router_settings.model_group_alias.claude-opus: a mapping of its own",
                "changed: general_settings.master_key: is a client key here",
                "no counterpart: general_settings.database_url: has no counterpart here",
            ),
        ),
    ],
)
def test_every_line_is_reported_and_no_secret_is_printed(variables, gateway, path, lines):
    said = took_in(gateway, path)
    for line in lines:
        assert line in said
    for secret in (*SECRETS, "value-of-the-variable"):
        assert secret not in said


def test_a_model_list_becomes_mappings_with_targets_sizes_and_rules(variables):
    took_in("litellm", TEAM)
    found = resolve(load(), "claude-sonnet", Facts(input_tokens=200_000))
    assert [f"{route.provider.slug}/{route.upstream_model}" for route in found.routes] == [
        "anthropic/claude-sonnet-5",
        "openrouter/anthropic/claude-sonnet-5",
        "azure/gpt-5-deployment",
    ]
    assert found.route.profile.context_window == 200_000
    assert found.route.profile.max_output_tokens == 64_000
    assert goes("claude-sonnet", input_tokens=200_001) == "gemini/gemini-2.5-pro"
    assert goes("claude-opus") == "anthropic/claude-sonnet-5"
    assert goes("groq/llama-3.3-70b") == "groq/llama-3.3-70b"
    assert goes("own") == "openai/qwen3"
    assert Provider.objects.get(slug="azure").query == {"api-version": "2025-01-01-preview"}
    with pytest.raises(UnknownModel):
        goes("on-aws")


def test_virtual_keys_come_without_secrets_and_their_holders_go_on_with_them(tmp_path):
    listed = tmp_path / "keys.json"
    entry = {
        "token": digest("sk-virtual"),
        "key_alias": "team-a",
        "models": ["claude-sonnet"],
        "rpm_limit": 5,
        "max_budget": 20.5,
        "budget_duration": "7d",
        "blocked": None,
    }
    listed.write_text(json.dumps({"keys": [entry, {**entry, "blocked": True}, {"token": "sk-plain"}]}))
    said = took_in("litellm", TEAM, "--keys", str(listed))
    assert "no counterpart: keys[1] team-a: is blocked there" in said and "keys[2]: has no token" in said
    key = ClientKey.objects.get(name="team-a")
    assert (key.digest, key.allowed_models, key.requests_per_minute) == (
        digest("sk-virtual"),
        ["claude-sonnet"],
        5,
    )
    assert (float(key.spend_budget), key.budget_period) == (20.5, "week")


def test_virtual_keys_may_do_no_more_here_than_there_unless_it_is_said(tmp_path):
    listed = tmp_path / "keys.json"
    keys = {
        "none": {"models": ["no-default-models"]},
        "team": {"models": ["all-team-models", "a"]},
        "all": {"models": ["all-proxy-models"]},
        "named": {"models": ["no-reply", "all-rounder"], "max_budget": 33.339, "budget_duration": "30d"},
        "life": {"models": ["a"], "max_budget": 50},
        "quarter": {"models": ["a"], "max_budget": 50, "budget_duration": "90d"},
        "huge": {"models": ["a"], "max_budget": 1e300},
    }
    entries = [{"token": digest(name), "key_alias": name, **one} for name, one in keys.items()]
    listed.write_text(json.dumps(entries))
    said = took_in("litellm", TEAM, "--keys", str(listed))
    found = {key.name: key for key in ClientKey.objects.all()}
    assert "none" not in found and "no counterpart: keys[0] none" in said
    assert found["team"].allowed_models == found["all"].allowed_models == []
    assert "no counterpart: keys[1] team.models: are those of a team" in said
    assert (found["team"].state(), found["all"].state()) == ("expired", "active")
    assert "keys[2] all.models" not in said
    assert found["named"].allowed_models == ["no-reply", "all-rounder"]
    assert str(found["named"].spend_budget) == "33.33"
    assert "keys[4] life.max_budget: is a budget a month here" in said
    assert "keys[5] quarter.budget_duration: is a budget a month here" in said
    assert found["huge"].spend_budget is None and found["huge"].state() == "expired"


@pytest.mark.parametrize(("gateway", "path"), [("ccr", ROUTER), ("litellm", TEAM)])
def test_a_second_time_changes_nothing_and_a_dry_run_neither(variables, gateway, path):
    assert "changes would be made." in took_in(gateway, path, "--dry-run")
    assert not ModelMapping.objects.exists()
    took_in(gateway, path)
    assert took_in(gateway, path).rstrip().endswith("0 changes made.")


def test_a_provider_of_another_address_is_not_overwritten(variables):
    Provider.objects.create(slug="deepseek", name="Mine", base_url="https://mine.example/v1")
    took_in("ccr", ROUTER)
    assert Provider.objects.get(slug="deepseek").base_url == "https://mine.example/v1"
    assert Provider.objects.get(slug="deepseek-2").base_url == "https://api.deepseek.com"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"Providers": 3, "Router": []}',
        '{"Providers": [{"name": "x", "models": 3}], "Router": {"default": 4}}',
        '{"Providers": [{"name": "x", "api_base_url": "http://["}]}',
        '{"Router": {"longContextThreshold": "many"}}',
    ],
)
def test_a_file_of_any_form_is_said_in_words(tmp_path, content):
    path = tmp_path / "c.json"
    path.write_text(content)
    for gateway in ("ccr", "litellm"):
        try:
            took_in(gateway, path)
        except CommandError as problem:
            assert str(problem)


def test_what_is_wrong_with_yaml_is_said_without_its_text():
    with pytest.raises(UnreadableFile) as raised:
        yaml_object("a: [sk-secret\nb: }")
    assert "sk-secret" not in str(raised.value) and "2:" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "// no /* one */ ,]", /* one */ "b": [1, 2,], }', {"a": "// no /* one */ ,]", "b": [1, 2]}),
        ('{"a": "\\" //",} // end', {"a": '" //'}),
        ('{"a": 1,\n // between\n}', {"a": 1}),
    ],
)
def test_json_may_have_comments_and_final_commas(text, value):
    assert loose_json(text) == value


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("$A_B", "A_B"),
        ("${A_B}", "A_B"),
        ("os.environ/A_B", "A_B"),
        ("sk-$A", ""),
        ("A_B", ""),
        (None, ""),
        ("$1", ""),
    ],
)
def test_references_to_variables_are_recognised(text, name):
    assert variable_of(text) == name


def deployment(name, model, **parameters):
    given = {"model": f"openai/{model}", "api_base": "https://o.example/v1", "api_key": "a-key-of-a-test"}
    return {"model_name": name, "litellm_params": {**given, **parameters}}


def drafted(config, keys=None):
    draft = Draft(weights=True, source="LiteLLM")
    litellm_proxy.translated(config, draft)
    if keys is not None:
        litellm_keys.translated(keys, draft)
    return draft


def targets(draft):
    return {
        one["pattern"]: [
            (target["upstream_model"], target.get("weight"), target.get("enabled", True))
            for target in one["targets"]
        ]
        for one in draft.mappings
    }


def test_fallbacks_have_no_share_of_the_model_they_stand_behind_and_an_alias_keeps_them():
    backups = [deployment("backup", "b1", weight=3), deployment("backup", "b2", weight=1)]
    draft = drafted(
        {
            "model_list": [deployment("gpt", "main"), *backups],
            "litellm_settings": {"fallbacks": [{"gpt": ["backup"]}, {"backup": ["other"]}]},
            "router_settings": {"model_group_alias": {"other": "gpt"}},
        }
    )
    behind = [("main", None, True), ("b1", None, True), ("b2", None, True)]
    assert targets(draft) == {
        "gpt": behind,
        "other": behind,
        "backup": [("b1", 3.0, True), ("b2", 1.0, True), ("main", None, True)],
    }


def test_a_weight_of_0_is_no_share(tmp_path):
    path = tmp_path / "config.json"
    models = [deployment("a", "x", weight=0), deployment("a", "y", weight=2), deployment("b", "z", weight=0)]
    path.write_text(json.dumps({"model_list": models}))
    said = took_in("litellm", path)
    assert "changed: model_list[0] a.weight: no share" in said
    found = MappingTarget.objects.values_list("upstream_model", "weight", "enabled")
    assert set(found) == {("x", None, False), ("y", 2.0, True), ("z", None, True)}


def test_a_mapping_of_ones_own_is_not_overwritten(tmp_path):
    mine = make_mapping("*", make_provider("Mine", "mine"), "my-model")
    path = tmp_path / "config.json"
    provider = {
        "name": "p",
        "api_base_url": "https://p.example/v1",
        "api_key": "a-key-of-a-test",
        "models": ["m"],
    }
    path.write_text(json.dumps({"Providers": [provider], "Router": {"default": "p,m", "image": "p,m"}}))
    said = took_in("ccr", path)
    assert said.count("! mapping *: there is one of this pattern here, which stays") == 2
    mine.refresh_from_db()
    assert (mine.when, [target.upstream_model for target in mine.targets.all()]) == ({}, ["my-model"])
    assert ModelMapping.objects.filter(pattern="*").count() == 3
    assert took_in("ccr", path).rstrip().endswith("0 changes made.")


@pytest.mark.parametrize(
    "restriction",
    [
        {"team_id": "t1"}, {"model_rpm_limit": {"a": 1}}, {"model_max_budget": {"a": 5}}, {"rpm_limit": 0},
        {"allowed_routes": ["/v1/models"]}, {"rpm_limit": 1.5}, {"rpm_limit": True}, {"tpm_limit": "many"},
        {"max_budget": float("nan")}, {"max_budget": -1}, {"max_budget": []}, {"expires": "soon"},
        {"expires": 5}, {"models": "a"}, {"models": [1]}, {"something_new": 1}, {"max_parallel_requests": {}},
    ],
)  # fmt: skip
def test_a_key_whose_restriction_is_not_kept_is_expired_and_says_so(restriction, tmp_path):
    [name] = restriction
    listed = tmp_path / "keys.json"
    listed.write_text(
        json.dumps([{"token": digest("sk-k"), "key_alias": "k", "models": ["a"], **restriction}])
    )
    said = took_in("litellm", TEAM, "--keys", str(listed))
    assert f"no counterpart: keys[0] k.{name}: " in said and "changed: keys[0] k: client key, expired" in said
    assert ClientKey.objects.get(name="k").state() == "expired"


def test_limits_of_a_key_may_be_written_in_any_form():
    given = {"token": digest("sk-k"), "key_alias": "k", "rpm_limit": 10.0, "max_budget": "25", "spend": 3.2}
    more = {"user_id": "bob", "budget_duration": "30d", "blocked": False, "team_id": None}
    draft = drafted({}, {"keys": [{**given, **more}]})
    [key] = draft.keys
    assert (key["requests_per_minute"], key["spend_budget"]) == (10, "25.00")
    assert "expires_at" not in key
    assert [line.path for line in draft.lines if line.fate == Fate.MISSING] == ["keys[0] k.user_id"]


CCR_FILE = {
    "Providers": [
        {"name": "p", "api_base_url": "https://p.example/v1", "api_key": "a-key-of-a-test", "models": ["m"],
         "transformer": {"use": [["maxtoken", {"max_tokens": 5}]], "m": {"use": ["cleancache"]}}},
    ],
    "Router": {"default": "p,m", "think": "p,m", "longContext": "p,m", "longContextThreshold": 5000},
    "fallback": {"default": ["p,m"]},
    "APIKEY": "a-key-of-clients",
    "LOG": True,
}  # fmt: skip
LITELLM_FILE = {
    "model_list": [
        {**deployment("a", "x", weight=1, order=1, rpm=5), "model_info": {"max_input_tokens": 5000}},
        deployment("b", "y"),
    ],
    "litellm_settings": {"fallbacks": [{"a": ["b"]}], "default_fallbacks": ["b"],
                         "context_window_fallbacks": [{"a": ["b"]}], "drop_params": True},
    "router_settings": {"model_group_alias": {"c": "a"}},
    "general_settings": {"master_key": "a-key-of-clients"},
}  # fmt: skip
KEY_LIST = {
    "keys": [
        {"token": digest("sk-k"), "key_alias": "k", "models": ["a"], "rpm_limit": 5, "max_budget": 5.0,
         "budget_duration": "7d", "expires": "2030-01-01T00:00:00Z", "blocked": None},
    ]
}  # fmt: skip
ODD = (
    True, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "", "x", "\x00", [], [1], [[]], [None], {},
    {"a": 1}, {"use": 1}, {"x": {"y": []}}, None,
)  # fmt: skip


def places(value, path=()):
    if path:
        yield path
    for name, one in (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    ):
        yield from places(one, (*path, name))


def with_value(value, path, odd):
    if not path:
        return odd
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = with_value(value[path[0]], path[1:], odd)
    return copied


@pytest.mark.parametrize(
    ("translate", "file"),
    [
        (claude_code_router.translated, CCR_FILE),
        (litellm_proxy.translated, LITELLM_FILE),
        (litellm_keys.translated, KEY_LIST),
    ],
)
def test_any_value_in_any_place_of_a_file_is_said_and_raises_nothing(translate, file):
    for path in places(file):
        for odd in ODD:
            draft = Draft(weights=True)
            translate(with_value(file, path, odd), draft)
            empty = odd is None or odd == "" or (isinstance(odd, list | dict) and not odd)
            named = [name for name in path if isinstance(name, str)]
            inner = named[-1] if named[-1] not in ("use", "api_base", "model_name") else named[0]
            said = [line.path for line in draft.lines]
            assert said or empty
            if not empty and inner not in ("order", "api_key", "token", "key_alias", "blocked", "name"):
                assert any(inner in line or named[0] in line for line in said), (path, odd, said)
