"""The services of the presets in front of strict fakes: which models are asked, and how to get there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from gateway.config.presets.presets import Preset, preset, presets
from tests.fakes.dialect_rules import SLUGS

# where the preset names no models, or its rules tell others apart
MODELS = {
    "openai-chat": ("gpt-5.6-sol", "gpt-5-mini", "gpt-4o"),
    "azure-v1": ("gpt-5.6-sol", "gpt-4o"),
    "azure-deployment": ("gpt-5.6-sol", "gpt-4.1"),
    "llama-cpp": ("local",),
    "vllm": ("Qwen/Qwen3.5-35B-A3B",),
    "sglang": ("Qwen/Qwen3.5-35B-A3B",),
    "lm-studio": ("qwen3",),
    "bedrock": ("openai.gpt-oss-120b-1:0",),
    "generic": ("some-model",),
}


# models that are asked at the other endpoints of a service, where these are for some alone
ELSEWHERE = {
    ("bedrock-mantle", "anthropic"): "anthropic.claude-opus-5-5",
    ("bedrock-mantle", "responses"): "openai.gpt-6.1-sol",
    ("azure-v1", "responses"): "gpt-6.1-sol",
}


def chat_services() -> Iterator[tuple[str, str]]:
    """(slug, model) of every preset that speaks Chat Completions."""
    for slug in SLUGS:
        models = MODELS.get(slug) or dict.fromkeys(preset(slug).default_models.values())
        for model in models:
            if not _left_chat(preset(slug), model):
                yield slug, model


def _left_chat(known: Preset, model: str) -> bool:
    """A rule leads the model to another protocol."""
    rules = [rule.options for rule in known.model_rules if rule.match.search(model)]
    return any(options.get("protocol", "chat") != "chat" for options in rules)


def model_of(slug: str, protocol: str) -> str:
    """The model that a service is asked for at its endpoint of a protocol."""
    return ELSEWHERE.get((slug, protocol)) or preset(slug).default_models.get("big", "a-model")


def speakers(protocol: str) -> list[str]:
    """The slugs that have an endpoint of this protocol."""
    return [
        slug
        for slug, known in presets().items()
        if not known.retired
        and protocol in {known.protocol, *(other.protocol for other in known.alternatives)}
    ]


def reached(slug: str, fake_url: str, protocol: str) -> dict[str, Any]:
    """The fields of a ProviderConfig for this service, on the fake's socket."""
    known = preset(slug)
    endpoint = known.endpoint(protocol)
    at, path = urlsplit(fake_url), urlsplit(endpoint.base_url).path
    for name in known.url_params:
        path = path.replace("{" + name + "}", name)
    options = {} if protocol == known.protocol else {"protocol": protocol}
    return {
        "base_url": f"{at.scheme}://{at.netloc}{path}",
        "protocol": protocol,
        # who needs none is shown one all the same, as behind a proxy
        "auth": "bearer" if endpoint.auth == "none" else endpoint.auth,
        "headers": known.headers,
        "query": known.query,
        "preset_options": known.options,
        "model_rules": known.model_rules,
        "options": options,
        "ratelimit_prefix": known.ratelimit_prefix,
    }
