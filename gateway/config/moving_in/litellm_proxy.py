"""LiteLLM's config.yaml: its model_list, fallbacks and aliases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.utils.translation import gettext as _

from gateway.config.moving_in.draft import Draft, DraftTarget, Fate, variable_of
from gateway.config.presets.presets import preset

# what stands before the slash of a model's name -> the preset that speaks to it
_PRESETS: Final[Mapping[str, str]] = {
    "openai": "openai-chat", "text-completion-openai": "openai-chat", "anthropic": "anthropic",
    "gemini": "gemini", "groq": "groq", "deepseek": "deepseek", "openrouter": "openrouter",
    "mistral": "mistral", "ollama": "ollama", "ollama_chat": "ollama", "xai": "xai",
    "together_ai": "together", "fireworks_ai": "fireworks", "cerebras": "cerebras",
    "perplexity": "perplexity", "moonshot": "moonshot", "dashscope": "dashscope", "cohere": "cohere",
    "cohere_chat": "cohere", "huggingface": "huggingface", "github": "github-models", "minimax": "minimax",
    "nvidia_nim": "nvidia", "volcengine": "volcengine", "zai": "zai", "lm_studio": "lm-studio",
    "hosted_vllm": "vllm", "openai_like": "generic", "custom_openai": "generic", "azure": "azure-v1",
    "azure_ai": "azure-v1", "siliconflow": "siliconflow", "litellm_proxy": "generic",
}  # fmt: skip
# a name without a slash is known by how it begins
_BEGINNINGS: Final = (("claude-", "anthropic"), ("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"),
                      ("o4", "openai"), ("chatgpt-", "openai"))  # fmt: skip
_PARAMETERS: Final = frozenset(
    {"model", "api_base", "base_url", "api_key", "api_version", "custom_llm_provider", "weight", "order"}
)
_SIZES: Final = {"max_input_tokens": "context_window", "max_output_tokens": "max_output_tokens"}
# weights that a target can have; 0 is none
_LEAST_WEIGHT, _MOST_WEIGHT = 0.001, 1_000_000


@dataclass
class _Group:
    """The deployments of one model name, each with its place in their order."""

    targets: list[tuple[int, DraftTarget]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def ordered(self) -> list[DraftTarget]:
        """In their order. Beside one with a weight, 0 means that a deployment is not to be asked."""
        targets = [target for _order, target in sorted(self.targets, key=lambda one: one[0])]
        if any(target.weight for target in targets):
            return [replace(one, weight=None, enabled=False) if one.weight == 0 else one for one in targets]
        return [one.as_fallback for one in targets]


def translated(config: Mapping[str, Any], draft: Draft) -> None:
    """Put what the file says into the draft, and every line of it into the report."""
    groups: dict[str, _Group] = defaultdict(_Group)
    settings = {
        name: draft.an_object(config.get(name), name)
        for name in ("litellm_settings", "router_settings", "general_settings")
    }
    draft.each(
        config,
        "",
        {"model_list": lambda value, path: _models(value, path, groups, draft), **dict.fromkeys(settings)},
    )
    behind = _Fallbacks()
    for name in ("litellm_settings", "router_settings"):
        # fallbacks may name an alias
        _aliases(settings[name].get("model_group_alias"), f"{name}.model_group_alias", groups, behind, draft)
    dealt_with = {
        "fallbacks": lambda value, path: _fallbacks(value, path, groups, behind.after, draft),
        "default_fallbacks": lambda value, path: behind.everywhere.extend(_names(value, path, groups, draft)),
        "context_window_fallbacks": lambda value, path: _fallbacks(value, path, groups, behind.longer, draft),
        "model_group_alias": None,
    }
    for name in ("litellm_settings", "router_settings"):
        draft.each(settings[name], name, dealt_with)
    draft.each(
        settings["general_settings"],
        "general_settings",
        {"master_key": lambda value, path: _master_key(value, path, draft)},
    )
    _mappings(groups, behind, draft)


@dataclass
class _Fallbacks:
    """The groups behind a group when it fails, behind each, and for what is too long for it.

    `meant`: the group of an alias, whose fallbacks are also those of the alias.
    """

    after: dict[str, list[str]] = field(default_factory=dict)
    everywhere: list[str] = field(default_factory=list)
    longer: dict[str, list[str]] = field(default_factory=dict)
    meant: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> list[str]:
        own = self.after.get(name, self.after.get(self.meant.get(name, name)))
        return [*(self.after.get("*", ()) if own is None else own), *self.everywhere]

    def longer_of(self, name: str) -> list[str]:
        return self.longer.get(name, self.longer.get(self.meant.get(name, name), []))


def _models(given: Any, path: str, groups: dict[str, _Group], draft: Draft) -> None:
    for place, one in enumerate(draft.a_list(given, path)):
        where = f"{path}[{place}]"
        name, parameters = (
            (one.get("model_name"), one.get("litellm_params")) if isinstance(one, dict) else (None,) * 2
        )
        if not isinstance(name, str) or not name or not isinstance(parameters, dict):
            draft.say(Fate.MISSING, where, _("is no model with a name and litellm_params"))
            continue
        where = f"{where} {name}"
        parameters = {str(key): value for key, value in parameters.items()}
        target = _target(parameters, where, draft)
        if target is None:
            continue
        order = parameters.get("order")
        if order is not None and type(order) is not int:
            draft.say(Fate.MISSING, f"{where}.order", _("is not usable: a number has to stand there"))
        groups[name].targets.append((order if type(order) is int else 0, target))
        info = draft.an_object(one.get("model_info"), f"{where}.model_info")
        for theirs, ours in _SIZES.items():
            size = info.get(theirs)
            if type(size) is int and 0 < size < 2_000_000_000:
                groups[name].sizes[ours] = min(size, groups[name].sizes.get(ours, size))
            elif size is not None:
                text = _("is not usable: a number has to stand there")
                draft.say(Fate.MISSING, f"{where}.model_info.{theirs}", text)
        for other in one.keys() - {"model_name", "litellm_params", "model_info"}:
            draft.say(Fate.MISSING, f"{where}.{other}", _("has no counterpart here"))
        for other in parameters.keys() - _PARAMETERS:
            draft.say(Fate.MISSING, f"{where}.{other}", _("has no counterpart here"))
        for other in info.keys() - _SIZES.keys() - {"id", "mode", "base_model"}:
            draft.say(Fate.MISSING, f"{where}.model_info.{other}", _("has no counterpart here"))


def _target(parameters: Mapping[str, Any], where: str, draft: Draft) -> DraftTarget | None:
    given = parameters.get("model")
    if not isinstance(given, str) or not given:
        draft.say(Fate.MISSING, f"{where}.model", _("is not usable: a text has to stand there"))
        return None
    asked = given
    kind, slash, model = asked.partition("/")
    named = parameters.get("custom_llm_provider")
    if not slash or kind not in _PRESETS:
        if isinstance(named, str) and named:
            kind, model = named, asked
        elif not slash:
            begun = (preset_of for start, preset_of in _BEGINNINGS if asked.startswith(start))
            kind, model = next(begun, ""), asked
    base = parameters.get("api_base") or parameters.get("base_url")
    if kind not in _PRESETS and not base:
        text = _("%(model)s is of a service that needs more than an address and a key, or is unknown")
        draft.say(Fate.MISSING, where, text % {"model": asked[:200]})
        return None
    known = _PRESETS.get(kind, "generic")
    address = str(base or preset(known).base_url)
    if variable_of(address) or "{" in address or not address:
        text = _("api_base names a variable, or is missing; an address has to stand there")
        draft.say(Fate.MISSING, where, text)
        return None
    version = parameters.get("api_version")
    slug = draft.provider(
        where,
        kind or "custom",
        address,
        parameters.get("api_key"),
        api_version="" if variable_of(version) else str(version or ""),
        known=known,
    )
    return None if slug is None else DraftTarget(slug, model or asked, _weight(parameters, where, draft))


def _weight(parameters: Mapping[str, Any], where: str, draft: Draft) -> float | None:
    weight = parameters.get("weight")
    if weight is None:
        return None
    where = f"{where}.weight"
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not (weight == 0 or _LEAST_WEIGHT <= weight <= _MOST_WEIGHT):
        draft.say(Fate.MISSING, where, _("is not usable: a number has to stand there"))
        return None
    if not draft.weights:
        draft.say(Fate.CHANGED, where, _("targets are tried in their order, without shares"))
        return None
    if weight:
        draft.say(Fate.TAKEN, where, _("share %(weight)s") % {"weight": weight})
    else:
        draft.say(Fate.CHANGED, where, _("no share: disabled where another one of the model has a weight"))
    return float(weight)


def _names(given: Any, path: str, groups: Mapping[str, _Group], draft: Draft) -> list[str]:
    """The names of groups in a list of fallbacks; others are said to be missing."""
    found = []
    for one in draft.a_list(given, path):
        if isinstance(one, str) and one in groups:
            found.append(one)
        else:
            shown = str(one)[:100] if isinstance(one, str) else "{…}"
            draft.say(Fate.MISSING, path, _("%(name)s is no model of model_list") % {"name": shown})
    return found


def _fallbacks(
    given: Any, path: str, groups: Mapping[str, _Group], into: dict[str, list[str]], draft: Draft
) -> None:
    for place, one in enumerate(draft.a_list(given, path)):
        for name, others in draft.an_object(one, f"{path}[{place}]").items():
            where = f"{path}[{place}].{name}"
            found = _names(others, where, groups, draft)
            if name not in groups and name != "*":
                draft.say(
                    Fate.MISSING, where, _("%(name)s is no model of model_list") % {"name": str(name)[:100]}
                )
            elif found:
                into.setdefault(str(name), []).extend(found)
                draft.say(Fate.TAKEN, where, _("further targets: %(names)s") % {"names": ", ".join(found)})


def _aliases(given: Any, path: str, groups: dict[str, _Group], behind: _Fallbacks, draft: Draft) -> None:
    for alias, meant in draft.an_object(given, path).items():
        name = meant.get("model") if isinstance(meant, dict) else meant
        if not isinstance(name, str) or name not in groups or alias in groups:
            draft.say(Fate.MISSING, f"{path}.{alias}", _("is no other name of a model of model_list"))
        else:
            groups[alias] = groups[name]
            behind.meant[alias] = behind.meant.get(name, name)
            draft.say(
                Fate.TAKEN, f"{path}.{alias}", _("a mapping of its own, like %(name)s") % {"name": name}
            )


def _master_key(value: Any, path: str, draft: Draft) -> None:
    draft.key(path, "litellm-master", value)
    draft.say(Fate.CHANGED, path, _("is a client key here: it asks for models, and administers nothing"))


def _mappings(groups: Mapping[str, _Group], behind: _Fallbacks, draft: Draft) -> None:
    # exact names beat patterns; of patterns the longer one first, as there
    for name, group in sorted(groups.items(), key=lambda one: ("*" in one[0], -len(one[0]))):
        # what stands behind a model has a share of its own model, and none of this one
        others = [one.as_fallback for one in _targets_of(behind.of(name), groups)]
        targets = [*group.ordered, *others]
        first, *rest = behind.longer_of(name) or [""]
        longer = [*(_targets_of([first], groups) if first else ())]
        longer += [one.as_fallback for one in _targets_of(rest, groups)]
        window = group.sizes.get("context_window")
        if longer and window is not None:
            draft.mapping(
                name, longer, {"input_tokens": {"from": window + 1}}, note="context_window_fallbacks"
            )
        elif longer:
            text = _("model_info.max_input_tokens does not say from how many tokens on")
            draft.say(Fate.MISSING, f"context_window_fallbacks.{name}", text)
        draft.mapping(name, targets, None, **group.sizes)
        text = _("rule for %(pattern)s, %(count)d targets")
        count = len({(one.provider, one.model) for one in targets})
        draft.say(Fate.TAKEN, f"model_list: {name}", text % {"pattern": name, "count": count})


def _targets_of(names: Iterable[str], groups: Mapping[str, _Group]) -> list[DraftTarget]:
    return [target for name in names for target in groups[name].ordered if target.enabled]
