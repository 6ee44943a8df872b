"""The messages of a request in passages, and what was worked out of each: once, while it is remembered.

A conversation is converted passage by passage (`wire/recurring.py` finds those that came
before). A passage begins with an assistant's turn and ends in front of the next one's, so
calls and their results, attachments and merged turns stay within it, and converting it
alone gives what converting the whole gives. What reaches in from outside is part of what a
result is known by: the profile, the number of its first message, and whether the user says
more behind it. A conversation that cannot be cut so (an assistant's message without
content, say) is one passage.

Nothing in here changes what it has handed out, and nobody else may.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gateway.conversion.cache_control import CACHEABLE, CacheMarkers
from gateway.conversion.chat_messages import chat_messages, refuse_nothing_said
from gateway.conversion.message_tokens import message_tokens, speaks
from gateway.conversion.pairing import pair
from gateway.conversion.profile import Profile
from gateway.conversion.request_context import Notes, RequestContext
from gateway.conversion.tool_exposure import ToolHistory
from gateway.conversion.turns import Turn, turns
from gateway.errors import InvalidRequest
from gateway.wire.chat import ChatMessage
from gateway.wire.messages import JSONObject
from gateway.wire.recurring import Part

# targets of one conversation whose results are kept
_MOST_READINGS: Final = 4


class Paired(NamedTuple):
    """The turns of a passage, calls and results together, and what was noted on the way, step by step."""

    turns: list[Turn]
    of_turns: Notes
    of_pairs: Notes


class Written(NamedTuple):
    """The chat messages of a passage."""

    messages: list[ChatMessage]
    notes: Notes
    markers: CacheMarkers


class Reading:
    """What a passage becomes for one profile and model, as far as somebody wanted to know.

    The keys: whether there is more of the user behind it; of `written`, for its turns and for its thinking.
    """

    __slots__ = ("model", "paired", "profile", "tokens", "written")

    def __init__(self, profile: Profile, model: str) -> None:
        self.profile = profile
        self.model = model
        self.tokens: dict[bool, int] = {}
        self.paired: dict[bool, Paired] = {}
        self.written: dict[tuple[bool, bool], Written] = {}


class Passage:
    """Consecutive messages of a request, `first` the number of the first. `checked`: they passed."""

    __slots__ = ("_clears", "_history", "_of_user", "_readings", "_speaks", "checked", "first", "messages")

    def __init__(self, messages: list[JSONObject], first: int = 0) -> None:
        self.messages = messages
        self.first = first
        self.checked = False
        self._history: ToolHistory | None = None
        self._of_user: bool | None = None
        self._speaks: bool | None = None
        self._clears: bool | None = None
        self._readings: list[Reading] = []

    @property
    def history(self) -> ToolHistory:
        if self._history is None:
            self._history = ToolHistory.of(self.messages, self.first)
        return self._history

    @property
    def of_user(self) -> bool:
        """Whether a message is the user's; of checked messages."""
        if self._of_user is None:
            self._of_user = any(message["role"] == "user" for message in self.messages)
        return self._of_user

    @property
    def speaks(self) -> bool:
        """Whether the user says more than results of tools; of checked messages."""
        if self._speaks is None:
            self._speaks = any(map(speaks, self.messages))
        return self._speaks

    @property
    def clears(self) -> bool:
        """Whether a message is to be left out once the user has said more; of checked messages."""
        if self._clears is None:
            self._clears = any("clear_at" in message for message in self.messages)
        return self._clears

    def reading(self, profile: Profile, model: str) -> Reading:
        for reading in self._readings:
            if reading.profile is profile and reading.model == model:
                return reading
        reading = Reading(profile, model)
        self._readings = [*self._readings[1 - _MOST_READINGS :], reading]
        return reading


