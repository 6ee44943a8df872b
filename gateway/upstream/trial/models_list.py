"""The models a provider offers, from its answer to GET /models (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.wire import jsontext

MOST: Final = 2000
_WINDOWS: Final = (
    "loaded_context_length", "context_length", "context_window", "max_context_length", "max_model_len",
    "inputTokenLimit", "input_token_limit", "max_input_tokens", "n_ctx",
)  # fmt: skip
_OUTPUTS: Final = ("max_completion_tokens", "max_output_tokens", "outputTokenLimit", "max_tokens")
# where providers put such facts
_PLACES: Final = ("top_provider", "meta", "limits", "capabilities", "model_spec")


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """One model; sizes in tokens, None where the provider does not tell them."""

    id: str
    context_window: int | None = None
    max_output_tokens: int | None = None


def offered_models(body: bytes) -> list[OfferedModel]:
    """The models in the order of the answer, each once. Raises ValueError when it is not such a list."""
    parsed: Any = jsontext.loads(body)
    entries = parsed if isinstance(parsed, list) else _entries(parsed)
    if entries is None:
        raise ValueError("no list of models")
    found: dict[str, OfferedModel] = {}
    for entry in entries[:MOST]:
        model = _model(entry)
        if model is not None:
            found.setdefault(model.id, model)
    return list(found.values())


def with_sizes(models: Iterable[OfferedModel], body: bytes) -> list[OfferedModel]:
    """The models with the sizes that the server reports beside its list of models.

    Either one window for whatever it serves (llama.cpp's /props), or another list with the window each
    model was loaded with (LM Studio, Ollama's /api/ps). What cannot be read changes nothing.
    """
    listed = list(models)
    try:
        parsed: Any = jsontext.loads(body)
        own = {one.id: one for one in offered_models(body)} if _entries(parsed) is not None else {}
    except ValueError:
        return listed
    served = parsed.get("default_generation_settings") if isinstance(parsed, dict) else None
    window = _number([served], ("n_ctx",)) if isinstance(served, dict) else None
    return [_sized(model, own.get(model.id) or OfferedModel(model.id, window)) for model in listed]


def _sized(model: OfferedModel, own: OfferedModel) -> OfferedModel:
    return OfferedModel(
        model.id,
        own.context_window or model.context_window,
        own.max_output_tokens or model.max_output_tokens,
    )


def _entries(parsed: Any) -> list[Any] | None:
    if not isinstance(parsed, dict):
        return None
    # llama.cpp sends both forms; the first is OpenAI's
    return next((parsed[name] for name in ("data", "models") if isinstance(parsed.get(name), list)), None)


def _model(entry: Any) -> OfferedModel | None:
    if isinstance(entry, str):
        return OfferedModel(entry) if entry else None
    if not isinstance(entry, dict):
        return None
    name = next((entry[key] for key in ("id", "name", "model") if isinstance(entry.get(key), str)), "")
    if not name:
        return None
    places = [entry, *(entry[place] for place in _PLACES if isinstance(entry.get(place), dict))]
    return OfferedModel(name.removeprefix("models/"), _number(places, _WINDOWS), _number(places, _OUTPUTS))


def _number(places: Iterable[Mapping[str, Any]], names: Iterable[str]) -> int | None:
    for place in places:
        for name in names:
            value = place.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None
