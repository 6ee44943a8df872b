"""responses_request: a Messages request as a request of the Responses API (specification section 8.1)."""

from __future__ import annotations

from typing import Any, Final

from gateway.conversion.context import AnsweredLocally, ClientFacts, Converted, NewId
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.items import Item, checked_ending, input_items, message_item
from gateway.conversion.openai_responses.profile_adapter import fitted
from gateway.conversion.profile import Profile
from gateway.conversion.requests.messages.system import leading_system_message
from gateway.conversion.requests.plan import RequestPlan, request_plan
from gateway.wire.messages import JSONObject
from gateway.wire.request_cache import NOTHING, Part, Recurring

ENCRYPTED: Final = "reasoning.encrypted_content"
SOURCES: Final = "web_search_call.action.sources"


def responses_request(
    request: dict[str, Any],
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
    items, instructions = _input(plan, recurring.system)
    body: dict[str, Any] = {
        "model": plan.upstream_model,
        **({"instructions": instructions} if instructions else {}),
        "input": items,
        "max_output_tokens": plan.cap,
        "store": False,
    }
    prefill = checked_ending(items, context)
    if request.get("stream"):
        body["stream"] = True
    body.update(plan.sampling)
    if tools.tools:
        body["tools"] = [_tool(entry) for entry in tools.tools]
    if tools.tool_choice is not None:
        body["tool_choice"] = _choice(tools.tool_choice)
    text = _text(plan.structured.body)
    body |= {**tools.parallel, **tools.body, **text, **_reasoning(plan), **_include(plan), **plan.who.body}
    return plan.converted(body, prefill=prefill)


def _input(plan: RequestPlan, part: Part | None) -> tuple[list[Item], str | None]:
    """(input items, instructions). A system text with cache markers can only be an item."""
    context = plan.context
    system = leading_system_message(plan.request.get("system"), plan.system_texts, context, part)
    items = input_items(plan.turns, context)
    if system is None:
        return items, None
    if isinstance(system["content"], str):
        return items, system["content"]
    return [message_item(system["role"], system["content"]), *items], None


def _reasoning(plan: RequestPlan) -> JSONObject:
    profile, thinking = plan.context.profile, plan.thinking
    if profile.reasoning == "none":
        return {}
    reasoning: JSONObject = {}
    if "reasoning_effort" in thinking.body:
        reasoning["effort"] = thinking.body["reasoning_effort"]
    if thinking.requested and thinking.display != "omitted":
        reasoning["summary"] = "auto"
    return {"reasoning": reasoning} if reasoning else {}


def _include(plan: RequestPlan) -> JSONObject:
    wanted = [
        *([ENCRYPTED] if plan.context.profile.reasoning != "none" else []),
        *([SOURCES] if plan.tools.web_search_active else []),
    ]
    return {"include": wanted} if wanted else {}


def _tool(entry: JSONObject) -> JSONObject:
    """A function of chat's list in the flat form; `strict` has to be said there."""
    if entry["type"] != "function":
        return entry
    return {"type": "function", **entry["function"], "strict": entry["function"].get("strict", False)}


def _choice(choice: str | JSONObject) -> str | JSONObject:
    """The choice in the flat form. The search can only be forced as the one tool that is allowed."""
    if isinstance(choice, str):
        return choice
    if choice["type"] == "function":
        return {"type": "function", "name": choice["function"]["name"]}
    return {"type": "allowed_tools", "mode": "required", "tools": [choice]}


def _text(body: JSONObject) -> JSONObject:
    """`response_format` as `text.format`."""
    form = body.get("response_format")
    if form is None:
        return {}
    return {"text": {"format": {"type": form["type"], **form.get("json_schema", {})}}}
