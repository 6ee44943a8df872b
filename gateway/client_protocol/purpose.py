"""What a request is for: the client's hint headers, or the shape of the request where there are none.

Claude Code sends the headers when CLAUDE_CODE_GATEWAY_HINT_HEADERS is 1, by policy or in its environment.
Without them the class is inferred from shapes that were measured with 2.1.197 and 2.1.332. Two things cannot
be told apart by shape: a side question (`/btw`) looks like a turn of the main agent, and so does a workflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote

from gateway.values import frozen

CLASS: Final = "x-claude-code-request-class"
FINER_CLASS: Final = "x-claude-1p-request-class"
AGENT_TYPE: Final = "x-claude-code-agent-type"
PROMPT_ID: Final = "x-claude-code-prompt-id"
TOOL_DURATIONS: Final = "x-claude-code-prev-tool-durations"
COMPACTION: Final = "x-claude-code-compaction"
COMPACTED: Final = "x-claude-code-context-compacted"
SETTINGS_CHECKSUM: Final = "x-claude-code-managed-settings-checksum"
SESSION: Final = "x-claude-code-session-id"
AGENT: Final = "x-claude-code-agent-id"
PARENT_AGENT: Final = "x-claude-code-parent-agent-id"
# how its user agent begins
CLIENT: Final = "claude-cli/"

MOST_DURATIONS: Final = 32
LONGEST_DURATIONS: Final = 4096
LONGEST_DURATION: Final = 2**31 - 1
LONGEST_NAME: Final = 60
# characters; the one that was measured had 141,229, and no other system prompt without tools comes near
CLASSIFIER_PROMPT: Final = 50_000
# characters; the one that was measured had 6,361
COMPACTION_PROMPT: Final = 1_000


class RequestClass(StrEnum):
    """What a request is for: the closed list that history, totals and mappings use."""

    MAIN = "main"
    SUBAGENT = "subagent"
    COMPACTION = "compaction"
    AUXILIARY = "auxiliary"
    SIDE_REPLY = "side_reply"
    WORKFLOW = "workflow"
    UNKNOWN = "unknown"


class Task(StrEnum):
    """What an auxiliary request does, recognised by its shape; the client does not say. SAFEGUARDS is the
    gateway's own: it asks a model about the calls of an answer."""

    NONE = ""
    CLASSIFIER = "classifier"
    SAFEGUARDS = "safeguards"
    TITLE = "title"
    PROBE = "probe"
    COUNT = "count"


# what a mapping can ask for: a class; the client's own safety classifier, which is auxiliary too; or the
# gateway's, which goes nowhere else
CONDITIONS: Final = (*(str(one) for one in RequestClass), str(Task.CLASSIFIER), str(Task.SAFEGUARDS))
# safety checks, counted beside the classes: the client's own, and the gateway's
CHECKS: Final = (Task.CLASSIFIER, Task.SAFEGUARDS)
_CLASSES: Final = {str(one): one for one in RequestClass}


@frozen
class Purpose:
    """`inferred`: the class is ours, not the client's. `compaction` is manual, reactive or auto: what
    triggered this compaction, or the one just before this request. `tool_durations`: [tool, milliseconds] of
    the calls whose results the request brings. `finer_class` is the client's undocumented second class."""

    request_class: RequestClass = RequestClass.UNKNOWN
    inferred: bool = False
    task: Task = Task.NONE
    agent_type: str = ""
    prompt_id: str = ""
    compaction: str = ""
    tool_durations: list[list[str | int]] = field(default_factory=list)
    finer_class: str = ""
    settings_checksum: str = ""

    @property
    def counted_as(self) -> str:
        """The class in the totals, where safety checks are told apart."""
        return counted_as(self.request_class, self.task)


NOTHING_KNOWN: Final = Purpose()


def condition(name: str) -> Purpose:
    """A purpose that meets exactly what a mapping with this one of CONDITIONS asks for."""
    if name in CHECKS:
        return Purpose(RequestClass.AUXILIARY, task=Task(name))
    return Purpose(RequestClass(name))


def counted_as(request_class: str, task: str) -> str:
    """The class that totals count a request under."""
    return task if task in CHECKS else request_class


