"""How each service may tell its streams, as names of tests.tellings.CHAT_STREAM.

Supposed from public reports about the service or about servers of its kind; none of it was seen at the
service itself. Whatever of it comes, the client has to get the same answer. `QUIRKS`: by preset; `ANYWHERE`:
what a proxy in front of any may do.
"""

from __future__ import annotations

from typing import Final

ANYWHERE: Final = ("nulls in each delta", "no reason as a text", "a placeholder '{}'")

_OLLAMA = ("whole arguments at once", "index 0 for all", "stop behind calls")
_VLLM = ("a placeholder '{}'", "name and id each time", "nulls in each delta")
_QWEN = ("thinking that grows", "text that grows", "name and id each time")
_GOOGLE = ("whole arguments at once", "index 0 for all", "stop behind calls")
_GLM = ("a placeholder '{}'", "a rising index", "no reason as a text")
_KIMI = ("marks of a template around the name", "a placeholder 'null'", "the reason as an object")
_MINIMAX = ("text that grows", "thinking that grows", "whole arguments at once")
_SILICON = ("nulls in each delta", "name and id each time", "a placeholder '\"\"'")
_AZURE = ("no index", "nulls in each delta")

QUIRKS: Final[dict[str, tuple[str, ...]]] = {
    "openai-chat": ("nulls in each delta",),
    "azure-v1": _AZURE,
    "azure-deployment": _AZURE,
    "ollama": _OLLAMA,
    "llama-cpp": ("a placeholder '{}'", "no reason as a text"),
    "vllm": _VLLM,
    "sglang": (*_VLLM, "stop behind calls"),
    "lm-studio": ("no index", "stop behind calls"),
    "openrouter": ("nulls in each delta", "a rising index", "a choice for each call"),
    "deepseek": ("nulls in each delta", "a placeholder '{}'"),
    "moonshot": _KIMI,
    "moonshot-cn": _KIMI,
    "kimi-code": _KIMI,
    "zai": _GLM,
    "zai-coding": _GLM,
    "zhipu": _GLM,
    "zhipu-coding": _GLM,
    "dashscope": _QWEN,
    "dashscope-cn": _QWEN,
    "minimax": _MINIMAX,
    "minimax-cn": _MINIMAX,
    "siliconflow": _SILICON,
    "siliconflow-cn": _SILICON,
    "volcengine": ("a placeholder '{}'", "nulls in each delta"),
    "modelscope": _QWEN,
    "gemini": _GOOGLE,
    "vertex": (*_GOOGLE, "a choice for each call"),
    "mistral": ("whole arguments at once", "text as a list of parts"),
    "groq": ("whole arguments at once", "marks of a template around the name"),
    "cerebras": ("whole arguments at once", "index 0 for all"),
    "together": ("arguments in Python's words", "the name as an object", "stop behind calls"),
    "fireworks": ("name and id each time", "a placeholder '{}'"),
    "xai": ("whole arguments at once", "index 0 for all"),
    "nvidia": _VLLM,
    "huggingface": ("arguments as an object", "no index"),
    "bedrock": ("a placeholder '{}'", "marks of a template around the name"),
    "bedrock-mantle": ("marks of a template around the name",),
    "cohere": ("a placeholder {}", "no index"),
    "xiaomi-mimo": ("a rising index", "nulls in each delta"),
    "generic": ("flat calls", "the index as text", "a reason with each chunk"),
}
