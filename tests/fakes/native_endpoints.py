"""Where services speak the Messages API themselves, as facts: nothing here is read from presets.

`ENDPOINTS`: slug -> the part before /v1/messages, the header with the credential, whether the service counts
tokens there, and what it is known to lack: a strict server of the API itself accepts all of it, so a run
shows nothing about that. `RESPONSES`: slug -> the part before /responses, the header, and whether tokens are
counted at /responses/input_tokens.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Endpoint(NamedTuple):
    path: str
    header: str = "authorization"
    counts: bool = False
    lacks: frozenset[str] = frozenset()


# refuses output_config.format
_MINIMAX: Final = Endpoint("/anthropic", "x-api-key", lacks=frozenset({"structured output"}))

ENDPOINTS: Final[dict[str, Endpoint]] = {
    "anthropic": Endpoint("", "x-api-key", counts=True),
    "generic-anthropic": Endpoint("", "x-api-key"),
    "ollama": Endpoint("", lacks=frozenset({"PDF", "caching"})),
    "llama-cpp": Endpoint("", counts=True),
    "vllm": Endpoint("", counts=True),
    "lm-studio": Endpoint(""),
    "openrouter": Endpoint("/api"),
    "deepseek": Endpoint("/anthropic", "x-api-key", lacks=frozenset({"images"})),
    "moonshot": Endpoint("/anthropic"),
    "moonshot-cn": Endpoint("/anthropic"),
    "kimi-code": Endpoint("/coding"),
    "zai": Endpoint("/api/anthropic"),
    "zai-coding": Endpoint("/api/anthropic"),
    "zhipu": Endpoint("/api/anthropic"),
    "zhipu-coding": Endpoint("/api/anthropic"),
    "dashscope": Endpoint("/apps/anthropic", "x-api-key"),
    "dashscope-cn": Endpoint("/apps/anthropic", "x-api-key"),
    "minimax": _MINIMAX,
    "minimax-cn": _MINIMAX,
    "siliconflow": Endpoint(""),
    "siliconflow-cn": Endpoint(""),
    "volcengine": Endpoint("/api/compatible", "x-api-key"),
    "modelscope": Endpoint("/anthropic"),
    "fireworks": Endpoint("/inference", lacks=frozenset({"caching"})),  # no markers on tools
    "bedrock-mantle": Endpoint("/anthropic", "x-api-key"),
    "xiaomi-mimo": Endpoint("/anthropic"),
}
RESPONSES: Final[dict[str, Endpoint]] = {
    "openai": Endpoint("/v1", counts=True),
    "perplexity": Endpoint("/v1"),
    "azure-v1": Endpoint("/openai/v1", "api-key"),
    "bedrock-mantle": Endpoint("/openai/v1"),
    "deepseek": Endpoint(""),
}
