"""StandingRecords: what the process learnt besides serving requests, as records that an admin sees.

A thread of its own writes them. A refused credential is set aside for all processes, through
the configuration's stamp. A target is set aside in this process alone, and its row says so.
A learnt option waits for an admin's decision. While the database does not answer they wait;
what the database refuses is logged and dropped, since the next refusal says it again.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError, connection
from django.utils import timezone

from gateway.config.learnt_options import write_taught
from gateway.models import ProviderCredential, SetAsideTarget
from gateway.models.base import storable_text
from gateway.models.database_errors import concerns_server
from gateway.routing.health_events import Change
from gateway.routing.learnt_options import Taught

logger = logging.getLogger("gateway.config")

# Rows of processes that ended without removing them.
FORGET_AFTER: Final = timedelta(hours=1)
# seconds
RETRY_SECONDS: Final = 5.0
LONGEST_STOP: Final = 5.0
MOST_WAITING: Final = 1_000
_MOST_FAILURES: Final = 2**31 - 1
_LONGEST_REASON: Final = 300
_LONGEST_MODEL: Final = 200


class StandingRecords:
    """`note` never waits. `process` names this process in the rows. `stop` writes what is left.

    While the database does not answer, the latest change to each target and credential waits; beyond
    MOST_WAITING the oldest are dropped.
    """

    def __init__(self, process: str) -> None:
        self._process = process[:60]
        self._waiting: dict[Hashable, Change | Taught] = {}
        # guards the waiting changes; notified when one arrives, and when none is left
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def note(self, change: Change | Taught) -> None:
        """Queue a change to be written."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work_on, name="standing", daemon=True)
                self._thread.start()
            # move it to the end, so that changes are written in the order in which they happened
            self._waiting.pop(_about(change), None)
            self._waiting[_about(change)] = change
            if len(self._waiting) > MOST_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
            self._changed.notify_all()

    def flush(self, timeout: float = LONGEST_STOP) -> bool:
        """Wait until everything is written, for at most `timeout` seconds; returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)

    def stop(self, timeout: float = LONGEST_STOP) -> None:
        """Write what is left and remove this process's targets. Returns within `timeout` seconds."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopping = True
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout)

    def _work_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    break
                about, change = next(iter(self._waiting.items()))
            done = self._written(change)
            with self._changed:
                # a later change to the same record gets its own turn
                if done and self._waiting.get(about) is change:
                    del self._waiting[about]
                self._changed.notify_all()
                if not done and not self._stopping:
                    self._changed.wait_for(lambda: self._stopping, RETRY_SECONDS)
                elif not done:
                    break
        self._forget()

    def _written(self, change: Change | Taught) -> bool:
        """Write a change; False: the database does not answer."""
        try:
            if isinstance(change, Taught):
                write_taught(change)
            else:
                write(change, self._process)
        except Exception as problem:
            # nothing collects the outcome of a thread
            server = concerns_server(problem)
            facts = {"provider": change.provider, "problem": str(problem)[:500]}
            logger.error("standing not written", extra=facts, exc_info=None if server else problem)
            return not server
        finally:
            _close()
        return True

    def _forget(self) -> None:
        try:
            SetAsideTarget.objects.filter(process=self._process).delete()
        except DatabaseError as problem:
            logger.error("standing not written", extra={"problem": str(problem)})
        finally:
            _close()


def _about(change: Change | Taught) -> Hashable:
    """What a later word of the same replaces."""
    if isinstance(change, Taught):
        return change.provider, change.upstream_model, change.option
    return change.provider, change.upstream_model, change.credential_id, change.refused


def _close() -> None:
    try:
        connection.close()
    except Exception:
        logger.exception("a connection to the database could not be closed")


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
    # repeating it changes nothing, and leaves the stamp as it is
    if change.since is None:
        record = records.exclude(set_aside_since=None).first()
        if record is not None:
            record.bring_back()
            logger.warning("credential brought back", extra=facts)
        return
    record = records.filter(set_aside_since=None).first()
    if record is not None:
        record.set_aside(change.status, storable_text(change.reason))
        problem = {"status": change.status, "problem": change.reason}
        logger.error("credential set aside: the provider refused it", extra={**facts, **problem})


def _write_target(change: Change, process: str) -> None:
    target = {
        "process": process,
        "provider": change.provider,
        "upstream_model": storable_text(change.upstream_model, _LONGEST_MODEL),
        "credential": change.credential,
    }
    rows = SetAsideTarget.objects.filter(**target)
    if change.since is None:
        rows.delete()
        return
    SetAsideTarget.objects.filter(until__lt=timezone.now() - FORGET_AFTER).delete()
    facts: dict[str, Any] = {
        "since": datetime.fromtimestamp(change.since, UTC),
        "until": datetime.fromtimestamp(change.until or change.since, UTC),
        "status": change.status,
        "reason": storable_text(change.reason, _LONGEST_REASON),
        "failures": min(change.failures, _MOST_FAILURES),
    }
    # a process has one writer, so nobody else creates this row meanwhile
    if not rows.update(**facts):
        SetAsideTarget.objects.create(**target, **facts)
