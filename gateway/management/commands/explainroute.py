"""explainroute MODEL: which mapping wins, which target is asked first, and why."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from gateway.client_protocol.purpose import CONDITIONS
from gateway.config.explain.explanation import Explanation, TargetStanding, explained
from gateway.config.explain.given_facts import NAMES, BadFact, facts_given, facts_of_request
from gateway.config.snapshot.loader import load
from gateway.models import ClientKey, RequestLog


class Command(BaseCommand):
    help = _(
        "Say where a request for MODEL goes: the mapping, its targets in order with their state, and why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "model", nargs="?", help=_("The model a client asks for. With --request it may be left out.")
        )
        parser.add_argument("--key", metavar="NAME", help=_("Ask with the client key of this name."))
        parser.add_argument(
            "--class",
            dest="asked_class",
            choices=CONDITIONS,
            help=_("What the request is for, as mappings with the condition class see it."),
        )
        parser.add_argument(
            "--fact",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=_("A fact of the request, as often as needed: %(names)s, header.NAME.")
            % {"names": ", ".join(NAMES)},
        )
        parser.add_argument(
            "--session",
            default="",
            metavar="ID",
            help=_("Ask in this session, for mappings that divide sessions."),
        )
        parser.add_argument(
            "--request", metavar="ID", help=_("Take model, key and facts of this request of the history.")
        )

    def handle(
        self,
        *_args: Any,
        model: str | None,
        key: str | None,
        asked_class: str | None,
        fact: list[str],
        request: str | None,
        session: str,
        **__: Any,
    ) -> None:
        row = None
        if request is not None:
            row = RequestLog.objects.select_related("client_key").filter(request_id=request).first()
            if row is None:
                raise CommandError(_("The history has no request %(id)s.") % {"id": request})
        asked = model or (row.asked_model if row else "")
        if not asked:
            raise CommandError(_("Name a model, or a request with --request."))
        record = row.client_key if row is not None else None
        if key is not None:
            record = ClientKey.objects.filter(name=key).first()
            if record is None:
                raise CommandError(_("There is no client key %(name)s.") % {"name": key})
        given = facts_of_request(row) if row is not None else {}
        given.update(one.partition("=")[::2] for one in fact)
        if asked_class:
            given["class"] = asked_class
        try:
            facts = facts_given(given, load(), record)
        except BadFact as problem:
            raise CommandError(str(problem)) from problem
        if given:
            self.stdout.write(
                _("Facts: %(facts)s")
                % {"facts": ", ".join(f"{name}={value}" for name, value in given.items())}
            )
        explanation = explained(asked, record, facts, session)
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
    if explanation.division:
        found.append("  " + explanation.division)
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
    share = "" if target.share is None else f", {target.share:.3g} %"
    head = f"  {target.number}. {name} @ {target.provider}{where}{share}{mark}"
    states = [f"     {state}" for state in target.states]
    return [head, *(states or [f"     {_('nothing speaks against it')}"])]
