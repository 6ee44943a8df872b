"""Comparing a result with what a test vector expects.

Objects are compared as subsets, lists in length and order. `$NAME` in an
expected value stands for anything of a kind.

See docs/conversion.md, "Cases and vectors".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from gateway import patterns
from gateway.wire.messages import JSONObject

_GW1_ID: Final = patterns.compiled(r"\A(?=[A-Za-z0-9_-]++\Z)([A-Za-z0-9_-]+?)_gw1_[A-Za-z0-9_-]")

_PLACEHOLDERS: Final[dict[str, Callable[[Any], bool]]] = {
    "$MSG_ID": lambda value: isinstance(value, str) and value.startswith("msg_"),
    "$TOOL_ID": lambda value: isinstance(value, str) and value.startswith("toolu_"),
    "$SIG": lambda value: isinstance(value, str) and value != "",
    "$GW1_ID": lambda value: isinstance(value, str) and _GW1_ID.match(value) is not None,
    "$INT": lambda value: type(value) is int and value >= 0,
    "$POSINT": lambda value: type(value) is int and value >= 1,
    "$STR": lambda value: isinstance(value, str),
    "$ANY": lambda _value: True,
}
# the kinds of deltas that only add text
_TEXTS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def differences(expected: Any, actual: Any, path: str = "") -> list[str]:
    """The differences between `actual` and what is expected, one line each."""
    if isinstance(expected, str) and expected.startswith("$"):
        fits = _placeholder(expected)
        if fits is not None:
            return [] if fits(actual) else [f"{path or '/'}: {actual!r} is no {expected}"]
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = []
        for name, value in expected.items():
            if name in actual:
                found += differences(value, actual[name], f"{path}/{name}")
            else:
                found.append(f"{path}/{name}: missing")
        return found
    if isinstance(expected, list) and isinstance(actual, list):
        found = (
            []
            if len(expected) == len(actual)
            else [f"{path}: {len(actual)} items instead of {len(expected)}"]
        )
        for position, (one, other) in enumerate(zip(expected, actual, strict=False)):
            found += differences(one, other, f"{path}/{position}")
        return found
    same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
    return [] if same else [f"{path or '/'}: {actual!r} instead of {expected!r}"]


def present(body: Any, pointer: str) -> bool:
    """Whether a JSON pointer resolves."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(body, dict) and step in body:
            body = body[step]
        elif isinstance(body, list) and step.isdecimal() and int(step) < len(body):
            body = body[int(step)]
        else:
            return False
    return True


def normal(events: Iterable[JSONObject]) -> list[JSONObject]:
    """Pings and empty deltas removed, neighbouring deltas of one kind and block joined."""
    joined: list[JSONObject] = []
    for event in events:
        key = _TEXTS.get(event["delta"]["type"]) if event["type"] == "content_block_delta" else None
        if event["type"] == "ping" or (key is not None and not event["delta"][key]):
            continue
        last = joined[-1] if joined else {}
        if key is not None and _same_delta(last, event):
            text = last["delta"][key] + event["delta"][key]
            joined[-1] = {**last, "delta": {**last["delta"], key: text}}
        else:
            joined.append(event)
    return joined


def _same_delta(last: JSONObject, event: JSONObject) -> bool:
    return (
        last.get("type") == event["type"]
        and last["index"] == event["index"]
        and bool(last["delta"]["type"] == event["delta"]["type"])
    )


def _placeholder(expected: str) -> Callable[[Any], bool] | None:
    kind, _, plain = expected.partition(":")
    if kind == "$GW1_ID" and plain:
        return lambda value: bool(isinstance(value, str) and (m := _GW1_ID.match(value)) and m[1] == plain)
    return _PLACEHOLDERS.get(expected)
