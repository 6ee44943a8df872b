"""importfrom: imports the configuration of claude-code-router or LiteLLM, and reports on each line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.config.file.document import imported
from gateway.config.file.fields import Unusable
from gateway.config.moving_in import claude_code_router, litellm_keys, litellm_proxy
from gateway.config.moving_in.draft import Draft, Fate
from gateway.config.moving_in.readers import LARGEST, UnreadableFile, loose_json, yaml_object
from gateway.config.snapshot.rules import mapping_rules
from gateway.models import MappingTarget, Origin, Provider
from gateway.models.configuration.condition_words import sentence_of
from gateway.routing.reach import never_reached

_WORDS: Final = {
    Fate.TAKEN: gettext_lazy("taken"),
    Fate.CHANGED: gettext_lazy("changed"),
    Fate.MISSING: gettext_lazy("no counterpart"),
}
# notes of the mappings that are made, by which a second import finds them again
_TITLES: Final = {"ccr": "claude-code-router", "litellm": "LiteLLM"}


class Command(BaseCommand):
    help = _("Import the configuration of another gateway, and say what becomes of each line.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("gateway", choices=("ccr", "litellm"), help=_("claude-code-router, or LiteLLM."))
        parser.add_argument("file", help=_("Its config.json, or config.yaml."))
        parser.add_argument(
            "--keys", metavar="FILE", help=_("LiteLLM: the answer of /key/list?return_full_object=true.")
        )
        parser.add_argument("--dry-run", action="store_true", help=_("Only say what would change."))

    def handle(self, *_args: Any, **given: Any) -> None:
        draft = Draft(
            present=dict(Provider.objects.filter(origin=Origin.ADMIN).values_list("slug", "base_url")),
            weights=any(field.name == "weight" for field in MappingTarget._meta.get_fields()),
            source=_TITLES[given["gateway"]],
        )
        text = _text(given["file"])
        try:
            if given["gateway"] == "ccr":
                claude_code_router.translated(loose_json(text), draft)
            else:
                litellm_proxy.translated(yaml_object(text), draft)
                if given["keys"]:
                    litellm_keys.translated(json.loads(_text(given["keys"])), draft)
        except UnreadableFile as problem:
            raise CommandError(str(problem)) from problem
        except ValueError as problem:
            raise CommandError(_("The list of keys is not JSON.")) from problem
        for line in draft.lines:
            self.stdout.write(f"{_WORDS[line.fate]}: {line.path}: {line.text}")
        try:
            lines = imported(draft.document, dry_run=given["dry_run"], secrets=draft.secrets, foreign=True)
        except Unusable as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write("")
        for said in lines:
            self.stdout.write(said)
        if not given["dry_run"]:
            self._warn_of_unreached()
        changes = sum(not line.startswith("!") for line in lines)
        if given["dry_run"]:
            counted = ngettext("%d change would be made.", "%d changes would be made.", changes)
        else:
            counted = ngettext("%d change made.", "%d changes made.", changes)
        self.stdout.write(counted % changes)

    def _warn_of_unreached(self) -> None:
        rules = mapping_rules()
        patterns = {rule.id: rule.pattern for rule in rules}
        for pk, why in never_reached(rules).items():
            if why.winner is not None:
                text = _("! %(pattern)s is never reached: %(first)s stands before it.")
                self.stdout.write(text % {"pattern": patterns[pk], "first": why.winner.pattern})
            elif why.flaw is not None:
                self.stdout.write(f"! {patterns[pk]}: {sentence_of(why.flaw)}")


def _text(name: str) -> str:
    path = Path(name)
    try:
        if path.stat().st_size > LARGEST:
            raise CommandError(_("%(path)s is larger than 5 MB.") % {"path": path})
        return path.read_text("utf-8-sig")
    except OSError as problem:
        raise CommandError(f"{path}: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise CommandError(_("%(path)s is not UTF-8.") % {"path": path}) from problem
