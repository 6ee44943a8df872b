"""Thinking settings and effort as reasoning fields (docs/conversion.md, "Asking for thinking")."""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from gateway.conversion.profile import EFFORT_ORDER, Profile
from gateway.conversion.request_context import Notes
from gateway.conversion.validation.request_checks import MIN_BUDGET
from gateway.wire.messages_request import MessagesRequest, ThinkingSettings

# lowest budget_tokens of each level, the highest first
_BUDGET_LEVELS: Final = ((48_000, "xhigh"), (16_000, "high"), (5_000, "medium"), (0, "low"))
_ON: Final = frozenset({"enabled", "adaptive", "between_tools"})


# a request without `thinking`
_NO_SETTINGS: Final = cast(ThinkingSettings, {})


class ThinkingPlan(NamedTuple):
    """`body`: fields of the chat request; `off`: the request certainly runs without thinking.

    `requested` and `display` are for the answer (docs/conversion.md, "Showing thinking").
    """

    body: dict[str, object]
    off: bool
    requested: bool
    display: str | None


class _Wish(NamedTuple):
    """The client's wish: `kind` is thinking's type or None, `effort` one that it named itself."""

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
    request: MessagesRequest, profile: Profile, notes: Notes, *, tools_sent: bool, cap: int
) -> ThinkingPlan:
    """The reasoning fields for a checked request.

    `tools_sent`: at least one tool goes upstream; `cap`: the output cap that goes upstream.
    """
    thinking = request.get("thinking") or _NO_SETTINGS
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
    if wish.kind == "disabled" and profile.reasoning != "effort" and profile.reasoning_off:
        # an off switch wins over any effort, and goes alone
        _note_silenced(wish, notes)
        return ThinkingPlan(_switch(False, profile), True, requested, display)
    insisted = profile.effort_with_tools if tools_sent else None
    if profile.reasoning == "openrouter":
        budget = _budget(wish, cap, notes) if wish.effort is None and insisted is None else None
        if budget is not None:
            return ThinkingPlan({"reasoning": {"max_tokens": budget}}, False, requested, display)
    effort = _effort(wish, profile, notes, insisted)
    if profile.reasoning == "effort":
        body: dict[str, object] = {"reasoning_effort": effort} if effort else {}
        return ThinkingPlan(body, effort == "none", requested, display)
    if wish.kind == "disabled":
        notes.add("dropped", "thinking", "the model always thinks")
        return ThinkingPlan(_with_effort({}, effort, profile), False, requested, display)
    body = _switched_on(wish, effort, profile, notes)
    return ThinkingPlan(body, effort == "none", requested, display)


def _wish(request: MessagesRequest, thinking: ThinkingSettings) -> _Wish:
    effort = (request.get("output_config") or {}).get("effort")
    for message in reversed(request["messages"]):
        said = message["role"] == "system" and (message.get("output_config") or {}).get("effort")
        if said:
            effort = said
            break
    kind = thinking.get("type")
    return _Wish(kind, effort, thinking.get("budget_tokens") if kind == "enabled" else None)


def _effort(wish: _Wish, profile: Profile, notes: Notes, insisted: str | None) -> str | None:
    """The effort to send, None for none at all; `insisted`: the one the provider wants beside tools."""
    levels = profile.effort_levels
    level = wish.level
    if wish.kind == "disabled" and ("none" in levels or profile.reasoning != "effort"):
        # a model that can be switched off is, whatever effort was named; one that cannot thinks as little as
        # it can
        level = "none"
    chosen = insisted or (None if level is None else _clamped(level, levels))
    asked = wish.level
    path = "output_config.effort" if wish.effort else "thinking"
    if chosen is not None and asked is not None and chosen != asked:
        if chosen == level == "none":
            _note_silenced(wish, notes)
        else:
            notes.add("clamped", path, f"effort {asked} became {chosen}")
    elif chosen is None and (wish.effort is not None or wish.kind == "disabled"):
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


def _note_silenced(wish: _Wish, notes: Notes) -> None:
    if wish.effort is not None:
        notes.add("dropped", "output_config.effort", "thinking is switched off")


def _budget(wish: _Wish, cap: int, notes: Notes) -> int | None:
    """The budget, or one that leaves room for an answer under a lowered cap; None: too small to ask for."""
    if wish.budget is None or wish.budget < cap:
        return wish.budget
    budget = cap * 4 // 5
    if budget < MIN_BUDGET:
        return None
    notes.add("clamped", "thinking.budget_tokens", f"{wish.budget} became {budget}")
    return budget


def _switched_on(wish: _Wish, effort: str | None, profile: Profile, notes: Notes) -> dict[str, object]:
    """The fields that ask for thinking, or only for an effort, where thinking is a switch."""
    body = _switch(True, profile) if wish.kind in _ON else {}
    if effort is not None or wish.budget is None:
        return _with_effort(body, effort, profile)
    most = profile.thinking_budget_max
    if profile.reasoning != "enable_thinking" or not most:
        notes.add("dropped", "thinking.budget_tokens", "the model takes no budget")
        return body
    if wish.budget > most:
        notes.add("clamped", "thinking.budget_tokens", f"{wish.budget} became {most}")
    return {**body, "thinking_budget": min(wish.budget, most)}


def _with_effort(body: dict[str, object], effort: str | None, profile: Profile) -> dict[str, object]:
    """`body` with the effort where the provider reads it; OpenRouter's object needs no switch beside it."""
    if effort is None:
        return body
    if profile.reasoning == "openrouter":
        return {"reasoning": {"effort": effort}}
    return {**body, "reasoning_effort": effort}


def _switch(on: bool, profile: Profile) -> dict[str, object]:
    match profile.reasoning:
        case "thinking_object":
            return {"thinking": {"type": (profile.reasoning_on or "enabled") if on else "disabled"}}
        case "reasoning_enabled" | "openrouter":
            return {"reasoning": {"enabled": on}}
        case "enable_thinking":
            return {"enable_thinking": on}
        case _:
            return {"chat_template_kwargs": {profile.reasoning_on or "enable_thinking": on}}
