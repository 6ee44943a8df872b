"""Auto mode's safety check, which the client asks of its gateway with each request (`safeguards`).

What is answered stands in the `delta` of `message_delta` when the answer is streamed, and at the top of the
message when it is whole. Without an answer the client tells its user, once a session, that the gateway is
incompatible; `unavailable` makes it check by itself and say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.wire.messages import JSONObject

FIELD: Final = "safeguards"
RESULTS: Final = "safeguard_results"
CHECK: Final = "dangerous_tool_use"
# how the name of its beta begins
BETA: Final = "dangerous-tool-use-"
# nothing is set up here that judges
DISABLED: Final[Mapping[str, str]] = {"type": "unavailable", "reason": "disabled"}


def asks_for_verdicts(request: Mapping[str, Any]) -> bool:
    """Whether the client wants the tool calls of the answer judged."""
    asked = request.get(FIELD)
    return type(asked) is list and any(type(one) is dict and one.get("type") == CHECK for one in asked)


def results(status: Mapping[str, Any]) -> list[JSONObject]:
    """The one result that the client reads, with its status."""
    return [{"type": CHECK, "status": dict(status)}]


def results_for(request: Mapping[str, Any]) -> list[JSONObject] | None:
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


def context_of(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the client says of its machine for the check; empty when it is no object."""
    asked = request.get(FIELD)
    for one in asked if type(asked) is list else ():
        if type(one) is dict and one.get("type") == CHECK and type(one.get("classifier_context")) is dict:
            found: Mapping[str, Any] = one["classifier_context"]
            return found
    return {}


def verdict(decision: str, explanation: str = "", *, read: bool = True) -> JSONObject:
    """What is said of one call: `decision` is allow, deny or undecided; `read`: its input could be read."""
    if decision == "allow":
        return {"type": "evaluated", "outcome": "not_flagged"}
    if decision == "deny":
        told: JSONObject = {"type": "evaluated", "outcome": "flagged"}
        return {**told, "explanation": explanation} if explanation else told
    return {"type": "unavailable", "reason": "error" if read else "input_unparsed"}


def verdicts(by_call: Mapping[str, JSONObject]) -> list[JSONObject]:
    """The result with a verdict for each call, by the id that the client gets."""
    return results({"type": "available", "tool_uses": dict(by_call)})
