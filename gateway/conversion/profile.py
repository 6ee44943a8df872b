"""Profile: how one upstream model wants to be spoken to, as data.

The names and defaults are those of profile.schema.json beside this file; a test
holds the two equal. A profile is merged from layers of options: preset, model
rules, provider, mapping. A later value replaces an earlier one as a whole, and
null means back to the default.

See docs/conversion.md, "Profile options".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

REASONING_PLACES: Final = (
    "reasoning_details",
    "reasoning_content",
    "reasoning",
    "reasoning_text",
    "thinking",
    "content_parts",
)
THINKING_MARKS: Final = (
    ("<think>", "</think>"),
    ("<Think>", "</Think>"),
    ("<THINK>", "</THINK>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<mm:think>", "</mm:think>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<|channel>thought", "<channel|>"),
    ("<unused94>thought", "<unused95>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|begin_of_solution|>", ""),
    ("<|end_of_solution|>", ""),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
    ("<|channel|>analysis<|message|>", "<|start|>assistant"),
    ("<|start|>assistant", ""),
    ("<|channel|>final<|message|>", ""),
    ("<|channel|>commentary<|message|>", ""),
    ("<|return|>", ""),
    ("<|im_end|>", ""),
    ("<|eot_id|>", ""),
    ("<|endoftext|>", ""),
    ("<|START_RESPONSE|>", ""),
    ("<|END_RESPONSE|>", ""),
)
EFFORT_ORDER: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Profile:
    """All conversion options of one upstream model; docs/conversion.md, "Profile options", explains each."""

    protocol: str = "chat"
    provider: str = ""
    upstream_model: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    min_output_tokens: int | None = None
    window_check: str = "upstream"
    client_window: int | str | None = None
    system_role: str = "system"
    mid_system: str = "keep"
    max_tokens_field: str = "max_tokens"
    reasoning: str = "none"
    reasoning_on: str | None = None
    reasoning_off: bool = True
    efforts: tuple[str, ...] | None = None
    effort_with_tools: str | None = None
    thinking_budget_max: int | None = None
    whole_thinking: bool = True
    emit_thinking: str = "requested"
    reasoning_in: tuple[str, ...] = REASONING_PLACES
    thinking_marks: tuple[tuple[str, str], ...] = THINKING_MARKS
    reasoning_replay: str | tuple[str, ...] = "drop"
    replay_scope: str = "always"
    reasoning_placeholder: str | None = ""
    message_extras: tuple[str, ...] = ()
    tool_call_extras: Mapping[str, Any] = field(default_factory=dict)
    sampling: str = "pass"
    top_k: str = "drop"
    stop: str = "native"
    stop_max: int = 4
    images: str = "url"
    image_types: tuple[str, ...] = ()
    pdf: str = "extract"
    url_documents: str = "reject"
    tool_result_images: str = "hoist"
    assistant_after_tool: bool = False
    call_content: str = "null"
    tool_choice: str = "full"
    tool_choice_any: str = "required"
    parallel_tool_calls: str = "pass"
    max_tools: int | None = None
    strict_tools: str = "auto"
    schema_rewrites: tuple[str, ...] = ()
    tool_description_max: int | None = None
    tool_id_format: str = "any"
    tool_name_format: str = "any"
    json_schema: str = "auto"
    cache_control: str = "strip"
    cache_lifetime: str = "shortest"
    user_field: str = "user"
    session_key: str | None = None
    service_tier: str = "drop"
    trace_context: str = "drop"
    content_parts: str = "auto"
    prefill: str = "reject"
    history: str = "repair"
    deferred_tools: str = "honor"
    late_tools: str = "list"
    verbosity: str | None = None
    reasoning_context: str | None = None
    stream_obfuscation: bool = True
    server_tools: str = "auto"
    web_search: str = "off"
    tool_args: str = "live"
    stream_usage: bool = True
    stream_idle_timeout: float | None = None
    assistant_phase: bool = False
    image_tokens: str = "anthropic"
    vocabulary: str = "none"
    counter: str = "auto"
    token_factor: float = 1.0
    token_letters: float = 1.0
    token_cjk: float = 1.0
    token_overhead: int = 0
    strip_attribution: bool = True
    enforce_api_version: bool = False
    safeguards: str = "answer"
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def merged(cls, *layers: Mapping[str, Any]) -> Profile:
        """Merge layers of options, later ones winning. Raises ValueError on an unknown option name."""
        options: dict[str, Any] = {}
        for layer in layers:
            unknown = layer.keys() - OPTION_NAMES
            if unknown:
                raise ValueError(f"unknown profile option: {sorted(unknown)[0]}")
            options.update(layer)
        given: dict[str, Any] = {
            name: _frozen(value)
            for name, value in options.items()
            if value is not None or name in _NULL_MEANS_SOMETHING
        }
        return cls(**given)

    @property
    def effort_levels(self) -> tuple[str, ...]:
        """The accepted effort values: `efforts`, or its default for the form of `reasoning`."""
        if self.efforts is not None:
            return self.efforts
        return ("low", "medium", "high") if self.reasoning in ("effort", "openrouter") else ()

    @property
    def replay_fields(self) -> tuple[str, ...]:
        """`reasoning_replay` as a tuple of fields; empty for `drop`."""
        if self.reasoning_replay == "drop":
            return ()
        return (self.reasoning_replay,) if isinstance(self.reasoning_replay, str) else self.reasoning_replay

    @property
    def idle_timeout(self) -> float:
        """Seconds of upstream silence that end a stream (docs/conversion.md, "Silence")."""
        if self.stream_idle_timeout is not None:
            return self.stream_idle_timeout
        return 120.0 if self.reasoning == "none" else 600.0


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


OPTION_NAMES: Final = frozenset(option.name for option in dataclasses.fields(Profile))
# null is a value of its own here, not "back to the default"
_NULL_MEANS_SOMETHING: Final = frozenset({"reasoning_placeholder"})
DEFAULTS: Final = Profile()
