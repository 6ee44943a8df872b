"""Any legal Messages request becomes a legal chat request, for any kind of provider."""

import contextlib
import itertools

import pydantic
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway.conversion.provider_state import id_with, signature
from gateway.errors import InvalidRequest
from tests.conversion import openai_types
from tests.conversion.converting import IMAGE, call, convert, request_of, result, text, thinking
from tests.conversion.legal_chat import violations
from tests.examples import examples

PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"},
}
PAYLOAD = {"p": "p1", "m": "m", "rd": [{"type": "reasoning.text", "text": "x"}], "x": {"extra": 1}}

texts = st.one_of(
    st.sampled_from(["", " ", "\n", "a", "error: x", "é\u2028", "\ud800", "x" * 300]), st.text(max_size=9)
)
some_texts = st.text(min_size=1, max_size=9).filter(str.strip)
ids = st.sampled_from(
    [
        "t1",
        "t2",
        "t3",
        "",
        "a|b",
        "x" * 60,
        id_with("t1", PAYLOAD),
        id_with("t4", PAYLOAD),
        "t5_gw1_garbage",
        "_gw1_",
    ]
)
names = st.sampled_from(["get_time", "fs.read", "x" * 90, "é", "mcp__a__b"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
inputs = st.dictionaries(st.text(max_size=5), values, max_size=3)
markers = st.sampled_from([None, None, {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])


@st.composite
def marked(draw, blocks):
    block, marker = draw(blocks), draw(markers)
    return {**block, "cache_control": marker, "unknown": 1} if marker else block


text_blocks = st.builds(text, texts)
images = st.sampled_from([IMAGE, {"type": "image", "source": {"type": "url", "url": "https://e.com/a.png"}}])
documents = st.one_of(
    st.just(PDF),
    st.builds(
        lambda title, source: {"type": "document", "title": title, "source": source},
        st.none() | texts,
        st.one_of(
            st.builds(lambda data: {"type": "text", "data": data}, texts),
            st.builds(lambda content: {"type": "content", "content": content}, texts),
            st.builds(
                lambda content: {"type": "content", "content": content},
                st.lists(text_blocks | images, max_size=3),
            ),
        ),
    ),
)
search_results = st.builds(
    lambda title, content: {"type": "search_result", "title": title, "source": "s", "content": content},
    texts,
    st.lists(text_blocks, max_size=2),
)
shown = marked(st.one_of(text_blocks, images, documents, search_results))
references = st.builds(lambda name: {"type": "tool_reference", "tool_name": name}, names)
states = st.just({"type": "browser_state", "tabs": []})
results = st.builds(
    result,
    ids,
    st.one_of(st.none(), texts, st.lists(st.one_of(shown, references, states), max_size=3)),
    is_error=st.sampled_from([None, True, False]),
)
summaries = st.builds(lambda content: {"type": "compaction", "content": content}, st.none() | texts)
thoughts = st.builds(
    thinking,
    texts,
    st.sampled_from(["", "EqQB", signature(PAYLOAD)[0], signature({**PAYLOAD, "p": "p2"})[0]]),
)
calls = st.builds(lambda call_id, name, given: {**call(call_id, name), "input": given}, ids, names, inputs)
server_blocks = st.sampled_from(
    [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "fallback"},
        {"type": "advisor_tool_result", "content": {"type": "advisor_redacted_result"}},
    ]
)


def message(role, blocks, **fields):
    content = st.one_of(texts, st.lists(blocks, max_size=4))
    return st.builds(lambda value: {"role": role, "content": value, **fields}, content)


single_messages = st.one_of(
    message("user", marked(st.one_of(shown, results, results, summaries))),
    message("assistant", marked(st.one_of(text_blocks, thoughts, calls, calls, server_blocks, summaries))),
    message("system", marked(text_blocks)),
    message("system", text_blocks, clear_at="next_user_message"),
).map(lambda one: [one])


@st.composite
def exchanges(draw):
    """Calls and, for most of them, results, with things before, between and behind."""
    made = draw(st.lists(calls, min_size=1, max_size=3))
    around = st.lists(marked(st.one_of(text_blocks, thoughts)), max_size=2)
    asked = [{"role": "assistant", "content": [*draw(around), *made, *draw(around)]}]
    between = draw(
        st.sampled_from([[], [], [{"role": "system", "content": "s"}], [{"role": "user", "content": ""}]])
    )
    answers = [{**draw(results), "tool_use_id": one["id"]} for one in made]
    kept = [one for one in draw(st.permutations(answers)) if draw(st.integers(0, 4))]
    others = draw(st.lists(marked(shown), max_size=2))
    return [*asked, *between, {"role": "user", "content": draw(st.permutations([*kept, *others]))}]


messages = st.lists(st.one_of(exchanges(), single_messages), max_size=5).map(
    lambda pieces: [one for piece in pieces for one in piece]
)
tools = st.lists(
    st.builds(
        lambda name, schema: {"name": name, "description": "d", "input_schema": schema},
        names,
        st.sampled_from(
            [{"type": "object"}, {}, {"type": "object", "properties": {"a": {"type": "string"}}}]
        ),
    ),
    max_size=3,
    unique_by=lambda tool: tool["name"],
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "system": texts | st.lists(marked(text_blocks), max_size=3),
        "stream": st.booleans(),
        "temperature": st.floats(0, 1),
        "stop_sequences": st.lists(some_texts, max_size=6),
        "thinking": st.sampled_from(
            [{"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 1024}]
        ),
        "output_config": st.sampled_from([{}, {"effort": "max"}, {"effort": "low"}]),
        "metadata": st.builds(lambda value: {"user_id": value}, st.none() | texts),
        "tools": tools,
        "cache_control": markers,
        "context_management": st.just({"edits": []}),
    },
)
options = st.fixed_dictionaries(
    {"provider": st.sampled_from(["", "p1"])},
    optional={
        "system_role": st.sampled_from(["system", "developer"]),
        "mid_system": st.sampled_from(["keep", "user"]),
        "reasoning": st.sampled_from(["none", "effort", "openrouter", "thinking_object", "enable_thinking"]),
        "reasoning_replay": st.sampled_from(
            [
                "drop",
                "reasoning_content",
                "reasoning",
                "reasoning_details",
                "content_parts",
                ["reasoning", "content_parts"],
            ]
        ),
        "replay_scope": st.sampled_from(["always", "tool_turns"]),
        "message_extras": st.just(["extra"]),
        "tool_call_extras": st.sampled_from([{}, {"extra": "sentinel"}, {"extra": None}]),
        "images": st.sampled_from(["url", "text"]),
        "pdf": st.sampled_from(["extract", "file"]),
        "tool_result_images": st.sampled_from(["hoist", "inline"]),
        "assistant_after_tool": st.booleans(),
        "tool_id_format": st.sampled_from(["any", "mistral9"]),
        "cache_control": st.sampled_from(["strip", "keep", "openai_breakpoint"]),
        "content_parts": st.sampled_from(["auto", "always"]),
        "stop": st.sampled_from(["native", "local", "drop"]),
        "sampling": st.sampled_from(["pass", "drop_thinking", "positive"]),
    },
)
# what these options add on purpose
ADDED = {
    "extra_fields": ["reasoning", "thinking", "enable_thinking"],
    "message_fields": ["reasoning", "reasoning_content", "reasoning_details", "extra"],
}


@settings(
    max_examples=examples(400),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(messages, some_texts, fields, options)
def test_any_legal_request_becomes_a_legal_chat_request(history, last, given_fields, given_options):
    request = request_of(*history, {"role": "user", "content": last}, **{"max_tokens": 4096, **given_fields})
    outcome = convert(request, given_options)
    parts = {"thinking"} if "content_parts" in given_options.get("reasoning_replay", ()) else set()
    if given_options.get("tool_result_images") == "inline":
        parts.add("image_url")
    calls_of_all = [c for m in outcome.messages for c in m.get("tool_calls") or ()]
    event(f"calls: {min(len(calls_of_all), 3)}")
    for one in calls_of_all:
        one.pop("extra", None)
    assert violations(outcome.body, **ADDED, part_types=parts) == []
    if not parts:
        openai_types.accept(outcome.body)
    assert outcome.body["messages"][-1]["role"] != "assistant"
    if given_options.get("assistant_after_tool"):
        roles = [m["role"] for m in outcome.messages]
        assert not any(
            one == "tool" and other not in ("tool", "assistant") for one, other in itertools.pairwise(roles)
        )


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(messages, some_texts, fields, options)
def test_the_same_request_always_gives_the_same_body(history, last, given_fields, given_options):
    request = request_of(*history, {"role": "user", "content": last}, **{"max_tokens": 4096, **given_fields})
    assert convert(request, given_options).body == convert(request, given_options).body


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(messages, some_texts, options)
def test_a_longer_history_begins_like_the_shorter_one(history, last, given_options):
    """Otherwise no provider's prompt cache would ever hit."""
    given_options = {**given_options, "replay_scope": "always", "cache_control": "strip"}
    history = [m for m in history if "clear_at" not in m]
    first = [*history, {"role": "user", "content": last}]
    answer = {"role": "assistant", "content": "fine"}
    shorter = convert(request_of(*first), given_options).messages
    longer = convert(request_of(*first, answer, {"role": "user", "content": "next"}), given_options).messages
    assert longer[: len(shorter)] == shorter


def test_the_types_of_openai_would_notice():
    outcome = convert(request_of("a"))
    outcome.messages[0]["content"] = [{"type": "image", "source": {}}]
    with pytest.raises(pydantic.ValidationError):
        openai_types.accept(outcome.body)


def places(value, path=()):
    """Paths to everything inside a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, (*path, name))


def with_changed(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_changed(value[path[0]], path[1:], new)
    return copy


odd_values = values | st.sampled_from(
    ["", "enabled", "text", "\ud800", -1, 10**30, [[]], {"type": "text"}, [None]]
)
more_fields = st.fixed_dictionaries(
    {},
    optional={
        "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "tool", "name": "get_time"}]),
        "top_k": st.just(5),
        "mcp_servers": st.just([]),
        "container": st.just({"skills": []}),
        "thread": st.none(),
        "output_format": st.just({"type": "json_schema", "schema": {"type": "object", "properties": {}}}),
    },
)


@settings(
    max_examples=examples(600),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(messages, fields, more_fields, options, st.data())
def test_a_request_with_anything_in_the_wrong_place_is_converted_or_refused(
    history, given_fields, others, given_options, data
):
    request = request_of(*history, "end", **{"max_tokens": 4096, **given_fields, **others})
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(list(places(request))[1:]))
        request = with_changed(request, path, data.draw(odd_values))
    with contextlib.suppress(InvalidRequest):
        convert(request, given_options)
