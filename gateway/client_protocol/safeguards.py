"""Auto mode's safety check, which the client asks of its gateway with each request (`safeguards`).

What is answered stands in the `delta` of `message_delta` when the answer is streamed, and at the top of the
message when it is whole. Without an answer the client tells its user, once a session, that the gateway is
incompatible; `unavailable` makes it check by itself and say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeGuard

from gateway.wire.messages import JSONObject

FIELD: Final = "safeguards"
RESULTS: Final = "safeguard_results"
CHECK: Final = "dangerous_tool_use"
# how the name of its beta begins
BETA: Final = "dangerous-tool-use-"
# nothing is set up here that judges
DISABLED: Final[Mapping[str, str]] = {"type": "unavailable", "reason": "disabled"}

# lists of the context, as the client names them
_RULES: Final = ("deny", "ask", "allow")
_AUTO_MODE: Final = ("hard_deny", "soft_deny", "allow", "environment")
_ALLOWS: Final = "allow"
# where rules of the person, or of their organization, come from. Local settings are not among them: their
# file is in the checkout, and a repository or an archive may bring one
_OWN_SOURCES: Final = ("userSettings", "policySettings", "cliArg")
MOST_RULES: Final = 50
LONGEST_RULE: Final = 500
# the longest path of common systems; no client works in a folder with a longer one
LONGEST_FOLDER: Final = 4_096


def asks_for_verdicts(request: Mapping[str, object]) -> bool:
    """Whether the client wants the tool calls of the answer judged."""
    asked = request.get(FIELD)
    return type(asked) is list and any(type(one) is dict and one.get("type") == CHECK for one in asked)


def results(status: Mapping[str, object]) -> list[JSONObject]:
    """The one result that the client reads, with its status."""
    return [{"type": CHECK, "status": dict(status)}]


def results_for(request: Mapping[str, object]) -> list[JSONObject] | None:
    """What an answer to this request says of its calls; None: nothing was asked."""
    return results(DISABLED) if asks_for_verdicts(request) else None


def without_check(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for a provider that is not asked: without the beta of the check."""
    betas = headers.get("anthropic-beta", "")
    if BETA not in betas:
        return dict(headers)
    kept = [name for part in betas.split(",") if (name := part.strip()) and not name.startswith(BETA)]
    others = {name: value for name, value in headers.items() if name != "anthropic-beta"}
    return {**others, "anthropic-beta": ",".join(kept)} if kept else others


def own_rules(context: Mapping[str, object]) -> dict[str, list[str]]:
    """What the person has set down about actions: permission rules, and what auto mode is to mind.

    The most restricting lists come first. A rule from elsewhere is told apart, and only if it restricts: the
    settings of a project are written by everybody who can write to its repository. Nothing else of the
    context is in it, which describes the machine.
    """
    rules, auto = _dict(context.get("rules")), _dict(context.get("auto_mode"))
    found: dict[str, list[str]] = {}
    for name in _RULES:
        own, others = _by_source(rules.get(name))
        found[f"permission rules: {name}"] = own
        if name != _ALLOWS:
            found[f"rules of the project: {name}"] = others
    for name in _AUTO_MODE:
        found[f"auto mode: {name}"] = _texts(auto.get(name))
    restricting = [name for name in found if not name.endswith((_ALLOWS, "environment"))]
    ordered = [*restricting, *(name for name in found if name not in restricting)]
    return {name: found[name] for name in ordered if found[name]}


def _is(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return type(value) is dict


def _dict(value: Any) -> Mapping[str, Any]:
    return value if _is(value) else {}


def _by_source(given: Any) -> tuple[list[str], list[str]]:
    """The rules of a list: those of the person or their organization, and those from anywhere else."""
    own: list[Any] = []
    others: list[Any] = []
    for one in given if type(given) is list else ():
        (own if type(one) is dict and str(one.get("source")) in _OWN_SOURCES else others).append(one)
    return _texts(own), _texts(others)


def _texts(given: Any) -> list[str]:
    """The rules of a list, which are texts, or objects with one."""
    items: Sequence[Any] = given if type(given) is list else ()
    read = [one.get("rule") if type(one) is dict else one for one in items[:MOST_RULES]]
    return [one[:LONGEST_RULE] for one in read if type(one) is str]


def context_of(request: Mapping[str, object]) -> Mapping[str, Any]:
    """What the client says of its machine for the check; empty when it is no object."""
    asked = request.get(FIELD)
    for one in asked if type(asked) is list else ():
        if type(one) is dict and one.get("type") == CHECK and type(one.get("classifier_context")) is dict:
            found: Mapping[str, Any] = one["classifier_context"]
            return found
    return {}


class Folders(NamedTuple):
    """Where the client works. `cwd`: its working directory, which the model moves with `cd`; `trusted`: the
    folders that the person lets it work in; `home`: the person's, "" if unknown. `ignores_case`: whether file
    names differ in more than case; True if nobody knows."""

    cwd: str = ""
    trusted: tuple[str, ...] = ()
    home: str = ""
    ignores_case: bool = True


def folders_of(context: Mapping[str, object]) -> Folders:
    """The folders that the context names; without the home directory none counts as trusted."""
    cwd, home, trusted = (context.get(name) for name in ("live_cwd", "home_dir", "trusted_directories"))
    found: list[str] = []
    if _is(trusted) and isinstance(home, str) and home:
        additional = trusted.get("additional")
        for one in (trusted.get("primary"), *(additional if type(additional) is list else ())):
            named = one if _is(one) else {"path": one}
            resolved = named.get("resolved")
            places = [named.get("path"), *(resolved if type(resolved) is list else ())]
            found += filter(None, map(_folder, places[:MOST_RULES]))
    return Folders(
        _folder(cwd),
        tuple(dict.fromkeys(found[:MOST_RULES])),
        _folder(home),
        context.get("case_insensitive_paths") is not False,
    )


def _folder(named: object) -> str:
    return named if isinstance(named, str) and len(named) <= LONGEST_FOLDER else ""


class Unavailable(StrEnum):
    """Why nothing is said of a call, which the client then checks by itself."""

    ERROR = "error"
    INPUT_TOO_LONG = "input_too_long"
    INPUT_UNPARSED = "input_unparsed"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"


def verdict(decision: str, explanation: str = "", unavailable: Unavailable = Unavailable.ERROR) -> JSONObject:
    """What is said of one call: `decision` is allow, deny or undecided."""
    if decision == "allow":
        return {"type": "evaluated", "outcome": "not_flagged"}
    if decision == "deny":
        told: JSONObject = {"type": "evaluated", "outcome": "flagged"}
        return {**told, "explanation": explanation} if explanation else told
    return {"type": "unavailable", "reason": str(unavailable)}


def verdicts(by_call: Mapping[str, JSONObject]) -> list[JSONObject]:
    """The result with a verdict for each call, by the id that the client gets."""
    return results({"type": "available", "tool_uses": dict(by_call)})
