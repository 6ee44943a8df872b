"""StandingRecords: what the process learnt beside its requests, as records that an admin sees.

Written by a thread of its own: a refused credential is set aside for all processes, by
the configuration's stamp; a target is set aside in this process, and its row says so; an
option that was learnt waits for the admin's word. What the database does not take is
logged and not kept: the next refusal says it again.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError, connection
from django.utils import timezone

from gateway.config.learnt import write_taught
from gateway.models import ProviderCredential, SetAsideTarget
from gateway.routing.learnt import Taught
from gateway.routing.standing import Change

logger = logging.getLogger("gateway.config")

# Rows of processes that ended without taking them back.
FORGET_AFTER: Final = timedelta(hours=1)
_LONGEST_REASON: Final = 300
_LONGEST_MODEL: Final = 200


class StandingRecords:
    """`note` never waits. `process` names this process in the rows. `stop` writes what is left."""

    def __init__(self, process: str) -> None:
        self._process = process[:60]
        self._thread: ThreadPoolExecutor | None = None

    def note(self, change: Change | Taught) -> None:
        """Have a change written."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="standing")
        self._thread.submit(self._write, change)

    def stop(self) -> None:
        """Wait until everything is written; this process's targets are no longer its concern."""
        if self._thread is not None:
            self._thread.submit(self._forget)
            self._thread.shutdown()
            self._thread = None

    def _write(self, change: Change | Taught) -> None:
        try:
            if isinstance(change, Taught):
                write_taught(change)
            else:
                write(change, self._process)
        except DatabaseError as problem:
            logger.error("standing not written", extra={"provider": change.provider, "problem": str(problem)})
        except Exception:
            # nobody asks the thread how it went
            logger.exception("standing not written", extra={"provider": change.provider})
        finally:
            connection.close()

    def _forget(self) -> None:
        try:
            SetAsideTarget.objects.filter(process=self._process).delete()
        except DatabaseError as problem:
            logger.error("standing not written", extra={"problem": str(problem)})
        finally:
            connection.close()


def targets_set_aside(now: datetime) -> dict[str, int]:
    """How many targets (upstream model and credential) some process skips at `now`, by provider.

    Raises what the database raises.
    """
    rows = SetAsideTarget.objects.order_by().filter(until__gt=now)
    found = rows.values_list("provider", "upstream_model", "credential").distinct()
    return dict(Counter(provider for provider, _model, _credential in found))


def write(change: Change, process: str) -> None:
    """Write one change. Raises what the database raises."""
    if change.refused:
        _write_refusal(change)
    else:
        _write_target(change, process)


def _write_refusal(change: Change) -> None:
    records = ProviderCredential.objects.filter(pk=change.credential_id)
    facts = {"provider": change.provider, "credential": change.credential}
    # a second word of the same changes nothing, and does not move the stamp
    if change.since is None:
        record = records.exclude(set_aside_since=None).first()
        if record is not None:
            record.bring_back()
            logger.warning("credential brought back", extra=facts)
        return
    record = records.filter(set_aside_since=None).first()
    if record is not None:
        record.set_aside(change.status, change.reason)
        problem = {"status": change.status, "problem": change.reason}
        logger.error("credential set aside: the provider refused it", extra={**facts, **problem})


def _write_target(change: Change, process: str) -> None:
    rows = SetAsideTarget.objects.filter(
        process=process,
        provider=change.provider,
        upstream_model=change.upstream_model[:_LONGEST_MODEL],
        credential=change.credential,
    )
    if change.since is None:
        rows.delete()
        return
    SetAsideTarget.objects.filter(until__lt=timezone.now() - FORGET_AFTER).delete()
    facts: dict[str, Any] = {
        "since": datetime.fromtimestamp(change.since, UTC),
        "until": datetime.fromtimestamp(change.until or change.since, UTC),
        "status": change.status,
        "reason": change.reason.replace("\x00", "\ufffd")[:_LONGEST_REASON],
        "failures": change.failures,
    }
    # one process has one writer: nobody else makes this row meanwhile
    if not rows.update(**facts):
        SetAsideTarget.objects.create(
            process=process,
            provider=change.provider,
            upstream_model=change.upstream_model[:_LONGEST_MODEL],
            credential=change.credential,
            **facts,
        )
