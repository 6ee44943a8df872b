"""Names that clients send and this version does not know, each written once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from django.db import transaction

from gateway.history.outcome import ExchangeOutcome
from gateway.models import ClientNovelty

# clients may make names up
MOST: Final = 2_000


class NoveltyWriter:
    """Remembers what this process has written, so that a name costs one look at the table."""

    def __init__(self) -> None:
        self._known: set[tuple[str, ...]] = set()

    def write(self, outcomes: Iterable[ExchangeOutcome]) -> None:
        """Write what is new in these exchanges, in the caller's transaction."""
        new: dict[tuple[str, ...], ClientNovelty] = {}
        for outcome in outcomes:
            for version, kind, name in outcome.novelties:
                found = (version.replace("\x00", "\ufffd"), kind, name.replace("\x00", "\ufffd"))
                if found not in self._known and found not in new:
                    new[found] = ClientNovelty(
                        version=found[0],
                        kind=kind,
                        name=found[2],
                        first_at=outcome.started_at,
                        request_id=outcome.request_id,
                    )
        if not new:
            return
        room = MOST - ClientNovelty.objects.count()
        if room > 0:
            ClientNovelty.objects.bulk_create(list(new.values())[:room], ignore_conflicts=True)
        # not before the commit: after a rollback the batch is written again
        transaction.on_commit(partial(self._know, frozenset(new)))

    def _know(self, names: frozenset[tuple[str, ...]]) -> None:
        if len(self._known) < MOST:
            self._known |= names


novelty_writer: Final = NoveltyWriter()
