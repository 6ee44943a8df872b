"""One truth, many tellings: an answer, and the manners in which providers say it.

A `Truth` is what the model said. `chat_chunks`, `chat_whole` and `responses_events` say it plainly, as
OpenAI does; a quirk is a function from such a telling to another that means the same. Quirks compose.
Those of one `group` exclude each other, and within a telling they are applied in the order of QUIRKS.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

JSONObject = dict[str, Any]
Chunk = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """`calls`: (id, name, input), each input another; `finish`: "stop", "length" or "content_filter"."""

    thinking: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, JSONObject], ...] = ()
    finish: str = "stop"
    prompt: int = 50
    cached: int = 0
    completion: int = 9
    cut: int = 7  # characters in one piece of the arguments

    @property
    def stop_reason(self) -> str:
        if self.finish == "stop":
            return "tool_use" if self.calls else "end_turn"
        return "refusal" if self.finish == "content_filter" else "max_tokens"

    @property
    def usage(self) -> JSONObject:
        total = self.prompt + self.completion
        counts: JSONObject = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": total,
        }
        return {**counts, "prompt_tokens_details": {"cached_tokens": self.cached}} if self.cached else counts

    def pieces(self, given: JSONObject) -> list[str]:
        text = json.dumps(given)
        return [text[at : at + self.cut] for at in range(0, len(text), self.cut)]


# --- Chat, plainly ------------------------------------------------------------------------------


def chunk(delta: JSONObject, finish: str | None = None) -> Chunk:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice]}


def chat_chunks(truth: Truth) -> list[Chunk]:
    """The chunks of a stream; the last but one has the reason, the last the usage."""
    told = [chunk({"reasoning_content": piece}) for piece in truth.thinking]
    told += [chunk({"content": piece}) for piece in truth.text]
    for index, (id, name, given) in enumerate(truth.calls):
        begun = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        told.append(chunk({"tool_calls": [begun]}))
        for piece in truth.pieces(given):
            told.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    reason = "tool_calls" if truth.calls and truth.finish == "stop" else truth.finish
    return [*told, chunk({}, reason), {"id": "c1", "choices": [], "usage": truth.usage}]


def chat_whole(truth: Truth) -> JSONObject:
    message: JSONObject = {"role": "assistant", "content": "".join(truth.text) or None}
    if truth.thinking:
        message["reasoning_content"] = "".join(truth.thinking)
    if truth.calls:
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for id, name, given in truth.calls
        ]
    reason = "tool_calls" if truth.calls and truth.finish == "stop" else truth.finish
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "c1", "object": "chat.completion", "choices": [choice], "usage": truth.usage}


def native_usage(counts: JSONObject) -> JSONObject:
    """The counts of Chat as Gemini's usageMetadata has them."""
    cached = counts.get("prompt_tokens_details", {}).get("cached_tokens")
    told = {
        "promptTokenCount": counts["prompt_tokens"],
        "candidatesTokenCount": counts["completion_tokens"],
        "totalTokenCount": counts["total_tokens"],
    }
    return {**told, "cachedContentTokenCount": cached} if cached else told


# --- what chunks hold ----------------------------------------------------------------------------


def choices_of(chunks: Iterable[Chunk]) -> list[JSONObject]:
    return [choice for each in chunks for choice in each["choices"]]


def fragments_of(chunks: Iterable[Chunk]) -> list[JSONObject]:
    return [entry for choice in choices_of(chunks) for entry in choice["delta"].get("tool_calls") or ()]


def _last_choice(chunks: list[Chunk]) -> JSONObject:
    return next(choice for choice in reversed(choices_of(chunks)) if choice["finish_reason"])


# --- quirks of a chat stream ---------------------------------------------------------------------

Quirk = Callable[[list[Chunk], Truth], list[Chunk]]


@dataclass(frozen=True)
class Telling:
    """A quirk with its group."""

    group: str
    tell: Quirk


CHAT_STREAM: dict[str, Telling] = {}


