"""Which recorded steps make a dataset: whole sessions that pass a filter, a sample of them by a seed.

Only steps whose texts are kept, and that whoever selects may read. A text that is past its retention and
kept by a legal hold alone is kept for that purpose and no other: it is not selected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from gateway.client_protocol.purpose import Task
from gateway.history.access import readable_requests
from gateway.history.retention import Cutoffs
from gateway.history.totals.sessions import held
from gateway.models import Dataset, DatasetStep, Erasure, RequestBody, RequestLog, Retention

MOST_SESSIONS: Final = 500
MOST_STEPS: Final = 5_000
# sessions that a sample is drawn from; the newest
MOST_SAMPLED: Final = 20_000
# requests that their sessions are looked for in, the newest
MOST_LOOKED_AT: Final = 500_000
_BATCH: Final = 500


class NothingSelected(ValueError):
    """No recorded step passes the filter, or none that may be read."""


@dataclass(frozen=True, slots=True)
class StepFilter:
    """`since` (inclusive) and `until` (exclusive) are aware. `mapping`: primary key; `classes`: names of
    RequestClass or `classifier`, empty for all; `owner`: primary key of a user. Of the sessions with such
    steps `sessions` are drawn; the same `seed` draws the same.
    """

    since: datetime | None = None
    until: datetime | None = None
    mapping: int | None = None
    classes: tuple[str, ...] = ()
    owner: int | None = None
    sessions: int = 20
    seed: int = 1

    def as_json(self) -> dict[str, Any]:
        """What is kept with the dataset, without what was not asked for."""
        moments = {name: moment.isoformat() for name in ("since", "until") if (moment := getattr(self, name))}
        rest = {name: value for name, value in asdict(self).items() if name not in ("since", "until")}
        return {**moments, **{name: value for name, value in rest.items() if value not in (None, (), [])}}


def selectable(user: Any, wanted: StepFilter, now: datetime) -> QuerySet[Any]:
    """The rows that pass the filter and whose texts `user` may read, with their `holder`."""
    rows = readable_requests(user, RequestLog.objects.filter(endpoint="messages", state="ok", attempts__gt=0))
    rows = rows.exclude(session_id="").exclude(owner_id__in=Erasure.unfinished().values("user_pk"))
    kept = RequestBody.objects.filter(pk=OuterRef("request_id"), received_size__gt=0, returned_size__gt=0)
    rows = rows.filter(Exists(kept))
    since = [moment for moment in (wanted.since, kept_since(now)) if moment is not None]
    if since:
        rows = rows.filter(started_at__gte=max(since))
    if wanted.until is not None:
        rows = rows.filter(started_at__lt=wanted.until)
    if wanted.mapping is not None:
        rows = rows.filter(mapping_pk=wanted.mapping)
    if wanted.owner is not None:
        rows = rows.filter(owner_id=wanted.owner)
    if wanted.classes:
        checks = Q(task=Task.CLASSIFIER) if Task.CLASSIFIER in wanted.classes else Q(pk=None)
        rows = rows.filter(Q(request_class__in=wanted.classes) | checks)
    return held(rows)


def kept_since(now: datetime) -> datetime | None:
    """Texts from before this moment are past their retention; None: there is none."""
    cutoffs = Cutoffs.of(Retention.current(), now)
    moments = [moment for moment in (cutoffs.bodies, cutoffs.rows) if moment is not None]
    return max(moments, default=None)


def make_dataset(user: Any, name: str, wanted: StepFilter, now: datetime) -> Dataset:
    """Store a dataset of the steps that pass. Raises NothingSelected, and what the database does."""
    steps = list(selected(user, wanted, now))
    if not steps:
        raise NothingSelected
    with transaction.atomic():
        dataset = Dataset.objects.create(
            name=name, selection=wanted.as_json(), created=now, created_by=user if user.pk else None
        )
        for position, step in enumerate(steps):
            step.dataset, step.position = dataset, position
        DatasetStep.objects.bulk_create(steps, batch_size=_BATCH)
    return dataset


def selected(user: Any, wanted: StepFilter, now: datetime) -> Iterator[DatasetStep]:
    """The steps of the drawn sessions, one session after another, each in the order of time; not stored.

    A session that would exceed MOST_STEPS ends the selection.
    """
    rows = selectable(user, wanted, now)
    newest = rows.order_by("-started_at").values_list("session_id", "holder")
    found: dict[tuple[str, str], None] = {}
    for one in newest[:MOST_LOOKED_AT].iterator(chunk_size=2_000):
        found[one] = None
        if len(found) >= MOST_SAMPLED:
            break
    taken = 0
    for session_id, holder in drawn(found, wanted.seed)[: min(wanted.sessions, MOST_SESSIONS)]:
        steps = rows.filter(session_id=session_id, holder=holder).order_by("started_at", "pk")
        listed = list(steps.only(*_FACTS).annotate(of=F("holder"))[: MOST_STEPS + 1])
        if taken + len(listed) > MOST_STEPS:
            if not taken:
                yield from (step_of(row, holder) for row in listed[:MOST_STEPS])
            return
        taken += len(listed)
        yield from (step_of(row, holder) for row in listed)


def drawn(sessions: Iterable[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """The sessions in an order that only the seed and their ids decide."""

    def place(session: tuple[str, str]) -> bytes:
        return blake2b("\0".join((str(seed), *session)).encode("utf-8", "replace"), digest_size=8).digest()

    return sorted(sessions, key=place)


_FACTS: Final = (
    "request_id", "session_id", "agent_id", "request_class", "mapping_pk", "asked_model", "provider",
    "upstream_model", "cost", "first_byte_ms", "input_tokens", "cache_read_tokens", "cache_write_tokens",
    "started_at",
)  # fmt: skip


def step_of(row: RequestLog, holder: str) -> DatasetStep:
    """The step that a recorded request is, without a dataset yet."""
    parts = (row.input_tokens, row.cache_read_tokens, row.cache_write_tokens)
    return DatasetStep(
        session=f"{row.session_id} {holder}".strip(),
        agent_id=row.agent_id,
        request_id=row.request_id,
        request_class=row.request_class,
        mapping_pk=row.mapping_pk,
        asked_model=row.asked_model,
        provider=row.provider,
        upstream_model=row.upstream_model,
        cost=row.cost,
        first_byte_ms=row.first_byte_ms,
        input_tokens=sum(part or 0 for part in parts),
    )
