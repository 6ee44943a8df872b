"""GET /v1/models and /v1/models/{id} (docs/conversion.md, "The models list")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from gateway.config.model_lifecycle.lifecycle import life_of
from gateway.conversion.profile import Profile
from gateway.errors import InvalidRequest, NotFound
from gateway.routing.allowed_models import ModelEntry, visible_models
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry

EPOCH: Final = "1970-01-01T00:00:00Z"
DEFAULT_LIMIT: Final = 20
LARGEST_LIMIT: Final = 1000
ACTIVE: Final = "active"
STAGES: Final = (ACTIVE, "deprecated", "retired")


def model_page(
    query: Mapping[str, str], snapshot: ConfigSnapshot, key: KeyEntry | None, today: date
) -> dict[str, Any]:
    """One page of the names `key` may ask for. `query`: limit, after_id, before_id, lifecycle.

    Raises InvalidRequest for a limit outside 1..1000.
    """
    limit = _limit(query.get("limit"))
    entries = visible_models(snapshot, key)
    wanted = query.get("lifecycle")
    if wanted in STAGES:
        entries = [entry for entry in entries if lifecycle(entry, today)["lifecycle"] == wanted]
    ids = [entry.id for entry in entries]
    start, end = 0, len(ids)
    after, before = query.get("after_id"), query.get("before_id")
    if after in ids:
        start = ids.index(after) + 1
    if before in ids:
        end = ids.index(before)
        start = max(start, end - limit)
    page = entries[start:end][:limit]
    rest = start > 0 if before in ids else start + limit < end
    return {
        "data": [entry_json(entry, today) for entry in page],
        "has_more": rest,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
        "object": "list",
    }


def model_entry(model_id: str, snapshot: ConfigSnapshot, key: KeyEntry | None, today: date) -> dict[str, Any]:
    """One model of the list. Raises NotFound when it is unknown or not for this key."""
    for entry in visible_models(snapshot, key):
        if entry.id == model_id:
            return entry_json(entry, today)
    raise NotFound(f"model: {model_id}")


def entry_json(entry: ModelEntry, today: date) -> dict[str, Any]:
    """Anthropic's ModelInfo, with the extras that Claude Code shows."""
    profile, upstream_model = entry.route.profile, entry.route.upstream_model
    return {
        "id": entry.id,
        "type": "model",
        "display_name": entry.id if entry.id == upstream_model else f"{entry.id} → {upstream_model}",
        "created_at": EPOCH,
        **lifecycle(entry, today),
        "deprecated_at": None,
        "line": None,
        "max_input_tokens": profile.context_window,
        "max_tokens": profile.max_output_tokens,
        "capabilities": capabilities(profile),
        "description": f"{upstream_model} at {entry.route.provider.name}",
        "object": "model",
        "owned_by": entry.route.provider.slug,
    }


def lifecycle(entry: ModelEntry, today: date) -> dict[str, str | None]:
    """What is announced for the model that is asked upstream: the stage, and the first day without it."""
    route = entry.route
    life = life_of(route.provider.base_url, route.upstream_model)
    if life is None:
        return {"lifecycle": ACTIVE, "retires_at": None}
    return {"lifecycle": life.stage(today), "retires_at": f"{life.ends.isoformat()}T00:00:00Z"}


def capabilities(profile: Profile) -> dict[str, Any]:
    """What the gateway can do with this model, from its profile: every key of the API's object."""
    thinks = profile.reasoning != "none"
    levels = profile.effort_levels
    return {
        "batch": _supported(False),
        "citations": _supported(False),
        "code_execution": _supported(False),
        "context_management": _supported(False),
        "effort": {
            **_supported(bool(levels)),
            **{level: _supported(level in levels) for level in ("low", "medium", "high", "max", "xhigh")},
        },
        "image_input": _supported(profile.images == "url"),
        "pdf_input": _supported(profile.pdf != "reject"),
        "server_tools": {
            **_supported(False),
            "web_search": _supported(False),
            "code_execution": _supported(False),
        },
        "structured_outputs": _supported(True),
        "thinking": {
            **_supported(thinks),
            "types": {
                kind: _supported(thinks) for kind in ("adaptive", "between_tools", "disabled", "enabled")
            },
        },
    }


def _supported(value: bool) -> dict[str, bool]:
    return {"supported": value}


def _limit(text: str | None) -> int:
    if not text:
        return DEFAULT_LIMIT
    limit = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= limit <= LARGEST_LIMIT:
        raise InvalidRequest(f"limit: Input should be between 1 and {LARGEST_LIMIT}")
    return limit
