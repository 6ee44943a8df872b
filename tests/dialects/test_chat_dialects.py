"""Every preset against a strict fake of its service: tools, thinking, parallel calls, images, PDF, form."""

from __future__ import annotations

import contextlib

import pytest

from gateway.config.presets.presets import presets
from tests.conftest import rule
from tests.dialects.conversation import SAY, UNASKED, converse
from tests.dialects.runs import cache_marks, first_models, run_chat, shown
from tests.dialects.services import chat_services, reached
from tests.fakes.counters import COUNTED
from tests.fakes.dialect_rules import SLUGS, rules
from tests.fakes.quirks import ANYWHERE, QUIRKS
from tests.fakes.strict_chat import StrictChat
from tests.tellings import CHAT_STREAM


def test_every_preset_that_speaks_chat_has_a_strict_fake():
    assert set(SLUGS) == {k.slug for k in presets().values() if k.protocol == "chat" and not k.retired}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("slug", "model"), list(chat_services()))
async def test_five_turns_pass_a_strict_service(bench, slug, model, stream):
    service, run = await run_chat(bench, slug, model, stream=stream)
    assert len(service.taken) == len(SAY)
    for turn, one in enumerate(run.seen):
        judge(service, turn, one, stream=stream)
    assert {"PDF", "structured output", "caching"} <= shown(run, cache_marks(slug, model))
    assert (run.told == COUNTED) == bool(run.counted) == bool(service.rules.counts)


def test_every_service_has_the_quirks_that_are_reported_of_it():
    assert set(QUIRKS) == set(SLUGS)
    assert {name for names in (*QUIRKS.values(), ANYWHERE) for name in names} <= CHAT_STREAM.keys()


@pytest.mark.parametrize("quirks", ["its own", "those seen anywhere"])
@pytest.mark.parametrize(("slug", "model"), first_models().items())
async def test_five_turns_are_the_same_with_the_quirks_of_the_service(bench, slug, model, quirks):
    names = QUIRKS[slug] if quirks == "its own" else ANYWHERE
    service, run = await run_chat(bench, slug, model, stream=True, quirks=names)
    for turn, one in enumerate(run.seen):
        judge(service, turn, one, stream=True)


def judge(service, turn, one, *, stream):
    """The client's view of a turn is what the service said."""
    said, body = SAY[turn], service.taken[turn]
    thought = service.thinks(body) and (stream or service.rules.thinks_in != "google")
    asked = turn not in UNASKED
    # a block without a text carries state that a call needs, whatever was asked for
    assert [block["thinking"] for block in one.of("thinking") if block["thinking"]] == (
        [said.thought] if thought and asked else []
    )
    assert "".join(block["text"] for block in one.of("text")) == said.text
    assert [(call["name"], call["input"]) for call in one.of("tool_use")] == list(said.calls)
    assert one.stop_reason == ("tool_use" if said.calls else "end_turn")
    assert one.usage["cache_read_input_tokens"] == 600
    assert one.usage["input_tokens"] == 400 + turn
    assert one.usage["output_tokens"] == 50


