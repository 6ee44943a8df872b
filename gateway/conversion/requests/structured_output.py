"""Structured output: `output_config.format` as response_format (docs/conversion.md, "Structured output")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from gateway import patterns
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tools.schemas import schema_rewrites
from gateway.conversion.tools.strict_schemas import (
    Path,
    force_strict,
    is_strict_compatible,
    without_invented_nulls,
)
from gateway.conversion.validation.shape_errors import OBJECT, refuse, refuse_tag, required_object
from gateway.values import frozen
from gateway.wire import jsontext
from gateway.wire.messages import JSONObject
from gateway.wire.messages_request import MessagesRequest

__all__ = ["StructuredPlan", "asked_schema", "response_format", "without_invented_nulls"]

_MAX_NAME: Final = 64
_ILLEGAL: Final = patterns.compiled(r"[^A-Za-z0-9_-]")
_INSTRUCTION: Final = (
    "Answer with a single JSON value and nothing else: no explanation and no code fence. "
    "It must be valid against this JSON Schema:\n"
)


@frozen
class StructuredPlan:
    """`body`: fields of the chat request. `system_text`: an instruction for the system text.

    `nullable_paths`: where the answer must lose its nulls again; None = nowhere.
    """

    body: dict[str, object] = field(default_factory=dict)
    system_text: str | None = None
    nullable_paths: tuple[Path, ...] | None = None


NOTHING: Final = StructuredPlan()


def response_format(request: MessagesRequest, profile: Profile, ledger: Ledger) -> StructuredPlan:
    """How the provider is told the form of the answer. Raises InvalidRequest."""
    asked = asked_schema(request)
    if asked is None:
        return NOTHING
    path, schema = asked
    if profile.json_schema in ("object", "prompt"):
        ledger.replaced(path, "the schema is asked for in the system text")
        as_object: dict[str, object] = {"response_format": {"type": "json_object"}}
        body = as_object if profile.json_schema == "object" else {}
        return StructuredPlan(body, _INSTRUCTION + jsontext.dumps_text(schema))
    try:
        sent = schema_rewrites(schema, profile.schema_rewrites)
        paths: tuple[Path, ...] = ()
        if profile.json_schema == "force_strict":
            sent, paths = force_strict(sent)
        strict = is_strict_compatible(sent)
        changed = sent is not schema and sent != schema
    except RecursionError:
        refuse(f"{path}.schema", "nested too deeply")
    if changed:
        ledger.refit(f"{path}.schema", "the schema was rewritten for the provider")
    json_schema = {"name": _name(schema), "schema": sent, "strict": strict}
    return StructuredPlan(
        {"response_format": {"type": "json_schema", "json_schema": json_schema}}, None, paths or None
    )


def asked_schema(request: MessagesRequest) -> tuple[str, JSONObject] | None:
    """(path of the format, its schema); None when no such answer is requested. Raises InvalidRequest."""
    config = request.get("output_config")
    found = config.get("format") if type(config) is dict else None
    path = "output_config.format"
    if found is None:
        found, path = request.get("output_format"), "output_format"
    if found is None:
        return None
    if type(found) is not dict:
        refuse(path, OBJECT)
    kind = found.get("type")
    if kind != "json_schema":
        refuse_tag(path, kind, ("json_schema",))
    return path, required_object(found, "schema", path)


def _name(schema: Mapping[str, object]) -> str:
    title = schema.get("title")
    return (_ILLEGAL.sub("_", title)[:_MAX_NAME] if type(title) is str else "") or "output"
