"""claude-code-router's config.json: providers, what its transformers do, and the scenes of its Router."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from gateway.config.moving_in.draft import Draft, DraftTarget, Fate, variable_of

# more than any model has
MOST_TOKENS: Final = 2_000_000_000
# what the router takes for long when the file does not say
_USUAL_THRESHOLD: Final = 60_000
# in the order in which the router asks: name, pattern, condition
_SCENES: Final[tuple[tuple[str, str, Mapping[str, Any]], ...]] = (
    ("image", "*", {"images": True}),
    ("longContext", "*", {}),
    ("background", "*haiku*", {}),
    ("webSearch", "*", {"web_search": True}),
    ("think", "*", {"thinking": True}),
    ("default", "*", {}),
)
# transformers that only speak a provider's dialect, which its preset does here
_BY_PRESET: Final = frozenset(
    {"anthropic", "openai", "openai-responses", "openrouter", "deepseek", "gemini", "groq", "cerebras",
     "reasoning", "enhancetool", "extrathinktag"}
)  # fmt: skip
_AS_OPTION: Final[Mapping[str, Mapping[str, Any]]] = {
    "cleancache": {"cache_control": "strip"},
    "maxcompletiontokens": {"max_tokens_field": "max_completion_tokens"},
    "streamoptions": {"stream_usage": True},
}
# addresses of an API that is spoken there and not here, with one of the same service that is
_SPOKEN_HERE: Final = {
    "https://generativelanguage.googleapis.com/v1beta/models": (
        "https://generativelanguage.googleapis.com/v1beta/openai"
    ),
}


def translated(config: Mapping[str, Any], draft: Draft) -> None:
    """Put what the file says into the draft, and every line of it into the report."""
    slugs: dict[str, str] = {}
    fallback: dict[str, Any] = {}
    draft.each(
        config,
        "",
        {
            "Providers": lambda value, path: slugs.update(_providers(value, path, draft)),
            "providers": lambda value, path: slugs.update(_providers(value, path, draft)),
            "Router": None,
            "fallback": lambda value, path: fallback.update(draft.an_object(value, path)),
            "APIKEY": lambda value, path: draft.key(path, "claude-code-router", value),
        },
    )
    _router(config.get("Router"), fallback, slugs, draft)


def _providers(given: Any, path: str, draft: Draft) -> dict[str, str]:
    """The slugs by the names that the Router uses."""
    slugs: dict[str, str] = {}
    for place, one in enumerate(draft.a_list(given, path)):
        where = f"{path}[{place}]"
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not one["name"].strip():
            draft.say(Fate.MISSING, where, _("is no provider with a name"))
            continue
        slug = _provider(one, f"{where} {one['name']}", draft)
        if slug is not None:
            slugs[one["name"]] = slug
            models = _models(one.get("models"), f"{where} {one['name']}.models", draft)
            for model in models:
                # as /model of the client names them
                draft.mapping(f"{one['name']},{model}", [DraftTarget(slug, model)])
            _transformers(one.get("transformer"), f"{where}.transformer", draft, slug, models)
    return slugs


def _models(given: Any, path: str, draft: Draft) -> list[str]:
    models = []
    for place, model in enumerate(draft.a_list(given, path)):
        if isinstance(model, str) and model.strip():
            models.append(model)
        else:
            draft.say(Fate.MISSING, f"{path}[{place}]", _("is not usable: a text has to stand there"))
    return models


def _provider(one: Mapping[str, Any], where: str, draft: Draft) -> str | None:
    url = str(one.get("api_base_url") or one.get("baseUrl") or "").strip()
    if variable_of(url):
        draft.say(Fate.MISSING, f"{where}.api_base_url", _("names a variable; an address has to stand there"))
        return None
    spoken = _SPOKEN_HERE.get(url.rstrip("/"), url)
    if spoken != url:
        text = _("%(url)s instead: the same service in a protocol that is spoken here")
        draft.say(Fate.CHANGED, f"{where}.api_base_url", text % {"url": spoken})
    slug = draft.provider(where, one["name"], spoken, one.get("api_key") or one.get("apiKey"))
    for name in one.keys() - {
        "name",
        "api_base_url",
        "baseUrl",
        "api_key",
        "apiKey",
        "models",
        "transformer",
    }:
        draft.say(Fate.MISSING, f"{where}.{name}", _("has no counterpart here"))
    return slug


def _transformers(given: Any, path: str, draft: Draft, slug: str, models: list[str]) -> None:
    """`use` for the provider, or below the name of a model for that model."""
    for name, value in draft.an_object(given, path).items():
        at = f"{path}.{name}"
        used = value if name == "use" else draft.an_object(value, at).get("use")
        for kind, settings in _used(draft.a_list(used, at), at, draft):
            where = f"{path}.{name}: {kind}" if name != "use" else f"{path}: {kind}"
            options = _options(kind, settings)
            if options is None:
                text = (
                    _("not needed: the preset, or the conversion itself, does it")
                    if kind in _BY_PRESET
                    else _("has no counterpart here")
                )
                draft.say(Fate.TAKEN if kind in _BY_PRESET else Fate.MISSING, where, text)
                continue
            shown = ", ".join(f"{option} = {value}" for option, value in options.items())
            if name == "use":
                draft.providers[slug]["options"].update(options)
            else:
                for mapping in draft.mappings:
                    if name in models and mapping["pattern"].endswith(f",{name}"):
                        mapping["options"] = {**mapping.get("options", {}), **options}
            draft.say(Fate.TAKEN, where, _("profile options %(options)s") % {"options": shown})


def _used(used: list[Any], path: str, draft: Draft) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, one in enumerate(used):
        if isinstance(one, str):
            yield one.lower(), {}
        elif isinstance(one, list) and one and isinstance(one[0], str):
            settings = one[1] if len(one) > 1 else None
            yield one[0].lower(), draft.an_object(settings, f"{path}[{place}]")
        else:
            draft.say(Fate.MISSING, f"{path}[{place}]", _("names no transformer"))


def _options(kind: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The profile options that do what a transformer does; None: there are none."""
    most = settings.get("max_tokens")
    if kind == "maxtoken" and type(most) is int and 0 < most < MOST_TOKENS:
        return {"max_output_tokens": most}
    if kind in ("sampling", "customparams") and settings:
        return {"extra_body": dict(settings)}
    return dict(_AS_OPTION[kind]) if kind in _AS_OPTION else None


