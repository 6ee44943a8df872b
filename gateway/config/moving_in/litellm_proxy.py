"""LiteLLM's config.yaml: its model_list, fallbacks and aliases, and the list of its virtual keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from django.utils.translation import gettext as _

from gateway import patterns
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
_DURATION: Final = patterns.compiled(r"([0-9]{1,6})(s|m|h|d|w|mo)")
_DAYS: Final = {"s": 1 / 86400, "m": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "mo": 30}
_PERIODS: Final = {"day": 1, "week": 7, "month": 30}
# what the column of a budget can hold
_MOST_BUDGET: Final = 10**10
# words in a key's list of models
_EVERY_MODEL: Final = frozenset({"all-proxy-models"})
_TEAMS_MODELS: Final = "all-team-models"
_NO_MODEL: Final = "no-default-models"
_LIMITS: Final = {
    "rpm_limit": "requests_per_minute",
    "tpm_limit": "input_tokens_per_minute",
    "max_parallel_requests": "concurrent_requests",
}


@dataclass
class _Group:
    """The deployments of one model name, each with its place in their order."""

    targets: list[tuple[int, DraftTarget]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def ordered(self) -> list[DraftTarget]:
        return [target for _order, target in sorted(self.targets, key=lambda one: one[0])]


def translated(config: Mapping[str, Any], draft: Draft) -> None:
    """Put what the file says into the draft, and every line of it into the report."""
    groups: dict[str, _Group] = defaultdict(_Group)
    settings: dict[str, Any] = {
        name: config.get(name) if isinstance(config.get(name), dict) else {}
        for name in ("litellm_settings", "router_settings", "general_settings")
    }
    draft.each(
        config,
        "",
        {"model_list": lambda value, path: _models(value, path, groups, draft), **dict.fromkeys(settings)},
    )
    behind = _Fallbacks()
    dealt_with = {
        "fallbacks": lambda value, path: _fallbacks(value, path, groups, behind.after, draft),
        "default_fallbacks": lambda value, path: behind.everywhere.extend(_names(value, path, groups, draft)),
        "context_window_fallbacks": lambda value, path: _fallbacks(value, path, groups, behind.longer, draft),
        "model_group_alias": lambda value, path: _aliases(value, path, groups, draft),
    }
    for name in ("litellm_settings", "router_settings"):
        draft.each(settings[name] or {}, name, dealt_with)
    draft.each(
        settings["general_settings"] or {},
        "general_settings",
        {"master_key": lambda value, path: _master_key(value, path, draft)},
    )
    _mappings(groups, behind, draft)


@dataclass
class _Fallbacks:
    """The groups behind a group when it fails, behind each, and for what is too long for it."""

    after: dict[str, list[str]] = field(default_factory=dict)
    everywhere: list[str] = field(default_factory=list)
    longer: dict[str, list[str]] = field(default_factory=dict)


def _models(given: Any, path: str, groups: dict[str, _Group], draft: Draft) -> None:
    for place, one in enumerate(given if isinstance(given, list) else []):
        where = f"{path}[{place}]"
        name, parameters = (
            (one.get("model_name"), one.get("litellm_params")) if isinstance(one, dict) else (None,) * 2
        )
        if not isinstance(name, str) or not name or not isinstance(parameters, dict):
            draft.say(Fate.MISSING, where, _("is no model with a name and litellm_params"))
            continue
        where = f"{where} {name}"
        target = _target(parameters, where, draft)
        if target is None:
            continue
        order = parameters.get("order")
        groups[name].targets.append((order if isinstance(order, int) else 0, target))
        info = one.get("model_info") if isinstance(one.get("model_info"), dict) else {}
        for theirs, ours in _SIZES.items():
            size = info.get(theirs)
            if isinstance(size, int) and 0 < size < 2_000_000_000:
                groups[name].sizes[ours] = min(size, groups[name].sizes.get(ours, size))
        for other in parameters.keys() - _PARAMETERS:
            draft.say(Fate.MISSING, f"{where}.{other}", _("has no counterpart here"))
        for other in info.keys() - _SIZES.keys() - {"id", "mode", "base_model"}:
            draft.say(Fate.MISSING, f"{where}.model_info.{other}", _("has no counterpart here"))


def _target(parameters: Mapping[str, Any], where: str, draft: Draft) -> DraftTarget | None:
    asked = str(parameters.get("model") or "")
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
    weight = parameters.get("weight")
    share = weight if isinstance(weight, int) and 0 <= weight <= 1_000_000 else None
    if weight is not None:
        if draft.weights and share is not None:
            draft.say(Fate.TAKEN, f"{where}.weight", _("share %(weight)s") % {"weight": share})
        else:
            draft.say(Fate.CHANGED, f"{where}.weight", _("targets are tried in their order, without shares"))
    return None if slug is None else DraftTarget(slug, model or asked, share)


def _names(given: Any, path: str, groups: Mapping[str, _Group], draft: Draft) -> list[str]:
    """The names of groups in a list of fallbacks; others are said to be missing."""
    found = []
    for one in given if isinstance(given, list) else []:
        if isinstance(one, str) and one in groups:
            found.append(one)
        else:
            shown = str(one)[:100] if isinstance(one, str) else "{…}"
            draft.say(Fate.MISSING, path, _("%(name)s is no model of model_list") % {"name": shown})
    return found


def _fallbacks(
    given: Any, path: str, groups: Mapping[str, _Group], into: dict[str, list[str]], draft: Draft
) -> None:
    for place, one in enumerate(given if isinstance(given, list) else []):
        for name, others in one.items() if isinstance(one, dict) else ():
            where = f"{path}[{place}].{name}"
            found = _names(others, where, groups, draft)
            if name not in groups and name != "*":
                draft.say(
                    Fate.MISSING, where, _("%(name)s is no model of model_list") % {"name": str(name)[:100]}
                )
            elif found:
                into.setdefault(str(name), []).extend(found)
                draft.say(Fate.TAKEN, where, _("further targets: %(names)s") % {"names": ", ".join(found)})


def _aliases(given: Any, path: str, groups: dict[str, _Group], draft: Draft) -> None:
    for alias, meant in given.items() if isinstance(given, dict) else ():
        name = meant.get("model") if isinstance(meant, dict) else meant
        if not isinstance(name, str) or name not in groups or str(alias) in groups:
            draft.say(Fate.MISSING, f"{path}.{alias}", _("is no other name of a model of model_list"))
        else:
            groups[str(alias)] = groups[name]
            draft.say(
                Fate.TAKEN, f"{path}.{alias}", _("a mapping of its own, like %(name)s") % {"name": name}
            )


def _master_key(value: Any, path: str, draft: Draft) -> None:
    draft.key(path, "litellm-master", value)
    draft.say(Fate.CHANGED, path, _("is a client key here: it asks for models, and administers nothing"))


def _mappings(groups: Mapping[str, _Group], behind: _Fallbacks, draft: Draft) -> None:
    # exact names beat patterns; of patterns the longer one first, as there
    for name, group in sorted(groups.items(), key=lambda one: ("*" in one[0], -len(one[0]))):
        others = [*behind.after.get(name, behind.after.get("*", ())), *behind.everywhere]
        targets = [*group.ordered, *_targets_of(others, groups)]
        longer = _targets_of(behind.longer.get(name, ()), groups)
        window = group.sizes.get("context_window")
        if longer and window is not None:
            draft.mapping(
                name, longer, {"input_tokens": {"from": window + 1}}, note="context_window_fallbacks"
            )
        elif longer:
            text = _("model_info.max_input_tokens does not say from how many tokens on")
            draft.say(Fate.MISSING, f"context_window_fallbacks.{name}", text)
        draft.mapping(name, dict.fromkeys(targets), None, **group.sizes)
        text = _("rule for %(pattern)s, %(count)d targets")
        draft.say(Fate.TAKEN, f"model_list: {name}", text % {"pattern": name, "count": len(set(targets))})


def _targets_of(names: Iterable[str], groups: Mapping[str, _Group]) -> list[DraftTarget]:
    return [target for name in names for target in groups[name].ordered]


def keys_translated(listed: Any, draft: Draft) -> None:
    """The virtual keys that LiteLLM lists (`/key/list?return_full_object=true`), by their digests.

    The list has no secrets; clients go on with the keys they have.
    """
    entries = listed.get("keys") if isinstance(listed, dict) else listed
    for place, one in enumerate(entries if isinstance(entries, list) else []):
        where = f"keys[{place}]"
        digest = one.get("token") if isinstance(one, dict) else None
        if (
            not isinstance(digest, str)
            or len(digest) != 64
            or not all(c in "0123456789abcdef" for c in digest)
        ):
            draft.say(Fate.MISSING, where, _("has no token digest; list keys with return_full_object=true"))
            continue
        name = str(one.get("key_alias") or one.get("key_name") or f"litellm-{digest[:8]}")[:100]
        if one.get("blocked"):
            draft.say(Fate.MISSING, f"{where} {name}", _("is blocked there"))
            continue
        models = [str(model) for model in one["models"]] if isinstance(one.get("models"), list) else []
        allowed = [model for model in models if model not in _EVERY_MODEL]
        if _NO_MODEL in models:
            draft.say(Fate.MISSING, f"{where} {name}", _("may use no model; there are no such keys here"))
            continue
        if _TEAMS_MODELS in models:
            text = _("is every model here; name those of the team in allowed models")
            draft.say(Fate.CHANGED, f"{where} {name}.models", text)
            allowed = []
        entry: dict[str, Any] = {
            "name": name,
            "key": {"sha256": digest},
            "allowed_models": [] if _EVERY_MODEL & set(models) else allowed,
            **_budget(one, f"{where} {name}", draft),
        }
        for theirs, ours in _LIMITS.items():
            if isinstance(one.get(theirs), int) and one[theirs] > 0:
                entry[ours] = one[theirs]
        if isinstance(one.get("expires"), str):
            entry["expires_at"] = one["expires"]
        draft.keys.append(entry)
        draft.say(Fate.TAKEN, f"{where} {name}", _("client key; clients go on with it"))
        if one.get("tpm_limit"):
            draft.say(Fate.CHANGED, f"{where}.tpm_limit", _("is a limit of input tokens a minute"))


def _budget(one: Mapping[str, Any], where: str, draft: Draft) -> dict[str, Any]:
    most = one.get("max_budget")
    if not isinstance(most, int | float) or isinstance(most, bool) or not 0 <= most < _MOST_BUDGET:
        return {}
    found = _DURATION.fullmatch(str(one.get("budget_duration") or ""))
    days = int(found.group(1)) * _DAYS[found.group(2)] if found else None
    period = "month" if days is None else "day" if days <= 1 else "week" if days <= 7 else "month"
    if days is None:
        text = _("is a budget a month here; there it is one for all time")
        draft.say(Fate.CHANGED, f"{where}.max_budget", text)
    elif days != _PERIODS[period]:
        texts = {
            "day": _("is a budget a day here"),
            "week": _("is a budget a week here"),
            "month": _("is a budget a month here"),
        }
        draft.say(Fate.CHANGED, f"{where}.budget_duration", texts[period])
    # to whole cents, and never to more than it was
    cents = Decimal(str(most)).quantize(Decimal("0.01"), rounding=ROUND_DOWN)
    return {"spend_budget": str(cents), "budget_period": period}
