"""A request body as a chain of pieces and a small recipe, and back (pure).

Clients send the whole conversation with each turn. So a body is divided into pieces that recur
(messages, system blocks, the tool list), each identified by a digest of itself and everything before
it. Two chains make a body, so that a changed tool list leaves the messages alone: the *base* (system,
tools) and the *messages*. The recipe holds the rest, and where everything goes.

Cache markers move to the last block with each turn. They are removed from the messages and kept in the
recipe; otherwise no message would ever recur unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from gateway.history.content.digests import Digests
from gateway.wire import json_bounds, jsontext
from gateway.wire.request_cache import LEAST_BODY

# the first piece's substitute for a parent's digest; every hashed text begins with 32 bytes of one or
# the other, so a first piece cannot pass for a later one
ROOT: Final = bytes(32)
MARKERS: Final = ("cache_control", "prompt_cache_breakpoint")
_BASE: Final = ("system", "instructions", "tools")
_CHAINED: Final = ("messages", "input")
# a shorter text takes less room in the recipe than as a piece
_SHORT: Final = 200
_DIGESTS: Final = Digests()


class Piece(NamedTuple):
    """One piece in its place. `digest` covers `parent` and `value`: JSON, or the bytes of a whole body."""

    digest: bytes
    parent: bytes | None
    value: Any

    def text(self) -> bytes:
        return self.value if type(self.value) is bytes else jsontext.dumps(self.value)


class Chain:
    """Values in order, each with the digest of itself and everything before it.

    Two lists, because most of a conversation is known and never becomes a Piece.
    """

    __slots__ = ("digests", "values")

    def __init__(self, values: Sequence[Any], texts: Iterable[bytes]) -> None:
        self.values = values
        self.digests: list[bytes] = []
        parent = ROOT
        for text in texts:
            parent = sha256(parent + text).digest()
            self.digests.append(parent)

    @classmethod
    def recurring(cls, values: Sequence[object]) -> Chain:
        """The same for values that are shared between requests and never changed."""
        chain = cls(values, ())
        parent = ROOT
        for value in values:
            parent = _DIGESTS.digest(parent, value)
            chain.digests.append(parent)
        return chain

    @property
    def end(self) -> bytes | None:
        """The digest that identifies the whole chain; None when it is empty."""
        return self.digests[-1] if self.digests else None

    def pieces(self, known: Callable[[bytes], bool] | None = None) -> Iterator[Piece]:
        """The pieces whose digests are not `known`."""
        for index, digest in enumerate(self.digests):
            if known is None or not known(digest):
                yield Piece(digest, self.digests[index - 1] if index else None, self.values[index])


EMPTY: Final = Chain((), ())


@dataclass(frozen=True, slots=True)
class PackedRequest:
    """`recipe`: None for a body that is one piece, else what `unpacked` needs to reassemble the pieces."""

    base: Chain = EMPTY
    head: Chain = EMPTY
    recipe: dict[str, Any] | None = None


def packed_request(body: bytes, parsed: object) -> PackedRequest:
    """Take one body apart. `parsed` is its JSON when that is known; it is read and kept, but not changed."""
    if not body:
        return PackedRequest()
    try:
        value = json_bounds.loads(body) if parsed is None else parsed
        if type(value) is dict:
            name = next((name for name in _CHAINED if value.get(name) and type(value[name]) is list), None)
            if name is not None:
                # parsed here and shared with nobody, and nothing in a short body recurs
                shared = parsed is not None and len(body) >= LEAST_BODY
                return _taken_apart(value, name, Chain.recurring if shared else _chain)
    except (ValueError, RecursionError):
        # not JSON, too much of it, or nested too deeply to be serialised again
        pass
    return whole_request(body)


def whole_request(body: bytes) -> PackedRequest:
    """A body as one piece."""
    return PackedRequest(head=Chain([body], [body])) if body else PackedRequest()


def _chain(values: Sequence[Any]) -> Chain:
    return Chain(values, map(jsontext.dumps, values))


def _taken_apart(
    body: Mapping[str, Any], chained: str, chain: Callable[[Sequence[Any]], Chain]
) -> PackedRequest:
    rest = dict(body)
    base: list[tuple[str, int | None]] = []
    base_values: list[Any] = []
    for name in _BASE:
        value = body.get(name)
        if not value or type(value) not in (list, str) or (type(value) is str and len(value) < _SHORT):
            continue
        # the first system block differs between conversations, the others do not
        blocks = value if type(value) is list and name == "system" else None
        base_values.extend([value] if blocks is None else blocks)
        base.append((name, None if blocks is None else len(blocks)))
        rest[name] = None
    marks: list[list[Any]] = []
    messages = [_unmarked(message, index, marks) for index, message in enumerate(body[chained])]
    rest[chained] = None
    recipe: dict[str, Any] = {"rest": rest, "base": base, "chain": [chained, len(messages)]}
    if marks:
        recipe["marks"] = marks
    return PackedRequest(chain(base_values), chain(messages), recipe)


def unpacked(recipe: Mapping[str, Any] | None, base: Sequence[bytes], chain: Sequence[bytes]) -> bytes:
    """The body again, from its recipe and the plain bytes of its pieces. Raises ValueError when one is
    missing.
    """
    if recipe is None:
        (whole,) = chain
        return whole
    body: dict[str, Any] = dict(recipe["rest"])
    pieces = iter(base)
    for name, count in recipe["base"]:
        body[name] = _next(pieces) if count is None else [_next(pieces) for _ in range(count)]
    chained, count = recipe["chain"]
    if count != len(chain) or next(pieces, None) is not None:
        raise ValueError("the chain is not as long as it was")
    body[chained] = [jsontext.loads(text) for text in chain]
    for mark in reversed(recipe.get("marks", ())):
        _put_back(body[chained], mark)
    return jsontext.dumps(body)


def _next(pieces: Iterator[bytes]) -> Any:
    try:
        return jsontext.loads(next(pieces))
    except StopIteration:
        raise ValueError("a piece is missing") from None


def _unmarked(message: Any, index: int, marks: list[list[Any]]) -> Any:
    """`message` without the markers on its blocks, which are noted in `marks`."""
    content = message.get("content") if type(message) is dict else None
    if type(content) is not list:
        return message
    plain: list[Any] | None = None
    for place, block in enumerate(content):
        if type(block) is dict and ("cache_control" in block or "prompt_cache_breakpoint" in block):
            plain = content.copy() if plain is None else plain
            plain[place] = _without_markers(block, [index, place], marks)
    if plain is None:
        return message
    return {**message, "content": plain}


def _without_markers(block: dict[str, Any], path: list[int], marks: list[list[Any]]) -> dict[str, Any]:
    plain = dict(block)
    for name in MARKERS:
        if name in plain:
            marks.append([*path, list(plain).index(name), name, plain.pop(name)])
    return plain


def _put_back(messages: list[Any], mark: list[Any]) -> None:
    """Undo one note of `_unmarked`, keeping the order of the keys."""
    if len(mark) == 1:
        # in old recipes a content was a list only while it had a marker
        message = messages[mark[0]]
        message["content"] = [{"type": "text", "text": message["content"]}]
        return
    index, place, position, name, marker = mark
    content = messages[index]["content"]
    items = list(content[place].items())
    content[place] = dict([*items[:position], (name, marker), *items[position:]])