class Conversation:
    """The messages of one request.

    Ask in this order: `checked`, `passed`; then `history` and `tokens` as often as needed, `turns`, and
    `chat_messages` last.
    """

    def __init__(self, messages: Any, parts: Sequence[Part] = ()) -> None:
        self._messages = messages
        self._passages = [_known(part) for part in parts]
        place = sum(len(passage.messages) for passage in self._passages)
        if type(messages) is list:
            self._passages.append(Passage(messages[place:] if place else messages, place))
        self._paired: list[Paired] = []
        # of messages that nobody remembers nothing need be kept apart: they are converted as they are
        self._remembered = bool(parts)
        self._turns: list[Turn] = []

    @property
    def checked(self) -> int:
        """How many messages at the beginning passed the checks before."""
        number = 0
        for passage in self._passages:
            if not passage.checked:
                break
            number += len(passage.messages)
        return number

    def passed(self) -> None:
        """All messages passed the checks."""
        for passage in self._passages:
            passage.checked = True

    @property
    def history(self) -> ToolHistory:
        return ToolHistory.joined([passage.history for passage in self._passages])

    def tokens(self, profile: Profile) -> int:
        """The packed count of all messages."""
        if not self._remembered:
            return message_tokens(self._messages, profile, spoken_later=False)
        tokens, later = 0, False
        for passage in reversed(self._passages):
            counted = passage.reading(profile, "").tokens
            if later not in counted:
                counted[later] = message_tokens(passage.messages, profile, spoken_later=later)
            tokens += counted[later]
            later = later or (profile.replay_scope == "tool_turns" and passage.speaks)
        return tokens

    def turns(self, context: RequestContext, marker: JSONObject | None = None) -> list[Turn]:
        """All turns, paired; notes go into `context`. Raises InvalidRequest with `history: strict`.

        `marker`: the request's own `cache_control`, which marks the last block that can carry one.
        """
        if not self._remembered:
            self._turns = turns(self._messages, context.profile.mid_system, context.notes)
            if marker is not None:
                _mark_automatically(self._turns, marker, context)
            pair(self._turns, context)
            return self._turns
        if marker is not None:
            # which block that is depends on all
            self._passages = [Passage(self._messages)]
        elif len(self._passages) > 1:
            try:
                self._paired = self._paired_by(context)
            except InvalidRequest:
                # a turn that goes on in the next passage may have what is missed here
                self._paired = []
            if not _stand_alone(self._paired):
                self._passages = [Passage(self._messages)]
        if len(self._passages) == 1:
            self._paired = self._paired_by(context, marker)
        for paired in self._paired:
            context.notes.join(paired.of_turns)
        for paired in self._paired:
            context.notes.join(paired.of_pairs)
        return [turn for paired in self._paired for turn in paired.turns]

    def chat_messages(self, context: RequestContext) -> list[ChatMessage]:
        """The chat messages without the leading system message. Raises InvalidRequest."""
        if not self._remembered:
            messages = chat_messages(self._turns, context)
            refuse_nothing_said(messages)
            return messages
        messages = []
        written = [] if context.markers.automatic else self._written_by(context)
        if len(written) > 1 and context.profile.assistant_after_tool and not _in_order(written):
            written = []
        for passage in written:
            messages += passage.messages
            context.notes.join(passage.notes)
            context.markers.join(passage.markers)
        if not written:
            every_turn = [turn for paired in self._paired for turn in paired.turns]
            messages = chat_messages(every_turn, context)
        refuse_nothing_said(messages)
        return messages

    def _paired_by(self, context: RequestContext, marker: JSONObject | None = None) -> list[Paired]:
        found: list[Paired] = []
        for passage, more in zip(self._passages, self._more_of_user(), strict=True):
            known = _reading(passage, context).paired
            if more not in known:
                known[more] = _paired(passage, context, marker, more_of_user=more)
            found.append(known[more])
        return found

    def _written_by(self, context: RequestContext) -> list[Written]:
        found: list[Written] = []
        more_of_user, spoken_later = self._more_of_user(), self._spoken_later(context)
        for passage, paired, more, later in zip(
            self._passages, self._paired, more_of_user, spoken_later, strict=True
        ):
            known = _reading(passage, context).written
            written = known.get((more, later))
            if written is None:
                apart = context.apart()
                messages = chat_messages(paired.turns, apart, spoken_later=later)
                written = Written(messages, apart.notes, apart.markers)
                # breakpoints may be taken back when the request has too many of them
                if not apart.markers.breakpoints:
                    known[more, later] = written
            found.append(written)
        return found

    def _more_of_user(self) -> list[bool]:
        """For each passage that asks: whether messages of the user follow behind it."""
        behind = _any_behind([passage.of_user for passage in self._passages])
        return [more and passage.clears for more, passage in zip(behind, self._passages, strict=True)]

    def _spoken_later(self, context: RequestContext) -> list[bool]:
        """For each passage, where it matters: whether the user says more behind it."""
        if context.profile.replay_scope != "tool_turns":
            return [False] * len(self._paired)
        return _any_behind([any(turn.speaks for turn in paired.turns) for paired in self._paired])


def _known(part: Part) -> Passage:
    if part.work is None:
        part.work = Passage(part.value, part.first)
    passage: Passage = part.work
    return passage


def _reading(passage: Passage, context: RequestContext) -> Reading:
    return passage.reading(context.profile, context.profile.upstream_model or context.model)


def _paired(
    passage: Passage, context: RequestContext, marker: JSONObject | None, *, more_of_user: bool
) -> Paired:
    of_turns, apart = Notes(), context.apart()
    found = turns(
        passage.messages,
        context.profile.mid_system,
        of_turns,
        first=passage.first,
        more_of_user=more_of_user,
    )
    if marker is not None:
        _mark_automatically(found, marker, context)
    pair(found, apart)
    return Paired(found, of_turns, apart.notes)


def _mark_automatically(turns: list[Turn], marker: JSONObject, context: RequestContext) -> None:
    blocks = (located.block for turn in reversed(turns) for located in reversed(turn.blocks))
    last = next((block for block in blocks if block["type"] in CACHEABLE), None)
    if last is not None:
        context.markers.mark_automatically(last, marker)


def _stand_alone(passages: Sequence[Paired]) -> bool:
    """Whether no turn goes on in the next passage."""
    if not passages or not all(paired.turns for paired in passages):
        return False
    return all(
        before.turns[-1].role != "assistant" and behind.turns[0].role == "assistant"
        for before, behind in pairwise(passages)
    )


def _in_order(passages: Sequence[Written]) -> bool:
    """Whether each passage but the first begins with a message of the assistant."""
    return all(written.messages and written.messages[0]["role"] == "assistant" for written in passages[1:])


def _any_behind(facts: Iterable[bool]) -> list[bool]:
    """For each place whether the fact holds somewhere behind it."""
    found: list[bool] = []
    behind = False
    for fact in reversed(list(facts)):
        found.append(behind)
        behind = behind or fact
    return found[::-1]
