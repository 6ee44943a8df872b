"""A provider's conformance page: runs in the background, the matrix, and proposals to apply."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.admin.providers.provider_trials import ProviderTrials, known_models
from gateway.admin.ui.html_format import Tone, ago, badge, milliseconds
from gateway.config.explain import probe_messages
from gateway.models import CapabilityResult, ConformanceRun, Provider
from gateway.routing.snapshot import ProviderConfig
from gateway.upstream.trial.conformance import CAPABILITIES, Finding, conform

logger = logging.getLogger("gateway.admin")

_TONES: Final[dict[str, Tone]] = {"passed": "good", "partly": "warn", "failed": "bad"}
_MOST_MODELS: Final = 8


class ProviderConformance(ProviderTrials):
    """The view and its address; a base class of ProviderAdmin."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.conformance_view)
        return [
            path("<int:pk>/conformance/", view, name="gateway_provider_conformance"),
            *super().get_urls(),
        ]

    def conformance_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: the matrix (?piece: that alone). POST: start a run, or `apply` a proposal."""
        record = self._triable(request, pk)
        if request.method == "POST":
            if "apply" in request.POST:
                self._apply(request, record, request.POST["apply"])
            else:
                self._start(request, record, request.POST.get("test_model", "").strip()[:200])
            return HttpResponseRedirect(reverse("admin:gateway_provider_conformance", args=[pk]))
        runs = _latest_runs(record)
        context = {
            "record": record,
            "original": record,
            "runs": [_shown_run(run) for run in runs],
            "rows": _rows(runs),
            "running": any(run.is_running for run in runs),
            "may_apply": self.has_change_permission(request, record),
        }
        if "piece" in request.GET:
            return TemplateResponse(request, "admin/gateway/provider/matrix.html", context)
        context |= {"model": record.first_model(), "known_models": known_models(record)}
        page = self.page_context(request, _("Conformance"), **context)
        return TemplateResponse(request, "admin/gateway/provider/conformance.html", page)

    def _start(self, request: HttpRequest, record: Provider, model: str) -> None:
        if not model:
            self.message_user(request, _("Enter the upstream model to examine."), messages.ERROR)
            return
        if any(run.is_running for run in ConformanceRun.objects.filter(provider=record, ended_at=None)):
            self.message_user(request, _("A run is in progress; wait for its end."), messages.WARNING)
            return
        user: Any = request.user
        run = ConformanceRun.objects.create(provider=record, upstream_model=model, started_by=user)
        config = self._config(record)
        self._note_trial(request, record, _("Examined the conformance of %(url)s."), config)
        in_background(_examine, run.pk, config, model)

    def _apply(self, request: HttpRequest, record: Provider, result_pk: str) -> None:
        results = CapabilityResult.objects.filter(run__provider=record).exclude(proposal={})
        result = results.filter(pk=result_pk).first() if result_pk.isdecimal() else None
        if result is None:
            return
        if not self.has_change_permission(request, record):
            text = _("This provider cannot be changed here. Take it over first.")
            self.message_user(request, text, messages.ERROR)
            return
        before = {name: record.options.get(name) for name in result.proposal}
        record.options = {**record.options, **result.proposal}
        record.save(update_fields=["options", "updated"])
        CapabilityResult.objects.filter(pk=result.pk).update(applied_at=timezone.now())
        change = _("Profile options from the conformance run: %(after)s (before: %(before)s).")
        facts = {"after": _options_text(result.proposal), "before": _options_text(before)}
        self.log_change(request, record, change % facts)
        text = _("Applied: %(options)s. It is in force now; run the examination again to see it.")
        self.message_user(request, text % {"options": facts["after"]}, messages.SUCCESS)


def in_background(work: Callable[..., None], *arguments: Any) -> None:
    """Run `work` in a daemon thread."""
    threading.Thread(target=work, args=arguments, name="conformance", daemon=True).start()


def _examine(run_pk: int, config: ProviderConfig, model: str) -> None:
    note = ""
    try:
        conform(config, model, lambda finding: _keep(run_pk, finding))
    except Exception as problem:
        # whatever went wrong, the run ends and the page says why
        logger.exception("conformance run ended early")
        note = f"{type(problem).__name__}: {problem}"[:300]
    try:
        ConformanceRun.objects.filter(pk=run_pk).update(ended_at=timezone.now(), note=note)
    except DatabaseError as problem:
        logger.error("conformance run not ended", extra={"problem": str(problem)})
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()


def _keep(run_pk: int, finding: Finding) -> None:
    CapabilityResult.objects.create(
        run_id=run_pk,
        capability=finding.capability,
        outcome=finding.outcome,
        code=finding.code,
        detail=finding.detail.replace("\x00", "\ufffd")[:400],
        milliseconds=finding.milliseconds,
        proposal=dict(finding.proposal),
    )
    ConformanceRun.objects.filter(pk=run_pk).update(heard_at=timezone.now())


def _latest_runs(record: Provider) -> list[ConformanceRun]:
    """The latest run of each model, newest first."""
    latest: dict[str, ConformanceRun] = {}
    for run in ConformanceRun.objects.filter(provider=record).prefetch_related("results")[:100]:
        latest.setdefault(run.upstream_model, run)
    return list(latest.values())[:_MOST_MODELS]


def _shown_run(run: ConformanceRun) -> dict[str, Any]:
    done = len(run.results.all())
    if run.is_running:
        state = badge(_("%(done)d of %(all)d") % {"done": done, "all": len(CAPABILITIES)}, "info")
    elif run.ended_at is None:
        state = badge(_("interrupted"), "warn")
    else:
        state = badge(_("ended early"), "bad", run.note) if run.note else ago(run.ended_at)
    return {"model": run.upstream_model, "state": state, "note": run.note}


def _rows(runs: list[ConformanceRun]) -> list[dict[str, Any]]:
    found = [{result.capability: result for result in run.results.all()} for run in runs]
    return [
        {"title": probe_messages.CAPABILITIES[name], "cells": [_cell(results.get(name)) for results in found]}
        for name in CAPABILITIES
    ]


def _cell(result: CapabilityResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {
        "pk": result.pk,
        "badge": badge(probe_messages.CAPABILITY_OUTCOMES[result.outcome], _TONES[result.outcome]),
        "time": milliseconds(result.milliseconds),
        "sentence": probe_messages.sentence(result.code),
        "detail": result.detail if result.outcome != "passed" else "",
        "proposal": _options_text(result.proposal) if result.proposal else "",
        "applied": ago(result.applied_at) if result.applied_at else "",
    }


def _options_text(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in options.items())
