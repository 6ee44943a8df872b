"""Facts: everything that the condition of a rule can ask about one request.

`needs` say which facts the rules for a name ask for; `facts_of` works out only those, so a fact that no rule
asks for costs nothing. What a request lacks is None or empty, which meets no condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Final, NamedTuple

from gateway import patterns
from gateway.client_protocol.purpose import NOTHING_KNOWN, Purpose
from gateway.routing import names
from gateway.values import frozen

# how the facts of named headers are called among the others: header:x-team
HEADER: Final = "header:"
TOOL_NAMES: Final = "tool names"
SHAPE: Final = frozenset(
    {"thinking", "effort", "tools", "web_search", "structured_output", "streamed", "max_tokens"}
)
ATTACHED: Final = frozenset({"images", "pdfs"})
# characters of a header's value that a rule can look at
LONGEST_VALUE: Final = 200
_MOST_STORED: Final = 20
_VERSION: Final = patterns.compiled(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}")
_FILES: Final = frozenset({"base64", "url", "file"})


class Client(NamedTuple):
    """The program that asks, by its user agent; a version is () when it is not told in numbers."""

    name: str = ""
    version: tuple[int, ...] = ()


class Attached(NamedTuple):
    """What the messages of a request carry beside text."""

    images: bool = False
    pdfs: bool = False


@frozen
class Needs:
    """The facts that somebody asks for, by their names in conditions, and the tools whose names matter."""

    facts: frozenset[str] = frozenset()
    tools: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(one.removeprefix(HEADER) for one in self.facts if one.startswith(HEADER))


NO_NEEDS: Final = Needs()


@frozen
class Facts:
    """The facts of one request. `input_tokens` by the plain rule, before a target is known; `owner` and `key`
    by name; `groups` those that rules name; `moment` with a time zone; `headers` those that rules name, in
    lower case."""

    purpose: Purpose = NOTHING_KNOWN
    input_tokens: int | None = None
    images: bool | None = None
    pdfs: bool | None = None
    thinking: bool | None = None
    effort: str = ""
    tools: int | None = None
    tool_names: frozenset[str] = frozenset()
    web_search: bool | None = None
    structured_output: bool | None = None
    streamed: bool | None = None
    max_tokens: int | None = None
    key: str = ""
    owner: str = ""
    groups: frozenset[str] = frozenset()
    client: Client = Client()
    moment: datetime | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


NO_FACTS: Final = Facts()


@frozen
class RequestShape:
    """What the top level of a request asks for; the fields are those of Facts."""

    thinking: bool = False
    effort: str = ""
    tools: int = 0
    web_search: bool = False
    structured_output: bool = False
    streamed: bool = False
    max_tokens: int | None = None


def shape_of(request: Mapping[str, object]) -> RequestShape:
    """The shape of a request that need not be legal."""
    get = request.get
    thinking, config, tools, most = get("thinking"), get("output_config"), get("tools"), get("max_tokens")
    effort = form = None
    if type(config) is dict:
        effort, form = config.get("effort"), config.get("format")
    offered = tools if type(tools) is list else []
    return RequestShape(
        thinking=type(thinking) is dict and thinking.get("type") not in (None, "disabled"),
        effort=effort[:LONGEST_VALUE] if type(effort) is str else "",
        tools=len(offered),
        web_search=any(_searches(tool) for tool in offered),
        structured_output=type(form) is dict or type(get("output_format")) is dict,
        streamed=get("stream") is True,
        max_tokens=most if type(most) is int else None,
    )


def tool_names(request: Mapping[str, object]) -> frozenset[str]:
    """The names of the tools that a request offers."""
    tools = request.get("tools")
    found = [tool.get("name") for tool in tools if type(tool) is dict] if type(tools) is list else ()
    return frozenset(name[:LONGEST_VALUE] for name in found if type(name) is str)


def attached_to(request: Mapping[str, object]) -> Attached:
    """Whether a message, or a tool's result, has an image or a PDF; the request need not be legal.

    Plain loops, because this looks at every block of a long history.
    """
    images = pdfs = False
    messages = request.get("messages")
    for message in messages if type(messages) is list else ():
        content = message.get("content") if type(message) is dict else None
        if type(content) is not list:
            continue
        for block in content:
            if type(block) is not dict:
                continue
            kind = block.get("type")
            if kind == "image":
                images = True
            elif kind == "document":
                pdfs = pdfs or _is_file(block)
            elif kind == "tool_result" and type(block.get("content")) is list:
                for inner in block["content"]:
                    if type(inner) is dict:
                        images = images or inner.get("type") == "image"
                        pdfs = pdfs or (inner.get("type") == "document" and _is_file(inner))
        if images and pdfs:
            break
    return Attached(images, pdfs)


def client_of(user_agent: str) -> Client:
    """The first product of a user agent: `claude-cli/2.1.332 (external, cli)` is claude-cli, 2.1.332."""
    product = user_agent[:LONGEST_VALUE].partition(" ")[0]
    name, _, version = product.partition("/")
    return Client(name, version_of(version) or ())


def version_of(text: str) -> tuple[int, ...] | None:
    """The numbers at the beginning of a version; None when there are none."""
    found = _VERSION.match(text)
    return tuple(map(int, found.group().split("."))) if found else None


def as_json(facts: Facts, needs: Needs = NO_NEEDS) -> dict[str, Any]:
    """What history keeps beside its own columns: the facts that hold, under the names that conditions use.

    Of the tools' names only those that `needs` ask about.
    """
    named = [name for name in facts.tool_names if any(names.matches(one, name) for one in needs.tools)]
    found: dict[str, Any] = {
        "input_tokens": facts.input_tokens,
        "pdfs": facts.pdfs,
        "thinking": facts.thinking,
        "effort": facts.effort,
        "tools": facts.tools,
        "tool_names": sorted(named)[:_MOST_STORED],
        "web_search": facts.web_search,
        "structured_output": facts.structured_output,
        "max_tokens": facts.max_tokens,
        "owner": facts.owner,
        "group": sorted(facts.groups)[:_MOST_STORED],
        "header": dict(facts.headers),
    }
    return {name: value for name, value in found.items() if value}


def _searches(tool: Any) -> bool:
    kind = tool.get("type") if type(tool) is dict else None
    return type(kind) is str and kind.startswith("web_search_")


def _is_file(block: Mapping[str, Any]) -> bool:
    source = block.get("source")
    kind = source.get("type") if type(source) is dict else None
    return type(kind) is str and kind in _FILES


def named_headers(headers: Mapping[str, str], wanted: Iterable[str]) -> dict[str, str]:
    """The wanted headers that a request has, each no longer than rules look at."""
    return {name: headers[name][:LONGEST_VALUE] for name in wanted if name in headers}
