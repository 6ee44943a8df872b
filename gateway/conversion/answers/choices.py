"""The choices of a chunk or completion, each as the protocol has it.

Servers put a finish reason into the delta or the message, beside the choices, or call it as Gemini and
Anthropic do; and calls into the choice instead of its message. See docs/conversion.md, "The answer".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.conversion.answers.stop_reasons import is_known
from gateway.wire.lenient import object_of

_REASONS: Final = ("finish_reason", "finishReason", "stop_reason", "stopReason")
_NAMES: Final = frozenset(_REASONS)
# in a choice of vLLM's it is the stop sequence that was met
_MAY_BE_SEQUENCES: Final = frozenset({"stop_reason", "stopReason"})
_SAID: Final = ("delta", "message")
_CALLS: Final = ("tool_calls", "function_call")


def in_order(choice: dict[str, object], answer: Mapping[str, object]) -> dict[str, object]:
    """`choice` with its finish reason and its calls where the protocol has them.

    `answer`: the chunk or completion that it is of.
    """
    reason = None if choice.get("finish_reason") else _reason_elsewhere(choice, answer)
    if reason is not None:
        choice = {**choice, "finish_reason": reason}
    for name in _CALLS:
        if choice.get(name):
            place = next((place for place in _SAID if isinstance(choice.get(place), dict)), _SAID[0])
            choice = {**choice, place: {name: choice[name], **object_of(choice.get(place))}}
    return choice


def _reason_elsewhere(choice: Mapping[str, object], answer: Mapping[str, object]) -> object | None:
    for place in (choice, *(object_of(choice.get(place)) for place in _SAID), answer):
        if _NAMES.isdisjoint(place):
            continue
        for name in _REASONS:
            reason: object = place.get(name)
            if reason and (name not in _MAY_BE_SEQUENCES or is_known(reason)):
                return reason
    return None
