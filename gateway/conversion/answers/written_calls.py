"""Calls that a model wrote in its text or thinking, and that the provider did not read as calls.

Models write calls between marks of their template. A server that misses them, because the model put them into
its thinking or began them in another way, hands them on as words and says that the answer is whole. The work
would stop there without a reason, so such an answer is an error, which clients try again. A call is not made
from the words: they may be half a call, or one that the model only thought about.

A text that quotes such a mark is an answer. A mark counts only with the name of a tool that was sent close
behind it, as a call has it, outside of Markdown code, and where the text ends with it. A tag of letters
counts only at the beginning of a line; a special token, which nobody writes in a sentence, anywhere. A text
that is nothing but the object of a call is one, too.

See docs/conversion.md, "Tool calls".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gateway import patterns
from gateway.wire import jsontext

# how a call begins in the templates of Kimi, DeepSeek, gpt-oss, Gemma, Llama, Cohere, LFM
_TOKENS: Final = (
    *("<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<\uff5cDSML\uff5cfunction_calls>"),
    *(
        "<\uff5ctool\u2581calls\u2581begin\uff5c>",
        "<\uff5ctool\u2581call\u2581begin\uff5c>",
        "<|python_tag|>",
    ),
    *("<|channel|>commentary to=", "<|channel|>analysis to=", "<|tool_call|>", "<|tool_call>"),
    *("<|tool_call_start|>", "<|START_ACTION|>", "<start_function_call>"),
)
# of Qwen and Hermes, Mistral, GLM, MiniMax, Claude, Nemotron, Seed, LongCat
_TAGS: Final = (
    *("<tool_call>", "<tool_calls>", "<TOOLCALL>", "[TOOL_CALLS]", "<function_calls>", "<function_call>"),
    *("<minimax:tool_call>", "<seed:tool_call>", "<longcat_tool_call>", "<function=", '<invoke name="'),
)
_BEGINS: Final = patterns.any_of((*_TOKENS, *_TAGS))
# a call is looked for in so many characters at the end, its name in so many behind the mark
_NEAR_THE_END: Final = 64 * 1024
_NEAR_THE_MARK: Final = 256
_MOST: Final = 64  # marks that are looked at
# how a call goes on behind its mark, where that is not the name of its tool
_BEHIND: Final = ("{", "[", "<", "function", "call:", "functions.")
_GIVEN: Final = ({"arguments"}, {"parameters"}, {"input"})
_CLOSING: Final = (">", "}", "]", "```")


def may_be_written(text: str) -> bool:
    """Whether some mark of a call is near the end of `text`, or it is one object."""
    return text.lstrip().startswith("{") or _BEGINS.search(text[-_NEAR_THE_END:]) is not None


def is_written(text: str, tools: Collection[str]) -> bool:
    """Whether `text` ends in the call of one of these tools. In time proportional to a bounded end of it."""
    if len(text) <= _NEAR_THE_END and _is_call(text, tools):
        return True
    text = text[-_NEAR_THE_END:].rstrip()
    if not text.endswith(_CLOSING):
        return False
    at, fences = 0, 0
    for number, mark in enumerate(_BEGINS.finditer(text)):
        if number >= _MOST:
            return False
        fences += text.count("```", at, mark.start()) + text.count("~~~", at, mark.start())
        at = mark.start()
        line = text[text.rfind("\n", 0, at) + 1 : at]
        placed = line.count("`") % 2 == 0 if mark[0] in _TOKENS else not line
        near = text[mark.end() : mark.end() + _NEAR_THE_MARK]
        if fences % 2 == 0 and placed and _begins_a_call(near, tools):
            return True
    return False


def _is_call(text: str, tools: Collection[str]) -> bool:
    """Whether all of `text` is one call of a tool: {"name": ..., "arguments": ...}."""
    if not (text.lstrip().startswith("{") and text.rstrip().endswith("}")):
        return False
    try:
        said = jsontext.loads(text)
    except jsontext.InvalidJSON:
        return False
    if not isinstance(said, dict) or not isinstance(name := said.get("name"), str):
        return False
    return name in tools and said.keys() - {"name", "id", "type"} in _GIVEN


def _begins_a_call(behind: str, tools: Collection[str]) -> bool:
    """Whether what stands behind a mark is the call of a tool, and no words about the mark."""
    behind = behind.lstrip()
    named = behind.removeprefix("functions.")
    if any(named.startswith(tool) and not named[len(tool) : len(tool) + 1].isalnum() for tool in tools):
        return True
    return behind.startswith(_BEHIND) and any(tool in behind for tool in tools)