def quirk(name: str, group: str = "") -> Callable[[Quirk], Quirk]:
    """Register a quirk; without a group it goes with all others."""

    def registered(tell: Quirk) -> Quirk:
        CHAT_STREAM[name] = Telling(group or name, tell)
        return tell

    return registered


def _placeholder(word: Any) -> Quirk:
    def tell(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
        for entry in fragments_of(chunks):
            if "id" in entry and not entry["function"]["arguments"]:
                entry["function"]["arguments"] = word
        return chunks

    return tell


for _word in ("{}", "null", '""', "None", {}, "{ }"):
    quirk(f"a placeholder {_word!r}", "placeholder")(_placeholder(_word))


@quirk("whole arguments at once", "placeholder")
def whole_arguments(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    given = {id: json.dumps(said) for id, _, said in truth.calls}
    told = []
    for each in chunks:
        entries = fragments_of([each])
        if entries and "id" not in entries[0]:
            continue
        for entry in entries:
            entry["function"]["arguments"] = given[entry["id"]]
        told.append(each)
    return told


@quirk("arguments in Python's words", "placeholder")
def python_arguments(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    told = whole_arguments(chunks, truth)
    for entry in fragments_of(told):
        entry["function"]["arguments"] = repr(json.loads(entry["function"]["arguments"]))
    return told


@quirk("arguments as an object", "placeholder")
def object_arguments(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    told = whole_arguments(chunks, truth)
    for entry in fragments_of(told):
        entry["function"]["arguments"] = json.loads(entry["function"]["arguments"])
    return told


@quirk("flat calls")
def flat_calls(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for entry in fragments_of(chunks):
        entry.update(entry.pop("function"))
        entry.pop("type", None)
    return chunks


def _function(entry: JSONObject) -> JSONObject:
    function: JSONObject = entry.get("function", entry)
    return function


@quirk("the name as an object", "name")
def name_objects(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for entry in fragments_of(chunks):
        if "name" in _function(entry):
            _function(entry)["name"] = json.dumps({"name": _function(entry)["name"], "arguments": {}})
    return chunks


@quirk("marks of a template around the name", "name")
def marked_names(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for entry in fragments_of(chunks):
        if "name" in _function(entry):
            _function(entry)["name"] = f"functions.{_function(entry)['name']}<|channel|>commentary"
    return chunks


@quirk("a rising index", "index")
def rising_index(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for number, entry in enumerate(fragments_of(chunks)):
        entry["index"] = number
    return chunks


@quirk("index 0 for all", "index")
def index_zero(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for entry in fragments_of(chunks):
        entry["index"] = 0
    return chunks


@quirk("no index", "index")
def no_index(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for entry in fragments_of(chunks):
        del entry["index"]
    return chunks


@quirk("the index as text", "index")
def index_as_text(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for entry in fragments_of(chunks):
        entry["index"] = str(entry["index"])
    return chunks


@quirk("a choice for each call")
def choice_for_each_call(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    number = 0
    for choice in choices_of(chunks):
        for entry in choice["delta"].get("tool_calls", ()):
            number += "id" in entry
        choice["index"] = number
    return chunks


@quirk("name and id each time")
def name_and_id_each_time(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    known: JSONObject = {}
    for entry in fragments_of(chunks):
        if "id" in entry:
            known = {"id": entry["id"], "name": _function(entry)["name"]}
        entry["id"], _function(entry)["name"] = known["id"], known["name"]
    return chunks


@quirk("a reason with each chunk", "reason")
def early_reasons(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for choice in choices_of(chunks):
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return chunks


@quirk("no reason as a text", "reason")
def reason_as_null_text(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for choice in choices_of(chunks):
        choice["finish_reason"] = choice["finish_reason"] or "null"
    return chunks


@quirk("stop behind calls", "spelling")
def stop_behind_calls(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    last = _last_choice(chunks)
    last["finish_reason"] = last["finish_reason"].replace("tool_calls", "stop")
    return chunks


_SPELLINGS = {
    "in capitals": {
        "tool_calls": "TOOL_CALL",
        "length": "MAX_TOKENS",
        "content_filter": "SAFETY",
        "stop": "STOP",
    },
    "with a prefix": {
        "tool_calls": "FinishReason.TOOL_USE",
        "length": "finish_reason_max_tokens",
        "content_filter": "content_filter: PROHIBITED_CONTENT",
        "stop": "FinishReason.STOP",
    },
    "in camel case": {
        "tool_calls": "toolUse",
        "length": "maxTokens",
        "content_filter": "contentFiltered",
        "stop": "endTurn",
    },
}


def _spelt(words: dict[str, Any]) -> Quirk:
    def tell(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
        last = _last_choice(chunks)
        last["finish_reason"] = words.get(last["finish_reason"], last["finish_reason"])
        return chunks

    return tell


for _name, _words in _SPELLINGS.items():
    quirk(f"the reason {_name}", "spelling")(_spelt(_words))
quirk("the reason as an object", "spelling")(
    _spelt({word: {"type": word} for word in ("tool_calls", "length", "content_filter", "stop")})
)


def _thought_in(place: str) -> Quirk:
    def tell(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
        for choice in choices_of(chunks):
            if "reasoning_content" in choice["delta"]:
                thought = choice["delta"].pop("reasoning_content")
                choice["delta"] |= _THOUGHTS[place](thought)
        return chunks

    return tell


_THOUGHTS: dict[str, Callable[[str], JSONObject]] = {
    "reasoning": lambda said: {"reasoning": said, "content": ""},
    "reasoning_details": lambda said: {
        "reasoning_details": [{"type": "reasoning.text", "text": said, "index": 0}]
    },
    "two fields": lambda said: {"reasoning": said, "reasoning_content": said},
    "parts": lambda said: {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": said}]}]},
}
for _place in _THOUGHTS:
    quirk(f"thinking in {_place}", "thinking")(_thought_in(_place))


def _thought_between(begin: str, end: str) -> Quirk:
    def tell(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
        thought = [choice for choice in choices_of(chunks) if "reasoning_content" in choice["delta"]]
        for choice in thought:
            choice["delta"] = {"content": choice["delta"]["reasoning_content"]}
        if thought:
            thought[0]["delta"]["content"] = begin + thought[0]["delta"]["content"]
            thought[-1]["delta"]["content"] += end
        return chunks

    return tell


_MARKS = {
    "<think>": "</think>",
    "[THINK]": "[/THINK]",
    "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
}
for _begin, _end in _MARKS.items():
    quirk(f"thinking behind {_begin}", "thinking")(_thought_between(_begin, _end))


def _growing(field: str) -> Quirk:
    """Each piece begins with all that was said; where that is only two short ones, nobody could tell."""

    def tell(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
        deltas = [choice["delta"] for choice in choices_of(chunks)]
        deltas = [delta for delta in deltas if isinstance(delta.get(field), str) and delta[field]]
        if len(deltas) > 2 or (deltas and len(deltas[0][field]) > 31):
            said = ""
            for delta in deltas:
                said += delta[field]
                delta[field] = said
        return chunks

    return tell


quirk("thinking that grows", "thinking")(_growing("reasoning_content"))
quirk("text that grows", "text")(_growing("content"))


@quirk("text as a list of parts", "text")
def text_parts(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for choice in choices_of(chunks):
        content = choice["delta"].get("content")
        if isinstance(content, str) and content:
            choice["delta"]["content"] = [{"type": "text", "text": content}]
    return chunks


@quirk("nulls in each delta")
def nulls(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for choice in choices_of(chunks):
        choice["delta"] = {"role": "assistant", "refusal": None, "function_call": None, **choice["delta"]}
        choice["delta"].setdefault("content", None)
        choice["delta"].setdefault("tool_calls", None)
        choice["error"] = None
    return chunks


@quirk("the whole message beside the reason", "again")
def whole_message_at_the_end(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    _last_choice(chunks)["message"] = chat_whole(truth)["choices"][0]["message"]
    return chunks


@quirk("the text again in front of the reason", "again")
def text_again(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    """Of pieces that are too few or too short nobody could tell; behind calls it would be another text."""
    said = "".join(truth.text)
    if len(truth.text) < 2 or len(said) < 4 or truth.calls:
        return chunks
    last = next(at for at, each in enumerate(chunks) if _last_choice(chunks) in each["choices"])
    return [*chunks[:last], chunk({"content": said}), *chunks[last:]]


@quirk("usage with each chunk", "usage")
def usage_each_time(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    for number, each in enumerate(chunks[:-1]):
        each["usage"] = {"prompt_tokens": truth.prompt, "completion_tokens": min(number, truth.completion)}
    return chunks


@quirk("a last usage of zeros", "usage")
def usage_zeros_last(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    counts = chunks.pop()["usage"]
    chunks[-1]["usage"] = counts
    return [*chunks, {"id": "c1", "choices": [], "usage": dict.fromkeys(counts, 0)}]


@quirk("usage in x_groq", "usage")
def usage_in_groq(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    counts = chunks.pop()["usage"]
    chunks[-1]["x_groq"] = {"usage": counts}
    return chunks


@quirk("usage in Gemini's own words", "usage")
def usage_natively(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    counts = chunks.pop()["usage"]
    chunks[-1]["usageMetadata"] = native_usage(counts)
    return chunks


@quirk("usage as texts", "usage")
def usage_as_text(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    counts = chunks[-1]["usage"]
    chunks[-1]["usage"] = {
        name: value if isinstance(value, dict) else str(value) for name, value in counts.items()
    }
    return chunks


@quirk("cached tokens beside the prompt", "usage")
def cached_beside(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    if truth.cached:
        chunks[-1]["usage"] |= {"prompt_tokens": truth.prompt - truth.cached}
    return chunks


# several entries of one delta are the last: the others look at single fragments
@quirk("all in few chunks", "packed")
def packed(chunks: list[Chunk], truth: Truth) -> list[Chunk]:
    told: list[Chunk] = []
    for each in chunks:
        entries, before = fragments_of([each]), fragments_of(told[-1:])
        same = told and each["choices"] and each["choices"][0]["index"] == told[-1]["choices"][0]["index"]
        if entries and before and same and not each["choices"][0]["finish_reason"]:
            before_list = told[-1]["choices"][0]["delta"]["tool_calls"]
            before_list += entries
        else:
            told.append(each)
    return told


def told(truth: Truth, names: Iterable[str], chunks: list[Chunk] | None = None) -> list[Chunk]:
    """The chunks of a truth with these quirks, in the order of CHAT_STREAM; one of each group at most."""
    chosen = set(names)
    groups = set()
    chunks = chat_chunks(truth) if chunks is None else copy.deepcopy(chunks)
    for name, telling in CHAT_STREAM.items():
        if name in chosen and telling.group not in groups:
            groups.add(telling.group)
            chunks = telling.tell(chunks, truth)
    return chunks


# --- quirks of a whole chat answer ----------------------------------------------------------------


def whole_told(truth: Truth, ways: JSONObject) -> JSONObject:
    """A whole completion. `ways`: one word for each of `calls`, `thinking`, `reason`, `choices`, `usage`."""
    completion = chat_whole(truth)
    choice = completion["choices"][0]
    message = choice["message"]
    calls = message.get("tool_calls", [])
    for entry in calls:
        function = entry["function"]
        match ways.get("calls"):
            case "object":
                function["arguments"] = json.loads(function["arguments"])
            case "text of text":
                function["arguments"] = json.dumps(function["arguments"])
            case "placeholder":
                function["arguments"] = "{}" + function["arguments"]
            case "parameters":
                function["parameters"] = json.loads(function.pop("arguments"))
            case "flat":
                entry.update(entry.pop("function"))
            case "marked":
                function["name"] = f"functions.{function['name']}"
            case "named by an object":
                function["name"] = json.dumps({"name": function["name"]})
            case "all in the name":
                given = json.loads(function.pop("arguments"))
                function["name"] = json.dumps({"name": function["name"], "arguments": given})
            case "python":
                function["arguments"] = repr(json.loads(function["arguments"]))
            case "fence":
                function["arguments"] = f"```json\n{function['arguments']}\n```"
            case "no type, index":
                del entry["type"]
                entry["index"] = 0
    place = ways.get("thinking")
    if truth.thinking and place in _MARKS:
        thought = message.pop("reasoning_content")
        message["content"] = f"{place}{thought}{_MARKS[place]}{message['content'] or ''}"
    elif truth.thinking and place in ("reasoning", "reasoning_details"):
        message |= _THOUGHTS[place](message.pop("reasoning_content")) | {"content": message["content"]}
    words = _SPELLINGS.get(ways.get("reason", ""), {})
    choice["finish_reason"] = words.get(choice["finish_reason"], choice["finish_reason"])
    if ways.get("reason") == "stop behind calls":
        choice["finish_reason"] = choice["finish_reason"].replace("tool_calls", "stop")
    if ways.get("choices") == "one for each call" and calls:
        del message["tool_calls"]
        completion["choices"] += [
            {"index": number, "message": {"tool_calls": [entry]}, "finish_reason": choice["finish_reason"]}
            for number, entry in enumerate(calls, 1)
        ]
    if ways.get("usage") == "beside" and truth.cached:
        completion["usage"]["prompt_tokens"] -= truth.cached
    if ways.get("usage") == "native":
        completion["usageMetadata"] = native_usage(completion.pop("usage"))
    if ways.get("usage") == "in the choice":
        choice["usage"] = completion.pop("usage")
    return completion


WHOLE_WAYS = {
    "calls": (
        "",
        "object",
        "text of text",
        "placeholder",
        "parameters",
        "flat",
        "marked",
        "named by an object",
        "all in the name",
        "python",
        "fence",
        "no type, index",
    ),
    "thinking": ("", "reasoning", "reasoning_details", *_MARKS),
    "reason": ("", *_SPELLINGS, "stop behind calls"),
    "choices": ("", "one for each call"),
    "usage": ("", "beside", "in the choice", "native"),
}


# --- Responses -----------------------------------------------------------------------------------


def responses_items(truth: Truth, ways: JSONObject) -> list[JSONObject]:
    items: list[JSONObject] = []
    if truth.thinking:
        thought = "".join(truth.thinking)
        summary = [{"type": "summary_text", "text": thought}]
        items.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "ENC"})
    if truth.text:
        content = [{"type": "output_text", "text": "".join(truth.text), "annotations": []}]
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "content": content})
    for number, (id, name, given) in enumerate(truth.calls):
        arguments: Any = json.dumps(given)
        match ways.get("calls"):
            case "object":
                arguments = given
            case "python":
                arguments = repr(given)
            case "placeholder":
                arguments = "{}" + arguments
        name = json.dumps({"name": name}) if ways.get("calls") == "named by an object" else name
        name = f"functions.{name}" if ways.get("calls") == "marked" else name
        item = {"type": "function_call", "id": f"fc_{number}", "call_id": id, "name": name}
        items.append({**item, "arguments": arguments})
    return items


def responses_whole(truth: Truth, ways: JSONObject) -> JSONObject:
    counts: JSONObject = {"input_tokens": truth.prompt, "output_tokens": truth.completion}
    counts["input_tokens_details"] = {"cached_tokens": truth.cached}
    response: JSONObject = {"id": "r", "status": "completed", "usage": counts}
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    if truth.finish != "stop":
        words = {"max_output_tokens": "MAX_TOKENS"} if ways.get("reason") else {}
        reason = reasons[truth.finish]
        response |= {"status": "incomplete", "incomplete_details": {"reason": words.get(reason, reason)}}
    return {**response, "output": responses_items(truth, ways)}


# what of the three times an item is told: its deltas, its *.done, its output_item.done
ITEM_WAYS = (
    ("deltas", "done", "item"), ("deltas",), ("done",), ("item",), ("deltas", "item"), ("done", "item"),
    ("part", "item"), ("begun", "item"), ("begun", "deltas"), ("begun",), (),
)  # fmt: skip
RESPONSES_WAYS = {
    "items": ITEM_WAYS,
    "completed": (True, False),
    "added": (True, False),
    "index": ("each its own", "all 0", "none"),
    "ids": ("one", "each event its own"),
    "calls": ("", "object", "placeholder", "marked", "python", "named by an object"),
    "reason": ("", "other words"),
    "end": ("", "done"),
}


def responses_events(truth: Truth, ways: JSONObject) -> list[JSONObject]:
    """The events of a stream. What no event tells is in the response at the end."""
    whole = responses_whole(truth, ways)
    told_in = ways["items"]
    numbers = iter(range(10_000))
    events: list[JSONObject] = [
        {
            "type": "response.created",
            "response": {**whole, "status": "in_progress", "output": [], "usage": None},
        }
    ]

    def event(kind: str, place: int, about: JSONObject, /, **facts: Any) -> None:
        made: JSONObject = {"type": f"response.{kind}", **facts}
        if ways["index"] != "none":
            made["output_index"] = 0 if ways["index"] == "all 0" else place
        made["item_id"] = f"id_{next(numbers)}" if ways["ids"] != "one" else about["id"]
        events.append(made)

    for place, item in enumerate(whole["output"] if told_in else []):
        # Without an index or a lasting id nothing but its announcement begins an item. Deltas of Python words
        # do not show where a call ends, so nothing else begins the next one there.
        unclear = ways["calls"] == "python" and "deltas" in told_in
        if ways["added"] or ways["index"] != "each its own" or ways["ids"] != "one" or unclear:
            empty = {**item, "content": [], "summary": []}
            if item["type"] == "function_call":
                empty["arguments"] = "{}" if ways["calls"] == "placeholder" else ""
            event("output_item.added", place, item, item=empty)
        _TELL[item["type"]](event, place, item, told_in)
        if "item" in told_in or (item["type"] == "function_call" and not ways["added"]):
            event("output_item.done", place, item, item=item)
    complete = bool(ways["completed"]) or not told_in or told_in == ("part", "item")
    output = whole["output"] if complete or "item" not in told_in else []
    kind = "incomplete" if whole["status"] == "incomplete" else "completed"
    kind = ways["end"] or kind
    return [*events, {"type": f"response.{kind}", "response": {**whole, "output": output}}]


def _halves(text: str) -> list[str]:
    return [piece for piece in (text[: len(text) // 2], text[len(text) // 2 :]) if piece]


def _tell_reasoning(event: Any, place: int, item: JSONObject, told_in: tuple[str, ...]) -> None:
    thought = item["summary"][0]["text"]
    if "begun" in told_in:
        event("reasoning_summary_part.added", place, item, summary_index=0, part=item["summary"][0])
    if "deltas" in told_in:
        for piece in _halves(thought):
            event("reasoning_summary_text.delta", place, item, summary_index=0, delta=piece)
    if "done" in told_in:
        event("reasoning_summary_text.done", place, item, summary_index=0, text=thought)
    if "part" in told_in:
        event("reasoning_summary_part.done", place, item, summary_index=0, part=item["summary"][0])


def _tell_message(event: Any, place: int, item: JSONObject, told_in: tuple[str, ...]) -> None:
    text = item["content"][0]["text"]
    if "begun" in told_in:
        event("content_part.added", place, item, content_index=0, part=item["content"][0])
    if "deltas" in told_in:
        for piece in _halves(text):
            event("output_text.delta", place, item, content_index=0, delta=piece)
    if "done" in told_in:
        event("output_text.done", place, item, content_index=0, text=text)
    if "part" in told_in:
        event("content_part.done", place, item, content_index=0, part=item["content"][0])


def _tell_call(event: Any, place: int, item: JSONObject, told_in: tuple[str, ...]) -> None:
    arguments = item["arguments"]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    if "deltas" in told_in:
        for piece in _halves(text) if isinstance(arguments, str) else [arguments]:
            event("function_call_arguments.delta", place, item, delta=piece)
    if "done" in told_in:
        event("function_call_arguments.done", place, item, arguments=arguments)


_TELL = {"reasoning": _tell_reasoning, "message": _tell_message, "function_call": _tell_call}
