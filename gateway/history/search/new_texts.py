"""What ended exchanges add to the search index: messages that it does not have yet, and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from gateway.history.content import content_store
from gateway.history.content.chunking import Piece
from gateway.history.follow_up_queue import EndedExchange
from gateway.history.search import index
from gateway.history.search.tokenizer import indexed, message_texts
from gateway.wire import json_bounds, jsontext
from gateway.wire.message_reader import read_answer


def new_texts(portion: Sequence[EndedExchange]) -> Iterator[index.NewText]:
    """The texts of these exchanges that the index does not have yet; unreadable bodies give none."""
    asking = [row for row in portion if row.endpoint != "count_tokens"]
    nodes = _new_nodes({row.head: row.fresh for row in asking if row.head is not None})
    seen: set[bytes] = set()
    for row in asking:
        new = [node for node in nodes.get(row.head or b"", ()) if node.digest not in seen]
        for place, (digest, parent, value) in enumerate(new):
            seen.add(digest)
            message = _message(value)
            # an assistant message after known ones is the answer that was indexed with its own request
            answered = place == 0 and parent is not None and message.get("role") == "assistant"
            yield index.NewText(row.request_id, digest, "" if answered else indexed(message_texts(message)))
        yield from _answer(row)


def _new_nodes(chains: Mapping[bytes, Mapping[bytes, Piece]]) -> dict[bytes, list[Piece]]:
    """The messages that the index does not have, by the ends of their chains and in order.

    From memory where they are known, else from the database. `chains`: for each end what is known of it.
    """
    digests = set(chains)
    for fresh in chains.values():
        digests.update(fresh)
        digests.update(piece.parent for piece in fresh.values() if piece.parent is not None)
    known = index.known(list(digests))
    found: dict[bytes, list[Piece]] = {}
    unknown: list[bytes] = []
    for head, fresh in chains.items():
        new: list[Piece] = []
        at: bytes | None = head
        while at is not None and at not in known and at in fresh:
            new.append(fresh[at])
            at = fresh[at].parent
        if at is None or at in known:
            found[head] = new[::-1]
        else:
            unknown.append(head)
    nodes = index.new_nodes(unknown)
    plain = content_store.plain_blobs({blob for chain in nodes.values() for _, _, blob in chain})
    for head, chain in nodes.items():
        found[head] = [Piece(digest, parent, plain.get(blob, b"")) for digest, parent, blob in chain]
    return found


def _answer(row: EndedExchange) -> Iterator[index.NewText]:
    message = read_answer(row.returned).message
    if message is not None:
        words = indexed(message_texts(message))
        if words:
            digest = sha256(b"answer " + row.request_id.encode()).digest()
            yield index.NewText(row.request_id, digest, words)


def _message(piece: Any) -> Mapping[str, Any]:
    """A piece as a message; a body that was not a Messages request becomes a text."""
    value = piece
    if type(piece) is bytes:
        try:
            value = json_bounds.loads(piece)
        except (jsontext.InvalidJSON, RecursionError):
            return {"content": piece.decode("utf-8", "replace")}
    return value if isinstance(value, dict) and "content" in value else {"content": str(value)}
