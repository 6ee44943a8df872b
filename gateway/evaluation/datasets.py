"""Datasets as files: one step a line, texts masked, to be taken in again here or elsewhere.

A line is an object: session, agent, class, request_id, asked_model, provider, upstream_model, cost,
first_byte_ms, input_tokens, and the texts: headers, request, answer. Texts are masked with the patterns of
now, when they go out and when they come in. What a file may hold is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.client_protocol.purpose import RequestClass
from gateway.evaluation.recorded_steps import RecordedStep, TextsForbidden, TextsNotKept, recorded_step
from gateway.evaluation.selection import MOST_STEPS, kept_since
from gateway.history.access import note_read
from gateway.history.content.codec import compressed
from gateway.history.secrets.masker import Masker
from gateway.models import Dataset, DatasetStep
from gateway.wire import json_bounds, jsontext

# bytes of one line, and of a file
LONGEST_LINE: Final = 32 * 1024 * 1024
LARGEST_FILE: Final = 256 * 1024 * 1024
PART: Final = "dataset"
_HEADERS: Final = ("anthropic-version", "anthropic-beta")
_CLASSES: Final = frozenset(map(str, RequestClass))
_FACTS: Final = ("request_id", "asked_model", "provider", "upstream_model")
_INTEGER: Final = 2**31 - 1


class BadDataset(ValueError):
    """A file that cannot be taken in; str() says why and in which line."""


def exported(dataset: Dataset, user: Any, mask: Masker) -> Iterator[bytes]:
    """The lines of a dataset; steps whose texts are gone, or not for `user`, are left out."""
    since = kept_since(timezone.now())
    for step in dataset.steps.order_by("position").iterator(chunk_size=20):
        try:
            texts = recorded_step(step, user, since)
        except (TextsNotKept, TextsForbidden):
            continue
        note_read(user, step.request_id, PART)
        yield _line(step, texts, mask)


def _line(step: DatasetStep, texts: RecordedStep, mask: Masker) -> bytes:
    value = {
        "session": step.session,
        "agent": step.agent_id,
        "class": step.request_class,
        **{name: getattr(step, name) for name in _FACTS},
        "cost": None if step.cost is None else str(step.cost),
        "first_byte_ms": step.first_byte_ms,
        "input_tokens": step.input_tokens,
        "headers": {name: texts.headers[name] for name in _HEADERS if name in texts.headers},
        "answer": texts.taken,
    }
    # the request is text already, and may be large
    whole = jsontext.dumps(value)[:-1] + b',"request":' + texts.body + b"}"
    return mask.document(whole).text + b"\n"


def taken_in(name: str, lines: Iterable[bytes], user: Any, mask: Masker) -> Dataset:
    """Store the dataset of a file. Raises BadDataset, and what the database does; then nothing is stored."""
    with transaction.atomic():
        dataset = Dataset.objects.create(name=name, taken_in=True, created_by=user)
        size = 0
        position = 0
        for number, line in enumerate(lines, 1):
            size += len(line)
            if size > LARGEST_FILE:
                raise BadDataset(_("The file is larger than %(n)s MB.") % {"n": LARGEST_FILE >> 20})
            if not line.strip():
                continue
            if position >= MOST_STEPS:
                raise BadDataset(_("The file has more than %(n)s steps.") % {"n": MOST_STEPS})
            step = _step(line, number, mask)
            step.dataset, step.position = dataset, position
            step.save()
            position += 1
        if not position:
            raise BadDataset(_("The file has no steps."))
    return dataset


def _step(line: bytes, number: int, mask: Masker) -> DatasetStep:
    """One line as a step. Raises BadDataset."""
    if len(line) > LONGEST_LINE:
        raise BadDataset(_("Line %(n)s is longer than %(m)s MB.") % {"n": number, "m": LONGEST_LINE >> 20})
    try:
        json_bounds.check(line)
        value = jsontext.loads(mask.document(line).text)
    except (jsontext.InvalidJSON, RecursionError) as problem:
        raise BadDataset(_("Line %(n)s: %(problem)s") % {"n": number, "problem": problem}) from None
    if not isinstance(value, Mapping):
        raise BadDataset(_("Line %(n)s is no JSON object.") % {"n": number})
    request, answer, headers = value.get("request"), value.get("answer"), value.get("headers", {})
    if not isinstance(request, Mapping) or not isinstance(request.get("messages"), list):
        raise BadDataset(_("Line %(n)s has no request with messages.") % {"n": number})
    if not isinstance(answer, Mapping) or not isinstance(answer.get("content"), list):
        raise BadDataset(_("Line %(n)s has no answer with content.") % {"n": number})
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise BadDataset(_("Line %(n)s: the request names no model.") % {"n": number})
    kept = (
        {name: headers[name] for name in _HEADERS if name in headers} if isinstance(headers, Mapping) else {}
    )
    texts = {"request": request, "answer": answer, "headers": kept}
    named = value.get("class")
    return DatasetStep(
        session=_text(value.get("session"), 170) or "-",
        agent_id=_text(value.get("agent"), 128),
        request_class=named if isinstance(named, str) and named in _CLASSES else "unknown",
        request_id=_text(value.get("request_id"), 64),
        asked_model=model[:200],
        provider=_text(value.get("provider"), 50),
        upstream_model=_text(value.get("upstream_model"), 200),
        cost=_cost(value.get("cost")),
        first_byte_ms=_integer(value.get("first_byte_ms")),
        input_tokens=_integer(value.get("input_tokens")) or len(line) // 3,
        content=compressed(jsontext.dumps(texts)),
    )


def _text(value: Any, longest: int) -> str:
    # PostgreSQL stores no NUL
    return value.replace("\x00", "")[:longest] if isinstance(value, str) else ""


def _integer(value: Any) -> int | None:
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _INTEGER else None
    )


def _cost(value: Any) -> Decimal | None:
    if not isinstance(value, str):
        return None
    try:
        cost = Decimal(value)
    except InvalidOperation:
        return None
    return cost.quantize(Decimal("1e-10")) if cost.is_finite() and 0 <= cost < 1_000_000 else None
