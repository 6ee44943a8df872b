"""The conditions and computed values of the table of refusals.

Entries of refusal_patterns.json name these: `sent` says what must have been in the refused request,
`rule` computes a value that no table can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway import patterns
from gateway.conversion.errors.error_limits import told_limits
from gateway.conversion.profile import EFFORT_ORDER, Profile

_CAPS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_IMAGE_PARTS: Final = frozenset({"image_url", "input_image"})
_SWITCHES: Final = (
    "reasoning_effort",
    "reasoning",
    "thinking",
    "enable_thinking",
    "chat_template_kwargs",
)
_LISTS: Final = patterns.compiled(
    r"supported (?:string )?values?|must be|should be|one of|expected|(?:valid|allowed|permitted) values?"
    r"|only supports?|supports only",
    patterns.IGNORECASE,
)
_EFFORT_LIST: Final = patterns.compiled(
    r"(?<!not )(?<!cannot be )\b(?:supported|valid|allowed|permitted|accepted|available|expected|expects"
    r"|(?:must|should) be|one of|only supports?|supports only|supports)\b"
)
_TOKEN: Final = patterns.compiled(r"\w+(?:[-.]\w+)*")
# what stands between the beginning of a list and its values, and between the values
_BEFORE_VALUES: Final = frozenset(
    {"a", "an", "any", "are", "be", "default", "effort", "efforts", "either", "expected", "following", "for",
     "is", "level", "levels", "null", "of", "one", "only", "option", "options", "reasoning",
     "reasoning_effort", "string", "the", "thinking", "type", "types", "value", "values"}
)  # fmt: skip
_BETWEEN_VALUES: Final = frozenset({"and", "or", "default", "null"})
# what nearly every provider with efforts knows
_COMMON_EFFORTS: Final = frozenset({"low", "medium", "high"})
_USUAL_EFFORTS: Final = _COMMON_EFFORTS | {"none", "minimal"}
_ANY: Final = patterns.compiled(r"\bany\b")
_THINKS: Final = patterns.compiled(r"think|reason", patterns.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal and what it answers: its texts and codes, the profile and the body that was sent."""

    body: bytes
    texts: tuple[str, ...]
    profile: Profile
    sent: Mapping[str, Any]
    codes: tuple[str, ...] = ()


class MatchedRefusal(NamedTuple):
    """The text that fits an entry, and how."""

    text: str
    match: patterns.Match[str] | None


# (the refusal, what was found, the entry's option and value) -> the option and its new value
Rule = Callable[[Refusal, MatchedRefusal, str, Any], tuple[str, Any] | None]


def value_of(profile: Profile, option: str) -> Any:
    """An option's value in JSON form."""
    value = getattr(profile, option)
    return list(value) if type(value) is tuple else value


def was_sent(what: str, sent: Mapping[str, object]) -> bool:
    """Whether the body contains what an entry is about: a field, or something deeper in it."""
    match what:
        case "image":
            return any(_has_image(message) for message in _conversation(sent))
        case "messages":
            return bool(_conversation(sent))
        case "null_content":
            return any(_is_call_without_text(message) for message in _conversation(sent))
        case "empty_content":
            return any(_is_call_without_text(message, "") for message in _conversation(sent))
        case "strict":
            return any("strict" in function for function in _functions(sent))
        case "cap":
            return cap_of(sent) is not None
        case "reasoning_effort":
            return _effort_of(sent) is not None
        case "reasoning_off":
            return any(name in sent for name in _SWITCHES)
        case "response_format":
            return "response_format" in sent or bool(_inside(sent, "text", "format"))
    return what in sent or what.replace("_?", "_") in sent


def _inside(sent: Mapping[str, object], outer: str, name: str) -> Any:
    value = sent.get(outer)
    return value.get(name) if isinstance(value, dict) else None


def _conversation(sent: Mapping[str, object]) -> list[Any]:
    found = sent.get("messages", sent.get("input"))
    return found if isinstance(found, list) else []


