"""The transcript of a session: everything said in it, by agent, in portions.

Each request repeats the conversation so far, so the newest one holds all of it, until the conversation is
compacted, rewound or forked: then a new segment begins (history/content/conversations.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from gateway.admin.requests.conversation import ShownTurn, laid_out_turns
from gateway.admin.ui.sanitize import inert
from gateway.client_protocol.purpose import RequestClass
from gateway.history.content import bodies
from gateway.history.content.conversations import messages, segments
from gateway.wire.message_reader import read_answer

# messages of one portion
PORTION: Final = 40
MOST_SEGMENTS: Final = 50
# the newest requests, in which segments are looked for
MOST_REQUESTS: Final = 5_000
# calls repeated this often with the same arguments are listed
REPEATED: Final = 3
MOST_REPEATED: Final = 8
# messages in which repeated calls are looked for
MOST_SEARCHED: Final = 1_000
_LONGEST_CALL: Final = 160


class Segment(NamedTuple):
    """A conversation: the last request that contains it, and the end of its chain."""

    request_id: str
    pk: int
    started_at: datetime
    head: bytes


class RepeatedCall(NamedTuple):
    """A call that was made `times` with the same arguments."""

    name: str
    arguments: str
    times: int


@dataclass(frozen=True, slots=True)
class Portion:
    """Turns of one segment. `number` of the segment, from 0; `first`: its first turns are among them.

    `following`: (segment, message) where the next portion starts, None at the end. `damaged`: the contents
    are unreadable.
    """

    segment: Segment
    number: int
    first: bool
    turns: Sequence[ShownTurn]
    following: tuple[int, int] | None
    damaged: bool = False


def segments_of(rows: QuerySet[Any], agent_id: str) -> list[Segment]:
    """The segments of an agent's conversation, oldest first; `rows`: the requests that may be read."""
    asked = rows.filter(agent_id=agent_id, body__received_head__isnull=False)
    asked = asked.exclude(request_class=RequestClass.AUXILIARY).order_by("-started_at", "-pk")
    columns = ("request_id", "pk", "started_at", "body__received_head")
    found: dict[bytes, Segment] = {}
    for request_id, pk, started_at, head in asked.values_list(*columns)[:MOST_REQUESTS]:
        # the newest of several identical requests
        found.setdefault(bytes(head), Segment(request_id, pk, started_at, bytes(head)))
    return [found[end] for end in segments(list(found), MOST_SEGMENTS)][::-1]


def portion(found: Sequence[Segment], number: int, start: int) -> Portion:
    """As many turns of segment `number` as a page holds, from message `start` on."""
    segment = found[number]
    # one message earlier: results refer to the calls in the message before them
    since = max(0, start - 1)
    said, whole = messages(segment.head, since, PORTION + start - since)
    before, shown = (said[0], said[1:]) if start and said else (None, said)
    turns = laid_out_turns(shown, before)
    reached = start + len(turns)
    damaged = any(message is None for message in shown)
    if reached < whole and turns:
        return Portion(segment, number, start == 0, turns, (number, reached), damaged)
    answer = _answer(segment)
    turns += laid_out_turns([] if answer is None else [answer], role="answer")
    following = (number + 1, 0) if number + 1 < len(found) else None
    return Portion(segment, number, start == 0, turns, following, damaged)


def repeated_calls(segment: Segment) -> list[RepeatedCall]:
    """The calls that were made most often with the same arguments."""
    said, _whole = messages(segment.head, 0, MOST_SEARCHED)
    times = Counter(_calls(said))
    return [
        RepeatedCall(inert(name), inert(arguments[:_LONGEST_CALL]), count)
        for (name, arguments), count in times.most_common(MOST_REPEATED)
        if count >= REPEATED
    ]


def _calls(said: Sequence[Any]) -> Iterator[tuple[str, str]]:
    for message in said:
        content = message.get("content") if isinstance(message, Mapping) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, Mapping) and block.get("type") == "tool_use":
                yield (
                    str(block.get("name")),
                    json.dumps(block.get("input"), ensure_ascii=False, sort_keys=True),
                )


def _answer(segment: Segment) -> Mapping[str, Any] | None:
    try:
        stored = bodies.stored(segment.request_id)
        text = None if stored is None else stored.text("returned")
    except bodies.UnreadableContent:
        return None
    return read_answer(text or b"").message
