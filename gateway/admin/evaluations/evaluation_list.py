"""Evaluations: the list, the form, the report, one step, and two evaluations compared."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.evaluations import report_page, step_page
from gateway.admin.evaluations.evaluation_form import EvaluationForm
from gateway.admin.ui.base import EmptyState, ReadOnlyAdmin
from gateway.admin.ui.html_format import Tone, badge, dollars, time_column
from gateway.admin.ui.sanitize import inert
from gateway.app.runtime import runtime
from gateway.evaluation import starting
from gateway.evaluation.proposals import CannotPropose, make_canary, proposals
from gateway.evaluation.report import compared, report, steps_of
from gateway.evaluation.selection import NothingSelected, make_dataset
from gateway.evaluation.spending import spent_on
from gateway.models import Dataset, Evaluation
from gateway.models.operation.evaluation import TO_BE_RUN, EvaluationState, StepState

LISTED: Final = 50
_TONES: Final[dict[str, Tone]] = {
    "waiting": "info", "running": "info", "paused": "warn", "cancelled": "plain", "capped": "warn",
    "done": "good",
}  # fmt: skip
_STANDINGS: Final = {
    "both": gettext_lazy("both agree"),
    "one": gettext_lazy("only the first agrees"),
    "other": gettext_lazy("only the second agrees"),
    "neither": gettext_lazy("neither agrees"),
    "text": gettext_lazy("both a text"),
    "none": gettext_lazy("not compared by both"),
}


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    change_list_template = "admin/gateway/evaluation/change_list.html"
    list_display = (
        "named", "candidate", "dataset", "state_shown", "progress", "spent", "started_by",
        time_column("created", gettext_lazy("started")),
    )  # fmt: skip
    list_display_links = None
    list_filter = ("state",)
    list_select_related = ("dataset", "started_by")
    search_fields = ("name", "upstream_model")
    list_per_page = 25
    empty_state = EmptyState(
        gettext_lazy("No evaluation yet"),
        gettext_lazy(
            "An evaluation asks another model for every step of recorded sessions, and compares what it "
            "would have done."
        ),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("gateway.delete_evaluation"))

    def may_start(self, request: HttpRequest) -> bool:
        """Whether the user may send recorded requests to a model, which costs money."""
        return bool(request.user.has_perm("gateway.add_evaluation"))

    def get_urls(self) -> list[URLPattern]:
        def page(address: str, view: Any, name: str) -> URLPattern:
            return path(address, self.admin_site.admin_view(view), name=f"gateway_evaluation_{name}")

        return [
            page("new/", self.new_view, "new"),
            page("<int:pk>/decide/", self.decide_view, "decide"),
            page("<int:pk>/canary/", self.canary_view, "canary"),
            page("<int:pk>/step/<int:step>/", self.step_view, "step"),
            page("<int:pk>/against/<int:other>/", self.against_view, "against"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        rows: QuerySet[Evaluation] = super().get_queryset(request)
        ended = ~Q(steps__state__in=(StepState.WAITING, StepState.ASKING))
        return rows.annotate(all_steps=Count("steps"), ended_steps=Count("steps", filter=ended))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(
            request, {"may_start": self.may_start(request), **(extra_context or {})}
        )

    # -- starting

    def new_view(self, request: HttpRequest) -> HttpResponse:
        if not self.may_start(request):
            raise PermissionDenied
        dataset = request.GET.get("dataset", "")
        initial = {"dataset": int(dataset)} if dataset.isdecimal() and len(dataset) < 10 else {}
        form = EvaluationForm(request.POST or None, user=request.user, initial=initial)
        if request.method == "POST" and form.is_valid():
            try:
                evaluation = self._started(request, form)
            except NothingSelected:
                form.add_error(None, _("No recorded step fits whose content is kept and that you may read."))
            else:
                return HttpResponseRedirect(reverse(self.page_name("change"), args=[evaluation.pk]))
        context = self.page_context(request, _("New evaluation"), form=form)
        return TemplateResponse(request, "admin/gateway/evaluation/new.html", context)

    def _started(self, request: HttpRequest, form: EvaluationForm) -> Evaluation:
        now, data = timezone.now(), form.cleaned_data
        dataset = data.get("dataset") or make_dataset(request.user, free_name(data["name"]), form.wanted, now)
        candidate, judge = form.candidate, form.chosen_judge
        return starting.start(
            request.user, dataset, data["name"], now,
            provider=candidate.provider, upstream_model=candidate.upstream_model, rule_pk=candidate.rule_id,
            judge_provider=judge.provider if judge else "",
            judge_model=judge.upstream_model if judge else "",
            judge_rule_pk=judge.rule_id if judge else None,
            spend_cap=data["spend_cap"], concurrency=data["concurrency"],
        )  # fmt: skip

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST `decision`: pause, go_on, cancel, or cap with `spend_cap`."""
        evaluation = self._evaluation(request, pk)
        if not self.may_start(request):
            raise PermissionDenied
        if request.method == "POST":
            decision = request.POST.get("decision", "")
            if decision == "pause":
                starting.pause(evaluation)
            elif decision == "go_on":
                starting.go_on(evaluation)
            elif decision == "cancel":
                starting.cancel(evaluation, timezone.now())
            elif decision == "cap":
                self._set_cap(request, evaluation)
        return self._back(evaluation)

    def _set_cap(self, request: HttpRequest, evaluation: Evaluation) -> None:
        field = EvaluationForm.base_fields["spend_cap"]
        try:
            evaluation.spend_cap = field.clean(request.POST.get("spend_cap", ""))
        except ValidationError as problem:
            messages.error(request, " ".join(problem.messages))
            return
        evaluation.save(update_fields=["spend_cap"])

    # -- reading

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        evaluation = self.get_object(request, object_id)
        if evaluation is None or not self.has_view_permission(request):
            return super().change_view(request, object_id, form_url, extra_context)
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        running = evaluation.state in TO_BE_RUN
        if running and runtime.snapshot is not None:
            # a process that has served no request yet does not run evaluations
            async_to_sync(runtime.gateway)()
        steps = steps_of(evaluation)
        found = report(evaluation)
        rows = report_page.divergences(steps, found.threads)
        others = evaluation.dataset.evaluations.exclude(pk=evaluation.pk)
        diverged = [row.first_at for row in found.threads if row.first is not None]
        context = self.page_context(
            request,
            _("Evaluation"),
            evaluation=evaluation,
            name=inert(evaluation.name),
            candidate=self.candidate(evaluation),
            judge=inert(f"{evaluation.judge_model} @ {evaluation.judge_provider}"),
            running=running,
            some_failed=evaluation.steps.filter(state=StepState.FAILED).count(),
            state=self.state_shown(evaluation),
            report=found,
            states=[(StepState(state).label, count) for state, count in sorted(found.states.items())],
            groups=report_page.group_rows(found),
            tools=report_page.tool_rows(found.tools),
            judged=[(report_page.judged_badge(name), count) for name, count in sorted(found.judged.items())],
            threads=len(found.threads),
            diverged=len(diverged),
            proposals=report_page.proposal_rows(proposals(found.classes, steps)),
            page=Paginator(rows, LISTED).get_page(request.GET.get("p")),
            others=[(one, inert(one.name), self.candidate(one)) for one in others],
            may_start=self.may_start(request),
            may_map=request.user.has_perm("gateway.add_modelmapping"),
        )
        return TemplateResponse(request, "admin/gateway/evaluation/report.html", context)

    def step_view(self, request: HttpRequest, pk: int, step: int) -> HttpResponse:
        evaluation = self._evaluation(request, pk)
        found = evaluation.steps.select_related("recorded", "evaluation").filter(pk=step).first()
        if found is None:
            raise Http404
        sides = step_page.sides(found, request.user, timezone.now())
        if sides is None:
            raise PermissionDenied
        context = self.page_context(
            request,
            _("Step of an evaluation"),
            evaluation=evaluation,
            name=inert(evaluation.name),
            step=found,
            number=found.recorded.position + 1,
            verdict=report_page.verdict_badge(found),
            judged=report_page.judged_badge(found.judgement),
            sides=sides,
        )
        return TemplateResponse(request, "admin/gateway/evaluation/step.html", context)

    def against_view(self, request: HttpRequest, pk: int, other: int) -> HttpResponse:
        """Two evaluations of one dataset, row by row, differing rows first."""
        one, second = self._evaluation(request, pk), self._evaluation(request, other)
        if one.dataset_id != second.dataset_id or one.pk == second.pk:
            raise Http404
        rows = compared(one, second)
        counts = Counter(row.standing for row in rows)
        order = list(_STANDINGS)
        differing = sorted(rows, key=lambda row: (row.standing not in ("one", "other"), row.one.position))
        page = Paginator(differing, LISTED).get_page(request.GET.get("p"))
        context = self.page_context(
            request,
            _("Two candidates"),
            one=one,
            other=second,
            names=[inert(one.name), inert(second.name)],
            candidates=[self.candidate(one), self.candidate(second)],
            costs=[spent_on(one), spent_on(second)],
            counts=[(_STANDINGS[name], counts[name]) for name in order if counts[name]],
            page=page,
            rows=[
                (
                    row,
                    inert(row.one.session.split(" ")[0]),
                    report_page.tool_words(row.one.tool or row.other.tool),
                    report_page.verdict_badge(row.one),
                    report_page.verdict_badge(row.other),
                )
                for row in page
            ],
        )
        return TemplateResponse(request, "admin/gateway/evaluation/against.html", context)

    # -- acting on it

    def canary_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST `class`: create the canary that the report proposes for it."""
        evaluation = self._evaluation(request, pk)
        if not request.user.has_perm("gateway.add_modelmapping"):
            raise PermissionDenied
        if request.method != "POST":
            return self._back(evaluation)
        asked = request.POST.get("class", "")
        found = proposals(report(evaluation).classes, steps_of(evaluation))
        chosen = next((one for one in found if one.group.name == asked and not one.reason), None)
        if chosen is None or chosen.mapping is None:
            messages.error(request, _("This proposal no longer exists."))
            return self._back(evaluation)
        note = _("Canary of the evaluation %(name)s") % {"name": evaluation.name}
        try:
            made = make_canary(evaluation, asked, chosen.mapping, note)
        except (CannotPropose, ValidationError) as problem:
            said = " ".join(problem.messages) if isinstance(problem, ValidationError) else str(problem)
            messages.error(request, _("The mapping cannot be made: %(problem)s") % {"problem": said})
            return self._back(evaluation)
        messages.success(request, _("Made. It can be undone in the log of changes."))
        return HttpResponseRedirect(reverse("admin:gateway_modelmapping_change", args=[made.pk]))

    def _evaluation(self, request: HttpRequest, pk: int) -> Evaluation:
        if not self.has_view_permission(request):
            raise PermissionDenied
        evaluation = Evaluation.objects.select_related("dataset").filter(pk=pk).first()
        if evaluation is None:
            raise Http404
        return evaluation

    def _back(self, evaluation: Evaluation) -> HttpResponse:
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[evaluation.pk]))

    # -- columns

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def named(self, evaluation: Evaluation) -> str:
        address = reverse(self.page_name("change"), args=[evaluation.pk])
        return format_html('<a class="gw-link" href="{}">{}</a>', address, inert(evaluation.name))

    @admin.display(description=gettext_lazy("candidate"))
    def candidate(self, evaluation: Evaluation) -> str:
        return inert(f"{evaluation.upstream_model or _('the asked name')} @ {evaluation.provider}")

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, evaluation: Evaluation) -> str:
        return badge(EvaluationState(evaluation.state).label, _TONES[evaluation.state])

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, evaluation: Any) -> str:
        return f"{evaluation.ended_steps} / {evaluation.all_steps}"

    @admin.display(description=gettext_lazy("spent"))
    def spent(self, evaluation: Evaluation) -> str:
        return dollars(spent_on(evaluation))


def free_name(name: str) -> str:
    """A name that no dataset has yet, derived from this one."""
    taken = set(Dataset.objects.filter(name__startswith=name[:90]).values_list("name", flat=True))
    numbered = (f"{name[:90]} ({number})" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)
