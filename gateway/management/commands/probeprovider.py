"""probeprovider SLUG: tries a provider in four levels and says what is wrong."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.conf import gateway_conf
from gateway.config.explain import probe_messages
from gateway.config.presets.presets import preset
from gateway.config.snapshot.providers import provider_config
from gateway.models import Provider
from gateway.upstream.trial.probe import Level, probed, tried_again


class Command(BaseCommand):
    help = _(
        "Try a provider: reachable, key accepted, short answer, streamed tool call. Exit 1 when one fails."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help=_("The provider's slug."))
        parser.add_argument(
            "--model",
            default="",
            help=_("The upstream model to ask. Default: that of the first mapping to it."),
        )

    def handle(self, *_args: Any, slug: str, model: str, **__: Any) -> None:
        record = Provider.objects.filter(slug=slug).first()
        if record is None:
            known = ", ".join(Provider.objects.values_list("slug", flat=True)) or _("none")
            raise CommandError(
                _("There is no provider with the slug %(slug)s. Known: %(known)s.")
                % {"slug": slug, "known": known}
            )
        config = provider_config(record, gateway_conf())
        models_path = preset(record.preset).models_endpoint or ""
        model = model or record.first_model()
        levels = probed(config, models_path, model)
        for level in levels:
            self.stdout.write(_line(level))
        # an accepted credential is used again, in every process
        for credential, good in tried_again(config, levels, lambda alone: probed(alone, models_path, model)):
            if good:
                record.credentials.get(pk=credential.id).bring_back()
            said = _("accepted, and brought back") if good else _("still not accepted")
            self.stdout.write(_("Credential %(label)s: %(said)s") % {"label": credential.label, "said": said})
        if any(level.outcome == "failed" for level in levels):
            raise CommandError(_("The provider does not work yet."))


def _line(level: Level) -> str:
    time = f"{level.milliseconds} ms" if level.milliseconds is not None else "-"
    parts = [
        f"{probe_messages.LEVELS[level.name]!s:20} {probe_messages.OUTCOMES[level.outcome]!s:8} {time:>9}"
    ]
    if level.outcome != "passed" or level.name == "answer":
        said = f"({level.status}) {level.detail}" if level.status and level.detail else level.detail
        parts += [text for text in (probe_messages.sentence(level.code), said) if text]
    return "  ".join(parts)
