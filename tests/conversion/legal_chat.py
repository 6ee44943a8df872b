"""What a strict provider accepts as a Chat Completions request, written independently of the converter.

`violations(body)` lists every breach as a sentence; an empty list is legal.
Stricter than OpenAI where some provider is: no blank messages, ids and names in
their narrowest alphabet, nothing of Anthropic's vocabulary.
"""

import json
import re

FIELDS = {
    "model", "messages", "max_tokens", "max_completion_tokens", "stream", "stream_options", "temperature",
    "top_p", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
    "user", "safety_identifier", "prompt_cache_key", "service_tier", "web_search_options",
}  # fmt: skip
MESSAGE_FIELDS = {
    "system": {"role", "content"},
    "developer": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
PART_TYPES = {"system": {"text"}, "developer": {"text"}, "assistant": {"text"}, "tool": {"text"}}
USER_PARTS = {"text", "image_url", "file"}
ID = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
URL = re.compile(r"(https?://|data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}\Z)")
EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}


def violations(body, *, extra_fields=(), message_fields=(), part_types=(), prefill=False):
    """Breaches of the rules; the keywords allow what an option adds on purpose."""
    return [
        *_top_level(body, FIELDS | set(extra_fields)),
        *_messages(body.get("messages"), set(message_fields), set(part_types), prefill),
        *_order(body.get("messages") or []),
        *_tools(body),
    ]


def _top_level(body, fields):
    for name in body.keys() - fields:
        yield f"unknown field {name}"
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "model is not a name"
    caps = [name for name in ("max_tokens", "max_completion_tokens") if name in body]
    if len(caps) != 1 or type(body[caps[0]]) is not int or body[caps[0]] < 1:
        yield "not exactly one positive output cap"
    if "stream_options" in body and body.get("stream") is not True:
        yield "stream_options without stream"
    unknown = body.get("stream_options", {}).keys() - {"include_usage", "include_obfuscation"}
    if unknown:
        yield f"unknown stream options {sorted(unknown)}"
    if "stream" in body and body["stream"] is not True:
        yield "stream given but not true"
    for name in ("temperature", "top_p"):
        if name in body and (isinstance(body[name], bool) or not 0 <= body[name] <= 1):
            yield f"{name} out of range"
    stop = body.get("stop", ["x"])
    if not isinstance(stop, list) or not 1 <= len(stop) <= 4 or len(set(stop)) < len(stop) or not all(stop):
        yield "stop is not a list of one to four different strings"
    if body.get("reasoning_effort", "low") not in EFFORTS:
        yield "unknown reasoning_effort"
    if "user" in body and not 1 <= len(body["user"]) <= 64:
        yield "user too long"


def _messages(messages, message_fields, part_types, prefill):
    if not isinstance(messages, list) or not messages:
        yield "no messages"
        return
    if not any(message.get("role") in ("user", "tool") for message in messages):
        yield "nothing from a user"
    if messages[-1].get("role") == "assistant" and not prefill:
        yield "ends with an assistant message"
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        role = message.get("role")
        if role not in MESSAGE_FIELDS:
            yield f"{where}: unknown role {role!r}"
            continue
        for name in message.keys() - MESSAGE_FIELDS[role] - message_fields:
            yield f"{where}: unknown field {name}"
        allowed = (USER_PARTS if role == "user" else PART_TYPES[role]) | part_types
        if message.get("content") is None:
            if role != "assistant" or "content" not in message or not message.get("tool_calls"):
                yield f"{where}: no content"
        elif message["content"] or not message.keys() & message_fields:
            # a turn of thinking alone says nothing beside it
            yield from _content(message["content"], where, allowed)
        if "tool_calls" in message:
            yield from _tool_calls(message["tool_calls"], where)


def _content(content, where, allowed):
    if isinstance(content, str):
        if not content:
            yield f"{where}: empty content"
        return
    if not isinstance(content, list) or not content:
        yield f"{where}: content is neither text nor parts"
        return
    for position, part in enumerate(content):
        yield from _part(part, f"{where}.content[{position}]", allowed)


def _part(part, where, allowed):
    kind = part.get("type")
    if kind not in allowed:
        yield f"{where}: part type {kind!r} not allowed here"
    elif kind == "text":
        if not isinstance(part.get("text"), str) or not part["text"]:
            yield f"{where}: empty text"
    elif kind == "image_url":
        if not URL.match(part["image_url"]["url"]):
            yield f"{where}: not an image URL"
    elif kind == "file" and part["file"].keys() != {"filename", "file_data"}:
        yield f"{where}: incomplete file"
    for name in part.keys() - {"type", kind, "thinking", "cache_control", "prompt_cache_breakpoint"}:
        yield f"{where}: unknown field {name}"


def _tool_calls(calls, where):
    if not isinstance(calls, list) or not calls:
        yield f"{where}: empty tool_calls"
        return
    ids = [call.get("id") for call in calls]
    if len(set(ids)) < len(ids):
        yield f"{where}: tool call ids not unique"
    for call in calls:
        if not isinstance(call["id"], str) or not ID.match(call["id"]):
            yield f"{where}: tool call id {call['id']!r}"
        if call.get("type") != "function" or not NAME.match(call["function"]["name"]):
            yield f"{where}: bad function call"
        try:
            arguments = json.loads(call["function"]["arguments"])
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            yield f"{where}: arguments are not a JSON object"


def _order(messages):
    """Every call is answered directly behind its message, by exactly one tool message."""
    waiting = []
    for number, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") in waiting:
                waiting.remove(message["tool_call_id"])
            else:
                yield f"messages[{number}]: answers no call of the message before"
            continue
        if waiting:
            yield f"messages[{number}]: stands before the results of {waiting}"
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    if waiting:
        yield f"no result for {waiting}"


def _tools(body):
    tools = body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if name in body:
                yield f"{name} without tools"
        return
    if not tools:
        yield "empty tools"
    names = [tool["function"]["name"] for tool in tools]
    if len(set(names)) < len(names):
        yield "tool names not unique"
    for tool in tools:
        function = tool["function"]
        if tool.keys() - {"type", "function", "cache_control"} or tool["type"] != "function":
            yield "bad tool"
        if not NAME.match(function["name"]) or function.keys() - {
            "name",
            "description",
            "parameters",
            "strict",
        }:
            yield f"bad function {function['name']!r}"
        parameters = function.get("parameters")
        if not isinstance(parameters, dict) or parameters.get("type") != "object":
            yield f"parameters of {function['name']} are no object schema"
        elif "properties" not in parameters:
            yield f"parameters of {function['name']} have no properties"
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict) and choice["function"]["name"] not in names:
        yield "tool_choice names a tool that is not sent"
    elif isinstance(choice, str) and choice not in ("auto", "required", "none", "any"):
        yield f"tool_choice {choice!r}"
