"""Which call a fragment belongs to: one table for streams and whole answers, Chat and Responses.

A fragment gives up to three pieces of evidence: an id, an index, a name. Providers leave out each
of them, give all calls the index 0, count the index up with every fragment, take the tool's name
for an id, or make a new id for every fragment. So no single one decides; what decides besides is
how far the arguments of the call in question are, and whether the fragment begins an object.

The call in question ("it") is the one with the fragment's id; else the one with its index; else
the latest. The first line that fits holds:

    found by   id of the      name of the       arguments   arguments of      the fragment
               fragment       fragment          of it       the fragment
    ---------  -------------  ----------------  ----------  ----------------  ------------------
    (none)     any            any               -           any               begins a call
    id         its own        another           begun       any               begins a call (1)
               its own        any               whole       begin an object   may repeat it (2)
               its own        any               any         any               continues it
    index      new, it has    another           begun       any               begins a call
               none           any               whole       begin an object   begins a call
                              any               any         any               continues it
    index      another        none              not whole   any               continues it (3)
                              its own           not whole   go on             continues it (3)
                              its own           lacking     begin an object   continues it (9)
                              none              whole       nothing, junk     continues it
                              otherwise                                       begins a call
    index      none           another           begun       any               begins a call
                              none              whole       begin an object   continues the latest (7)
                              none              whole       no bracket alone  continues the latest (8)
                              any               whole       begin an object   may repeat it (2)
                              any               any         any               continues it
    latest     new            its own or none   not whole   go on             continues it (3)
               new, no index  its own           lacking     begin an object   continues it (9)
                              none              nothing     begin an object   continues it (3)
               new            otherwise                                       begins a call
    latest     none, but a    another           any         any               begins a call
               new index      its own           not whole   go on             continues it (4)
                              its own           otherwise                     begins a call
                              none              whole       begin an object   begins a call (5)
                              none              any         any               continues it (4)
    latest     none, no       another           begun       any               begins a call
               index          its own           whole       begin an object   begins a call (6)
                              none              whole       begin an object   may repeat it (2)
                              any               any         any               continues it

"Begun" is anything but nothing. `{}`, `null` and `""` are placeholders: nothing else is sent of
them until it is known what comes, and an object behind them is the argument. "Go on" is what
neither is blank nor a placeholder nor begins an object. A name that is not complete yet
(no argument has come) goes on with the next piece of it, unless both are tools that were sent.

(1) The id is none: it is the tool's name, or the same for all calls.
(2) It waits until its arguments are whole. The same input again is a repetition and is dropped; another
    input is a call of its own, of the same tool when the fragment names none.
(3) The id changes with every fragment.
(4) The index changes with every fragment.
(5) Its name may still come. A call with arguments that never gets a name ends the answer with an error.
(6) Nothing says that it is a repetition.
(7) If the latest is another call, whose arguments have not begun, and this is not what it said before:
    the name of a call comes under one index and its arguments under another.
(8) If the latest is another call, which is not whole: this one needs nothing more. Closing brackets are
    one too many, and stay where they are.
(9) "Lacking": no argument has come, and the schema of its tool requires some. Where several calls of a tool
    are announced before their arguments come, each still runs once, with the ids of two exchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Final, NamedTuple

from gateway.conversion.answers.writing.block_writers import ToolBlock
from gateway.conversion.tool_calls.answer_calls import CallPiece
from gateway.conversion.tool_calls.arguments import arguments_text
from gateway.conversion.tool_calls.object_reader import (
    Completeness,
    begins_object,
    is_placeholder,
    without_placeholders,
)


class Verdict(NamedTuple):
    """`call`: the one that the fragment continues; None: it begins one, which may repeat `repeats`.

    `odd`: id and index alone would have said something else.
    """

    call: ToolBlock | None
    repeats: ToolBlock | None = None
    odd: bool = False


BEGINS: Final = Verdict(None)


class CallTable:
    """The calls of one answer, and how their fragments find them."""

    __slots__ = ("_by_id", "_by_key", "_latest", "calls")

    def __init__(self) -> None:
        self._by_key: dict[Hashable, ToolBlock] = {}
        self._by_id: dict[str, ToolBlock] = {}
        self._latest: ToolBlock | None = None
        self.calls: list[ToolBlock] = []  # in the order in which they began

    def judge(self, piece: CallPiece) -> Verdict:
        """The table above."""
        it = self._by_id.get(piece.call_id) if piece.call_id else None
        if it is not None:
            return self._same_id(piece, it)
        it = self._by_key.get(piece.key) if piece.key is not None else None
        if it is not None:
            if not piece.call_id:
                return self._same_index(piece, it)
            return self._late_id(piece, it) if not it.call_id else self._other_id(piece, it)
        it = self._latest
        if it is None:
            return BEGINS
        if piece.call_id:
            goes_on = not _another(piece, it) and it.standing is not Completeness.WHOLE and _goes_on(piece)
            if not goes_on and piece.key is None:
                goes_on = _is_awaited(piece, it)
            return Verdict(it, odd=True) if goes_on else BEGINS
        return self._by_order(piece, it) if piece.key is None else self._new_index(piece, it)

    def note(self, piece: CallPiece, call: ToolBlock) -> None:
        """Remember where fragments like this one go."""
        if piece.key is not None:
            self._by_key[piece.key] = call
        if piece.call_id:
            self._by_id[piece.call_id] = call
            call.ids.add(piece.call_id)
        self._latest = call

    def add(self, piece: CallPiece, call: ToolBlock) -> None:
        """A call begins with this fragment."""
        self.calls.append(call)
        call.key = piece.key
        self.note(piece, call)

    def like(self, it: ToolBlock) -> list[ToolBlock]:
        """The calls that came with the id or index of this one, which is among them."""
        return [
            call
            for call in self.calls
            if call is it or call.ids & it.ids or (it.key is not None and call.key == it.key)
        ]

    def told_already(
        self, piece: CallPiece, without: Collection[ToolBlock] = (), *, placed: bool = False
    ) -> ToolBlock | None:
        """The call of which `piece` tells everything once more, or for the first time; None: a new one.

        Ids may have changed meanwhile. `without`: calls that other entries of the same list have told.
        `placed`: the index of `piece` is its place in the answer, so no call from another place is it.
        """
        left = [call for call in self.calls if call not in without]
        by_id = [call for call in left if piece.call_id and piece.call_id in call.ids]
        by_key = [call for call in left if piece.key is not None and self._by_key.get(piece.key) is call]
        others = [] if placed else left
        # comparing arguments costs most, so the likely ones come first
        found = next((call for call in (*by_id, *by_key, *others) if call.agrees(piece)), None)
        if found is None and not without_placeholders(arguments_text(piece.arguments)).strip():
            # a repetition that leaves the arguments out
            named = by_id or ([] if piece.call_id else by_key)
            found = next((call for call in named if not _another(piece, call)), None)
        return found

    def contradicted(
        self, piece: CallPiece, without: Collection[ToolBlock] = (), *, placed: bool = False
    ) -> bool:
        """A call with this id was told with other arguments; one of another tool, or place, is not it.

        Without an id, the call with this index.
        """
        at_index = None if piece.call_id or piece.key is None else self._by_key.get(piece.key)
        return any(
            (call is at_index or piece.call_id in call.ids)
            and not _another(piece, call)
            and not (placed and call.key != piece.key)
            for call in self.calls
            if call not in without
        )

    @staticmethod
    def _same_id(piece: CallPiece, it: ToolBlock) -> Verdict:
        if _another(piece, it):
            return BEGINS._replace(odd=True)
        if it.standing is Completeness.WHOLE and _begins(piece):
            return Verdict(None, repeats=it)
        return Verdict(it, odd=piece.key is not None and piece.key != it.key)

    @staticmethod
    def _late_id(piece: CallPiece, it: ToolBlock) -> Verdict:
        if _another(piece, it) or (it.standing is Completeness.WHOLE and _begins(piece)):
            return BEGINS
        return Verdict(it)

    @staticmethod
    def _other_id(piece: CallPiece, it: ToolBlock) -> Verdict:
        if it.standing is Completeness.WHOLE:
            return BEGINS if piece.name or _begins(piece) else Verdict(it)
        goes_on = not piece.name or (piece.name == it.name and _goes_on(piece)) or _is_awaited(piece, it)
        return Verdict(it, odd=True) if goes_on else BEGINS

    def _same_index(self, piece: CallPiece, it: ToolBlock) -> Verdict:
        if _another(piece, it):
            return BEGINS._replace(odd=True)
        if it.standing is not Completeness.WHOLE:
            return Verdict(it)
        text, latest = arguments_text(piece.arguments).strip(), self._latest
        again = begins_object(text) and it.said.text.strip().startswith(text)
        if not piece.name and latest is not None and latest is not it and not again:
            if latest.standing is Completeness.PARTIAL and text.strip("]} \t\r\n"):
                return Verdict(latest, odd=True)
            if latest.awaits_arguments and begins_object(text):
                return Verdict(latest, odd=True)
        return Verdict(None, repeats=it) if begins_object(text) else Verdict(it)

    @staticmethod
    def _new_index(piece: CallPiece, it: ToolBlock) -> Verdict:
        whole = it.standing is Completeness.WHOLE
        if piece.name:
            goes_on = piece.name == it.name and not whole and _goes_on(piece)
            return Verdict(it, odd=True) if goes_on else BEGINS
        return BEGINS if whole and _begins(piece) else Verdict(it, odd=True)

    @staticmethod
    def _by_order(piece: CallPiece, it: ToolBlock) -> Verdict:
        if _another(piece, it):
            return BEGINS
        if it.standing is Completeness.WHOLE and _begins(piece):
            return BEGINS if piece.name else Verdict(None, repeats=it)
        return Verdict(it)


def _another(piece: CallPiece, it: ToolBlock) -> bool:
    """The fragment names another tool than `it` calls."""
    return bool(piece.name) and not it.may_be(piece.name)


def _begins(piece: CallPiece) -> bool:
    return begins_object(arguments_text(piece.arguments))


def _goes_on(piece: CallPiece) -> bool:
    if piece.named and piece.name:
        return False  # an entry of a whole answer is no fragment of another
    text = arguments_text(piece.arguments).lstrip()
    return bool(text) and not text.startswith("{") and not is_placeholder(text)


def _is_awaited(piece: CallPiece, it: ToolBlock) -> bool:
    """The fragment has the arguments without which `it` is no call, or nothing but arguments."""
    if not _begins(piece) or piece.named:
        return False
    return it.awaits_arguments if not piece.name else piece.name == it.name and it.lacks_arguments


def repeated(call: ToolBlock, others: Collection[ToolBlock]) -> bool:
    """A whole call says what one of the others said."""
    said = call.input
    return any(other is not call and other.name == call.name and other.input == said for other in others)
