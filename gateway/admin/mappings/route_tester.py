"""'Where would it go?': a model and the facts of a request, typed in or taken from the history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from gateway.client_protocol.purpose import CONDITIONS
from gateway.config.explain.explanation import explained
from gateway.config.explain.given_facts import (
    FLAGS,
    NUMBERS,
    BadFact,
    facts_given,
    facts_of_request,
    given_from,
)
from gateway.config.explain.option_provenance import options_of_name
from gateway.config.snapshot.loader import load
from gateway.models import ClientKey, RequestLog
from gateway.models.configuration.condition_words import fact_words
from gateway.models.history.request_log import class_words
from gateway.routing.facts import HEADER, NO_FACTS
from gateway.routing.snapshot import MappingRule

_EXAMPLES = {
    "agent_type": "Explore",
    "effort": "high",
    "tools.name": "WebSearch, mcp__github__*",
    "client": "claude-cli/2.1.332",
    "time": "2026-11-30 18:00",
}


@dataclass(frozen=True, slots=True)
class FactField:
    """One input of the tester; `kind` is number, flag or text."""

    name: str
    label: str
    kind: str
    value: str
    example: str = ""


def tested(request: HttpRequest) -> dict[str, Any]:
    """GET ?model=NAME&key=PK&session=ID&FACT=VALUE…: which mapping wins, where it leads, which lose, and why.

    `request=ID` fills model, key and facts from that request.
    """
    given = given_from(request.GET.dict())
    asked, keys = request.GET.get("model", "").strip(), keys_to_ask_with(request)
    key_pk, wanted, problem = request.GET.get("key", ""), request.GET.get("request", "").strip(), ""
    session = request.GET.get("session", "").strip()[:128]
    if wanted:
        row = _row(request, wanted)
        if row is None:
            problem = _("The history has no request %(id)s.") % {"id": wanted[:100]}
        else:
            asked, key_pk, given = row.asked_model, str(row.client_key_id or ""), facts_of_request(row)
            session = row.session_id
    key = next((one for one in keys if str(one.pk) == key_pk), None)
    facts, snapshot = NO_FACTS, load()
    try:
        facts = facts_given(given, snapshot, key)
    except BadFact as bad:
        problem = str(bad)
    explain = bool(asked) and not problem
    return {
        **tester(request, given, snapshot.rules),
        "asked": asked,
        "keys": keys,
        "key": key,
        "session": session,
        "problem": problem,
        "given": [(fact_words(name), value) for name, value in given.items()],
        "explanation": explained(asked, key, facts, session) if explain else None,
        "in_force": options_of_name(asked, facts) if explain else (),
    }


def tester(request: HttpRequest, given: dict[str, str], rules: Iterable[MappingRule]) -> dict[str, Any]:
    """The context of the tester's form, on its own page and above the list of mappings."""
    headers = {
        fact.removeprefix(HEADER)
        for rule in rules
        for fact, _test in rule.condition.tests
        if fact.startswith(HEADER)
    }
    texts = [*_EXAMPLES, *(f"header.{name}" for name in sorted(headers))]
    return {
        "classes": [(name, class_words(name)) for name in CONDITIONS],
        "asked_class": given.get("class", ""),
        "numbers": [_field(name, "number", given) for name in NUMBERS],
        "flags": [_field(name, "flag", given) for name in FLAGS],
        "texts": [_field(name, "text", given) for name in texts],
        "facts_given": bool(given.keys() - {"class"}),
        "may_load": request.user.has_perm("gateway.view_requestlog"),
        "keys": keys_to_ask_with(request),
    }


def keys_to_ask_with(request: HttpRequest) -> list[ClientKey]:
    """The client keys to choose from, for users who may see them."""
    if not request.user.has_perm("gateway.view_clientkey"):
        return []
    return list(ClientKey.objects.select_related("user").order_by("name"))


def _row(request: HttpRequest, wanted: str) -> RequestLog | None:
    """The request with this id; None for users who may not see it."""
    if not request.user.has_perm("gateway.view_requestlog"):
        return None
    return RequestLog.objects.filter(request_id=wanted).first()


def _field(name: str, kind: str, given: dict[str, str]) -> FactField:
    return FactField(name, fact_words(name), kind, given.get(name, ""), _EXAMPLES.get(name, ""))