def own_check(headers: Mapping[str, str]) -> Purpose:
    """The purpose of a check that the gateway makes for a request with these headers."""
    prompt = headers.get(PROMPT_ID, "")[:LONGEST_NAME]
    return Purpose(RequestClass.AUXILIARY, task=Task.SAFEGUARDS, prompt_id=prompt)


def purpose_of(request: Mapping[str, object], headers: Mapping[str, str], endpoint: str) -> Purpose:
    """The purpose of a request that names a model and need not be legal otherwise.

    `headers` have lower-case names; `endpoint` is messages or count_tokens. Never raises.
    """
    told = headers.get(CLASS)
    if told is None:
        if not headers.get("user-agent", "").startswith(CLIENT) and AGENT not in headers:
            return NOTHING_KNOWN
        request_class, task = _inferred(request, headers, endpoint)
    else:
        request_class = _CLASSES.get(told, RequestClass.UNKNOWN)
        task = _task(request, endpoint) if request_class is RequestClass.AUXILIARY else Task.NONE
    return Purpose(
        request_class,
        told is None,
        task,
        headers.get(AGENT_TYPE, "")[:LONGEST_NAME],
        headers.get(PROMPT_ID, "")[:LONGEST_NAME],
        (headers.get(COMPACTION) or headers.get(COMPACTED, ""))[:LONGEST_NAME],
        durations(headers.get(TOOL_DURATIONS, "")),
        headers.get(FINER_CLASS, "")[:LONGEST_NAME],
        headers.get(SETTINGS_CHECKSUM, "")[:80],
    )


def durations(text: str) -> list[list[str | int]]:
    """`Bash=608;Read%20it=12` as [[name, milliseconds], ...]; entries of another form are left out."""
    if not text or len(text) > LONGEST_DURATIONS:
        return []
    found: list[list[Any]] = []
    for entry in text.split(";")[:MOST_DURATIONS]:
        name, _, number = entry.rpartition("=")
        if name and number.isascii() and number.isdecimal() and len(number) < 11:
            found.append([unquote(name)[:LONGEST_NAME], min(int(number), LONGEST_DURATION)])
    return found


def _inferred(
    request: Mapping[str, object], headers: Mapping[str, str], endpoint: str
) -> tuple[RequestClass, Task]:
    task = _task(request, endpoint)
    if task is not Task.NONE:
        return RequestClass.AUXILIARY, task
    if headers.get(AGENT):
        return RequestClass.SUBAGENT, task
    if not request.get("tools") or _only_searches(request):
        # the main agent always has tools of its own
        return RequestClass.AUXILIARY, task
    return (RequestClass.COMPACTION if _asks_for_summary(request) else RequestClass.MAIN), task


def _task(request: Mapping[str, object], endpoint: str) -> Task:
    if endpoint == "count_tokens":
        return Task.COUNT
    if request.get("tools"):
        return Task.NONE
    messages = request.get("messages")
    if type(messages) is not list or len(messages) != 1 or type(messages[0]) is not dict:
        return Task.NONE
    content = messages[0].get("content")
    if content == "quota" and request.get("max_tokens") == 1:
        return Task.PROBE
    first = _text(content[0]) if type(content) is list and content else ""
    if first.startswith("<session>"):
        return Task.TITLE
    if first.startswith("<transcript>") and not request.get("stream"):
        system = request.get("system")
        blocks = system if type(system) is list else ()
        if sum(map(len, map(_text, blocks))) >= CLASSIFIER_PROMPT:
            return Task.CLASSIFIER
    return Task.NONE


def _asks_for_summary(request: Mapping[str, object]) -> bool:
    """Whether the last thing said is the client's prompt for a summary of the conversation."""
    messages = request.get("messages")
    last = messages[-1] if type(messages) is list and messages else None
    content = last.get("content") if type(last) is dict else None
    text = _text(content[-1]) if type(content) is list and content else ""
    return len(text) >= COMPACTION_PROMPT and "<analysis>" in text and "<summary>" in text


def _only_searches(request: Mapping[str, object]) -> bool:
    """Whether the one tool is the server's web search: how the client's own search tool asks."""
    tools = request["tools"]
    tool = tools[0] if type(tools) is list and len(tools) == 1 else None
    return type(tool) is dict and str(tool.get("type")).startswith("web_search_")


def _text(block: Any) -> str:
    text = block.get("text") if type(block) is dict else None
    return text if type(text) is str else ""
