"""Names that clients send and this version does not know, each written once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from gateway.history.outcome import ExchangeOutcome
from gateway.models import ClientNovelty

logger = logging.getLogger("gateway.history")

# clients may make names up, and versions
MOST_OF_VERSION: Final = 100
MOST: Final = 2_000
# names that a process remembers
_REMEMBERED: Final = 10_000


class NoveltyWriter:
    """Remembers what this process has written, so that a name costs one look at the table."""

    def __init__(self) -> None:
        self._known: set[tuple[str, ...]] = set()
        # versions whose bound was reached; "" is that of all
        self._full: set[str] = set()

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
        written = _at_most(new.values())
        ClientNovelty.objects.bulk_create(written, ignore_conflicts=True)
        for version in {novelty.version for novelty in written}:
            self._drop_oldest(ClientNovelty.objects.filter(version=version), MOST_OF_VERSION, version)
        self._drop_oldest(ClientNovelty.objects.all(), MOST, "")
        # not before the commit: after a rollback the batch is written again
        transaction.on_commit(partial(self._know, frozenset(new)))

    def _drop_oldest(self, rows: QuerySet[ClientNovelty], most: int, version: str) -> None:
        """Keep the newest rows; one line in the log for each bound that a process reaches."""
        spare = list(rows.order_by("-first_at", "-pk").values_list("pk", flat=True)[most : 2 * MOST])
        if not spare:
            return
        ClientNovelty.objects.filter(pk__in=spare).delete()
        if version not in self._full and len(self._full) < MOST:
            self._full.add(version)
            logger.warning(
                "new names of clients are full: the oldest are replaced",
                extra={"client_version": version or "all", "most": most},
            )

    def _know(self, names: frozenset[tuple[str, ...]]) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known |= names


def _at_most(novelties: Iterable[ClientNovelty]) -> list[ClientNovelty]:
    """The last MOST_OF_VERSION of each version."""
    kept: dict[str, list[ClientNovelty]] = defaultdict(list)
    for novelty in novelties:
        kept[novelty.version].append(novelty)
    return [novelty for some in kept.values() for novelty in some[-MOST_OF_VERSION:]][-MOST:]


novelty_writer: Final = NoveltyWriter()
