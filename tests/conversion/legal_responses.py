"""What a strict provider accepts as a Responses request, written independently of the converter.

`violations(body)` lists every breach as a sentence; an empty list is legal. Nothing
is stored at this provider, so whatever an item refers to must stand in the request.
"""

import json
import re

FIELDS = {
    "model", "input", "instructions", "max_output_tokens", "store", "include", "stream", "temperature",
    "top_p", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "safety_identifier",
    "prompt_cache_key", "service_tier", "stream_options",
}  # fmt: skip
ITEM_FIELDS = {
    "message": {"type", "role", "content", "phase"},
    "function_call": {"type", "call_id", "name", "arguments"},
    "function_call_output": {"type", "call_id", "output"},
    "reasoning": {"type", "id", "summary", "encrypted_content"},
}
PART_FIELDS = {
    "input_text": {"type", "text"},
    "input_image": {"type", "image_url", "detail"},
    "input_file": {"type", "filename", "file_data", "file_url"},
}
TOOL_FIELDS = {
    "function": {"type", "name", "description", "parameters", "strict"},
    "web_search": {"type", "filters", "user_location"},
}
INCLUDES = {"reasoning.encrypted_content", "web_search_call.action.sources"}
EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
IMAGE = re.compile(r"(https?://|data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}\Z)")


def violations(body):
    """Every breach of the rules."""
    return [*_top_level(body), *_items(body.get("input")), *_order(body.get("input") or []), *_tools(body)]


def _top_level(body):
    for name in body.keys() - FIELDS:
        yield f"unknown field {name}"
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "model is not a name"
    if type(body.get("max_output_tokens")) is not int or body["max_output_tokens"] < 16:
        yield "max_output_tokens is not a number of at least 16"
    if body.get("store") is not False:
        yield "store is not false"
    if "stream" in body and body["stream"] is not True:
        yield "stream given but not true"
    if "stream_options" in body:
        options = body["stream_options"]
        if body.get("stream") is not True:
            yield "stream_options without stream"
        if not isinstance(options, dict) or options.keys() != {"include_obfuscation"}:
            yield "stream_options are not those of the Responses API"
        elif type(options["include_obfuscation"]) is not bool:
            yield "include_obfuscation is not true or false"
    instructions = body.get("instructions", "given elsewhere")
    if not isinstance(instructions, str) or not instructions.strip():
        yield "blank instructions"
    if not set(body.get("include", [])) <= INCLUDES:
        yield "unknown include"
    reasoning = body.get("reasoning", {"effort": "low"})
    if not reasoning or reasoning.keys() - {"effort", "summary"}:
        yield "reasoning is empty or has unknown fields"
    if reasoning.get("effort", "low") not in EFFORTS or reasoning.get("summary", "auto") != "auto":
        yield "unknown effort or summary"
    for name in ("temperature", "top_p"):
        if name in body and (isinstance(body[name], bool) or not 0 <= body[name] <= 1):
            yield f"{name} out of range"
    if "safety_identifier" in body and not 1 <= len(body["safety_identifier"]) <= 64:
        yield "safety_identifier too long"
    form = body.get("text", {"format": {"type": "text"}})
    if form.keys() != {"format"} or form["format"].get("type") not in ("text", "json_object", "json_schema"):
        yield "text has no format"
    elif form["format"]["type"] == "json_schema" and form["format"].keys() != {
        "type", "name", "schema", "strict",
    }:  # fmt: skip
        yield "text.format is not flat"


def _items(items):
    if not isinstance(items, list) or not items:
        yield "no input"
        return
    if not any(item.get("role") == "user" or item.get("type") == "function_call_output" for item in items):
        yield "nothing from a user"
    for number, item in enumerate(items):
        where = f"input[{number}]"
        kind = item.get("type")
        if kind not in ITEM_FIELDS:
            yield f"{where}: unknown type {kind!r}"
            continue
        for name in item.keys() - ITEM_FIELDS[kind]:
            yield f"{where}: unknown field {name}"
        yield from (f"{where}: {problem}" for problem in _CHECKS[kind](item))


