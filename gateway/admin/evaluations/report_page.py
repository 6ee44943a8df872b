"""What the report's page shows: words for verdicts, shares with their intervals, proposals as sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.ui.html_format import NOTHING, Tone, badge
from gateway.admin.ui.sanitize import inert
from gateway.evaluation.comparison.steps import AGREEING, StepVerdict
from gateway.evaluation.proposals import CANARY, FEWEST, LEAST_AGREEMENT, MOST_FAILURES, MappingProposal
from gateway.evaluation.report import EvaluationReport, ReportedStep, StepGroup, ThreadRow, ToolRow
from gateway.evaluation.shares import Share
from gateway.models.history.request_log import class_words
from gateway.models.operation.evaluation import Judgement, StepState

VERDICTS: Final = {
    StepVerdict.SAME.value: gettext_lazy("the same"),
    StepVerdict.TARGET.value: gettext_lazy("same tool and target"),
    StepVerdict.EFFECT.value: gettext_lazy("same target, another effect"),
    StepVerdict.TOOL.value: gettext_lazy("same tool, another target"),
    StepVerdict.OTHER.value: gettext_lazy("another tool"),
    StepVerdict.STOPPED.value: gettext_lazy("a text instead of a call"),
    StepVerdict.WENT_ON.value: gettext_lazy("a call instead of a text"),
    StepVerdict.TEXT.value: gettext_lazy("both a text"),
}
_TONES: Final[dict[str, Tone]] = {
    **{verdict.value: "good" for verdict in AGREEING}, StepVerdict.TEXT.value: "plain",
}  # fmt: skip
_JUDGED: Final[dict[str, Tone]] = {"better": "good", "equal": "plain", "worse": "bad", "unclear": "plain"}


def verdict_badge(step: Any) -> SafeString:
    """The verdict on a step, in a word."""
    if step.state != StepState.DONE:
        return badge(StepState(step.state).label, "bad" if step.state == StepState.FAILED else "plain")
    return badge(VERDICTS.get(step.verdict, step.verdict), _TONES.get(step.verdict, "warn"))


def judged_badge(judgement: str) -> SafeString:
    """How the judge rates what the candidate proposed."""
    return badge(Judgement(judgement).label, _JUDGED[judgement]) if judgement else NOTHING


def tool_words(tool: str) -> str:
    """The name of the tool, or words for a step that called none."""
    return inert(tool) if tool else _("no tool")


def share(one: Share) -> SafeString:
    """`94 % (91-96)`: a share with its interval, and how many it is of."""
    if one.share is None:
        return NOTHING
    low, high = one.interval
    return format_html(
        '<span class="gw-num">{} %</span> <span class="gw-muted">({}–{}, n={})</span>',
        percent(one.share), percent(low), percent(high), one.whole,
    )  # fmt: skip


def percent(value: float) -> str:
    """A share without its percent sign, 100 and 0 only for exactly all and none."""
    whole = round(100 * value)
    if (whole == 100 and value < 1) or (whole == 0 and value > 0):
        return f"{100 * value:.1f}"
    return str(whole)


def saved(group: StepGroup) -> str:
    """How much cheaper or more expensive the candidate is."""
    if group.saved is None:
        return _("cost unknown")
    if group.saved >= 0:
        return _("%(n)s %% cheaper") % {"n": percent(group.saved)}
    return _("%(n)s %% dearer") % {"n": percent(-group.saved)}


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A row of the table by class."""

    words: str
    group: StepGroup

    @property
    def agrees(self) -> SafeString:
        return share(self.group.agrees)

    @property
    def same_tool(self) -> SafeString:
        return share(self.group.same_tool)

    @property
    def same_target(self) -> SafeString:
        return share(self.group.same_target)

    @property
    def failed(self) -> SafeString:
        return share(self.group.failed) if self.group.failed.part else NOTHING

    @property
    def overlap(self) -> str:
        return "–" if self.group.overlap is None else f"{100 * self.group.overlap:.0f} %"

    @property
    def saved(self) -> str:
        return saved(self.group)


def group_rows(found: EvaluationReport) -> list[GroupRow]:
    """All steps first, then those of each class."""
    return [GroupRow(_("all"), found.whole), *(GroupRow(class_words(one.name), one) for one in found.classes)]


def tool_rows(rows: list[ToolRow]) -> list[tuple[str, SafeString, list[tuple[str, int]]]]:
    """(tool, share that agrees, [(words, how many diverge so)])."""
    return [
        (
            tool_words(row.tool),
            share(row.agrees),
            [
                (str(words), row.verdicts[verdict])
                for verdict, words in VERDICTS.items()
                if verdict in row.verdicts and verdict not in AGREEING
            ],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A sentence, and the class for which its button makes a canary ("": no button)."""

    sentence: str
    canary: str


def proposal_rows(found: list[MappingProposal]) -> list[ProposalRow]:
    return [ProposalRow(sentence(one), "" if one.reason else one.group.name) for one in found]


def sentence(proposal: MappingProposal) -> str:
    """What is proposed for a class, or why nothing is proposed."""
    group = proposal.group
    words = class_words(group.name)
    if proposal.reason == "few":
        return ngettext(
            "%(words)s: too few to tell; %(n)s compared step, and at least %(least)s are needed.",
            "%(words)s: too few to tell; %(n)s compared steps, and at least %(least)s are needed.",
            group.agrees.whole,
        ) % {"words": words, "n": group.agrees.whole, "least": FEWEST}
    low, high = group.agrees.interval
    facts = {
        "words": words,
        "share": percent(group.agrees.share or 0),
        "low": percent(low),
        "high": percent(high),
        "saved": saved(group),
        "n": CANARY,
    }
    agrees = _("%(words)s: candidate agrees in %(share)s %% (%(low)s–%(high)s), %(saved)s") % facts
    why = {
        "": _("make it a canary of %(n)s %%.") % facts,
        "disagrees": _("no proposal: the lower bound is under %(n)s %%.") % {"n": percent(LEAST_AGREEMENT)},
        "fails": _("no proposal: more than %(n)s %% of its answers failed.") % {"n": percent(MOST_FAILURES)},
        "unpriced": _("no proposal: its cost is not known."),
        "dearer": _("no proposal: it would not save anything."),
        "no_mapping": _("no proposal: the mapping that served these requests is gone or switched off."),
    }
    return f"{agrees}: {why[proposal.reason]}"


@dataclass(frozen=True, slots=True)
class DivergenceRow:
    """One step of the list: who, where, what."""

    step: ReportedStep
    first: bool

    @property
    def session(self) -> str:
        return inert(self.step.session.split(" ")[0])

    @property
    def words(self) -> str:
        return class_words(self.step.request_class)

    @property
    def tool(self) -> str:
        return tool_words(self.step.tool)

    @property
    def verdict(self) -> SafeString:
        return verdict_badge(self.step)

    @property
    def judged(self) -> SafeString:
        return judged_badge(self.step.judgement)


def divergences(steps: list[ReportedStep], threads: list[ThreadRow]) -> list[DivergenceRow]:
    """The steps that diverge or failed, in the dataset's order, and whether each is its thread's first."""
    first = {row.first.pk for row in threads if row.first is not None}
    return [
        DivergenceRow(step, step.pk in first)
        for step in steps
        if step.state == StepState.FAILED
        or (step.state == StepState.DONE and step.verdict not in _TONES)
    ]  # fmt: skip
