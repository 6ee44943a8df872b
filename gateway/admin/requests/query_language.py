"""The language of the search box: `key:laptop status:5xx cost:>0.5 tool:Bash "retry loop"`.

What is not a `name:value` of FIELDS is an id, or words of a conversation. A value with spaces stands in
quotation marks. Values of one name are alternatives; different names must all match.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, Final, NamedTuple

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from gateway.admin.requests import filters
from gateway.admin.requests.facts import fact_filters
from gateway.admin.ui import time_range
from gateway.admin.ui.list_filters import TimeFilter
from gateway.client_protocol.purpose import CONDITIONS, Task
from gateway.conversion.validation.block_checks import EFFORTS
from gateway.models import ClientKey, Provider
from gateway.models.history.request_log import CLASSES, RARE, RARE_CLASS

MOST_TERMS: Final = 30
# the most words that a page marks
_MOST_SHOWN: Final = 10
_NOTHING: Final = Q(pk__in=[])
_COMPARED: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "": "exact"}


class ParsedQuery(NamedTuple):
    """The `condition` of the fields (None without any), and the remaining `words`."""

    condition: Q | None
    words: str


def read(text: str) -> ParsedQuery:
    """Parse any text; a value without a meaning finds nothing."""
    named: dict[str, list[Q]] = defaultdict(list)
    words = []
    for term in _terms(text)[:MOST_TERMS]:
        name, colon, value = term.partition(":")
        field = FIELDS.get(name.lower()) if colon else None
        value = value.strip('"')
        if field is None or not value:
            words.append(term)
        else:
            named[name.lower()].append(_NOTHING if "\x00" in value else field.condition(value))
    condition = None
    for alternatives in named.values():
        # one condition after the other, so that the database sees partial indexes
        one = reduce(or_, alternatives)
        condition = one if condition is None else condition & one
    return ParsedQuery(condition, " ".join(words))


def wanted_words(text: str) -> list[str]:
    """The words and phrases of a text, without quotation marks, for a page to mark."""
    words = (term.strip('"').rstrip("*").strip() for term in _terms(text)[:MOST_TERMS] if not _is_named(term))
    return [word for word in dict.fromkeys(words) if word][:_MOST_SHOWN]


def _is_named(term: str) -> bool:
    name, _colon, value = term.partition(":")
    return bool(value.strip('"')) and name.lower() in FIELDS


def _terms(text: str) -> list[str]:
    """The text, split at spaces outside quotation marks."""
    terms, term, quoted = [], "", False
    for letter in text:
        if letter == '"':
            quoted = not quoted
        if letter.isspace() and not quoted:
            terms.append(term)
            term = ""
        else:
            term += letter
    return [one for one in (*terms, term) if one]


def _of_filter(kind: Any) -> Callable[[str], Q]:
    # a value without a meaning matches no request
    bare = object.__new__(kind)
    return lambda value: bare.condition(value) or _NOTHING


def _key(value: str) -> Q:
    keys = ClientKey.objects.filter(Q(name__icontains=value) | Q(last_four=value))
    return Q(client_key_id__in=list(keys.values_list("pk", flat=True)[:500])) | Q(key_name=value)


def _owner(value: str) -> Q:
    keys = ClientKey.objects.filter(Q(user__username__icontains=value) | Q(owner__icontains=value))
    return Q(client_key_id__in=list(keys.values_list("pk", flat=True)[:500]))


def _provider(value: str) -> Q:
    named = Provider.objects.filter(Q(name__icontains=value) | Q(slug__icontains=value))
    return Q(provider__in=[value, *named.values_list("slug", flat=True)[:50]])


def _model(value: str) -> Q:
    start, star, _rest = value.partition("*")
    if not star:
        return Q(asked_model=value) | Q(upstream_model=value)
    return Q(asked_model__istartswith=start) | Q(upstream_model__istartswith=start)


def _session(value: str) -> Q:
    return Q(session_id__gte=value, session_id__lt=value + "\U0010ffff")


def _class(value: str) -> Q:
    if value == Task.CLASSIFIER:
        return RARE["safety"]
    # one condition after the other, so that the database sees the index of rare classes
    rare = RARE_CLASS if value in CLASSES and value not in ("main", "unknown") else Q()
    return rare & Q(request_class=value)


def _agent(value: str) -> Q:
    return RARE_CLASS & Q(agent_type__istartswith=value)


def _tool(value: str) -> Q:
    return RARE["tools"] & Q(tools_called__icontains=f'"{value}"')


def _compared(column: str, factor: int = 1) -> Callable[[str], Q]:
    def condition(value: str) -> Q:
        sign = next((one for one in (">=", "<=", ">", "<") if value.startswith(one)), "")
        try:
            number = Decimal(value[len(sign) :].strip().lstrip("$")) * factor
        except ArithmeticError:
            # a number that Decimal cannot read, or an exponent beyond what it can multiply
            return _NOTHING
        if not number.is_finite() or abs(number) > 2_000_000_000:
            return _NOTHING
        index, least = _INDEXED.get(column, ("", Decimal("inf")))
        rare = RARE[index] if sign.startswith(">") and number >= least else Q()
        return rare & Q(**{f"{column}__{_COMPARED[sign]}": number if column == "cost" else int(number)})

    return condition


# the index that has the rows with at least so much
_INDEXED: Final = {"cost": ("dear", Decimal("0.1")), "estimated_input_tokens": ("large", Decimal(100_000))}


class Field(NamedTuple):
    """A name of the language: what it means, and sample values for completion."""

    title: Any
    condition: Callable[[str], Q]
    examples: tuple[str, ...] = ()


FIELDS: Final[dict[str, Field]] = {
    "key": Field(_("client key: part of its name, or its last four letters"), _key),
    "owner": Field(_("owner: part of the name"), _owner),
    "provider": Field(_("provider: part of its name"), _provider),
    "model": Field(_("asked or upstream model; * at the end for a beginning"), _model),
    "status": Field(
        _("HTTP status or its class"), _of_filter(filters.StatusFilter), ("2xx", "4xx", "5xx", "429")
    ),
    "state": Field(
        _("how it ended"),
        _of_filter(filters.StateFilter),
        ("failed", "ok", "error", "cancelled", "broken", "interrupted", "open"),
    ),
    "error": Field(_("error type"), _of_filter(filters.ErrorTypeFilter), filters.ERROR_TYPES),
    "stop": Field(_("stop reason"), _of_filter(filters.StopReasonFilter), filters.STOP_REASONS),
    "session": Field(_("session: the beginning of its id"), _session),
    "class": Field(_("what it was for"), _class, CONDITIONS),
    "agent": Field(_("agent type: the beginning of its name"), _agent, ("Explore", "Plan")),
    "effort": Field(_("effort"), _of_filter(fact_filters.EffortFilter), EFFORTS),
    "client": Field(
        _("client: name/version"), _of_filter(fact_filters.ClientFilter), ("claude-cli/2.1.332",)
    ),
    "group": Field(_("group of the key's owner"), _of_filter(fact_filters.GroupFilter)),
    "without": Field(
        _("what it lacks"),
        _of_filter(fact_filters.WithoutFilter),
        tuple(fact_filters.WithoutFilter.CONDITIONS),
    ),
    "estimated": Field(
        _("estimated input tokens"), _compared("estimated_input_tokens"), (">100000", "<2000")
    ),
    "tool": Field(
        _("a tool that the answer calls"), _tool, ("Bash", "Read", "Edit", "Write", "Grep", "Task")
    ),
    "with": Field(
        _("what it has"), _of_filter(fact_filters.WithFilter), tuple(fact_filters.WithFilter.CONDITIONS)
    ),
    "cost": Field(_("US dollars"), _compared("cost"), (">0.5", ">1")),
    "in": Field(_("input tokens"), _compared("input_tokens"), (">100000",)),
    "out": Field(_("output tokens"), _compared("output_tokens"), (">8000",)),
    "seconds": Field(_("how long it took, in seconds"), _compared("duration_ms", 1000), (">30", ">60")),
    "time": Field(_("when"), _of_filter(TimeFilter), tuple(time_range.NAMED)),
}
