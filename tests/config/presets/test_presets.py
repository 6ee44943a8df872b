import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import gateway.config.presets as presets_module
from gateway.config.presets.presets import options_problems, preset, presets, usable_options
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.profile import Profile
from gateway.models.configuration.provider import Auth


@pytest.mark.parametrize("slug", sorted(presets()))
def test_a_preset_and_its_rules_hold_only_valid_options(slug):
    known = presets()[slug]
    assert options_problems(known.options) == []
    for rule in known.model_rules:
        assert options_problems(rule.options) == []
    Profile.merged(known.options, *(rule.options for rule in known.model_rules))


def test_the_services_that_speak_one_of_our_protocols_are_there():
    assert presets().keys() == {
        "openai", "openai-chat", "azure-v1", "azure-deployment", "ollama", "llama-cpp", "vllm", "sglang",
        "lm-studio", "openrouter", "deepseek", "moonshot", "moonshot-cn", "kimi-code", "zai", "zai-coding",
        "zhipu", "zhipu-coding", "dashscope", "dashscope-cn", "minimax", "minimax-cn", "siliconflow",
        "siliconflow-cn", "volcengine", "modelscope", "gemini", "vertex", "mistral", "groq", "cerebras",
        "together", "fireworks", "xai", "nvidia", "github-models", "huggingface", "bedrock", "bedrock-mantle",
        "cohere", "perplexity", "xiaomi-mimo", "anthropic", "generic", "generic-anthropic",
    }  # fmt: skip


def test_an_unknown_preset_is_the_generic_one():
    assert preset("gone").slug == "generic"


@pytest.mark.parametrize(
    ("model", "field", "reasoning", "role"),
    [
        ("gpt-4o", "max_completion_tokens", "none", "system"),
        ("gpt-5-mini", "max_completion_tokens", "effort", "developer"),
        ("o3-mini", "max_completion_tokens", "effort", "developer"),
    ],
)
def test_openai_s_models_get_the_options_of_their_family(model, field, reasoning, role):
    openai = preset("openai-chat")
    rules = [rule.options for rule in openai.model_rules if rule.match.search(model)]
    profile = Profile.merged(openai.options, *rules)
    assert (profile.max_tokens_field, profile.reasoning, profile.system_role) == (field, reasoning, role)


def test_openai_is_spoken_to_over_responses_because_tools_and_thinking_work_together_there():
    assert preset("openai").protocol == "responses"
    for model in ("gpt-5.6-sol", "gpt-6.1-sol", "gpt-4o"):
        rules = [rule.options for rule in preset("openai").model_rules if rule.match.search(model)]
        assert Profile.merged(preset("openai").options, *rules).effort_with_tools is None


def test_llama_cpp_gets_no_call_by_name_which_it_would_silently_take_for_auto():
    # the server reads tool_choice as a word; an object is logged and becomes auto
    assert Profile.merged(preset("llama-cpp").options).tool_choice == "no_named"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], 'Profile options are a JSON object, for example {"max_tokens_field": "max_tokens"}.'),
        ({"stopp": "local"}, "stopp is not a profile option. Did you mean stop?"),
        ({"zzzzzz": 1}, "zzzzzz is not a profile option."),
        ({"stop": "never"}, 'stop: "never" is not allowed; use native, local or drop.'),
        ({"stop_max": "4"}, 'stop_max: "4" is not allowed; enter a whole number.'),
        ({"stop_max": 0}, "stop_max: 0 is too small; the least is 1."),
        ({"reasoning_off": "no"}, 'reasoning_off: "no" is not allowed; enter true or false.'),
        (
            {"efforts": ["huge"]},
            'efforts.0: "huge" is not allowed; use none, minimal, low, medium, high, xhigh or max.',
        ),
        ({"efforts": ["low", "low"]}, "efforts: an entry stands there twice."),
        ({"extra_body": []}, "extra_body: [] is not allowed; enter an object."),
        ({"provider": "x"}, "provider is set by the gateway itself; leave it out."),
        ({"protocol": "grpc"}, 'protocol: "grpc" is not allowed; use chat, responses or anthropic.'),
        ({"upstream_model": "x"}, "upstream_model is set by the gateway itself; leave it out."),
    ],
)
def test_a_wrong_option_is_said_in_a_sentence(options, sentence):
    assert options_problems(options) == [sentence]


