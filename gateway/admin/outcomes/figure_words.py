"""Figures in words: titles, explanations, and values with units."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.history.outcomes.figures import FigureKind, Unit
from gateway.history.outcomes.intervals import Estimate

# title and explanation of each figure
WORDS: Final[dict[str, tuple[Any, Any]]] = {
    "failures": (_("Failures"), _("requests that ended in an error, of those that ended by themselves")),
    "failed_attempts": (
        _("Failed attempts"),
        _("calls of this target that failed, also where another target answered then"),
    ),
    "refusals": (_("Refusals"), _("answers that ended in a refusal")),
    "cut_answers": (_("Cut answers"), _("answers that ended at the token limit or at the end of the window")),
    "calls_per_turn": (_("Tool calls per turn"), _("tool calls of an answer")),
    "tool_errors": (_("Tool errors"), _("calls whose result was an error, of those that the person allowed")),
    "edit_errors": (_("Errors of Edit"), _("the same for Edit alone")),
    "write_errors": (_("Errors of Write"), _("the same for Write alone")),
    "rejected_calls": (_("Rejected calls"), _("calls that the person did not allow")),
    "repaired_arguments": (_("Repaired arguments"), _("calls whose arguments the gateway had to put right")),
    "invalid_arguments": (
        _("Invalid arguments"),
        _("calls that the client refused because their arguments do not fit the tool"),
    ),
    "unknown_tools": (_("Unknown tools"), _("calls of tools that were not offered")),
    "loops": (_("Loops"), _("calls that repeat a call of the twelve requests before, with the same result")),
    "interruptions": (_("Interruptions"), _("requests after which the person stopped the model")),
    "turns_per_prompt": (_("Turns per prompt"), _("answers to one message of a person")),
    "tokens_per_prompt": (
        _("Tokens per prompt"),
        _("tokens in and out for one message of a person, those from the cache included"),
    ),
    "cost_per_prompt": (_("Cost per prompt"), _("of one message of a person, at this target")),
    "cost_per_session": (_("Cost per session"), _("of one session, at this target")),
    "compactions": (_("Compactions per session"), _("how often a conversation became too long")),
    "first_byte": (_("Time to first byte"), _("half of the answers began within this time")),
    "tokens_per_second": (_("Tokens a second"), _("from the first byte on")),
    "cache_hits": (_("From the cache"), _("the share of the tokens in that were read from the prompt cache")),
}


VERDICTS: Final = {"better": _("better"), "worse": _("worse"), "more": _("more"), "less": _("less")}
_QUIET: Final = '<span class="gw-quiet">{}</span>'
_VERDICT: Final = '<span class="gw-verdict gw-{}">{}</span>'
_BELOW: Final = '<small class="gw-quiet">{}</small>'


class FigureCell(NamedTuple):
    """One figure of one target.

    `verdict`: better or worse than the first target, or "" if the difference is not significant.
    """

    value: str
    interval: str
    number: str
    too_few: bool
    verdict: str
    url: str

    @property
    def html(self) -> SafeString:
        """The HTML of the cell, made in Python because a table has hundreds of cells."""
        told = f"{self.interval} · {self.number}"
        shown: str = format_html('<a href="{}">{}</a>', self.url, self.value) if self.url else self.value
        if self.too_few:
            told, shown = f"{self.value} · {self.number}", format_html(_QUIET, gettext("too few to tell"))
        verdict = format_html(_VERDICT, self.verdict, VERDICTS[self.verdict]) if self.verdict else ""
        below = format_html(_BELOW, told) if self.number else ""
        return format_html('<td class="gw-figure">{}{}{}</td>', shown, verdict, below)


def cell(kind: FigureKind, found: Estimate, first: Estimate | None, url: str) -> FigureCell:
    """A figure compared with that of the first target; None if this is the first target."""
    if found.value is None:
        return FigureCell("–", "", "", False, "", "")
    interval = gettext("%(low)s to %(high)s") % {
        "low": value_in_words(kind.unit, found.low),
        "high": value_in_words(kind.unit, found.high),
    }
    return FigureCell(
        value_in_words(kind.unit, found.value),
        interval,
        f"{found.number:,}",
        found.too_few,
        _verdict(kind, found, first),
        url,
    )


def _verdict(kind: FigureKind, found: Estimate, first: Estimate | None) -> str:
    if first is None or not found.differs_from(first) or found.value is None or first.value is None:
        return ""
    more = found.value > first.value
    if not kind.good:
        return "more" if more else "less"
    return "better" if more == (kind.good > 0) else "worse"


def value_in_words(unit: Unit, value: float) -> str:
    """A value with its unit."""
    match unit:
        case "share":
            return f"{value * 100:.1f} %"
        case "dollars":
            return f"${value:,.2f}" if value >= 1 else f"${value:.4f}"
        case "milliseconds":
            return f"{value / 1000:.2f} {gettext('s')}"
        case "tokens":
            return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}"