def _message(item):
    role, content = item.get("role"), item.get("content")
    if role == "assistant":
        if not isinstance(content, str) or not content.strip():
            yield "an assistant message is not a text"
        if item.get("phase", "commentary") not in ("commentary", "final_answer"):
            yield "unknown phase"
    elif role not in ("user", "system", "developer"):
        yield f"unknown role {role!r}"
    elif "phase" in item:
        yield "a phase outside of assistant messages"
    else:
        yield from _parts(content, {"input_text"} if role != "user" else set(PART_FIELDS))


def _parts(parts, allowed):
    if not isinstance(parts, list) or not parts:
        yield "content is not a list of parts"
        return
    for position, part in enumerate(parts):
        kind = part.get("type")
        if kind not in allowed:
            yield f"part {position}: type {kind!r} not allowed here"
            continue
        for name in part.keys() - PART_FIELDS[kind] - {"prompt_cache_breakpoint"}:
            yield f"part {position}: unknown field {name}"
        if kind == "input_text" and not (isinstance(part.get("text"), str) and part["text"]):
            yield f"part {position}: empty text"
        if kind == "input_image" and not IMAGE.match(part.get("image_url", "")):
            yield f"part {position}: not an image URL"
        if kind == "input_file" and ("file_url" in part) == ("file_data" in part and "filename" in part):
            yield f"part {position}: neither a URL nor a named file"


def _function_call(item):
    if not ID.match(item.get("call_id", "")) or not NAME.match(item.get("name", "")):
        yield "illegal call_id or name"
    try:
        if not isinstance(json.loads(item.get("arguments", "")), dict):
            yield "arguments are no object"
    except ValueError:
        yield "arguments are no JSON"


def _call_output(item):
    if isinstance(item.get("output"), str):
        if not item["output"]:
            yield "empty output"
    else:
        yield from _parts(item.get("output"), set(PART_FIELDS))


def _reasoning(item):
    if not item.get("id") or not item.get("encrypted_content"):
        yield "reasoning without id or encrypted content"
    for part in item.get("summary", [None]):
        if part is None or part.keys() != {"type", "text"} or part["type"] != "summary_text":
            yield "illegal summary"


_CHECKS = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _call_output,
    "reasoning": _reasoning,
}


def _order(items):
    """Every call is answered once, before anybody else speaks; reasoning leads to something."""
    waiting = []
    for number, item in enumerate(items):
        kind = item.get("type")
        if kind == "function_call":
            if item.get("call_id") in waiting:
                yield f"input[{number}]: call_id used twice"
            waiting.append(item.get("call_id"))
        elif kind == "function_call_output":
            if item.get("call_id") not in waiting:
                yield f"input[{number}]: no tool call found for function call output"
            else:
                waiting.remove(item["call_id"])
        elif waiting and kind == "message" and item.get("role") != "assistant":
            yield f"input[{number}]: no tool output found for function call {waiting[0]}"
            waiting.clear()
        if kind == "reasoning":
            behind = next((other for other in items[number + 1 :] if other.get("type") != "reasoning"), {})
            if behind.get("type") != "function_call" and behind.get("role") != "assistant":
                yield f"input[{number}]: reasoning without its required following item"
    if waiting:
        yield f"no tool output found for function call {waiting[0]}"


def _tools(body):
    tools = body.get("tools")
    if tools is None:
        if body.keys() & {"tool_choice", "parallel_tool_calls"}:
            yield "a choice without tools"
        return
    if not tools:
        yield "empty tools"
    names = [tool.get("name") for tool in tools if tool.get("type") == "function"]
    if len(set(names)) < len(names):
        yield "tool names are not unique"
    for number, tool in enumerate(tools):
        kind = tool.get("type")
        if kind not in TOOL_FIELDS or tool.keys() - TOOL_FIELDS[kind]:
            yield f"tools[{number}]: unknown type or field"
        elif kind == "function":
            if not NAME.match(tool.get("name", "")) or type(tool.get("strict")) is not bool:
                yield f"tools[{number}]: no legal name or no strict"
            if tool.get("parameters", {}).get("type") != "object":
                yield f"tools[{number}]: parameters are no object schema"
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            yield "unknown tool_choice"
    elif choice.get("type") == "allowed_tools":
        if choice.get("mode") != "required" or choice.get("tools") != [{"type": "web_search"}]:
            yield "unknown allowed_tools"
    elif choice.keys() != {"type", "name"} or choice["name"] not in names:
        yield "tool_choice names no tool"
