"""Outcomes as lines of the spool: masked, and in the fullest form that can be serialised."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from gateway.history.outcome import AttemptFacts, ExchangeOutcome, VerdictFacts, with_unsearched
from gateway.history.record import spool
from gateway.history.record.storable import lesser
from gateway.history.secrets.masker import Masker
from gateway.history.secrets.secret_search import Work

logger = logging.getLogger("gateway.history")


def masked_line(outcome: ExchangeOutcome, mask: Callable[[], Masker]) -> bytes | None:
    """The line of an outcome with its secrets masked; None when no form of it can be serialised."""
    try:
        return spool.as_line(masked(outcome, mask()))
    except Exception:
        logger.exception("unexpected error while spooling", extra={"request_id": outcome.request_id})
    with contextlib.suppress(Exception):
        for form in lesser(outcome):
            with contextlib.suppress(Exception):
                return spool.as_line(masked(form, mask()))
    return None


def masked(outcome: ExchangeOutcome, mask: Masker) -> ExchangeOutcome:
    """The outcome with its secrets masked and counted, and an entry for texts that took too long."""
    outcome = with_masked_columns(outcome, mask)
    if outcome.bodies is None:
        return outcome
    work = Work()
    bodies, count = mask.bodies(outcome.bodies, work)
    changed = dataclasses.replace(outcome, bodies=bodies, masked_count=outcome.masked_count + count)
    return with_unsearched(changed, work.whole) if work.whole else changed


def with_masked_columns(outcome: ExchangeOutcome, mask: Masker) -> ExchangeOutcome:
    """The outcome with its secrets masked in what is stored beside its bodies.

    That is what rules were asked about, what providers said of errors, and why calls were blocked.
    """
    facts, count = mask.facts(outcome.facts)
    message, in_message = mask.text(outcome.error_message)
    tries: list[AttemptFacts] = []
    in_tries = 0
    for one in outcome.tries:
        said, number = mask.text(one.error_message)
        tries.append(dataclasses.replace(one, error_message=said) if number else one)
        in_tries += number
    verdicts: list[VerdictFacts] = []
    in_verdicts = 0
    for verdict in outcome.verdicts:
        said, number = mask.text(verdict.get("reason", ""))
        verdicts.append({**verdict, "reason": said} if number else verdict)
        in_verdicts += number
    if not count + in_message + in_tries + in_verdicts:
        return outcome
    # an attempt's message is mostly that of the exchange
    masked_count = outcome.masked_count + count + max(in_message, in_tries) + in_verdicts
    return dataclasses.replace(
        outcome,
        facts=facts,
        error_message=message,
        tries=tuple(tries),
        verdicts=verdicts,
        masked_count=masked_count,
    )


class RefusedRows:
    """The file beside the spool for rows that no database takes, and lines that are no outcome."""

    def __init__(self, folder: Path, name: str, mask: Callable[[], Masker]) -> None:
        self._folder, self._name = folder, name
        self._mask = mask

    def keep(self, outcome: ExchangeOutcome) -> None:
        """Keep an outcome that the database refused."""
        line = masked_line(outcome, self._mask)
        if line is None:
            logger.error(
                "history row lost: it can be written nowhere", extra={"request_id": outcome.request_id}
            )
        else:
            self.keep_line(line)

    def keep_line(self, line: bytes) -> None:
        """Keep a line as it is. Never raises: what the disk refuses goes to the log."""
        try:
            path = spool.keep_refused(self._folder, self._name, line)
            logger.error("a row that cannot be stored is kept in a file", extra={"file": path.name})
        except Exception as problem:
            logger.error(
                "a row that cannot be stored is lost",
                extra={"problem": str(problem), "row": line[:2000].decode("utf-8", "replace")},
            )
