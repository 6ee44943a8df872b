"""Erasing a person: their requests with all that was made of them, then their name.

Their keys are refused at once. `carry_on` does the rest, as often as it is called; the thread that purges
calls it. What came late (from a spool, from a request that was under way) goes with a later round, and what a
legal hold covers once the hold is lifted; until then the name stays, because it says whose the held requests
are. Pieces of texts may belong to several requests, so they go two days later (history/content/sweep.py). The
totals stay, and count for an account and keys without a name.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.config.changes import note_sentence
from gateway.config.owners import set_active
from gateway.history.content import sweep as sweeping
from gateway.history.holds import held, not_held, repeats_of
from gateway.history.outcome import ExchangeOutcome
from gateway.history.record.spool import forget_refused
from gateway.history.retention import Stopping, batches, drop_bodies, drop_rows, left_behind, now_and_then
from gateway.history.search import index
from gateway.history.totals import hourly
from gateway.history.totals.counted_origins import forget_folders
from gateway.history.totals.sessions import OWNER
from gateway.models import (
    Attempt,
    ClientKey,
    ClientNovelty,
    DatasetStep,
    Erasure,
    EvaluationStep,
    Lease,
    LegalHold,
    Problem,
    RequestLog,
)
from gateway.models.database_errors import concerns_server
from gateway.personal_data.names import forget_names

logger = logging.getLogger("gateway.history")

TASK: Final = "erasure"
LEASE: Final = timedelta(minutes=10)
# what was being asked again while its request was erased
SHADOWED: Final = timedelta(hours=1)
# how long pieces stay that no request needs: what the sweep keeps, and the hour of the stamp
UNTIL_SWEPT: Final = sweeping.GRACE + sweeping.MARGIN + timedelta(hours=2)


class MayNotErase(ValueError):
    """str() says why."""


def requests_of(user_pk: int) -> QuerySet[RequestLog]:
    """The requests that came with keys that were this person's then."""
    return RequestLog.objects.filter(owner_id=user_pk)


def holds_of(user_pk: int) -> tuple[int, list[LegalHold]]:
    """How many requests of a person holds keep, and the holds that concern them."""
    rows = requests_of(user_pk).filter(held())
    sessions = rows.exclude(session_id="").order_by().values("session_id")
    concerned = Q(client_key__user_id=user_pk) | Q(client_key=None, session_id__in=sessions)
    lineages = rows.order_by().exclude(client_key=None).values("client_key_id")
    return rows.count(), list(LegalHold.objects.filter(concerned | Q(client_key__in=lineages)).distinct())


def unfinished(user_pk: int) -> Erasure | None:
    """The erasure of a person that is under way."""
    return Erasure.unfinished().filter(user_pk=user_pk).first()


def begin(user: Any, asked_by: Any, now: datetime) -> Erasure:
    """Refuse a person and their keys from now on, and note the erasure; `carry_on` does the rest.

    `asked_by`: a user, or None for a command. Raises MayNotErase.
    """
    if asked_by is not None and user.pk == asked_by.pk:
        raise MayNotErase(_("Nobody can erase themselves."))
    if asked_by is not None and user.is_superuser and not asked_by.is_superuser:
        raise MayNotErase(_("Only a superuser can erase a superuser."))
    with transaction.atomic():
        known = unfinished(user.pk)
        if known is not None:
            return known
        erasure = Erasure.objects.create(user_pk=user.pk, asked_by=asked_by, asked_at=now)
        set_active(user.get_username(), False)
        for key in ClientKey.objects.filter(user=user, revoked_at=None):
            key.revoke()
        note_sentence(user, _("The person was erased."))
    return erasure


def carry_on(
    erasure: Erasure,
    now: datetime,
    spool: Path,
    *,
    breath: float = 0.0,
    stopping: Stopping | None = None,
    keep: Callable[[], object] = lambda: None,
) -> Erasure:
    """Remove what can go now, and say in the record what is left. Raises what the database raises.

    `keep` is called now and then while it lasts: the caller's lease.
    """
    stopping = stopping or threading.Event()
    keep = now_and_then(keep)
    # no matter when they came: a process that lost the database goes on with the keys that it knows
    rows = requests_of(erasure.user_pk)
    ended = rows.exclude(state="open").order_by("started_at", "pk")
    for names in batches(not_held(ended), breath, stopping, keep):
        _remove(erasure, names, now)
    around = (erasure.asked_at - SHADOWED, (erasure.changed_at or erasure.asked_at) + SHADOWED)
    late = left_behind(now).filter(started_at__range=around)
    for names in batches(not_held(late), breath, stopping, keep):
        _empty(erasure, names, now)
    erasure.requests += forget_refused(spool, lambda outcome: _is_theirs(outcome, erasure.user_pk))
    _forget_steps(erasure.user_pk)
    with transaction.atomic():
        forget_folders(erasure.user_pk)
    erasure.held = rows.filter(held()).count()
    keys = ClientKey.objects.filter(user_id=erasure.user_pk).values("pk")
    user = get_user_model().objects.filter(pk=erasure.user_pk).first()
    if not rows.exists() and not LegalHold.objects.filter(client_key__in=keys).exists():
        if user is not None and erasure.unnamed_at is None:
            with transaction.atomic():
                forget_names(user)
            erasure.changed_at = now
        erasure.unnamed_at = erasure.unnamed_at or now
        changed = erasure.changed_at or now
        if now >= changed + UNTIL_SWEPT and not stopping.is_set():
            sweeping.sweep(changed + UNTIL_SWEPT - sweeping.GRACE, now, keep=keep)
            erasure.finished_at = now
    erasure.save()
    return erasure


