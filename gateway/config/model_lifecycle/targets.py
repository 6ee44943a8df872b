"""Targets of mappings whose model ends soon, or has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from django.utils.translation import gettext as _

from gateway.config.model_lifecycle.lifecycle import NOTICE, ModelLife, life_of
from gateway.models import DailyOutcome, MappingTarget
from gateway.routing.matching import Match, star_of, upstream_model
from gateway.routing.snapshot import MappingRule, Target

# for how long a model that a pattern led to counts as one that is in use
_RECENT: Final = timedelta(days=7)
_HOUR: Final = 3600


class Ending(NamedTuple):
    """A target that is in use, and what is announced for its model, or for one that it is asked for."""

    target: MappingTarget
    life: ModelLife

    @property
    def can_be_replaced(self) -> bool:
        """Whether this model is all that the target stands for, so that the successor can take its place."""
        mapping = self.target.mapping
        has_one_name = "*" not in mapping.pattern and not mapping.public_names
        is_named = self.target.upstream_model == self.life.model
        return bool(self.life.successor) and (is_named or has_one_name)


def ending_targets(today: date, mapping_pk: int | None = None) -> list[Ending]:
    """Targets in use whose model ends within 90 days or has ended; the next end first.

    `mapping_pk`: of this mapping alone.
    """
    targets = MappingTarget.objects.filter(enabled=True, mapping__enabled=True, provider__enabled=True)
    if mapping_pk is not None:
        targets = targets.filter(mapping=mapping_pk)
    found = []
    for target, models in _models_of(
        targets.select_related("mapping", "provider").order_by("mapping__position", "position", "pk"), today
    ):
        for model in models:
            life = life_of(target.provider.base_url, model)
            if life is not None and life.days(today) <= max(NOTICE):
                found.append(Ending(target, life))
    return sorted(found, key=lambda ending: ending.life.ends)


def replace_model(ending: Ending) -> None:
    """Let the successor of a model take its place in the target; one change in the log, which can be undone.

    Raises ValidationError.
    """
    target = ending.target
    target.upstream_model, target.model_family = ending.life.successor, ""
    target.full_clean()
    target.save()


def ending_text(life: ModelLife, today: date) -> str:
    """One sentence, in the reader's language."""
    facts = {"model": life.model, "day": life.ends.isoformat(), "successor": life.successor}
    if life.stage(today) == "retired":
        return _("%(model)s ended on %(day)s: requests for it fail. Its successor is %(successor)s.") % facts
    return _("%(model)s ends on %(day)s. Its successor is %(successor)s.") % facts


def _models_of(
    targets: Iterable[MappingTarget], today: date
) -> Iterable[tuple[MappingTarget, Collection[str]]]:
    """What each target's provider is asked for: by the names of its mapping, and for a pattern by the
    requests of the last days.
    """
    recent: set[tuple[int, str, str]] | None = None
    for target in targets:
        pattern, given = target.mapping.pattern, target.upstream_model
        if given and "*" not in given:
            yield target, (given,)
            continue
        exact = "*" not in pattern
        rule = MappingRule(target.mapping_id, pattern, exact, ())
        routed = Target(target.provider.slug, given)
        names = [*([pattern] if exact else []), *(str(name) for name in target.mapping.public_names)]
        models = {upstream_model(Match(rule, name, star_of(rule, name)), routed): None for name in names}
        if not exact:
            recent = _recent_models(today) if recent is None else recent
            for mapping_pk, slug, model in sorted(recent):
                if (mapping_pk, slug) == (target.mapping_id, target.provider.slug):
                    models[model] = None
        yield target, list(models)


def _recent_models(today: date) -> set[tuple[int, str, str]]:
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC) - _RECENT
    rows = DailyOutcome.objects.filter(hour__gte=int(midnight.timestamp()) // _HOUR)
    return set(rows.values_list("mapping_pk", "provider", "upstream_model").distinct())
