"""Conditions of mappings in sentences: what they ask, what is wrong with one, what a request lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.client_protocol.purpose import CONDITIONS
from gateway.models.history.request_log import class_words
from gateway.routing.conditions import FACTS, BadCondition, Flaw, compiled, in_order
from gateway.routing.predicates import DAYS

FACT_WORDS: Final[Mapping[str, Any]] = {
    "class": gettext_lazy("purpose"),
    "agent_type": gettext_lazy("agent type"),
    "input_tokens": gettext_lazy("input tokens (estimated)"),
    "images": gettext_lazy("images"),
    "pdfs": gettext_lazy("PDFs"),
    "thinking": gettext_lazy("thinking"),
    "effort": gettext_lazy("effort"),
    "tools": gettext_lazy("tools offered"),
    "tools.name": gettext_lazy("a tool of the name"),
    "web_search": gettext_lazy("web search"),
    "structured_output": gettext_lazy("structured output"),
    "streamed": gettext_lazy("streamed"),
    "max_tokens": gettext_lazy("output tokens asked for"),
    "key": gettext_lazy("client key"),
    "owner": gettext_lazy("owner"),
    "group": gettext_lazy("group"),
    "client": gettext_lazy("client"),
    "time": gettext_lazy("time"),
    "header": gettext_lazy("header"),
}
DAY_WORDS: Final[Mapping[str, Any]] = dict(
    zip(
        DAYS,
        (
            gettext_lazy("Monday"),
            gettext_lazy("Tuesday"),
            gettext_lazy("Wednesday"),
            gettext_lazy("Thursday"),
            gettext_lazy("Friday"),
            gettext_lazy("Saturday"),
            gettext_lazy("Sunday"),
        ),
        strict=True,
    )
)
_FLAWS: Final[Mapping[Flaw, Any]] = {
    Flaw.NO_OBJECT: gettext_lazy("Enter a JSON object."),
    Flaw.UNKNOWN_FACT: gettext_lazy("%(detail)s is no condition; there are: %(facts)s."),
    Flaw.NO_LIST: gettext_lazy("%(fact)s takes a list of texts."),
    Flaw.EMPTY_LIST: gettext_lazy(
        "%(fact)s is an empty list, which no request meets. Leave it out if it does not matter."
    ),
    Flaw.TOO_MANY: gettext_lazy("%(fact)s takes at most %(detail)s values."),
    Flaw.NO_TEXT: gettext_lazy("%(fact)s takes texts of up to 200 characters, and %(detail)r is none."),
    Flaw.NO_FLAG: gettext_lazy("%(fact)s is true or false."),
    Flaw.NO_RANGE: gettext_lazy('%(fact)s takes a range: {"from": 1000, "to": 2000}, or one of the two.'),
    Flaw.NO_NUMBER: gettext_lazy("%(fact)s: %(detail)s is no whole number from 0 to 1000000000."),
    Flaw.REVERSED: gettext_lazy("%(fact)s: the range ends before it begins, so no request is in it."),
    Flaw.UNKNOWN_CLASS: gettext_lazy("class is a list of these: %(classes)s."),
    Flaw.NO_CLIENT: gettext_lazy(
        "client: %(detail)s is none. Write a name, and bounds of its version if they matter: "
        "claude-cli >=2.1.300 <2.2."
    ),
    Flaw.UNKNOWN_DAY: gettext_lazy("time: %(detail)s is no day; there are: %(days)s."),
    Flaw.NO_TIME: gettext_lazy(
        'time takes hours, days and a zone: {"days": ["mon"], "from": "18:00", "to": "08:00", '
        '"zone": "Europe/Berlin"}. "from" and "to" go together.'
    ),
    Flaw.EMPTY_TIME: gettext_lazy("time ends when it begins, so no request is in it."),
    Flaw.UNKNOWN_ZONE: gettext_lazy("time: there is no time zone %(detail)s. One is called Europe/Berlin."),
    Flaw.NO_HEADER: gettext_lazy(
        'header takes names with lists of values, each name once: {"x-team": ["red", "blue*"]}.'
    ),
    Flaw.CREDENTIAL_HEADER: gettext_lazy(
        "header: %(detail)s may carry a credential. Rules never look at those; name the client key instead."
    ),
    Flaw.NO_TOOLS: gettext_lazy("tools: at most 0 are asked for, and at the same time one."),
}


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo | None:
    """The time zone of a name such as Europe/Berlin; None: there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # unknown, no path within the data, or a folder of it
        return None


def problem_of(when: Any) -> str:
    """What is wrong with the conditions of a mapping, in a sentence; "" if nothing."""
    try:
        compiled(when, zone_of)
    except BadCondition as problem:
        return sentence_of(problem)
    return ""


def sentence_of(problem: BadCondition) -> str:
    """What is wrong with a condition."""
    facts = {
        "fact": problem.fact,
        "detail": problem.detail,
        "facts": ", ".join(FACTS),
        "classes": ", ".join(CONDITIONS),
        "days": ", ".join(DAYS),
    }
    return str(_FLAWS[problem.flaw] % facts)


def fact_words(fact: str) -> str:
    """The words for a fact by its name in a condition: input_tokens, tools.name, header.x-team."""
    if fact.startswith("header."):
        return _("header %(name)s") % {"name": fact.removeprefix("header.")}
    return str(FACT_WORDS.get(fact, fact))


def condition_in_words(when: Any) -> list[str]:
    """What a request must be, one phrase for each fact; of an unreadable part its JSON."""
    if not isinstance(when, dict):
        return [str(when)]
    return [phrase for fact in in_order(when) for phrase in _phrases(fact, when[fact])]


def _phrases(fact: str, wanted: Any) -> Iterable[str]:
    words = fact_words(fact)
    if fact == "class" and isinstance(wanted, list):
        yield ", ".join(class_words(str(one)) for one in wanted)
    elif isinstance(wanted, bool):
        yield (_("with %(fact)s") if wanted else _("without %(fact)s")) % {"fact": words}
    elif isinstance(wanted, list):
        yield f"{words}: {', '.join(map(str, wanted))}"
    elif fact == "time" and isinstance(wanted, dict):
        yield _time(wanted)
    elif fact == "header" and isinstance(wanted, dict):
        for name, values in wanted.items():
            shown = ", ".join(map(str, values)) if isinstance(values, list) else str(values)
            yield f"{fact_words(f'header.{name}')}: {shown}"
    elif isinstance(wanted, dict):
        yield from _range(words, wanted)
    else:
        yield f"{words}: {wanted}"


def _range(words: str, wanted: Mapping[str, Any]) -> Iterable[str]:
    low, high, named = wanted.get("from"), wanted.get("to"), wanted.get("name")
    facts = {"fact": words, "low": _number(low), "high": _number(high)}
    if low is not None and high is not None:
        yield _("%(fact)s: %(low)s to %(high)s") % facts
    elif low is not None:
        yield _("%(fact)s: from %(low)s") % facts
    elif high is not None:
        yield _("%(fact)s: up to %(high)s") % facts
    if isinstance(named, list):
        yield f"{fact_words('tools.name')}: {', '.join(map(str, named))}"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _time(wanted: Mapping[str, Any]) -> str:
    given = wanted.get("days", ())
    days = [str(DAY_WORDS.get(day, day)) for day in given] if isinstance(given, list) else [str(given)]
    hours = f"{wanted['from']}–{wanted['to']}" if "from" in wanted and "to" in wanted else ""
    return " ".join(part for part in (", ".join(days), hours, str(wanted.get("zone", "UTC"))) if part)
