"""How a provider's count follows from ours, learnt from the history.

A model's vocabulary splits texts more finely or more coarsely than ours (a factor), some
classes of text above all (a price for each), and its chat template adds words of its
own (an overhead); `token_fit` works them out. The history is what all
processes share: whoever has seen enough new answers of a model reads the last ones
from it and writes what they teach, which comes into force with the next snapshot. It
runs in the recorder's thread, after the rows are durable.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from statistics import fmean, median
from typing import Final

from django.db import transaction
from django.utils import timezone

from gateway.audit.outcome import OK, ExchangeOutcome
from gateway.audit.token_fit import Counted, Learnt, learnt_from
from gateway.models import RequestLog, TokenFactor

logger = logging.getLogger("gateway.audit")

# new answers of a model after which it is looked at; then after every so many
FIRST_LOOKS: Final = (5, 10, 20)
LOOK_EVERY: Final = 25
LOOK_BACK: Final = 50
OLDEST: Final = timedelta(days=30)
# a smaller change is not worth a new snapshot in every process
NOTICEABLE: Final = 0.01

Model = tuple[str, str]


class FactorLearner:
    """Counts the answers of each model that this process has written; a thread of its own is not needed."""

    def __init__(self) -> None:
        self._seen: Counter[Model] = Counter()

    def note(self, written: Iterable[ExchangeOutcome]) -> None:
        """Answers are in the database. Never raises."""
        due: set[Model] = set()
        for outcome in written:
            if teaches(outcome):
                model = outcome.provider, outcome.upstream_model
                self._seen[model] += 1
                if self._seen[model] in FIRST_LOOKS or self._seen[model] % LOOK_EVERY == 0:
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
    """Work out what a model's last answers teach and store it; None with too few of them."""
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


def _last(provider: str, upstream_model: str) -> list[Counted]:
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
            # rows of before classes were told apart have none
            pairs.append(Counted(ours, real, letters or 0, cjk or 0))
    return pairs
