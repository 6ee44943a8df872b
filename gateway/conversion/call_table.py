"""Which tool call a fragment belongs to (specification section 6.5)."""

from __future__ import annotations

from gateway.conversion.answer_blocks import ToolBlock
from gateway.conversion.tool_args import arguments_text
from gateway.conversion.tool_calls import CallPiece


class CallTable:
    """By index, else by id, else the latest call."""

    __slots__ = ("_by_id", "_by_key", "_latest")

    def __init__(self) -> None:
        self._by_key: dict[int | str, ToolBlock] = {}
        self._by_id: dict[str, ToolBlock] = {}
        self._latest: ToolBlock | None = None

    @property
    def any(self) -> bool:
        """Some call has begun."""
        return self._latest is not None

    def find(self, piece: CallPiece) -> ToolBlock | None:
        """The call that `piece` continues; None when it begins one."""
        known = self._latest
        if piece.key is not None:
            known = self._by_key.get(piece.key)
        elif piece.call_id:
            known = self._by_id.get(piece.call_id)
        if known is None or (piece.name and _is_another(piece, known)):
            return None
        self._latest = known
        return known

    def add(self, piece: CallPiece, block: ToolBlock) -> None:
        """Remember where the fragments of a new call go."""
        if piece.key is not None:
            self._by_key[piece.key] = block
        if piece.call_id:
            self._by_id[piece.call_id] = block
        self._latest = block


def _is_another(piece: CallPiece, known: ToolBlock) -> bool:
    """Some providers give every call the index 0, or no index and no id: a new id or a new object tells."""
    if piece.call_id or known.call_id:
        return bool(piece.call_id) and known.call_id not in ("", piece.call_id)
    return known.finished and arguments_text(piece.arguments).lstrip().startswith("{")
