"""Totals of sessions from before sessions had holders are kept, and mixed ones are taken apart."""

import sqlite3

import pytest

from tests.server.conftest import environment, manage
from tests.upgrade.one_by_one import migrate_to

# what is inserted is SQLite's; the migration itself runs on each database
pytestmark = [pytest.mark.server, pytest.mark.once]
AT = "2026-01-01 00:00:0"


def insert(connection, table, **given):
    """A row with these values, and 0, "" or [] where the table insists on one."""
    values = {}
    for _cid, name, kind, required, default, primary in connection.execute(f"PRAGMA table_info({table})"):
        if required and default is None and not primary:
            values[name] = (
                "[]" if kind.lower() == "text" else 0 if "int" in kind or kind in ("bool", "decimal") else ""
            )
    values |= given
    names = ", ".join(values)
    connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})",
        list(values.values()),
    )


def test_totals_are_kept_and_get_their_holders(tmp_path):
    env = environment(tmp_path)
    migrate_to("0028_owners_of_requests", env)
    with sqlite3.connect(tmp_path / "ccproxy.sqlite3") as connection:
        for number, (session, owner) in enumerate(
            [("one", 7), ("one", 7), ("two", 7), ("two", 8), ("no", None)]
        ):
            insert(
                connection, "gateway_requestlog", request_id=f"req_{number}", session_id=session,
                owner_id=owner, endpoint="messages", started_at=f"{AT}{number}", state="ok",
            )  # fmt: skip
        for session, requests in (("one", 2), ("two", 2), ("no", 1), ("purged", 5)):
            insert(
                connection, "gateway_sessiontotal", session_id=session, requests=requests, first_at=AT + "0",
                last_at=AT + "4", cost="0.25",
            )  # fmt: skip
    manage("migrate", "--verbosity", "0", env=env)
    with sqlite3.connect(tmp_path / "ccproxy.sqlite3") as connection:
        kept = connection.execute("SELECT session_id, holder, requests, cost FROM gateway_sessiontotal")
        assert sorted(kept) == [
            ("no", "", 1, 0.25),
            ("one", "user:7", 2, 0.25),
            ("purged", "", 5, 0.25),
            ("two", "user:8", 2, 0.25),
        ]
        # the follow-up takes the mixed one apart at the next start
        assert list(connection.execute("SELECT request_id FROM gateway_followup")) == [("req_3",)]
        # a process of the version before goes on writing
        insert(connection, "gateway_sessiontotal", session_id="later", first_at=AT + "0", last_at=AT + "0")
