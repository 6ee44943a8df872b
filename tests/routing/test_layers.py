"""The layers of a profile and their sources."""

import re

from gateway.routing.layers import profile_layers, source_of
from gateway.routing.resolve import resolve
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, ModelRule, ProviderConfig, Target

URL = "https://api.example/v1"


def snapshot(*, rule=None, learnt=None, known=None, listed=None, **provider):
    config = ProviderConfig(slug="p", name="P", base_url=URL, **provider)
    mapping = MappingRule(id=1, pattern="*", exact=False, targets=(Target("p", "big"),), **(rule or {}))
    windows = {(URL, "big"): known}
    return ConfigSnapshot(
        stamp=1,
        providers={"p": config},
        rules=(mapping,),
        learnt={("p", "big"): learnt or {}},
        listed={("p", "big"): listed or {}},
        known_window=lambda url, model: windows.get((url, model)),
    )


def window(**given):
    config = snapshot(**given)
    [rule] = config.rules
    layers = profile_layers(rule, rule.targets[0], config.providers["p"], "big", config)
    profile = resolve(config, "any").route.profile
    return profile.context_window, source_of("context_window", layers)


def test_each_source_beats_the_weaker_ones():
    given = {}
    assert window(**given) == (None, "default")
    given["known"] = 1
    assert window(**given) == (1, "catalogue")
    given["preset_options"] = {"context_window": 2}
    assert window(**given) == (2, "preset")
    given["model_rules"] = (ModelRule(re.compile("big"), {"context_window": 3}),)
    assert window(**given) == (3, "model rule")
    given["listed"] = {"context_window": 8}
    assert window(**given) == (8, "model list")
    given["learnt"] = {"context_window": 4}
    assert window(**given) == (4, "learnt")
    given["options"] = {"context_window": 5}
    assert window(**given) == (5, "provider")
    given["rule"] = {"options": {"context_window": 6}}
    assert window(**given) == (6, "mapping")
    given["rule"]["context_window"] = 7
    assert window(**given) == (7, "mapping")


def test_null_goes_back_to_the_default():
    assert window(known=1, options={"context_window": None}) == (None, "default")


def test_a_factor_that_an_admin_set_beats_the_learnt_one():
    learnt = {"token_factor": 1.3}
    assert resolve(snapshot(learnt=learnt), "m").route.profile.token_factor == 1.3
    config = snapshot(learnt=learnt, options={"token_factor": 1.1})
    assert resolve(config, "m").route.profile.token_factor == 1.1
