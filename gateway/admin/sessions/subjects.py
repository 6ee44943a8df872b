"""What sessions are about: the first thing a person wrote in each, and the folder the client worked in.

Both are read from the stored contents whenever a page shows them: they disappear with the contents, and only
readers of the contents see them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from gateway.admin.ui.sanitize import inert
from gateway.client_protocol.prompts import working_directory, written
from gateway.client_protocol.purpose import RequestClass, Task
from gateway.history.access import note_reads, readable_requests
from gateway.history.content.conversations import openings
from gateway.history.totals import sessions
from gateway.models import ContentRead, RequestBody, RequestLog, SessionTotal

# characters of a title
LONGEST: Final = 120
# the part of a request named in the note of a read
PART: Final = "title"
# within this time reading a title is noted once for each reader
NOTED_EVERY: Final = timedelta(days=1)
# requests that a person sees; others make titles, compact, or work for an agent
_SAID: Final = (RequestClass.MAIN, RequestClass.UNKNOWN)


class SessionSubject(NamedTuple):
    """`title`: the first prompt of a person. `folder`: where the client ran. "" if unknown."""

    title: str = ""
    folder: str = ""


NOTHING: Final = SessionSubject()


def subjects(user: Any, totals: Iterable[SessionTotal]) -> Mapping[int, SessionSubject]:
    """The subjects of sessions whose contents the user may read, by the total's primary key.

    Notes the reads. Takes a fixed number of queries.
    """
    first = _first_requests(user, [total.pk for total in totals])
    stored: Any = RequestBody.objects.filter(log__request_id__in=list(first.values()))
    heads = dict(stored.values_list("log__request_id", "received_head"))
    opened = openings(bytes(head) for head in heads.values() if head is not None)
    found: dict[int, SessionSubject] = {}
    for pk, request_id in first.items():
        head = heads.get(request_id)
        subject = NOTHING if head is None else _subject(opened.get(bytes(head), ()))
        if subject != NOTHING:
            found[pk] = subject
    _note(user, {first[pk] for pk in found})
    return found


def _first_requests(user: Any, totals: list[int]) -> dict[int, str]:
    """The first request of the main agent whose contents are kept, by the total's primary key."""
    rows = sessions.held(
        readable_requests(
            user,
            RequestLog.objects.filter(
                session_id=OuterRef("session_id"),
                endpoint__in=sessions.COUNTED,
                agent_id="",
                request_class__in=_SAID,
                task=Task.NONE,
                body__received_head__isnull=False,
            ),
        )
    ).filter(holder=OuterRef("holder"))
    first = Subquery(rows.order_by("started_at", "pk").values("request_id")[:1])
    found = SessionTotal.objects.filter(pk__in=totals).annotate(first=first).values_list("pk", "first")
    return {pk: request_id for pk, request_id in found.order_by() if request_id is not None}


def _subject(opening: Iterable[Any]) -> SessionSubject:
    said = [message for message in opening if isinstance(message, Mapping)]
    title = next(filter(None, (" ".join(written(message).split()) for message in said)), "")
    folder = next(filter(None, map(working_directory, said)), "")
    if len(title) > LONGEST:
        title = title[:LONGEST].rstrip() + "…"
    return SessionSubject(inert(title), inert(folder))


def _note(user: Any, request_ids: set[str]) -> None:
    since = timezone.now() - NOTED_EVERY
    known = ContentRead.objects.filter(user=user, part=PART, request_id__in=request_ids, at__gte=since)
    note_reads(user, sorted(request_ids.difference(known.values_list("request_id", flat=True))), PART)
