"""explainroute MODEL: which mapping wins, which target is asked first, and why."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.client_protocol.purpose import CONDITIONS, condition
from gateway.config.explain.explanation import Explanation, TargetStanding, explained
from gateway.models import ClientKey


class Command(BaseCommand):
    help = _(
        "Say where a request for MODEL goes: the mapping, its targets in order, how they stand, and why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help=_("The model a client asks for."))
        parser.add_argument("--key", metavar="NAME", help=_("Ask with the client key of this name."))
        parser.add_argument(
            "--class",
            dest="asked_class",
            choices=CONDITIONS,
            default="unknown",
            help=_("What the request is for, as mappings with the condition class see it."),
        )

    def handle(self, *_args: Any, model: str, key: str | None, asked_class: str, **__: Any) -> None:
        record = None
        if key is not None:
            record = ClientKey.objects.filter(name=key).first()
            if record is None:
                raise CommandError(_("No client key has the name %(name)s.") % {"name": key})
        explanation = explained(model, record, condition(asked_class))
        for line in lines(explanation):
            self.stdout.write(line)
        if explanation.problem:
            raise CommandError(explanation.problem)


def lines(explanation: Explanation) -> list[str]:
    """The explanation as text."""
    found = []
    if explanation.mapping is not None:
        facts = {"model": explanation.asked_model, "mapping": explanation.mapping.rule.pattern}
        found.append(_("%(model)s matches the mapping %(mapping)s.") % facts)
        found.append("  " + explanation.mapping.reason)
    if explanation.targets:
        found.append(_("Its targets, in order:"))
    for target in explanation.targets:
        found += _target_lines(target, first=target == explanation.first and not explanation.problem)
    losers = [candidate for candidate in explanation.candidates if not candidate.won]
    if losers:
        found.append(_("Other mappings that match:"))
        found += [f"  {candidate.rule.pattern}: {candidate.reason}" for candidate in losers]
    return found


def _target_lines(target: TargetStanding, *, first: bool) -> list[str]:
    name = target.upstream_model or _("the asked name")
    mark = f"  <- {_('asked first')}" if first else ""
    where = f" ({target.base_url})" if target.base_url else ""
    head = f"  {target.number}. {name} @ {target.provider}{where}{mark}"
    states = [f"     {state}" for state in target.states]
    return [head, *(states or [f"     {_('nothing speaks against it')}"])]