def test_every_wrong_option_gets_its_own_sentence():
    assert len(options_problems({"stop": 1, "pdf": 2, "images": "url"})) == 2


def test_a_wrong_value_of_several_kinds_lists_the_words():
    [sentence] = options_problems({"reasoning_replay": "always"})
    assert "use drop, reasoning_content" in sentence


def test_a_long_wrong_value_is_shortened():
    [sentence] = options_problems({"stop": "x" * 500})
    assert len(sentence) < 150


def test_null_is_back_to_the_default_for_every_option():
    schema_names = {"stop": None, "efforts": None, "system_role": None, "extra_body": None}
    assert options_problems(schema_names) == []


def test_options_that_this_version_does_not_know_are_left_out():
    assert usable_options({"stop": "local", "from_the_future": 1, "pdf": "??"}) == {"stop": "local"}
    assert usable_options("nonsense") == {}


def test_the_shipped_file_is_readable_json_without_doubles():
    slugs = [known.slug for known in presets().values()]
    assert len(slugs) == len(set(slugs))
    assert json.dumps([dict(known.options) for known in presets().values()])


def test_presets_are_offered_by_name_and_those_for_any_server_last():
    known = list(presets().values())
    named = [one.label.lower() for one in known if one.base_url]
    assert named == sorted(named)
    assert [one.slug for one in known[-2:]] == ["generic", "generic-anthropic"]


FILES = sorted((Path(presets_module.__file__).parents[1] / "known_providers").glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_known_providers_holds_presets_and_rules_that_mean_some_of_them(file):
    data = json.loads(file.read_text())
    slugs = [entry["slug"] for entry in data["presets"]]
    assert len(set(slugs)) == len(slugs)
    assert set(slugs) <= presets().keys()
    for rule in data.get("model_rules", ()):
        assert rule["presets"]
        assert set(rule["presets"]) <= set(slugs)
        assert rule["source"]


def test_no_slug_stands_in_two_files():
    slugs = [entry["slug"] for file in FILES for entry in json.loads(file.read_text())["presets"]]
    assert len(slugs) == len(set(slugs)) == len(presets())


@pytest.mark.parametrize("slug", sorted(presets()))
def test_a_preset_says_how_to_reach_the_service(slug):
    known = presets()[slug]
    asked = set(re.findall(r"\{([a-z_]+)\}", known.base_url))
    assert asked == set(known.url_params)
    for endpoint in (known.own, *known.alternatives):
        assert endpoint.protocol in DIALECTS
        assert endpoint.auth in Auth.values
        assert not endpoint.base_url or urlsplit(endpoint.base_url).scheme in ("http", "https")
        assert set(re.findall(r"\{([a-z_]+)\}", endpoint.base_url)) <= asked
    assert known.recommended in ("", *(other.protocol for other in known.alternatives))
    assert not known.base_url or known.docs.startswith("https://")
    assert not known.default_models or known.default_models.keys() == {"big", "middle", "small"}
    assert all(isinstance(value, str) for value in (*known.headers.values(), *known.query.values()))


def test_no_model_rule_is_empty():
    for known in presets().values():
        for rule in known.model_rules:
            assert rule.options, (known.slug, rule.match.pattern)


def test_one_like_another_is_the_same_but_for_what_it_says():
    one, other = preset("moonshot"), preset("moonshot-cn")
    assert (one.options, one.docs != other.docs) == (other.options, True)
    assert [r.match.pattern for r in one.model_rules] == [r.match.pattern for r in other.model_rules]


def test_a_service_says_where_it_speaks_another_protocol():
    deepseek = preset("deepseek")
    assert deepseek.recommended == "anthropic"
    assert deepseek.endpoint("anthropic").base_url == "https://api.deepseek.com/anthropic"
    assert deepseek.endpoint("anthropic").auth == "x-api-key"
    assert deepseek.endpoint("chat") == deepseek.own
    assert preset("groq").endpoint("anthropic") == preset("groq").own


def test_a_retired_service_is_known_and_says_why():
    assert [known.slug for known in presets().values() if known.retired] == ["github-models"]
    assert "retired" in preset("github-models").note
