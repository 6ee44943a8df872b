"""The texts of exchanges: stored so that a conversation costs only what it adds, and rebuilt.

`packed` takes a request apart (history/content/chunking.py), `store` writes the new parts of it
(history/content/content_store.py) and one row that names the ends of its chains. Answers are
compressed whole. history/content/sweep.py removes what no row needs any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.client_protocol.prompts import working_directory
from gateway.history.content import content_store
from gateway.history.content.chunking import (
    Chain,
    PackedRequest,
    Piece,
    packed_request,
    unpacked,
    whole_request,
)
from gateway.history.content.codec import Damaged, compressed, decompressed
from gateway.history.outcome import CapturedBodies
from gateway.history.secrets.masked import Masked
from gateway.history.secrets.masker import Masker, looked_at, masker
from gateway.history.secrets.secret_search import Work
from gateway.history.statements import Statement
from gateway.models import RequestBody
from gateway.wire import jsontext
from gateway.wire.stored_stream import is_stream, joined_deltas

# the first messages of a conversation, in which the client says where it runs
OPENING: Final = 3
_PUT_ROW: Final = Statement("""
INSERT INTO gateway_requestbody (
    request_id, recipe, received_base, received_head, sent_base, sent_head,
    answered, returned, received_size, sent_size, answered_size, returned_size
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (request_id) DO UPDATE SET
    recipe = excluded.recipe,
    received_base = excluded.received_base, received_head = excluded.received_head,
    sent_base = excluded.sent_base, sent_head = excluded.sent_head,
    answered = excluded.answered, returned = excluded.returned,
    received_size = excluded.received_size, sent_size = excluded.sent_size,
    answered_size = excluded.answered_size, returned_size = excluded.returned_size
""")


class UnreadableContent(ValueError):
    """The stored form of a text is damaged or incomplete."""


@dataclass(frozen=True, slots=True)
class PackedBodies:
    """`row`: the columns of RequestBody after the request id; `chains`: the chains whose ends it names.

    `masked`: how many secrets were removed from the request and from what the client got. `said`: what the
    client got, masked, in fewer events. `unsearched`: texts that are masked as a whole.
    """

    chains: Sequence[Chain]
    row: tuple[bytes | int | None, ...]
    masked: int = 0
    said: bytes = b""
    unsearched: int = 0

    @property
    def head(self) -> Chain:
        """The messages that came."""
        return self.chains[1]

    @property
    def folder(self) -> str:
        """Where the client says it runs, in the system prompt or the first messages; "" if it does not."""
        base, head = self.chains[0].values, self.chains[1].values
        said = ({"content": value if type(value) is str else [value]} for value in base)
        first = (message for message in head[:OPENING] if isinstance(message, Mapping))
        return next(filter(None, map(working_directory, (*said, *first))), "")


def packed(bodies: CapturedBodies, mask: Masker | None = None) -> PackedBodies:
    """The bodies of one exchange as they will be stored, secrets masked (pure; for the recorder's thread).

    The parsed values in `bodies` are kept until they are stored, and not changed.
    """
    mask = mask or masker()
    received = packed_request(bodies.received, bodies.received_json)
    sent = packed_request(bodies.sent, bodies.sent_json)
    try:
        return _packed(bodies, received, sent, mask)
    except RecursionError:
        # a part of the recipe is nested too deeply to be serialised again
        return _packed(bodies, whole_request(bodies.received), whole_request(bodies.sent), mask)


def _packed(
    bodies: CapturedBodies, asked: PackedRequest, passed: PackedRequest, mask: Masker
) -> PackedBodies:
    recipes = [jsontext.dumps(asked.recipe), jsontext.dumps(passed.recipe)]
    said = joined_deltas(bodies.returned) if is_stream(bodies.returned) else bodies.returned
    answers = [looked_at(bodies.answered), looked_at(said)]
    work = Work()
    clean = mask.clean([*recipes, *answers[0], *answers[1]])
    received, in_received = mask.request(asked, work, clean=clean)
    sent, _ = mask.request(passed, work, clean=clean)
    if clean:
        answered, returned = Masked(bodies.answered), Masked(bodies.returned)
    else:
        answered = mask.answer(bodies.answered, answers[0], work)
        returned = mask.answer(bodies.returned, answers[1], work)
        said = joined_deltas(returned.text) if returned.count else said
        recipes = [jsontext.dumps(received.recipe), jsontext.dumps(sent.recipe)]
    recipe = b'{"headers":{"request":%b},"received":%b,"sent":%b}' % (
        jsontext.dumps(dict(bodies.headers)),
        *recipes,
    )
    return PackedBodies(
        (received.base, received.head, sent.base, sent.head),
        (
            compressed(recipe),
            received.base.end,
            received.head.end,
            sent.base.end,
            sent.head.end,
            compressed(answered.text) if answered.text else None,
            compressed(returned.text) if returned.text else None,
            *(len(getattr(bodies, part)) for part in RequestBody.PARTS),
        ),
        in_received + returned.count,
        said,
        work.whole,
    )


def store(exchanges: Sequence[tuple[str, PackedBodies]]) -> dict[bytes, Piece]:
    """Write the bodies of exchanges, by request id, inside the caller's transaction: three statements.

    Storing the same again changes nothing; storing others under the same id replaces them. Returns the
    pieces that this process had not stored before, by digest.
    """
    if not exchanges:
        return {}
    new = content_store.put(chain for _, bodies in exchanges for chain in bodies.chains)
    _PUT_ROW.many([(request_id, *bodies.row) for request_id, bodies in exchanges])
    return new


@dataclass(frozen=True, slots=True)
class StoredBodies:
    """The stored texts of one exchange. `text` reads one part from the database."""

    row: RequestBody
    recipe: Mapping[str, Any]

    @property
    def headers(self) -> dict[str, Any]:
        """{"request": {...}}, secrets masked."""
        return dict(self.recipe["headers"])

    def size(self, part: str) -> int:
        """The size of one part in bytes (RequestBody.PARTS); 0 when it was not kept."""
        return int(getattr(self.row, f"{part}_size"))

    def text(self, part: str) -> bytes | None:
        """The plain bytes of one part, JSON compact; None when it was not kept. Raises UnreadableContent."""
        if part not in RequestBody.PARTS:
            raise TypeError(f"no such part: {part}")
        try:
            if part not in RequestBody.REQUESTS:
                data = getattr(self.row, part)
                return None if data is None else decompressed(data)
            if not self.size(part):
                return None
            base = content_store.pieces(getattr(self.row, f"{part}_base"))
            head = content_store.pieces(getattr(self.row, f"{part}_head"))
            return unpacked(self.recipe[part], base, head)
        except (Damaged, content_store.Missing, ValueError, KeyError) as problem:
            raise UnreadableContent(str(problem)) from None


def stored(request_id: str) -> StoredBodies | None:
    """The stored texts of one exchange; None when there are none. Raises UnreadableContent."""
    row = RequestBody.objects.filter(log__request_id=request_id).first()
    if row is None:
        return None
    try:
        return StoredBodies(row, jsontext.loads(decompressed(row.recipe)))
    except (Damaged, jsontext.InvalidJSON) as problem:
        raise UnreadableContent(str(problem)) from None


def rebuilt(request_id: str, part: str) -> bytes | None:
    """One part of one exchange: equal in JSON value to what went over the wire, and in bytes when it was not
    JSON.

    None when it was not kept. Raises UnreadableContent.
    """
    bodies = stored(request_id)
    return None if bodies is None else bodies.text(part)