def _router(given: Any, fallback: Mapping[str, Any], slugs: Mapping[str, str], draft: Draft) -> None:
    if not isinstance(given, dict):
        draft.say(Fate.MISSING, "Router", _("is not there, so nothing is a default"))
        for name in fallback:
            draft.say(Fate.MISSING, f"fallback.{name}", _("has no counterpart here"))
        return
    threshold = _threshold(given, draft)
    for name, pattern, when in _SCENES:
        path = f"Router.{name}"
        target = _route(given[name], path, slugs, draft) if given.get(name) not in (None, "") else None
        found = []
        for place, one in enumerate(draft.a_list(fallback.get(name), f"fallback.{name}")):
            where = f"fallback.{name}[{place}]"
            other = _route(one, where, slugs, draft)
            if other is not None and target is None:
                text = _("stands behind nothing: Router.%(name)s was not taken") % {"name": name}
                draft.say(Fate.MISSING, where, text)
            elif other is not None:
                draft.say(Fate.TAKEN, where, _("further targets: %(names)s") % {"names": other.model})
                found.append(other)
        if target is None:
            continue
        condition = {"input_tokens": {"from": threshold + 1}} if name == "longContext" else when
        draft.mapping(pattern, [target, *found], condition, note=name)
        text = _("rule for %(pattern)s, to %(model)s") % {"pattern": pattern, "model": target.model}
        draft.say(Fate.TAKEN, path, text)
    known = {name for name, _pattern, _when in _SCENES} | {"longContextThreshold"}
    for name in given.keys() - known:
        draft.say(Fate.MISSING, f"Router.{name}", _("has no counterpart here"))
    for name in fallback.keys() - known:
        draft.say(Fate.MISSING, f"fallback.{name}", _("has no counterpart here"))


def _threshold(given: Mapping[str, Any], draft: Draft) -> int:
    wanted = given.get("longContextThreshold")
    try:
        threshold = int(str(wanted)) if wanted is not None else _USUAL_THRESHOLD
    except ValueError:
        threshold = -1
    if not 0 <= threshold < 1_000_000_000:
        draft.say(Fate.CHANGED, "Router.longContextThreshold", _("is no number; 60000 instead"))
        return _USUAL_THRESHOLD
    if wanted is not None:
        text = _(
            "more than %(tokens)d tokens by this gateway's own estimate, which may differ by some percent"
        )
        draft.say(Fate.CHANGED, "Router.longContextThreshold", text % {"tokens": threshold})
    return threshold


def _route(given: Any, path: str, slugs: Mapping[str, str], draft: Draft) -> DraftTarget | None:
    """`provider,model` as a target."""
    name, comma, model = given.partition(",") if isinstance(given, str) else ("", "", "")
    slug = slugs.get(name.strip())
    if not comma or slug is None or not model.strip():
        text = _("%(route)s is no model of a provider that was taken")
        draft.say(Fate.MISSING, path, text % {"route": str(given)[:200]})
        return None
    return DraftTarget(slug, model.strip())
