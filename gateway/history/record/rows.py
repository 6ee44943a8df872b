"""Outcomes as rows: many exchanges in one transaction, each exactly once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from gateway.history.content import bodies
from gateway.history.content.bodies import PackedBodies
from gateway.history.content.chunking import Piece
from gateway.history.follow_up_queue import EndedExchange
from gateway.history.outcome import OPEN, ExchangeOutcome, with_unsearched
from gateway.history.record.novelties import novelty_writer
from gateway.history.record.spool_lines import with_masked_columns
from gateway.history.record.storable import lesser
from gateway.history.record.upsert import Upsert
from gateway.history.record.verdicts import write_verdicts
from gateway.history.secrets.masker import Masker, masker
from gateway.history.statements import Statement
from gateway.history.totals import failures, hourly
from gateway.history.totals.costs import cost_of
from gateway.history.totals.counted_names import counted_names
from gateway.history.totals.counted_origins import counted_origins
from gateway.models import Attempt, ClientKey, RequestLog
from gateway.models.database_errors import concerns_server
from gateway.pricing.book import PriceBook

logger = logging.getLogger("gateway.history")

NO_PRICES: Final = PriceBook()


# columns that repeat what stands in the column `facts`
FACTS: Final = ("thinking", "pdfs", "web_search", "structured_output", "effort", "tools_offered")
LOG: Final = Upsert(
    RequestLog,
    ["request_id"],
    ["ledger_count", "tool_count", "cost", "price_source", "folder", *FACTS, "folded"],
    kept=["problem_id"],
)
ATTEMPT: Final = Upsert(Attempt, ["request_id", "number"], ["log_id"])
_USED: Final = Statement("UPDATE gateway_clientkey SET last_used = %s WHERE id = %s")
_QUEUE: Final = Statement(
    "INSERT INTO gateway_followup (request_id) VALUES (%s) ON CONFLICT (request_id) DO NOTHING"
)


def write(
    batch: Iterable[ExchangeOutcome], prices: PriceBook = NO_PRICES, mask: Masker | None = None
) -> list[EndedExchange]:
    """Write the last outcome of each exchange, and its cost, in one transaction.

    Writing one twice changes nothing. Returns what history/record/follow_up.py has to process. Raises what
    the database raises; then nothing of the batch was written.
    """
    last = _last(batch)
    for request_id, outcome in last.items():
        last[request_id] = with_masked_columns(outcome, mask or masker())
    texts = {
        outcome.request_id: bodies.packed(outcome.bodies, mask) for outcome in last.values() if outcome.bodies
    }
    for request_id, text in texts.items():
        if text.unsearched:
            last[request_id] = with_unsearched(last[request_id], text.unsearched)
    with transaction.atomic():
        counted = hourly.before(last)
        for request_id in counted:
            if last[request_id].state == OPEN:
                # its end is stored already, from the spool
                del last[request_id]
        if not last:
            return []
        replaced = [
            name for name, facts in counted.items() if name in last and facts.state != last[name].state
        ]
        if replaced:
            failures.count_off(replaced)
        folders = {name: text.folder for name, text in texts.items()}
        rows = [
            log_row(outcome, *cost_of(outcome, prices), folders.get(outcome.request_id, ""))
            for outcome in last.values()
        ]
        for row in rows:
            if row["request_id"] in texts:
                row["masked_count"] += texts[row["request_id"]].masked
        counted_names.fold(rows)
        counted_origins.fold(rows)
        LOG.statement.many(LOG.values(rows))
        ATTEMPT.statement.many(
            ATTEMPT.values(
                ATTEMPT.stored(attempt, log_id=outcome.request_id)
                for outcome in last.values()
                for attempt in outcome.tries
            )
        )
        ended = [outcome for outcome in last.values() if _worth_following_up(outcome)]
        _QUEUE.many([(outcome.request_id,) for outcome in ended])
        new = bodies.store([(name, text) for name, text in texts.items() if name in last])
        _note_used(last.values())
        if any(outcome.verdicts for outcome in last.values()):
            write_verdicts(last.values())
        if any(outcome.novelties for outcome in last.values()):
            novelty_writer.write(last.values())
        hourly.put(counted, map(hourly.counted, rows))
    return [_ended(outcome, texts.get(outcome.request_id), new) for outcome in ended]


def _ended(outcome: ExchangeOutcome, texts: PackedBodies | None, new: Mapping[bytes, Piece]) -> EndedExchange:
    facts = outcome.request_id, outcome.session_id, outcome.endpoint, outcome.started_at
    if texts is None or outcome.bodies is None:
        return EndedExchange(*facts)
    fresh = {digest: new[digest] for digest in texts.head.digests if digest in new} if new else {}
    # an approximation: charge each new message an equal share of the request's bytes
    known = len(outcome.bodies.received) * len(fresh) // len(texts.head.digests) if fresh else 0
    size = len(texts.said) + known
    return EndedExchange(*facts, texts.head.end, texts.said, fresh, size)


def write_singly(
    batch: Iterable[ExchangeOutcome],
    prices: PriceBook = NO_PRICES,
    mask: Masker | None = None,
    refused: Callable[[ExchangeOutcome], object] = lambda _outcome: None,
) -> list[EndedExchange]:
    """Write each outcome by itself, after the database refused one of the batch.

    A refused one is written with as much of it as the database takes, and its ledger says what is missing.
    `refused` is called with one of which it takes nothing. Raises what the database raises when it does not
    answer.
    """
    ended: list[EndedExchange] = []
    for outcome in batch:
        written = _written(outcome, prices, mask)
        if written is None:
            refused(outcome)
        else:
            ended += written
    return ended


def _written(outcome: ExchangeOutcome, prices: PriceBook, mask: Masker | None) -> list[EndedExchange] | None:
    """What `write` returns for the fullest form that the database takes; None when it takes none."""
    for form in _forms(outcome):
        # an amount that does not fit the column counts as unknown, like a missing price
        for book in (prices, NO_PRICES) if form is not outcome else (prices,):
            try:
                return write([form], book, mask)
            except Exception as problem:
                if concerns_server(problem):
                    raise
                logger.error(
                    "history row refused by the database",
                    extra={"request_id": outcome.request_id, "problem": str(problem)[:500]},
                )
    return None


def _forms(outcome: ExchangeOutcome) -> Iterator[ExchangeOutcome]:
    yield outcome
    try:
        yield from lesser(outcome)
    except Exception:
        logger.exception("unexpected error with a row", extra={"request_id": outcome.request_id})


def queue_follow_up(request_ids: Iterable[str]) -> None:
    """Queue these exchanges for the follow-up, in the caller's transaction."""
    _QUEUE.many([(request_id,) for request_id in request_ids])


