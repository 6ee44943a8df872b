"""What a new user reads at the start: who answers, where the admin is, how to start Claude Code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from unicodedata import east_asian_width

from django.utils.translation import gettext as _

from gateway.conf import GatewayConf
from gateway.config.model_lifecycle.targets import ending_targets, ending_text
from gateway.config.presets.recognise import azure_deployment
from gateway.config.startup.client_setup_text import base_url, claude_code_lines
from gateway.config.startup.environment import Synced, with_living_defaults
from gateway.config.startup.overridden import overridden
from gateway.management.invocation import command
from gateway.models import MappingTarget, Origin
from gateway.routing.snapshot import ConfigSnapshot

_INDENT = " " * 11
# services that have the default models, or may have
_WITH_USUAL_MODELS = frozenset({"openai", "openai-chat", "azure-v1", "azure-deployment", "generic"})


def section(title: str, lines: Sequence[str]) -> str:
    """A title next to its lines."""
    first, *rest = lines
    gap = " " * max(1, len(_INDENT) - width(title))
    return "\n".join([f"{title}{gap}{first}", *(f"{_INDENT}{line}".rstrip() for line in rest)])


def width(text: str) -> int:
    """The columns of a terminal that a text takes: Chinese characters take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def provider_lines(synced: Synced, conf: GatewayConf, ollama: Sequence[str] | None, today: date) -> list[str]:
    """Which provider answers. `ollama`: the models of a local Ollama; None without one."""
    if not synced.demo_only:
        remarks = [*_environment_remark(synced, conf), *overridden(with_living_defaults(conf, today))]
        return [*_real_providers(), *remarks, *_endings(conf, today)]
    return [
        _("Only the built-in demo answers now. It shows that everything works, but no model is behind it."),
        _("To set a real provider, do one of these:"),
        "- " + _("put OPENAI_API_KEY=... into .env and start again; for another service than OpenAI"),
        "  " + _("put OPENAI_BASE_URL=... there too (.env.example explains every variable)"),
        "- " + _("or add a provider and a mapping at %(address)s") % {"address": f"{base_url(conf)}/admin/"},
        *_ollama_lines(ollama),
    ]


def _real_providers() -> list[str]:
    targets = MappingTarget.objects.filter(enabled=True, mapping__enabled=True, provider__enabled=True)
    in_order = targets.select_related("mapping", "provider").order_by("mapping", "position", "pk")
    routes: dict[str, list[str]] = {}
    for target in in_order.exclude(provider__origin=Origin.DEMO):
        provider = target.provider
        facts = {"pattern": target.mapping.pattern, "model": target.upstream_model}
        route = _("%(pattern)s to %(model)s") % facts if target.upstream_model else ""
        routes.setdefault(f"{provider.name}, {provider.base_url}", []).append(route)
    lines = []
    for title, shown in routes.items():
        lines.append(title)
        named = [route for route in shown if route]
        if named:
            lines.append("  " + ", ".join(named[:6]) + (", ..." if len(named) > 6 else ""))
    return lines


def _environment_remark(synced: Synced, conf: GatewayConf) -> list[str]:
    """Settings of the environment that may not have the effect that their author expects."""
    if synced.provider is None or synced.taken_over or not conf.upstream_configured:
        return []
    usual = conf.big_model == GatewayConf().big_model
    if usual and synced.provider.preset not in _WITH_USUAL_MODELS:
        return [
            _("BIG_MODEL is still %(model)s: name its models in BIG_MODEL and SMALL_MODEL.")
            % {"model": conf.big_model}
        ]
    return []


def _endings(conf: GatewayConf, today: date) -> list[str]:
    """Models that end soon or have ended, and what replaces those of the environment."""
    asked, deployment = with_living_defaults(conf, today), azure_deployment(conf.openai_base_url)
    replaced = {
        conf.big_model: asked.big_model,
        conf.middle_model: asked.middle_model,
        conf.small_model: asked.small_model,
    }
    lines = [
        _("%(model)s has ended: %(successor)s, its successor, is asked instead. Name another in .env.")
        % {"model": model, "successor": successor}
        for model, successor in replaced.items()
        if successor not in (model, deployment)
    ]
    return lines + list(dict.fromkeys(ending_text(life, today) for _target, life in ending_targets(today)))


def _ollama_lines(models: Sequence[str] | None) -> list[str]:
    if models is None:
        return []
    if not models:
        return [_("Ollama answers on this machine but has no model yet. Get one: ollama pull qwen3-coder")]
    model = next((name for name in models if "cod" in name), models[0])
    return [
        _("Ollama answers on this machine. To use it, start with this line:"),
        f"  OPENAI_BASE_URL=http://127.0.0.1:11434/v1 BIG_MODEL={model} SMALL_MODEL={model} make run",
    ]


def claude_lines(conf: GatewayConf, snapshot: ConfigSnapshot) -> list[str]:
    """The lines for another terminal. They say where the key is, and never contain it."""
    if conf.anthropic_api_key:
        return _with_hint(conf, "...", _("the value of ANTHROPIC_API_KEY in .env"))
    # a gateway that listens for other machines needs a key
    if snapshot.anonymous_allowed and (conf.listens_on_loopback or conf.allow_anonymous):
        return claude_code_lines(base_url(conf), "anything")
    hint = _("a client key; make one with: %(command)s") % {"command": command("createclientkey NAME")}
    return _with_hint(conf, "ccp_...", hint)


def _with_hint(conf: GatewayConf, token: str, hint: str) -> list[str]:
    address, shown, start = claude_code_lines(base_url(conf), token)
    return [address, f"{shown}   # {hint}", start]
