"""How a provider's count follows from ours, learnt from the history.

A model's vocabulary splits texts more finely or more coarsely than ours (a factor), some classes of text
especially (a price for each), and its chat template adds words of its own (an overhead); `token_fit`
computes them. All processes share the history: whichever has seen enough new answers of a model reads
the last ones and writes what they teach, which comes into force with the next snapshot. This runs in the
recorder's thread, after the rows are durable, and a look costs as much as the rows of some forty
answers, so a busy model is looked at by the clock and not by its answers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from statistics import fmean, median
from typing import Final

from django.db import transaction
from django.utils import timezone

from gateway.cache import GenerationalCache
from gateway.history.outcome import OK, ExchangeOutcome
from gateway.history.totals.token_fit import CountedRequest, Learnt, learnt_from
from gateway.models import RequestLog, TokenFactor

logger = logging.getLogger("gateway.history")

# look at a model after this many new answers, then after every so many, and seconds
FIRST_LOOKS: Final = (5, 10, 20)
LOOK_EVERY: Final = 25
PAUSE: Final = 30.0
# clients may make names up: the models heard of last are remembered, at most so many
MOST_MODELS: Final = 1_000
LOOK_BACK: Final = 50
OLDEST: Final = timedelta(days=30)
# a smaller change is not worth a new snapshot in every process
NOTICEABLE: Final = 0.01

Model = tuple[str, str]


class _Seen:
    """The answers of one model: all of them, and when and after how many it was last looked at."""

    __slots__ = ("answers", "looked_after", "looked_at")

    def __init__(self) -> None:
        self.answers = self.looked_after = 0
        self.looked_at = 0.0

    def due(self, now: float) -> bool:
        """Count one more answer; returns whether to look at the model now, and notes that."""
        self.answers += 1
        enough = self.answers - self.looked_after >= LOOK_EVERY and now - self.looked_at >= PAUSE
        if not enough and self.answers not in FIRST_LOOKS:
            return False
        self.looked_after, self.looked_at = self.answers, now
        return True


class FactorLearner:
    """Counts the answers of each model that this process has written; it needs no thread of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: GenerationalCache[Model, _Seen] = GenerationalCache(MOST_MODELS)

    def note(self, written: Iterable[ExchangeOutcome]) -> None:
        """Answers are in the database. Never raises."""
        now = self._clock()
        due: set[Model] = set()
        for outcome in written:
            if teaches(outcome):
                model = outcome.provider, outcome.upstream_model
                seen = self._seen.get(model)
                if seen is None:
                    seen = _Seen()
                    self._seen.put(model, seen)
                if seen.due(now):
                    due.add(model)
        for provider, upstream_model in sorted(due):
            try:
                learn(provider, upstream_model)
            except Exception:
                logger.exception("no token factor learnt", extra={"provider": provider})


def teaches(outcome: ExchangeOutcome) -> bool:
    """Whether an exchange has our count and the provider's own."""
    return (
        outcome.state == OK
        and outcome.endpoint == "messages"
        and not outcome.usage_estimated
        and bool(outcome.vocabulary_tokens and outcome.input_tokens is not None and outcome.attempts)
    )


def learn(provider: str, upstream_model: str) -> Learnt | None:
    """Work out what a model's last answers teach and store it; None when there are too few."""
    pairs = _last(provider, upstream_model)
    if len(pairs) < FIRST_LOOKS[0]:
        return None
    learnt = learnt_from(pairs)
    told = {
        "requests": len(pairs),
        "error": median(map(learnt.error, pairs)),
    }
    with transaction.atomic():
        known = TokenFactor.objects.filter(provider=provider, upstream_model=upstream_model).first()
        if known is not None:
            before = Learnt(known.factor, known.overhead, known.letters, known.cjk)
            if fmean(abs(before.estimate(pair) / learnt.estimate(pair) - 1) for pair in pairs) < NOTICEABLE:
                TokenFactor.objects.filter(pk=known.pk).update(**told, learnt_at=timezone.now())
                return before
        TokenFactor.objects.update_or_create(
            provider=provider, upstream_model=upstream_model, defaults={**learnt._asdict(), **told}
        )
    return learnt


def _last(provider: str, upstream_model: str) -> list[CountedRequest]:
    rows = RequestLog.objects.filter(
        provider=provider,
        upstream_model=upstream_model,
        started_at__gte=timezone.now() - OLDEST,
        state=OK,
        endpoint="messages",
        usage_estimated=False,
        vocabulary_tokens__gt=0,
        input_tokens__isnull=False,
    ).order_by("-started_at", "-pk")
    values = rows.values_list(
        "vocabulary_tokens", "letter_tokens", "cjk_tokens",
        "input_tokens", "cache_read_tokens", "cache_write_tokens",
    )  # fmt: skip
    pairs = []
    for ours, letters, cjk, plain, read, written in values[:LOOK_BACK]:
        real = (plain or 0) + (read or 0) + (written or 0)
        if ours and real:
            # rows from before classes were distinguished have none
            pairs.append(CountedRequest(ours, real, letters or 0, cjk or 0))
    return pairs