def _worth_following_up(outcome: ExchangeOutcome) -> bool:
    """Whether history/record/follow_up.py will find anything to do."""
    return outcome.state != OPEN and (
        outcome.bodies is not None or bool(outcome.session_id) or bool(outcome.provider)
    )


def _last(batch: Iterable[ExchangeOutcome]) -> dict[str, ExchangeOutcome]:
    """The outcome of each exchange that counts: the later one, and an end whatever comes after it."""
    last: dict[str, ExchangeOutcome] = {}
    for outcome in batch:
        if outcome.state != OPEN or outcome.request_id not in last:
            last[outcome.request_id] = outcome
    return last


def log_row(
    outcome: ExchangeOutcome, cost: Decimal | None, price_source: str = "", folder: str = ""
) -> dict[str, Any]:
    """The row of an outcome by column, as it will be stored; names are not folded yet."""
    facts = outcome.facts
    return LOG.stored(
        outcome,
        ledger_count=len(outcome.ledger),
        tool_count=len(outcome.tools_called),
        cost=cost,
        price_source=price_source,
        folder=folder,
        thinking=facts.get("thinking") is True,
        pdfs=facts.get("pdfs") is True,
        web_search=facts.get("web_search") is True,
        structured_output=facts.get("structured_output") is True,
        effort=facts.get("effort") or "",
        # facts that do not hold are left out
        tools_offered=facts.get("tools", 0) if facts else None,
        folded=0,
    )


def _note_used(outcomes: Iterable[ExchangeOutcome]) -> None:
    used: dict[int, datetime] = {}
    for outcome in outcomes:
        key_id = outcome.client_key_id
        if key_id is not None:
            used[key_id] = max(outcome.started_at, used.get(key_id, outcome.started_at))
    moment = ClientKey._meta.get_field("last_used").get_db_prep_save
    _USED.many([(moment(used[key_id], connection), key_id) for key_id in sorted(used)])
