"""Learnt options as records: proposals come in, an admin's decisions go out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from gateway.config.changes import LEARNT, acting
from gateway.conversion.profile import OPTION_NAMES
from gateway.models import Decision, LearntOption, ModelMapping, Provider
from gateway.models.base import storable_text
from gateway.routing.learnt_options import Taught

_SIZES: Final = frozenset({"context_window", "max_output_tokens", "min_output_tokens"})
LONGEST_VALUE: Final = 300
_LONGEST_WORDS: Final = 500
_LONGEST_MODEL: Final = 200


def write_taught(taught: Taught) -> None:
    """Store a proposal for an admin, unless one has refused the option before.

    Raises what the database raises.
    """
    with acting(source=LEARNT):
        _propose(taught)


def _propose(taught: Taught) -> None:
    target = {
        "provider": taught.provider,
        "upstream_model": storable_text(taught.upstream_model, _LONGEST_MODEL),
        "option": taught.option,
    }
    of_option = LearntOption.objects.filter(**target)
    if of_option.filter(decision=Decision.REFUSED).exists():
        return
    new, old = _json(taught.new), _json(taught.old)
    same = of_option.filter(new_json=new)
    words = storable_text(taught.words, _LONGEST_WORDS)
    if max(len(new), len(old)) > LONGEST_VALUE or _again(same, words):
        return
    try:
        with transaction.atomic():
            LearntOption.objects.create(
                **target,
                old_json=old,
                new_json=new,
                words=words,
                mapping_pk=taught.mapping_pk,
                last_at=timezone.now(),
            )
    except IntegrityError:
        # another process was faster
        _again(same, words)
        return
    # a value that no admin has confirmed is replaced by the next
    of_option.filter(decision=Decision.PROPOSED).exclude(new_json=new).delete()


class Decided(NamedTuple):
    """Admins' decisions, by provider slug and upstream model: options in force, and options refused."""

    confirmed: Mapping[tuple[str, str], Mapping[str, Any]]
    refused: Mapping[tuple[str, str], frozenset[str]]


def decided() -> Decided:
    """All decisions, except about options that no longer exist."""
    confirmed: dict[tuple[str, str], dict[str, Any]] = {}
    refused: dict[tuple[str, str], frozenset[str]] = {}
    for record in LearntOption.objects.filter(option__in=OPTION_NAMES).exclude(decision=Decision.PROPOSED):
        target = (record.provider, record.upstream_model)
        if record.decision == Decision.CONFIRMED:
            confirmed.setdefault(target, {})[record.option] = record.new
        else:
            refused[target] = refused.get(target, frozenset()) | {record.option}
    return Decided(confirmed, refused)


def of_mapping(mapping: ModelMapping) -> Iterable[LearntOption]:
    """What was learnt at a mapping's targets, or by its requests."""
    targets = Q(mapping_pk=mapping.pk)
    for target in mapping.targets.select_related("provider"):
        if target.upstream_model and "*" not in target.upstream_model:
            targets |= Q(provider=target.provider.slug, upstream_model=target.upstream_model)
    found: Iterable[LearntOption] = LearntOption.objects.filter(targets)
    return found


def settings_against(record: LearntOption) -> list[str]:
    """Providers and mappings, by name, whose own setting of the option takes precedence over the
    learnt one.
    """
    owners: list[Provider | ModelMapping] = []
    for provider in Provider.objects.filter(slug=record.provider):
        owners.append(provider)
    mappings = ModelMapping.objects.filter(targets__provider__slug=record.provider).distinct()
    owners += [
        mapping for mapping in mappings.prefetch_related("targets__provider") if _leads(mapping, record)
    ]
    return [str(owner) for owner in owners if _sets(owner, record.option)]


def _leads(mapping: ModelMapping, record: LearntOption) -> bool:
    return any(
        target.provider.slug == record.provider
        and ("*" in target.upstream_model or target.upstream_model in ("", record.upstream_model))
        for target in mapping.targets.all()
    )


def _sets(owner: Provider | ModelMapping, option: str) -> bool:
    # sizes are fields of a mapping
    return option in owner.options or (option in _SIZES and getattr(owner, option, None) is not None)


def _again(records: Any, words: str) -> bool:
    """Count the same lesson once more; False when there is no such record."""
    seen = {"times": F("times") + 1, "last_at": timezone.now(), "words": words}
    return bool(records.update(**seen))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
