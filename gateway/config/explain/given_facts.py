"""Facts of a request as texts: what a tester or a command is given, and what a stored request had.

The names are those of conditions (docs/routing.md, "Conditions"), with `tools.name` and `header.NAME`
written flat.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from gateway.client_protocol.purpose import CONDITIONS, NOTHING_KNOWN, Purpose, counted_as
from gateway.client_protocol.purpose import condition as purpose_for
from gateway.models import ClientKey, RequestLog
from gateway.routing.conditions import carries_credentials
from gateway.routing.facts import Facts, client_of
from gateway.routing.snapshot import ConfigSnapshot

NUMBERS: Final = ("input_tokens", "tools", "max_tokens")
FLAGS: Final = ("images", "pdfs", "thinking", "web_search", "structured_output", "streamed")
TEXTS: Final = ("agent_type", "effort", "tools.name", "client", "time")
NAMES: Final = ("class", *NUMBERS, *FLAGS, *TEXTS)
_HEADER: Final = "header."
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0", ""})


class BadFact(ValueError):
    """A fact that cannot be read; the message says which and why."""


def facts_given(given: Mapping[str, str], snapshot: ConfigSnapshot, key: ClientKey | None = None) -> Facts:
    """The facts of a request that comes with `key`, now unless `time` says otherwise. Raises BadFact.

    What is yes or no and not given is no; any other fact that is not given is not known.
    """
    for name in given:
        if name not in NAMES and not name.startswith(_HEADER):
            raise BadFact(
                _("%(name)s is no fact; there are: %(names)s, header.NAME.")
                % {"name": name, "names": ", ".join(NAMES)}
            )
    numbers = {name: _number(name, given.get(name, "")) for name in NUMBERS}
    tools = _list(given.get("tools.name", ""))
    groups = snapshot.group_names.get(key.user_id, frozenset()) if key and key.user_id else frozenset()
    return Facts(
        purpose=_purpose(given),
        input_tokens=numbers["input_tokens"],
        max_tokens=numbers["max_tokens"],
        tools=numbers["tools"] if numbers["tools"] is not None else len(tools),
        tool_names=frozenset(tools),
        effort=given.get("effort", ""),
        client=client_of(given.get("client", "")),
        moment=_moment(given.get("time", "")),
        key=key.name if key else "",
        owner=key.owner_name if key else "",
        groups=groups,
        headers={
            name.removeprefix(_HEADER).casefold(): value
            for name, value in given.items()
            if name.startswith(_HEADER)
        },
        **{name: _flag(name, given.get(name, "")) for name in FLAGS},
    )


def facts_of_request(row: RequestLog) -> dict[str, str]:
    """The facts of a stored request, as `facts_given` reads them; what was not kept is left out."""
    stored: Mapping[str, Any] = row.facts if isinstance(row.facts, dict) else {}
    tokens = stored.get("input_tokens") or row.vocabulary_tokens or row.estimated_input_tokens
    names = stored.get("tool_names")
    found = {
        "class": counted_as(row.request_class, row.task),
        "agent_type": row.agent_type,
        "input_tokens": str(tokens or ""),
        "images": "true" if row.has_images else "",
        "streamed": "true" if row.streamed else "",
        "client": row.client,
        "time": row.started_at.isoformat(timespec="seconds"),
        "tools.name": ", ".join(map(str, names if isinstance(names, list) else ())),
        **{name: str(stored.get(name, "")) for name in ("effort", "tools", "max_tokens")},
        **{
            name: "true"
            for name in ("pdfs", "thinking", "web_search", "structured_output")
            if stored.get(name)
        },
    }
    headers = stored.get("header")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        found[_HEADER + name] = str(value)
    return {name: text for name, text in found.items() if text}


def facts_of_row(row: RequestLog, snapshot: ConfigSnapshot) -> Facts:
    """The facts of a stored request that came with the key it names, if that still exists."""
    return facts_given(facts_of_request(row), snapshot, row.client_key)


def given_from(pairs: Mapping[str, str]) -> dict[str, str]:
    """The facts among the parameters of a page or command, without empty ones."""
    return {
        name: text.strip()
        for name, text in pairs.items()
        if text.strip() and (name in NAMES or (name.startswith(_HEADER) and not carries_credentials(name)))
    }


def _purpose(given: Mapping[str, str]) -> Purpose:
    asked = given.get("class", "")
    if asked and asked not in CONDITIONS:
        raise BadFact(
            _("class: %(name)s is none of these: %(names)s.")
            % {"name": asked, "names": ", ".join(CONDITIONS)}
        )
    purpose = purpose_for(asked) if asked else NOTHING_KNOWN
    return Purpose(purpose.request_class, task=purpose.task, agent_type=given.get("agent_type", ""))


def _number(name: str, text: str) -> int | None:
    plain = text.replace(",", "").replace("_", "").strip()
    if not plain:
        return None
    if not (plain.isascii() and plain.isdecimal() and len(plain) < 11):
        raise BadFact(_("%(name)s: %(text)s is no whole number.") % {"name": name, "text": text[:60]})
    return int(plain)


def _flag(name: str, text: str) -> bool:
    said = text.strip().casefold()
    if said not in _YES | _NO:
        raise BadFact(_("%(name)s is true or false.") % {"name": name})
    return said in _YES


def _moment(text: str) -> datetime:
    if not text:
        return timezone.now()
    plain = text.strip()
    try:
        # in an address that somebody typed, the plus sign of an offset is a blank
        found = parse_datetime(plain.replace(" ", "+") if "T" in plain else plain)
    except ValueError:
        found = None
    if found is None:
        raise BadFact(_("time: write 2026-11-30 18:00, or with an offset: 2026-11-30T18:00+01:00."))
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def _list(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]