# an option of a preset that is missing or wrong -> what the service says to it
FAULTS = [
    ("openai-chat", "gpt-5.6-sol", {"max_tokens_field": "max_tokens"}, "unknown field max_tokens"),
    ("openai-chat", "gpt-5.6-sol", {"effort_with_tools": None}, "Function tools with reasoning_effort"),
    ("openai-chat", "gpt-5-mini", {"sampling": "pass"}, "temperature and top_p are fixed"),
    ("openai-chat", "gpt-5-mini", {"stop": "native"}, "unknown field stop"),
    ("azure-deployment", "gpt-5.6-sol", {"cache_control": "keep"}, "unknown field cache_control of a part"),
    ("deepseek", "deepseek-flash", {"reasoning_replay": "drop"}, "must be passed back to the API"),
    ("deepseek", "deepseek-flash", {"reasoning_placeholder": None}, "must be passed back to the API"),
    ("deepseek", "deepseek-flash", {"replay_scope": "tool_turns"}, "must be passed back to the API"),
    ("deepseek", "deepseek-flash", {"mid_system": "keep"}, "System message must be at the beginning"),
    ("deepseek", "deepseek-flash", {"parallel_tool_calls": "pass"}, "unknown field parallel_tool_calls"),
    ("deepseek", "deepseek-flash", {"tool_choice": "full"}, "tool_choice 'required'"),
    ("vertex", "google/gemini-3.8-flash", {"tool_call_extras": {"extra_content": None}}, "missing a thought"),
    ("deepseek", "deepseek-v4-pro", {"images": "url"}, "image_url in a user message"),
    ("deepseek", "deepseek-v4-pro", {"json_schema": "auto"}, "response_format type is unavailable"),
    ("zai", "glm-5.2", {"json_schema": "auto"}, "response_format type is unavailable"),
    ("minimax", "MiniMax-M3", {"json_schema": "object"}, "unknown field response_format"),
    ("openai-chat", "gpt-4o", {"pdf": "document_url"}, "part of type document_url"),
    ("mistral", "mistral-medium-latest", {"pdf": "file"}, "part of type file"),
    ("groq", "openai/gpt-oss-120b", {"pdf": "file"}, "content must be a string"),
    ("moonshot", "kimi-k3", {"schema_rewrites": []}, "type beside anyOf"),
    ("moonshot", "kimi-k3", {"sampling": "pass"}, "temperature and top_p are fixed"),
    ("moonshot", "kimi-k3", {"strict_tools": "auto"}, "function note: ['strict']"),
    ("zai", "glm-5.3", {"extra_body": {}}, "tool_stream is not True"),
    ("zai", "glm-5.3", {"reasoning_off": True}, "thinking cannot be switched off"),
    ("zai", "glm-5.3", {"tool_choice": "full"}, "tool_choice {"),
    ("zai", "glm-5.3", {"sampling": "pass"}, "must be above zero"),
    ("dashscope", "qwen3.8-max", {"whole_thinking": True}, "must be set to false for non-streaming calls"),
    ("minimax", "MiniMax-M3", {"reasoning_on": None}, "thinking.type is 'enabled'"),
    ("minimax", "MiniMax-M3", {"reasoning_replay": "drop"}, "reasoning_details is None"),
    ("volcengine", "doubao", {"message_extras": []}, "encrypted_content did not come back"),
    ("gemini", "gemini-3.8-flash", {"tool_call_extras": {}}, "missing a thought_signature"),
    ("gemini", "gemini-3.8-flash", {"schema_rewrites": ["inline_refs"]}, "schema of read: const"),
    ("gemini", "gemini-3.8-flash", {"efforts": ["minimal"]}, "reasoning_effort 'minimal'"),
    ("mistral", "mistral-medium-latest", {"tool_id_format": "any"}, "tool call id"),
    ("mistral", "mistral-medium-latest", {"assistant_after_tool": False}, "after role 'tool'"),
    ("mistral", "mistral-medium-latest", {"stream_usage": True}, "unknown field stream_options"),
    (
        "mistral",
        "mistral-medium-latest",
        {"reasoning_replay": "reasoning_content"},
        "unknown field reason",
    ),
    ("mistral", "mistral-medium-latest", {"tool_choice_any": "required"}, "tool_choice 'required'"),
    ("mistral", "mistral-medium-latest", {"user_field": "user"}, "unknown field user"),
    ("groq", "openai/gpt-oss-120b", {"images": "url"}, "content must be a string"),
    ("fireworks", "glm-5p3", {"tool_choice_any": "required"}, "tool_choice 'required'"),
    ("xai", "grok-4.7", {"parallel_tool_calls": "pass"}, "unknown field parallel_tool_calls"),
    ("xai", "grok-4.6", {"efforts": ["none", "low"]}, "reasoning_effort 'none'"),
    ("llama-cpp", "local", {"tool_choice": "full"}, "tool_choice {"),
    ("llama-cpp", "local", {"tool_result_images": "inline"}, "image_url in a tool message"),
    ("openrouter", "openai/gpt-6.1-sol", {"reasoning_replay": "reasoning"}, "reasoning_details is None"),
]


@pytest.mark.parametrize(
    ("slug", "model", "wrong", "said"),
    FAULTS,
    ids=[f"{slug}-{next(iter(wrong))}" for slug, _, wrong, _ in FAULTS],
)
async def test_a_wrong_option_is_refused_by_the_service(bench, slug, model, wrong, said):
    """The fake can find faults: what a preset sees to is refused when it does not."""
    service = StrictChat(rules(slug, model), SAY, UNASKED)
    await service.start()
    try:
        there = reached(slug, service.base_url, "chat")
        there["options"] = {**there["options"], **wrong}
        bench.configure(provider=there, rules=[rule(upstream_model=model)])
        # the gateway may learn from the refusal and carry on: it was refused all the same
        with contextlib.suppress(AssertionError):
            await converse(bench.client, stream="whole_thinking" not in wrong and "stop" not in wrong)
    finally:
        await service.stop()
    assert any(said in problem for problem in service.refused), service.refused
