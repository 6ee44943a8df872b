"""Checks of messages and their blocks.

What passes here can be read without care by the conversion: types of blocks
are legal for their role, and the fields the conversion uses have their type.
Files and containers live on Anthropic's servers only, so they are refused here
whatever the provider. Nothing is copied: a long history costs one walk.

See docs/conversion.md, "Validation", "Blocks of users" and "Blocks of the assistant".
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.conversion.block_kinds import BLOCK_KINDS, Place
from gateway.conversion.validation.shape_errors import (
    BOOLEAN,
    LIST,
    OBJECT,
    REQUIRED,
    TEXT,
    one_of,
    optional,
    refuse,
    refuse_tag,
    required_object,
    required_string,
)
from gateway.wire.messages import JSONObject

MAX_MESSAGES: Final = 100_000
EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_IMAGE_SCHEMES: Final = ("https://", "http://", "data:")

BlockCheck = Callable[[JSONObject, str], None]


def check_messages(messages: list[Any], *, checked: int = 0) -> None:
    """Raises InvalidRequest for the first mistake in document order.

    `checked`: so many messages at the beginning passed before.
    """
    if not messages:
        refuse("messages", "at least one message is required")
    if len(messages) > MAX_MESSAGES:
        refuse("messages", f"List should have at most {MAX_MESSAGES} items after validation")
    for number in range(checked, len(messages)):
        _check_message(messages[number], f"messages.{number}")
    if messages[-1]["role"] == "user" and not messages[-1]["content"]:
        refuse(f"messages.{len(messages) - 1}", "user messages must have non-empty content")


def check_system(system: Any) -> None:
    """The top-level system prompt: a string or text blocks. Raises InvalidRequest."""
    if type(system) is str:
        return
    if type(system) is not list:
        refuse("system", LIST)
    for position, block in enumerate(system):
        path = f"system.{position}"
        if type(block) is not dict:
            refuse(path, OBJECT)
        if block.get("type") != "text":
            refuse(f"{path}.type", "Input should be 'text'")
        required_string(block, "text", path)
        check_cache_control(block, path)


def check_effort(output_config: Any, path: str) -> None:
    """The effort of an output_config, at top level or of a system message. Raises InvalidRequest."""
    optional(output_config, dict, path, OBJECT)
    effort = output_config.get("effort") if output_config else None
    if effort is not None and effort not in EFFORTS:
        refuse(f"{path}.effort", one_of(EFFORTS))


def check_cache_control(owner: Mapping[str, object], path: str) -> None:
    """The cache marker of a block, a tool or the request. Raises InvalidRequest."""
    marker = owner.get("cache_control")
    if marker is None:
        return
    where = f"{path}.cache_control" if path else "cache_control"
    if type(marker) is not dict:
        refuse(where, OBJECT)
    if marker.get("type") != "ephemeral":
        refuse(f"{where}.type", "Input should be 'ephemeral'")
    if marker.get("ttl") not in (None, "5m", "1h"):
        refuse(f"{where}.ttl", "Input should be '5m' or '1h'")


def _check_message(message: Any, path: str) -> None:
    if type(message) is not dict:
        refuse(path, OBJECT)
    role = message.get("role")
    if role is None:
        refuse(f"{path}.role", REQUIRED)
    blocks = _BLOCKS_OF.get(role) if type(role) is str else None
    if blocks is None:
        refuse(f"{path}.role", one_of(("user", "assistant", "system")))
    content = message.get("content")
    if role == "system":
        check_effort(message.get("output_config"), f"{path}.output_config")
        if content is None and message.get("output_config") is not None:
            return
    if type(content) is list:
        _check_blocks(content, f"{path}.content", blocks)
    elif type(content) is not str:
        refuse(f"{path}.content", REQUIRED if content is None else LIST)


def _check_blocks(content: list[Any], path: str, checks: dict[str, BlockCheck]) -> None:
    for position, block in enumerate(content):
        where = f"{path}.{position}"
        if type(block) is not dict:
            refuse(where, OBJECT)
        kind = block.get("type")
        if kind is None:
            refuse(f"{where}.type", REQUIRED)
        check = checks.get(kind) if type(kind) is str else None
        if check is None:
            refuse_tag(where, kind, (name for name in checks if checks[name] is not _misplaced))
        check(block, where)
        if "cache_control" in block:
            check_cache_control(block, where)


def _text(block: Mapping[str, object], path: str) -> None:
    if type(block.get("text")) is not str:
        required_string(block, "text", f"{path}.text")


def _image(block: Mapping[str, object], path: str) -> None:
    source = required_object(block, "source", path)
    path = f"{path}.source"
    kind = source.get("type")
    if kind == "base64":
        media_type = required_string(source, "media_type", f"{path}.base64")
        if media_type not in IMAGE_TYPES:
            refuse(f"{path}.base64.media_type", one_of(IMAGE_TYPES))
        _base64(source, path)
    elif kind == "url":
        if not required_string(source, "url", path).lower().startswith(_IMAGE_SCHEMES):
            refuse(f"{path}.url", "Only HTTPS URLs are supported")
    elif kind == "file":
        refuse(f"{path}.file_id", "the Files API is not supported by this gateway")
    else:
        _refuse_source(path, kind, ("base64", "file", "url"))


def _document(block: Mapping[str, object], path: str) -> None:
    source = required_object(block, "source", path)
    optional(block.get("title"), str, f"{path}.document.title", TEXT)
    optional(block.get("context"), str, f"{path}.document.context", TEXT)
    path = f"{path}.source"
    kind = source.get("type")
    if kind == "base64":
        if required_string(source, "media_type", f"{path}.base64") != "application/pdf":
            refuse(f"{path}.base64.media_type", "Input should be 'application/pdf'")
        _base64(source, path)
    elif kind == "text":
        required_string(source, "data", f"{path}.text")
    elif kind == "content":
        content = source.get("content")
        if type(content) is list:
            _check_blocks(content, f"{path}.content", _DOCUMENT_BLOCKS)
        elif type(content) is not str:
            refuse(f"{path}.content", REQUIRED if content is None else LIST)
    elif kind == "url":
        required_string(source, "url", path)
    elif kind == "file":
        refuse(f"{path}.file_id", "the Files API is not supported by this gateway")
    else:
        _refuse_source(path, kind, ("base64", "content", "file", "text", "url"))


def _refuse_source(path: str, kind: object, expected: tuple[str, ...]) -> None:
    if kind is None:
        refuse(f"{path}.type", REQUIRED)
    refuse_tag(path, kind, expected)


def _base64(source: Mapping[str, object], path: str) -> None:
    data = required_string(source, "data", f"{path}.base64")
    try:
        try:
            binascii.a2b_base64(data, strict_mode=True)
        except binascii.Error:
            binascii.a2b_base64("".join(data.split()), strict_mode=True)
    except ValueError:
        refuse(f"{path}.base64.data", "invalid base64")


def _search_result(block: Mapping[str, object], path: str) -> None:
    required_string(block, "source", f"{path}.search_result")
    required_string(block, "title", f"{path}.search_result")
    content = block.get("content")
    if type(content) is not list:
        refuse(f"{path}.search_result.content", REQUIRED if content is None else LIST)
    _check_blocks(content, f"{path}.content", _TEXT_ONLY)


def _tool_result(block: Mapping[str, object], path: str) -> None:
    required_string(block, "tool_use_id", f"{path}.tool_result")
    optional(block.get("is_error"), bool, f"{path}.tool_result.is_error", BOOLEAN)
    content = block.get("content")
    if type(content) is list:
        _check_blocks(content, f"{path}.content", _RESULT_BLOCKS)
    elif content is not None and type(content) is not str:
        refuse(f"{path}.tool_result.content", LIST)


def _tool_use(block: Mapping[str, object], path: str) -> None:
    path = f"{path}.tool_use"
    required_string(block, "id", path)
    required_string(block, "name", path)
    required_object(block, "input", path)
    optional(block.get("toolset_name"), str, f"{path}.toolset_name", TEXT)


def _thinking(block: Mapping[str, object], path: str) -> None:
    if type(block.get("thinking")) is not str:
        # whatever it is instead, the API says this
        refuse(f"{path}.thinking.thinking", REQUIRED)


def _compaction(block: Mapping[str, object], path: str) -> None:
    optional(block.get("content"), str, f"{path}.compaction.content", TEXT)


def _tool_reference(block: Mapping[str, object], path: str) -> None:
    required_string(block, "tool_name", f"{path}.tool_reference")


def _container_upload(_block: Mapping[str, object], path: str) -> None:
    refuse(path, "container uploads are not supported by this gateway")


def _misplaced(block: Mapping[str, object], path: str) -> None:
    refuse(path, f"'{block['type']}' blocks are not permitted in assistant messages")


def _anything(_block: Mapping[str, object], _path: str) -> None:
    """Blocks that are left out, or read with care where they are converted."""


# of a kind, wherever it stands; a kind without one is read with care later
_CHECKS: Final[dict[str, BlockCheck]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_result": _tool_result,
    "tool_reference": _tool_reference,
    "tool_use": _tool_use,
    "thinking": _thinking,
    "compaction": _compaction,
}


def _checks(place: Place) -> dict[str, BlockCheck]:
    """The check of each kind that may stand there, or that the API refuses there by a sentence of its own."""
    checks = {
        name: _CHECKS.get(name, _anything) for name, kind in BLOCK_KINDS.items() if place in kind.places
    }
    if place == "assistant":
        checks |= {name: _misplaced for name, kind in BLOCK_KINDS.items() if kind.misplaced}
    return checks


_BLOCKS_OF: Final[dict[str, dict[str, BlockCheck]]] = {
    # the API takes an upload there, and only we do not
    "user": {**_checks("user"), "container_upload": _container_upload},
    "assistant": _checks("assistant"),
    "system": _checks("system"),
}
_DOCUMENT_BLOCKS: Final = _checks("document")
_RESULT_BLOCKS: Final = _checks("tool_result")
_TEXT_ONLY: Final[dict[str, BlockCheck]] = {"text": _text}