def _has_image(message: Any) -> bool:
    parts = [message.get("content"), message.get("output")] if isinstance(message, dict) else []
    return any(
        isinstance(part, dict) and part.get("type") in _IMAGE_PARTS
        for part_list in parts
        if isinstance(part_list, list)
        for part in part_list
    )


def _is_call_without_text(message: Any, content: str | None = None) -> bool:
    return isinstance(message, dict) and "tool_calls" in message and message.get("content", 0) == content


def _functions(sent: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
    tools = sent.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict):
            function = tool.get("function", tool)
            yield function if isinstance(function, dict) else {}


def cap_of(sent: Mapping[str, object]) -> int | None:
    return next((cap for name in _CAPS if type(cap := sent.get(name)) is int), None)


def _effort_of(sent: Mapping[str, object]) -> str | None:
    effort = sent.get("reasoning_effort") or _inside(sent, "reasoning", "effort")
    return effort if isinstance(effort, str) else None


# --- rules: values that depend on what was said or sent ------------------------------------------


def _efforts(refusal: Refusal, found: MatchedRefusal, option: str, _to: Any) -> tuple[str, Any] | None:
    """The efforts that are named, or fewer of the known ones; none after a second refusal without names."""
    sent, known = _effort_of(refusal.sent), set(refusal.profile.effort_levels)
    accepted = _told_efforts(found.text.lower()) - {sent}
    if not accepted and not (refusal.profile.efforts and sent in _COMMON_EFFORTS and known <= _USUAL_EFFORTS):
        accepted = (known & _COMMON_EFFORTS if sent in ("xhigh", "max") else known) - {sent}
    return option, [effort for effort in EFFORT_ORDER if effort in accepted]


def _told_efforts(text: str) -> set[str]:
    """The efforts of the first list in a text: values behind a word that introduces them, and no others."""
    for listing in _EFFORT_LIST.finditer(text):
        told: set[str] = set()
        for token in _TOKEN.finditer(text, listing.end()):
            word = token.group()
            if word in EFFORT_ORDER:
                told.add(word)
            elif word not in (_BETWEEN_VALUES if told else _BEFORE_VALUES):
                break
        if told:
            return told
    return set()


def _tool_choice(refusal: Refusal, found: MatchedRefusal, option: str, _to: Any) -> tuple[str, Any] | None:
    """The next weaker form than the one that was sent."""
    sent, now = refusal.sent.get("tool_choice"), refusal.profile.tool_choice
    listing = _LISTS.search(found.text)
    told = found.text[listing.end() :].lower() if listing is not None else ""
    if isinstance(sent, dict) and now == "full":
        # while the model thinks, no call can be forced in any form
        forced = "required" in told or "any" in told or _THINKS.search(found.text) is None
        return option, "no_named" if forced else "no_forced"
    if sent == "required" and _ANY.search(told) and "required" not in told:
        return "tool_choice_any", "any"
    if sent in ("required", "any") and now in ("full", "no_named"):
        return option, "no_forced"
    return (option, "auto_only") if sent == "none" else None


def _add(refusal: Refusal, _found: MatchedRefusal, option: str, to: Any) -> tuple[str, Any] | None:
    """A list with one more value."""
    now = value_of(refusal.profile, option)
    return None if to in now else (option, [*now, to])


def _number(refusal: Refusal, found: MatchedRefusal, option: str, _to: Any) -> tuple[str, Any] | None:
    """A limit lower than the known one."""
    limit = int(found.match["number"][:9]) if found.match is not None else 0
    now = getattr(refusal.profile, option)
    return (option, limit) if limit > 0 and (now is None or limit < now) else None


def _output_limit(refusal: Refusal, _found: MatchedRefusal, option: str, _to: Any) -> tuple[str, Any] | None:
    """The most output tokens, when more were asked for."""
    limit = told_limits(refusal.body).get("max_output_tokens")
    cap = cap_of(refusal.sent)
    return (option, limit) if limit is not None and cap is not None and cap > limit else None


RULES: Final[Mapping[str, Rule]] = {
    "efforts": _efforts,
    "tool_choice": _tool_choice,
    "add": _add,
    "number": _number,
    "output_limit": _output_limit,
}
