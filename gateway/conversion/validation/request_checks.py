"""Checks of a parsed Messages request, in the wording of the API.

Required fields come first, in the order model, max_tokens, messages; then only the first mistake in
document order is raised. Unknown fields are ignored. What depends on the provider (tools, PDF, prefill,
history) is checked where it is converted; nothing here knows a provider.

See docs/conversion.md, "Validation".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from gateway.conversion.validation.block_checks import (
    check_cache_control,
    check_effort,
    check_messages,
    check_system,
)
from gateway.conversion.validation.shape_errors import (
    BOOLEAN,
    INTEGER,
    LIST,
    NUMBER,
    OBJECT,
    REQUIRED,
    TEXT,
    is_integer,
    is_number,
    optional,
    refuse,
    refuse_tag,
)
from gateway.errors import InvalidRequest
from gateway.wire.messages_request import MessagesRequest

MIN_BUDGET: Final = 1024
SAMPLING_FIELDS: Final = ("temperature", "top_p", "top_k")
THINKING_TYPES: Final = ("adaptive", "between_tools", "disabled", "enabled")
_FIRST_VERSION_WITHOUT_SAMPLING: Final = "2026-10-21"

FieldCheck = Callable[[Any, MessagesRequest], None]


def check(
    request: object,
    *,
    counting: bool = False,
    api_version: str | None = None,
    enforce_api_version: bool = False,
    checked: int = 0,
) -> MessagesRequest:
    """Check `request` and return it: from here on its fields have their types.

    `counting`: a count_tokens request, which needs no max_tokens and ignores it. With `enforce_api_version`
    the sampling fields are refused from the version on that removed them. `checked`: how many messages at the
    beginning passed before. Raises InvalidRequest.
    """
    if type(request) is not dict:
        raise InvalidRequest(OBJECT)
    for name in ("model", "messages") if counting else ("model", "max_tokens", "messages"):
        if request.get(name) is None:
            refuse(name, REQUIRED)
    checks = _COUNT_CHECKS if counting else _MESSAGES_CHECKS
    # what a check reads of another field was checked before it, or is looked at with care
    checked_so_far = cast(MessagesRequest, request)
    without_sampling = enforce_api_version and (api_version or "") >= _FIRST_VERSION_WITHOUT_SAMPLING
    for name, value in request.items():
        if value is None or (name not in checks and name != "messages"):
            continue
        if without_sampling and name in SAMPLING_FIELDS:
            refuse(name, "Extra inputs are not permitted")
        if name == "messages":
            _messages(value, checked)
        else:
            checks[name](value, checked_so_far)
    return checked_so_far


def refuse_unsupported(request: MessagesRequest, *, counting: bool = False) -> None:
    """Refuse the features of the API that need a server's memory or sandbox.

    Only for providers that do not speak the Messages API themselves. Raises InvalidRequest. See
    docs/conversion.md, "Fields of the request".
    """
    if type(request.get("thread")) is dict:
        # With these details the SDK's tool runner repeats with the whole history.
        raise InvalidRequest(
            "thread: server-held conversations are not supported by this gateway",
            details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
        )
    if request.get("compaction") is not None and not counting:
        refuse("compaction", "not supported by this gateway")
    container = request.get("container")
    if type(container) is dict and container.get("skills"):
        refuse("container.skills", "not supported by this gateway")


def _string(name: str) -> FieldCheck:
    return lambda value, _request: optional(value, str, name, TEXT)


def _list(name: str) -> FieldCheck:
    return lambda value, _request: optional(value, list, name, LIST)


def _max_tokens(value: Any, _request: MessagesRequest) -> None:
    if not is_integer(value):
        refuse("max_tokens", INTEGER)
    if value < 0:
        refuse("max_tokens", "Input should be greater than or equal to 0")


def _messages(value: Any, checked: int) -> None:
    if type(value) is not list:
        refuse("messages", LIST)
    check_messages(value, checked=checked)


def _share(name: str) -> FieldCheck:
    def share(value: Any, _request: MessagesRequest) -> None:
        if not is_number(value):
            refuse(name, NUMBER)
        if not 0 <= value <= 1:
            refuse(name, "range: 0..1")

    return share


def _top_k(value: Any, _request: MessagesRequest) -> None:
    if not is_integer(value):
        refuse("top_k", INTEGER)
    if value < 0:
        refuse("top_k", "Input should be greater than or equal to 0")


def _stop_sequences(value: Any, _request: MessagesRequest) -> None:
    if type(value) is not list:
        refuse("stop_sequences", LIST)
    for position, sequence in enumerate(value):
        if type(sequence) is not str:
            refuse(f"stop_sequences.{position}", TEXT)
        if not sequence.strip():
            refuse("stop_sequences", "each stop sequence must contain non-whitespace")


def _thinking(value: Any, _request: MessagesRequest) -> None:
    if type(value) is not dict:
        refuse("thinking", OBJECT)
    kind = value.get("type")
    if kind is None:
        refuse("thinking.type", REQUIRED)
    if kind not in THINKING_TYPES:
        refuse_tag("thinking", kind, THINKING_TYPES)
    budget = value.get("budget_tokens")
    if kind != "enabled" or budget is None:
        return
    if not is_integer(budget):
        refuse("thinking.enabled.budget_tokens", INTEGER)
    if budget < MIN_BUDGET:
        refuse("thinking.enabled.budget_tokens", f"Input should be greater than or equal to {MIN_BUDGET}")


def _thinking_within_max_tokens(value: Any, request: MessagesRequest) -> None:
    _thinking(value, request)
    budget, max_tokens = value.get("budget_tokens"), request["max_tokens"]
    if request.get("tools"):
        # with tools the budget covers the whole turn, and may be larger than one answer
        return
    if value["type"] == "enabled" and budget is not None and is_integer(max_tokens) and budget >= max_tokens:
        raise InvalidRequest("`max_tokens` must be greater than `thinking.budget_tokens`")


def _metadata(value: Any, _request: MessagesRequest) -> None:
    if type(value) is not dict:
        refuse("metadata", OBJECT)
    optional(value.get("user_id"), str, "metadata.user_id", TEXT)


_COUNT_CHECKS: Final[Mapping[str, FieldCheck]] = {
    "model": _string("model"),
    "system": lambda value, _request: check_system(value),
    "temperature": _share("temperature"),
    "top_p": _share("top_p"),
    "top_k": _top_k,
    "stop_sequences": _stop_sequences,
    "thinking": _thinking,
    "output_config": lambda value, _request: check_effort(value, "output_config"),
    "metadata": _metadata,
    "mcp_servers": _list("mcp_servers"),
    "cache_control": lambda _value, request: check_cache_control(request, ""),
}
_MESSAGES_CHECKS: Final[Mapping[str, FieldCheck]] = {
    **_COUNT_CHECKS,
    "max_tokens": _max_tokens,
    "stream": lambda value, _request: optional(value, bool, "stream", BOOLEAN),
    "thinking": _thinking_within_max_tokens,
}
