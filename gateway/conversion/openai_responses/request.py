"""responses_request: a Messages request as a request of the Responses API.

See docs/conversion.md, "The Responses API".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from gateway.cache import GenerationalCache
from gateway.conversion.context import AnsweredLocally, ClientFacts, Converted, NewId
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.items import checked_ending, input_items, system_item
from gateway.conversion.profile import Profile
from gateway.conversion.requests.messages.system import leading_system_message
from gateway.conversion.requests.plan import RequestPlan, request_plan
from gateway.conversion.tools.choice import SentChoice
from gateway.wire.chat import FunctionTool
from gateway.wire.lenient import object_of
from gateway.wire.messages_request import MessagesRequest
from gateway.wire.request_cache import NOTHING, Part, Recurring
from gateway.wire.responses import Item, ResponsesTool, SearchTool

LEAST_OUTPUT: Final = 16
# routes of a snapshot, and of the previous one
_MOST: Final = 400
_fitted: Final[GenerationalCache[int, tuple[Profile, Profile]]] = GenerationalCache(_MOST)
_TAGS: Final = ("think_tags", "think_open")


def fitted(profile: Profile) -> Profile:
    """The profile with every option that the protocol determines set accordingly.

    The shared modules then do the right thing without knowing this protocol: reasoning has one form, and
    comes back in items instead of message fields; stop sequences do not exist; tool results may contain
    images,
    and documents may be URLs.

    The same profile gives the same object, so that cached results can be looked up by it.
    """
    known = _fitted.get(id(profile))
    # an id identifies a profile only while that lives, which the cache ensures
    if known is None:
        known = (profile, _made(profile))
        _fitted.put(id(profile), known)
    return known[1]


def _made(profile: Profile) -> Profile:
    return dataclasses.replace(
        profile,
        reasoning="none" if profile.reasoning == "none" else "effort",
        efforts=profile.effort_levels,
        reasoning_in=tuple(place for place in profile.reasoning_in if place in _TAGS),
        reasoning_replay="drop",
        message_extras=(),
        tool_call_extras={},
        min_output_tokens=max(LEAST_OUTPUT, profile.min_output_tokens or 0),
        top_k="drop",
        stop="drop" if profile.stop == "drop" else "local",
        url_documents="pass",
        cache_control="strip" if profile.cache_control == "keep" else profile.cache_control,
        user_field="safety_identifier" if profile.user_field == "user" else profile.user_field,
    )


ENCRYPTED: Final = "reasoning.encrypted_content"
SOURCES: Final = "web_search_call.action.sources"


def responses_request(
    request: MessagesRequest,
    profile: Profile,
    client: ClientFacts,
    new_id: NewId,
    ledger: Ledger,
    recurring: Recurring = NOTHING,
) -> Converted | AnsweredLocally:
    """Convert one Messages request; what is taken, given and raised is as in `chat_request`.

    Nothing is stored at the provider: reasoning comes back encrypted, and returns
    with the history.
    """
    plan = request_plan(request, fitted(profile), client, new_id, ledger, recurring)
    if isinstance(plan, AnsweredLocally):
        return plan
    context, tools = plan.context, plan.tools
    late = {name: _tool(entry) for name, entry in tools.late.items()}
    items, instructions = _input(plan, recurring.system, late)
    body: dict[str, object] = {
        "model": plan.upstream_model,
        **({"instructions": instructions} if instructions else {}),
        "input": items,
        "max_output_tokens": plan.cap,
        "store": False,
    }
    prefill = checked_ending(items, context)
    if request.get("stream"):
        body["stream"] = True
        if not profile.stream_obfuscation:
            body["stream_options"] = {"include_obfuscation": False}
    body.update(plan.sampling)
    # what no result names any more, say after a compaction, belongs to the list
    if tools.tools or late:
        body["tools"] = [*(_tool(entry) for entry in tools.tools), *late.values()]
    if tools.tool_choice is not None:
        body["tool_choice"] = _choice(tools.tool_choice)
    text = _text(plan.structured.body, profile.verbosity)
    body |= {**tools.parallel, **tools.body, **text, **_reasoning(plan), **_include(plan), **plan.who.body}
    return plan.converted(body, prefill=prefill)


def _input(
    plan: RequestPlan, part: Part | None, late: dict[str, ResponsesTool]
) -> tuple[list[Item], str | None]:
    """(input items, instructions). A system text with cache markers can only be an item."""
    context = plan.context
    system = leading_system_message(plan.request.get("system"), plan.system_texts, context, part)
    items = input_items(plan.turns, context, late)
    if system is None:
        return items, None
    if isinstance(system["content"], str):
        return items, system["content"]
    return [system_item(system), *items], None


def _reasoning(plan: RequestPlan) -> dict[str, object]:
    profile, thinking = plan.context.profile, plan.thinking
    if profile.reasoning == "none":
        return {}
    reasoning: dict[str, object] = {}
    if "reasoning_effort" in thinking.body:
        reasoning["effort"] = thinking.body["reasoning_effort"]
    if thinking.requested and thinking.display != "omitted":
        reasoning["summary"] = "auto"
    if profile.reasoning_context is not None:
        reasoning["context"] = profile.reasoning_context
    return {"reasoning": reasoning} if reasoning else {}


def _include(plan: RequestPlan) -> dict[str, object]:
    wanted = [
        *([ENCRYPTED] if plan.context.profile.reasoning != "none" else []),
        *([SOURCES] if plan.tools.web_search_active else []),
    ]
    return {"include": wanted} if wanted else {}


def _tool(entry: FunctionTool | SearchTool) -> ResponsesTool:
    """A function from chat's list in the flat form, which requires `strict`."""
    if entry["type"] != "function":
        return entry
    return {"type": "function", **entry["function"], "strict": entry["function"].get("strict", False)}


def _choice(choice: SentChoice) -> str | dict[str, object]:
    """The choice in the flat form. A search can be forced only as the single allowed tool."""
    if isinstance(choice, str):
        return choice
    if choice["type"] == "function":
        return {"type": "function", "name": choice["function"]["name"]}
    return {"type": "allowed_tools", "mode": "required", "tools": [choice]}


def _text(body: Mapping[str, object], verbosity: str | None) -> dict[str, object]:
    """`response_format` as `text.format`, and how much is to be said."""
    form = object_of(body.get("response_format"))
    text: dict[str, object] = {}
    if form:
        text["format"] = {"type": form["type"], **object_of(form.get("json_schema"))}
    if verbosity is not None:
        text["verbosity"] = verbosity
    return {"text": text} if text else {}