def carry_on_all(now: datetime, spool: Path, stopping: threading.Event) -> None:
    """Carry on with every erasure that is not finished, unless another process does."""
    for erasure in Erasure.unfinished().order_by("asked_at"):
        holder = secrets.token_hex(8)
        if stopping.is_set() or not _take(holder):
            return
        try:
            carry_on(erasure, now, spool, breath=0.02, stopping=stopping, keep=partial(_take, holder))
        except Exception as problem:
            if concerns_server(problem):
                raise
            logger.exception("unexpected error in an erasure", extra={"erasure": erasure.pk})
        finally:
            Lease.objects.filter(name=TASK, holder=holder).update(until=None)


def _take(holder: str) -> bool:
    """Whether `holder` may erase, from now on by the clock: the erasure before may have taken long."""
    return Lease.take(TASK, holder, timezone.now(), LEASE)


def _remove(erasure: Erasure, names: Sequence[str], now: datetime) -> None:
    """The requests with these ids, what was asked again of them, and what was noted of either."""
    together = [*names, *repeats_of(names)]
    hit = _problems(RequestLog.objects.filter(request_id__in=together))
    index.remove(together)
    with transaction.atomic():
        # before anything else is locked, as the follow-up does
        hourly.hold(together)
        for step in DatasetStep.objects.filter(request_id__in=together).select_for_update():
            # steps of one session stay together
            _rename_session(step)
        DatasetStep.objects.filter(request_id__in=together).update(request_id="", agent_id="", content=None)
        EvaluationStep.objects.filter(answer_id__in=together).update(answer_id="", error="")
        EvaluationStep.objects.filter(judge_id__in=together).update(judge_id="")
        ClientNovelty.objects.filter(request_id__in=together).update(request_id="")
        Problem.objects.filter(pk__in=hit).update(sample=F("message"))
        erasure.contents += drop_bodies(together)
        erasure.requests += drop_rows(together)
    # what the follow-up indexed since; from now on it finds none of them in its queue
    index.remove(together)
    erasure.changed_at = now


def _forget_steps(user_pk: int) -> None:
    """Empty what datasets noted of requests that are gone: its sessions name the person as their holder."""
    row = RequestLog.objects.filter(request_id=OuterRef("request_id"))
    gone = DatasetStep.objects.filter(~Exists(row), session__endswith=f" {OWNER}{user_pk}")
    for step in gone:
        _rename_session(step)
        DatasetStep.objects.filter(pk=step.pk).update(request_id="", agent_id="", content=None)


def _empty(erasure: Erasure, names: Sequence[str], now: datetime) -> None:
    """Take what was said out of repeats whose first request is gone; their figures stay.

    Nothing says any more whose request they repeat.
    """
    gone = RequestLog.objects.filter(request_id__in=names)
    hit = _problems(gone)
    with transaction.atomic():
        hourly.hold(names)
        Problem.objects.filter(pk__in=hit).update(sample=F("message"))
        Attempt.objects.filter(log__request_id__in=names).update(error_message="")
        folders = set(gone.exclude(folder="").order_by().values_list("folder", flat=True).distinct())
        gone.update(error_message="", facts={}, folder="")
        forget_folders(erasure.user_pk, folders)
        erasure.contents += drop_bodies(names)
    index.remove(names)
    erasure.changed_at = now


def _problems(rows: QuerySet[RequestLog]) -> list[int]:
    problems = rows.exclude(problem_id=None).order_by().values_list("problem_id", flat=True)
    return [pk for pk in problems.distinct() if pk is not None]


def _rename_session(step: DatasetStep) -> None:
    if not step.session.startswith("erased-"):
        same = DatasetStep.objects.filter(dataset=step.dataset_id, session=step.session)
        same.update(session=f"erased-{secrets.token_hex(8)}")


def _is_theirs(outcome: ExchangeOutcome, user_pk: int) -> bool:
    return outcome.owner_id == user_pk
