"""Converts a conversation incrementally; results are cached per passage.

A conversation is converted passage by passage (`wire/request_cache.py` finds those that came before). A
passage begins with an assistant's turn and ends before the next one, so calls and their results,
attachments and merged turns stay within it, and converting it alone gives the same as converting the
whole. Everything outside that influences a result is part of its key: the profile, the number of its first
message, and whether the user says more after it. A conversation that cannot be divided like this (for
example because of an assistant message without content) is a single passage.

Nothing here changes what it has handed out, and nobody else may.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gateway.conversion.cache_control import CACHEABLE, CacheMarkers
from gateway.conversion.context import ClientFacts
from gateway.conversion.profile import Profile
from gateway.conversion.provider_state import Seal
from gateway.conversion.request_context import Notes, RequestContext
from gateway.conversion.requests.messages.chat_messages import (
    chat_messages,
    refuse_nothing_said,
    without_neighbours,
)
from gateway.conversion.requests.messages.turns import Turn, pair, turns
from gateway.conversion.tokens.messages import message_tokens, speaks
from gateway.conversion.tools.exposure import ToolHistory
from gateway.errors import InvalidRequest
from gateway.wire.chat import ChatMessage
from gateway.wire.messages_request import CacheControl, MessagesRequest, RequestMessage
from gateway.wire.request_cache import Part

NOBODY: Final = ClientFacts()
# targets of one conversation whose results are kept
_MOST_READINGS: Final = 4


class Paired(NamedTuple):
    """The turns of a passage, calls and results together, and what was noted on the way, step by step.

    `speaks`: the user says more in one of them than results of tools.
    """

    turns: list[Turn]
    of_turns: Notes | None
    of_pairs: Notes | None
    speaks: bool


class Written(NamedTuple):
    """The chat messages of a passage; notes and markers, if there are any; bytes of payloads in them."""

    messages: list[ChatMessage]
    notes: Notes | None
    markers: CacheMarkers | None
    unpacked: int


class Reading:
    """What a passage becomes for one profile, model and owner of payloads, as far as it was needed.

    The keys: whether there is more of the user after it; for `written`, for its turns and for its thinking.
    """

    __slots__ = ("model", "paired", "profile", "seal", "tokens", "written")

    def __init__(self, profile: Profile, model: str, seal: Seal) -> None:
        self.profile = profile
        self.model = model
        # what one client brought back is not another's, even if the text is the same
        self.seal = seal
        self.tokens: dict[bool, int] = {}
        self.paired: dict[bool, Paired] = {}
        self.written: dict[tuple[bool, bool], Written] = {}


class Passage:
    """Consecutive messages of a request, `first` the number of the first. `checked`: they passed."""

    __slots__ = ("_clears", "_history", "_of_user", "_readings", "_speaks", "checked", "first", "messages")

    def __init__(self, messages: list[RequestMessage], first: int = 0) -> None:
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

    def reading(self, profile: Profile, model: str, seal: Seal) -> Reading:
        for reading in self._readings:
            if reading.profile is profile and reading.model == model and reading.seal == seal:
                return reading
        reading = Reading(profile, model, seal)
        self._readings = [*self._readings[1 - _MOST_READINGS :], reading]
        return reading


class Conversation:
    """The messages of one request.

    Ask in this order: `checked`, `passed`; then `history` and `tokens` as often as needed, `turns`, and
    `chat_messages` last.
    """

    def __init__(
        self,
        request: MessagesRequest,
        profile: Profile,
        parts: Sequence[Part] = (),
        client: ClientFacts = NOBODY,
    ) -> None:
        """`request` need not be checked; `parts` are its passages that are remembered."""
        self._opaque = client.opener()
        self._messages: Any = request.get("messages")
        messages = self._messages
        self._profile = profile
        # the model that is asked decides what goes back to it
        self._model = profile.upstream_model or str(request.get("model"))
        self._passages = [_known(part) for part in parts]
        place = sum(len(passage.messages) for passage in self._passages)
        if type(messages) is list:
            self._passages.append(Passage(messages[place:] if place else messages, place))
        # without remembered passages nothing need be kept apart: the messages are converted as they are
        self._apart = bool(parts)
        self._readings = (
            [passage.reading(profile, self._model, client.seal) for passage in self._passages]
            if parts
            else []
        )
        self._more_of_user: list[bool] = []
        self._paired: list[Paired] = []
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

    def tokens(self) -> int:
        """The packed count of all messages."""
        if not self._apart:
            return message_tokens(self._messages, self._profile, self._opaque)
        tokens, later = 0, False
        by_turns = self._profile.replay_scope == "tool_turns"
        for passage, reading in zip(reversed(self._passages), reversed(self._readings), strict=True):
            counted = reading.tokens.get(later)
            if counted is None:
                counted = message_tokens(passage.messages, self._profile, self._opaque, spoken_later=later)
                reading.tokens[later] = counted
            tokens += counted
            later = later or (by_turns and passage.speaks)
        return tokens

    def turns(self, context: RequestContext, marker: CacheControl | None = None) -> list[Turn]:
        """All turns, paired; notes go into `context`. Raises InvalidRequest with `history: strict`.

        `marker`: the request's own `cache_control`, which marks the last block that can carry one.
        """
        # which block is marked depends on all of them
        self._apart = self._apart and marker is None and self._paired_apart(context)
        if not self._apart:
            self._turns = turns(self._messages, context.profile.mid_system, context.notes)
            if marker is not None:
                _mark_automatically(self._turns, marker, context)
            pair(self._turns, context)
            return self._turns
        for paired in self._paired:
            if paired.of_turns is not None:
                context.notes.join(paired.of_turns)
        for paired in self._paired:
            if paired.of_pairs is not None:
                context.notes.join(paired.of_pairs)
        self._turns = [turn for paired in self._paired for turn in paired.turns]
        return self._turns

    def chat_messages(self, context: RequestContext) -> list[ChatMessage]:
        """The chat messages without the leading system message. Raises InvalidRequest."""
        messages: list[ChatMessage] = []
        written = self._written(context) if self._apart else []
        if context.profile.assistant_after_tool and not _in_order(written):
            written = []
        for passage in written:
            messages += passage.messages
            if passage.notes is not None:
                context.notes.join(passage.notes)
            if passage.markers is not None:
                context.markers.join(passage.markers)
        if not written:
            messages = chat_messages(self._turns, context)
        refuse_nothing_said(messages)
        return without_neighbours(messages, context)

    def _paired_apart(self, context: RequestContext) -> bool:
        """Pair the turns of each passage; False when they have to be paired together."""
        try:
            self._pair(context)
        except InvalidRequest:
            # a turn that continues in the next passage may have what is missing here
            return False
        return _stand_alone(self._paired)

    def _pair(self, context: RequestContext) -> None:
        # it is asked for by few
        clears = [passage.clears for passage in self._passages]
        behind = _any_behind([passage.of_user for passage in self._passages]) if any(clears) else clears
        self._more_of_user = [more and clear for more, clear in zip(behind, clears, strict=True)]
        self._paired = []
        for passage, reading, more in zip(self._passages, self._readings, self._more_of_user, strict=True):
            paired = reading.paired.get(more)
            if paired is None:
                paired = reading.paired[more] = _paired(passage, context, more_of_user=more)
            self._paired.append(paired)

    def _written(self, context: RequestContext) -> list[Written]:
        found: list[Written] = []
        spoken_later = [False] * len(self._paired)
        if context.profile.replay_scope == "tool_turns":
            spoken_later = _any_behind([paired.speaks for paired in self._paired])
        for reading, paired, more, later in zip(
            self._readings, self._paired, self._more_of_user, spoken_later, strict=True
        ):
            written = reading.written.get((more, later))
            if written is None or not context.opaque.charge(written.unpacked):
                refused = context.opaque.refused
                written = _written(paired, context, spoken_later=later)
                # what one request had no budget for another has
                if context.opaque.refused == refused:
                    reading.written[more, later] = written
            found.append(written)
        return found


def _known(part: Part) -> Passage:
    if part.work is None:
        part.work = Passage(part.value, part.first)
    passage: Passage = part.work
    return passage


def _paired(passage: Passage, context: RequestContext, *, more_of_user: bool) -> Paired:
    of_turns, apart = Notes(), context.apart()
    found = turns(
        passage.messages,
        context.profile.mid_system,
        of_turns,
        first=passage.first,
        more_of_user=more_of_user,
    )
    pair(found, apart)
    speaks = any(turn.speaks for turn in found)
    return Paired(found, of_turns if of_turns else None, apart.notes if apart.notes else None, speaks)


def _written(paired: Paired, context: RequestContext, *, spoken_later: bool) -> Written:
    apart = context.apart()
    used = context.opaque.used
    messages = chat_messages(paired.turns, apart, spoken_later=spoken_later)
    unpacked = context.opaque.used - used
    notes, markers = apart.notes, apart.markers
    return Written(messages, notes if notes else None, markers if markers else None, unpacked)


def _mark_automatically(turns: list[Turn], marker: CacheControl, context: RequestContext) -> None:
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
