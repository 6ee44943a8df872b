"""Dates and times as people type them in commands."""

from __future__ import annotations

from datetime import datetime

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _


def moment(text: str | None) -> datetime | None:
    """`2026-11-25` (its first moment, in TIME_ZONE) or `2026-11-25T10:00` or one with an offset.

    None for None. Raises CommandError.
    """
    if text is None:
        return None
    try:
        found = parse_datetime(text)
        day = None if found else parse_date(text)
    except ValueError:
        found = day = None
    if day is not None:
        found = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - its zone is given below
    if found is None:
        raise CommandError(_("%s is not a date: write 2026-11-25 or 2026-11-25T10:00.") % text)
    return timezone.make_aware(found) if timezone.is_naive(found) else found
