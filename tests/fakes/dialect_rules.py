"""What each Chat Completions service refuses and how it answers, as facts: nothing here is read from presets.

`rules(slug, model)` gives the Rules that a strict fake of the service enforces. The facts come from the
services' documentation and other clients' sources; where nothing is known about a service, it is as strict
as the strictest of its kind. A service without an entry is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

OPENAI_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh")
# draft 2020-12 keywords that Gemini's function declarations do not know
GEMINI_KEYWORDS: Final = frozenset(
    {
        "$schema", "$ref", "$defs", "additionalProperties", "const", "exclusiveMinimum", "exclusiveMaximum",
        "propertyNames", "patternProperties", "default",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """One service, for one model.

    What it takes: `cap`, the one field for the output cap; `fields`, body fields of its own beside
    those that all take; `needs`, paths and values that must be there; `efforts` of reasoning_effort
    (None: unknown field); `forced`: which tool choices beside auto and none ("required", "any",
    "named"), `forced_thinking` which of them while thinking; `message_fields` on assistant messages;
    `part_fields` of content parts; `id_form` of tool call ids; `refused_keywords` in schemas;
    `no_type_beside_any_of` (MFJS); `files`: the type of a part with a PDF; `structured`: the type of
    response_format ("json_object": the conversation has to say JSON), "" an unknown field.

    What must come back: `replay` is the field of the assistant message that thinking goes into
    ("content": a thinking part), needed on turns with calls when `replay_needed`, after the last
    user message alone or (`replay_always`) on every turn; `extras` are message fields that come
    back as given; `signed` calls come back with their thought signature.

    How it answers: `thinks_in` a field, "parts", "tags" or "google"; `usage_in` "chunk", "choice"
    or "x_groq"; `cached_in`; `whole_arguments` in one piece; `finish` of calls; `error_form`;
    `done`: ends with [DONE]; `apart`: thinking is not counted among the output tokens.

    `counts`: which counter of tokens it has (counters.py), "" none.
    """

    cap: str = "max_tokens"
    fields: tuple[str, ...] = ()
    needs: tuple[tuple[str, Any], ...] = ()
    efforts: tuple[str, ...] | None = None
    effort_with_tools: str | None = None
    roles: tuple[str, ...] = ("system",)
    system_anywhere: bool = False
    after_tool_only_assistant: bool = False
    sampling: str = "any"  # any, never, not_thinking, positive
    stop: bool = True
    parallel: str | None = "parallel_tool_calls"
    forced: tuple[str, ...] = ("required", "named")
    forced_thinking: tuple[str, ...] | None = None
    none_choice: bool = True
    strict: bool = False
    stream_options: bool = True
    user: bool = True
    images: bool = True
    files: str | None = None
    structured: str = "json_schema"
    text_content_only: bool = False
    max_tools: int | None = None
    cache_control: bool = False
    part_fields: tuple[str, ...] = ()
    refused_keywords: frozenset[str] = frozenset()
    string_enums: bool = False
    no_type_beside_any_of: bool = False
    id_form: str = r"[A-Za-z0-9_-]{1,64}"
    message_fields: tuple[str, ...] = ()
    replay: str | None = None
    replay_needed: bool = False
    replay_always: bool = False
    extras: tuple[str, ...] = ()
    signed: bool = False
    whole_answers_think: bool = True
    thinks_in: str | None = "reasoning_content"
    usage_in: str = "chunk"
    cached_in: str = "prompt_tokens_details"
    whole_arguments: bool = False
    finish: str | None = "tool_calls"
    quirks: tuple[str, ...] = ()
    error_form: str = "openai"
    done: bool = True
    apart: bool = False
    switch: str | None = None
    switch_off: Any = None
    never_off: bool = False
    header: str | None = None
    query: str | None = None
    counts: str = ""
    only: tuple[tuple[str, tuple[Any, ...]], ...] = field(default=())


_OPENAI: Final = Rules(
    cap="max_completion_tokens",
    fields=("parallel_tool_calls", "safety_identifier", "prompt_cache_key", "store"),
    files="file",
    efforts=OPENAI_EFFORTS,
    effort_with_tools="none",
    roles=("system", "developer"),
    system_anywhere=True,
    sampling="not_thinking",
    stop=False,
    strict=True,
    max_tools=128,
    id_form=r"[A-Za-z0-9_-]{1,40}",
    thinks_in=None,
)
_SWITCHED: Final = Rules(parallel=None, replay="reasoning_content", message_fields=("reasoning_content",))
_KIMI: Final = replace(
    _SWITCHED,
    cap="max_completion_tokens",
    fields=("prompt_cache_key",),
    efforts=("low", "high", "max"),
    sampling="never",
    forced=("required", "named"),
    forced_thinking=(),
    max_tools=128,
    no_type_beside_any_of=True,
    replay_needed=True,
    replay_always=True,
    usage_in="choice",
    cached_in="cached_tokens",
    never_off=True,
)
_GLM: Final = replace(
    _SWITCHED,
    structured="json_object",
    fields=("thinking", "tool_stream"),
    needs=(("tool_stream", True), ("thinking.clear_thinking", False)),
    efforts=("low", "high", "max"),
    switch="thinking.type",
    switch_off="disabled",
    sampling="positive",
    forced=(),
    none_choice=False,
    replay_always=True,
    cache_control=True,
)
_QWEN: Final = Rules(
    cap="max_completion_tokens",
    fields=("enable_thinking", "thinking_budget", "preserve_thinking", "parallel_tool_calls", "top_k"),
    switch="enable_thinking",
    switch_off=False,
    strict=True,
    cache_control=True,
    message_fields=("reasoning_content",),
    replay="reasoning_content",
    whole_answers_think=False,
    cached_in="prompt_tokens_details",
)
_MINIMAX: Final = replace(
    _SWITCHED,
    structured="",  # silently ignored by all current models
    cap="max_completion_tokens",
    fields=("thinking", "reasoning_split"),
    needs=(("reasoning_split", True),),
    only=(("thinking.type", ("adaptive", "disabled")),),
    switch="thinking.type",
    switch_off="disabled",
    sampling="positive",
    forced=(),
    none_choice=False,
    cache_control=True,
    message_fields=("reasoning_details",),
    replay="reasoning_details",
    replay_always=True,
    thinks_in="reasoning_details",
    error_form="base_resp",
)
_SILICON: Final = replace(
    _SWITCHED,
    structured="json_object",
    fields=("enable_thinking", "thinking_budget"),
    strict=True,
    forced=("required", "named"),
    forced_thinking=(),
    switch="enable_thinking",
    switch_off=False,
    cached_in="prompt_cache_hit_tokens",
    error_form="code_message",
)
_GEMINI: Final = Rules(
    cap="max_completion_tokens",
    efforts=("low", "medium", "high"),
    parallel=None,
    refused_keywords=GEMINI_KEYWORDS,
    string_enums=True,
    id_form=r".{1,256}",
    signed=True,
    thinks_in="google",
    whole_arguments=True,
    error_form="list",
    never_off=True,
)
_LOCAL: Final = Rules(
    efforts=None,
    fields=("chat_template_kwargs", "parallel_tool_calls", "top_k"),
    strict=True,
    message_fields=("reasoning_content", "reasoning"),
    replay="reasoning_content",
    switch="chat_template_kwargs.enable_thinking",
    switch_off=False,
)
_BEDROCK: Final = Rules(
    cap="max_completion_tokens",
    fields=("parallel_tool_calls",),
    efforts=("low", "medium", "high"),
    never_off=True,
    error_form="flat",
)

_RULES: Final[dict[str, Rules]] = {
    "openai-chat": _OPENAI,
    "azure-v1": replace(_OPENAI, fields=(*_OPENAI.fields,), header="api-key"),
    "azure-deployment": replace(
        _OPENAI, roles=("system", "developer"), header="api-key", query="api-version", user=True
    ),
    "ollama": replace(
        _SWITCHED,
        efforts=("none", "low", "medium", "high"),
        strict=True,
        forced=(),  # what it ignores it would not do
        none_choice=False,
        message_fields=("reasoning",),
        replay="reasoning",
        thinks_in="reasoning",
        whole_arguments=True,
    ),
    "llama-cpp": replace(
        _LOCAL,
        fields=(*_LOCAL.fields, "cache_prompt"),
        forced=("required",),
        refused_keywords=frozenset({"$ref", "$defs"}),
        message_fields=("reasoning_content",),
        counts="chat",
    ),
    "vllm": replace(_LOCAL, strict=False, replay="reasoning", thinks_in="reasoning", counts="messages"),
    "sglang": replace(_LOCAL, error_form="flat"),
    "lm-studio": replace(
        _SWITCHED, strict=True, refused_keywords=frozenset({"$ref", "$defs"}), thinks_in="tags"
    ),
    "openrouter": Rules(
        cap="max_completion_tokens",
        fields=("reasoning", "parallel_tool_calls", "top_k", "session_id", "usage", "plugins"),
        roles=("system", "developer"),
        system_anywhere=True,
        files="file",
        strict=True,
        needs=(("usage.include", True),),
        message_fields=("reasoning", "reasoning_details"),
        replay="reasoning_details",
        replay_always=True,
        thinks_in="reasoning_details",
        switch="reasoning.enabled",
        switch_off=False,
        cache_control=True,
    ),
    "deepseek": replace(
        _SWITCHED,
        structured="json_object",
        fields=("thinking",),
        efforts=("low", "high", "max"),
        switch="thinking.type",
        switch_off="disabled",
        strict=True,
        forced=("required", "named"),
        forced_thinking=(),
        replay_needed=True,
        replay_always=True,
        cached_in="prompt_cache_hit_tokens",
    ),
    "moonshot": _KIMI,
    "moonshot-cn": _KIMI,
    "kimi-code": replace(_KIMI, efforts=None),
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
    "volcengine": Rules(
        cap="max_completion_tokens",
        fields=("thinking", "parallel_tool_calls"),
        efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
        switch="thinking.type",
        switch_off="disabled",
        strict=True,
        message_fields=("reasoning_content", "encrypted_content"),
        replay="reasoning_content",
        extras=("encrypted_content",),
    ),
    "modelscope": replace(
        _SWITCHED, fields=("enable_thinking",), strict=True, switch="enable_thinking", switch_off=False
    ),
    "gemini": _GEMINI,
    "vertex": _GEMINI,
    "mistral": Rules(
        fields=("parallel_tool_calls", "random_seed"),
        files="document_url",
        efforts=("none", "high"),
        after_tool_only_assistant=True,
        forced=("any",),
        stream_options=False,
        user=False,
        refused_keywords=frozenset({"$ref", "$defs"}),
        id_form=r"[A-Za-z0-9]{9}",
        replay="content",
        thinks_in="parts",
        cached_in="num_cached_tokens",
        whole_arguments=True,
        error_form="flat",
    ),
    "groq": Rules(
        cap="max_completion_tokens",
        fields=("parallel_tool_calls", "reasoning_format"),
        efforts=("low", "medium", "high"),
        never_off=True,
        strict=True,
        refused_keywords=frozenset({"$schema"}),
        max_tools=128,
        message_fields=("reasoning",),
        replay="reasoning",
        thinks_in="reasoning",
        usage_in="x_groq",
    ),
    "cerebras": Rules(
        cap="max_completion_tokens",
        fields=("parallel_tool_calls",),
        efforts=("low", "medium", "high"),
        never_off=True,
        strict=True,
        images=False,
        message_fields=("reasoning",),
        replay="reasoning",
        thinks_in="reasoning",
    ),
    "together": replace(
        _SWITCHED,
        fields=("reasoning", "chat_template_kwargs"),
        efforts=("low", "medium", "high", "max"),
        switch="reasoning.enabled",
        switch_off=False,
    ),
    "fireworks": Rules(
        fields=("parallel_tool_calls", "context_length_exceeded_behavior", "reasoning_history"),
        efforts=("none", "low", "medium", "high", "max"),
        forced=("any", "named"),
        refused_keywords=frozenset({"$ref", "$defs"}),
        message_fields=("reasoning_content",),
        replay="reasoning_content",
    ),
    "xai": Rules(
        cap="max_completion_tokens",
        fields=("parallel_function_calling",),
        efforts=("none", "low", "medium", "high", "xhigh"),
        sampling="not_thinking",
        stop=False,
        parallel="parallel_function_calling",
        finish=None,
        error_form="code_error",
        apart=True,
    ),
    "nvidia": replace(_LOCAL, strict=False, text_content_only=False),
    "huggingface": replace(_SWITCHED, thinks_in="tags"),
    "bedrock": replace(_BEDROCK, thinks_in="tags"),
    "bedrock-mantle": replace(_BEDROCK, message_fields=("reasoning_content",), replay="reasoning_content"),
    "cohere": Rules(
        efforts=("none", "high"),
        parallel=None,
        strict=True,
        forced=("required",),
        error_form="flat",
        thinks_in="reasoning_content",
    ),
    "xiaomi-mimo": replace(
        _SWITCHED, fields=("parallel_tool_calls",), parallel="parallel_tool_calls", strict=True
    ),
    "generic": replace(_SWITCHED, thinks_in="reasoning"),
}

# what differs by model: the last one whose name is found wins, as far as it says something
_BY_MODEL: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("openai-chat azure-v1 azure-deployment", r"^gpt-4", {
        "efforts": None, "effort_with_tools": None, "sampling": "any", "stop": True, "roles": ("system",),
    }),
    ("openai-chat azure-v1 azure-deployment", r"^gpt-5(-|$)", {
        "efforts": ("minimal", "low", "medium", "high"), "effort_with_tools": None, "never_off": True,
    }),
    ("openai-chat", r"^gpt-5\.6", {"part_fields": ("prompt_cache_breakpoint",)}),
    ("deepseek", r"v4-pro", {"images": False}),
    ("moonshot moonshot-cn", r"^kimi-k3", {"forced_thinking": ("required",)}),
    ("moonshot moonshot-cn", r"^kimi-k2\.[56]", {
        "efforts": None, "fields": ("prompt_cache_key", "thinking"), "switch": "thinking.type",
        "switch_off": "disabled", "never_off": False, "needs": (("thinking.keep", "all"),),
    }),
    ("moonshot moonshot-cn kimi-code", r"^kimi-(k2\.7|for-coding)", {"efforts": None}),
    ("zai zai-coding zhipu zhipu-coding", r"^glm-5\.3", {"never_off": True}),
    ("dashscope dashscope-cn", r"^qwen3\.8", {
        "efforts": ("low", "medium", "xhigh"), "replay_always": True, "needs": (("preserve_thinking", True),),
    }),
    ("dashscope dashscope-cn", r"^qwen3\.[67]", {
        "replay_always": True, "needs": (("preserve_thinking", True),),
    }),
    ("minimax minimax-cn", r"^MiniMax-M2", {"images": False, "never_off": True}),
    ("siliconflow siliconflow-cn", r"DeepSeek-V4|GLM-5\.2", {"efforts": ("high", "max")}),
    ("gemini vertex", r"gemini-3\.5", {"efforts": ("minimal", "low", "medium", "high")}),
    ("groq", r"gpt-oss", {"images": False, "text_content_only": True}),
    ("together", r"gpt-oss", {
        "efforts": ("low", "medium", "high"), "never_off": True, "switch": None, "fields": (),
    }),
    ("together", r"DeepSeek-V4-Pro", {"efforts": ("high", "max")}),
    ("nvidia", r"(?i)nemotron", {}),
    ("openrouter", r"^anthropic/", {}),
    ("openrouter", r"gemini-3", {"never_off": True}),
    ("xai", r"grok-4\.6", {"never_off": True, "efforts": ("low", "medium", "high", "xhigh")}),
)  # fmt: skip


def rules(slug: str, model: str) -> Rules:
    """What the service refuses for this model."""
    found = _RULES[slug]
    for slugs, match, changes in _BY_MODEL:
        if slug in slugs.split() and re.search(match, model):
            found = replace(found, **changes)
    return found


SLUGS: Final = tuple(_RULES)
