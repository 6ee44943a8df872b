"""Thinking settings and effort as reasoning fields (specification section 2.4)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.conversion.profile import EFFORT_ORDER, Profile
from gateway.conversion.request_context import Notes
from gateway.conversion.validation import MIN_BUDGET
from gateway.wire.messages import JSONObject

# lowest budget_tokens of each level, the highest first
_BUDGET_LEVELS: Final = ((48_000, "xhigh"), (16_000, "high"), (5_000, "medium"), (0, "low"))
_ON: Final = frozenset({"enabled", "adaptive", "between_tools"})


class ThinkingPlan(NamedTuple):
    """`body`: fields of the chat request; `off`: the request surely runs without thinking.

    `requested` and `display` are what the answer must know (section 5.4).
    """

    body: dict[str, Any]
    off: bool
    requested: bool
    display: str | None


class _Wish(NamedTuple):
    """What the client asks for: `kind` is thinking's type or None, `effort` one it named itself."""

    kind: str | None
    effort: str | None
    budget: int | None

    @property
    def level(self) -> str | None:
        """The desired effort E, before the provider's limits."""
        if self.effort is not None:
            return self.effort
        if self.kind == "disabled":
            return "none"
        if self.budget is not None:
            return next(level for least, level in _BUDGET_LEVELS if self.budget >= least)
        return None


def thinking_plan(
    request: JSONObject, profile: Profile, notes: Notes, *, tools_sent: bool, cap: int
) -> ThinkingPlan:
    """The reasoning fields for a checked request.

    `tools_sent`: at least one tool goes upstream; `cap`: the output cap that goes upstream.
    """
    thinking = request.get("thinking") or {}
    wish = _wish(request, thinking)
    requested = wish.kind in _ON
    display = thinking.get("display")
    if profile.reasoning == "none":
        if requested or wish.effort is not None:
            notes.add(
                "dropped", "thinking" if requested else "output_config.effort", "the model takes no setting"
            )
        return ThinkingPlan({}, True, requested, display)
    if not profile.whole_thinking and not request.get("stream"):
        if requested or wish.effort is not None:
            notes.add("dropped", "thinking", "the model thinks in streamed answers only")
        wish = _Wish("disabled", None, None)
    effort = _effort(wish, profile, notes, tools_sent=tools_sent)
    if profile.reasoning == "effort":
        body: dict[str, Any] = {"reasoning_effort": effort} if effort else {}
        return ThinkingPlan(body, effort == "none", requested, display)
    if wish.kind == "disabled" and not profile.reasoning_off:
        notes.add("dropped", "thinking", "the model always thinks")
        body = _always_thinking(effort, profile)
        return ThinkingPlan(body, False, requested, display)
    if profile.reasoning == "openrouter":
        body = _openrouter(_within(wish, cap, notes), effort)
    else:
        body = _switched(wish, effort, profile)
    return ThinkingPlan(body, wish.kind == "disabled" or effort == "none", requested, display)


def _wish(request: JSONObject, thinking: JSONObject) -> _Wish:
    effort = (request.get("output_config") or {}).get("effort")
    for message in reversed(request["messages"]):
        said = message["role"] == "system" and (message.get("output_config") or {}).get("effort")
        if said:
            effort = said
            break
    kind = thinking.get("type")
    return _Wish(kind, effort, thinking.get("budget_tokens") if kind == "enabled" else None)


def _effort(wish: _Wish, profile: Profile, notes: Notes, *, tools_sent: bool) -> str | None:
    """The effort to send, None for none at all."""
    levels = profile.effort_levels
    level = wish.level
    if wish.kind == "disabled" and ("none" in levels or profile.reasoning != "effort"):
        # whoever can be switched off is, whatever effort was named beside it
        level = "none"
    if tools_sent and profile.effort_with_tools is not None:
        chosen: str | None = profile.effort_with_tools
    else:
        chosen = None if level is None else _clamped(level, levels)
    path = "output_config.effort" if wish.effort else "thinking"
    if chosen is not None and level is not None and chosen != level:
        notes.add("clamped", path, f"effort {level} became {chosen}")
    elif chosen is None and wish.effort is not None:
        notes.add("dropped", path, "the model takes no effort")
    return chosen


def _clamped(level: str, levels: tuple[str, ...]) -> str | None:
    """The accepted level nearest below `level`, else the lowest; None when nothing may be sent."""
    if level != "none":
        # a wish to think never turns thinking off
        levels = tuple(accepted for accepted in levels if accepted != "none")
    if not levels:
        return None
    ranks = sorted(EFFORT_ORDER.index(accepted) for accepted in levels)
    wanted = EFFORT_ORDER.index(level)
    return EFFORT_ORDER[max((rank for rank in ranks if rank <= wanted), default=ranks[0])]


def _always_thinking(effort: str | None, profile: Profile) -> dict[str, Any]:
    if effort is None:
        return {}
    return (
        {"reasoning": {"effort": effort}}
        if profile.reasoning == "openrouter"
        else {"reasoning_effort": effort}
    )


def _within(wish: _Wish, cap: int, notes: Notes) -> _Wish:
    """The wish with a budget that leaves room for an answer under a lowered cap, or with none."""
    if wish.budget is None or wish.budget < cap:
        return wish
    budget = cap * 4 // 5
    notes.add("clamped", "thinking.budget_tokens", f"{wish.budget} became {budget}")
    return wish._replace(budget=budget if budget >= MIN_BUDGET else None)


def _openrouter(wish: _Wish, effort: str | None) -> dict[str, Any]:
    if wish.kind == "disabled":
        return {"reasoning": {"enabled": False}}
    if wish.budget is not None and wish.effort is None and effort != "none":
        return {"reasoning": {"max_tokens": wish.budget}}
    if effort is not None:
        return {"reasoning": {"effort": effort}}
    return {"reasoning": {"enabled": True}} if wish.kind in _ON else {}


def _switched(wish: _Wish, effort: str | None, profile: Profile) -> dict[str, Any]:
    """The forms that are a switch, with an effort beside it where the provider takes one."""
    if wish.kind == "disabled":
        return _switch(False, profile)
    body = _switch(True, profile) if wish.kind in _ON else {}
    if effort is not None:
        body["reasoning_effort"] = effort
    elif profile.reasoning == "enable_thinking" and profile.thinking_budget_max and wish.budget is not None:
        body["thinking_budget"] = min(wish.budget, profile.thinking_budget_max)
    return body


def _switch(on: bool, profile: Profile) -> dict[str, Any]:
    match profile.reasoning:
        case "thinking_object":
            return {"thinking": {"type": (profile.reasoning_on or "enabled") if on else "disabled"}}
        case "reasoning_enabled":
            return {"reasoning": {"enabled": on}}
        case "enable_thinking":
            return {"enable_thinking": on}
        case _:
            return {"chat_template_kwargs": {profile.reasoning_on or "enable_thinking": on}}
