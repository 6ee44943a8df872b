"""Stores the session that `bench.storage` measures, and asks the database how much it takes."""

from __future__ import annotations

import random
from collections.abc import Iterator

from django.db import connection, transaction

from bench.sessions import session, streams
from gateway.history.content.bodies import packed, rebuilt, store
from gateway.history.outcome import CapturedBodies
from gateway.models import ContentBlob, ContentNode, RequestBody, RequestLog
from gateway.wire import jsontext

GOAL = 2.0
TABLES = tuple(model._meta.db_table for model in (ContentBlob, ContentNode, RequestBody))
HEADERS = {
    "user-agent": "claude-cli/2.1.197 (external, cli)", "anthropic-version": "2023-06-01",
    "x-claude-code-session-id": "5" * 36,
}  # fmt: skip


def measure(turns: int) -> int:
    """Print the table; 1 when it is more than GOAL times the last request."""
    before = sizes()
    last, values = _store(turns)
    after = sizes()
    print(f"{connection.vendor}, {turns} turns; the last request is {len(last):,} bytes")
    print("| Table or index | Bytes |\n|---|---:|")
    for name in sorted(after, key=lambda name: -after[name]):
        print(f"| {name} | {after[name]:,} |")
    whole, empty = sum(after.values()), sum(before.values())
    share = whole / len(last)
    print(f"| together | {whole:,} |")
    print(
        f"{share:.2f} x the last request on disk; values alone {values / len(last):.2f} x; empty {empty:,}\n"
    )
    return int(share >= GOAL)


def _store(turns: int) -> tuple[bytes, int]:
    """Store the session turn by turn; its last request, and the bytes of all stored values."""
    words = random.Random(7)
    last = b""
    for number, (received, sent) in enumerate(session(turns)):
        answered, returned = streams(words)
        last = jsontext.dumps(received)
        bodies = CapturedBodies(
            HEADERS, last, jsontext.dumps(sent), answered, returned, received_json=received, sent_json=sent
        )
        with transaction.atomic():
            RequestLog.objects.create(request_id=_name(number))
            store([(_name(number), packed(bodies))])
    if rebuilt(_name(turns - 1), "received") != last:
        raise SystemExit("what was stored is not what comes back")
    values = sum(
        4 if isinstance(value, int) else len(value)
        for model in (ContentBlob, ContentNode, RequestBody)
        for row in model.objects.values_list()
        for value in row
        if value is not None
    )
    return last, values


def _name(number: int) -> str:
    return f"req_{number:032x}"


def sizes() -> dict[str, int]:
    """Bytes of each table of contents and of each of its indexes, as the database counts them."""
    return dict(_postgres() if connection.vendor == "postgresql" else _sqlite())


def _postgres() -> Iterator[tuple[str, int]]:
    with connection.cursor() as cursor:
        for table in TABLES:
            # its long values are in a table of their own, which has an index
            cursor.execute("SELECT pg_table_size(%s::regclass)", [table])
            yield table, cursor.fetchone()[0]
            cursor.execute(
                "SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index"
                " WHERE indrelid = %s::regclass",
                [table],
            )
            yield from cursor.fetchall()


def _sqlite() -> Iterator[tuple[str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_schema"
            f" WHERE tbl_name IN ({', '.join(['%s'] * len(TABLES))})) GROUP BY name",
            list(TABLES),
        )
        yield from cursor.fetchall()
