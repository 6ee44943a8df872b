"""Conversations of an agent, as a client sends them, each turn stored as the recorder stores it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.history.outcome import CapturedBodies, ExchangeOutcome
from gateway.history.record.follow_up import follow_up
from gateway.history.record.rows import write
from gateway.models import (
    CountedUnit,
    DailyOutcome,
    DailyTool,
    HourlyOutcome,
    HourlyTool,
    RequestLog,
)
from gateway.wire import jsontext

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
TOOLS = ("Bash", "Edit", "Write", "Read")


def text(words):
    return {"type": "text", "text": words}


def call(number, tool="Bash", **arguments):
    return {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": arguments}


def result(number, words="done", *, error=False, **fields):
    return {
        "type": "tool_result", "tool_use_id": f"toolu_{number}", "content": words,
        **({"is_error": True} if error else {}), **fields,
    }  # fmt: skip


class Talk:
    """One agent of one session. `ask` adds a message of the client and the answer to it, and stores both."""

    def __init__(self, session="s", agent="", start=NOON, contents=True, **fields):
        self.messages: list[dict[str, Any]] = []
        self.session, self.agent, self.at, self.contents = session, agent, start, contents
        self.fields = {"mapping": "*", "mapping_pk": 7, "provider": "acme", "upstream_model": "u", **fields}
        self.number = 0

    def outcome(self, *blocks, answer=(), tools=TOOLS, keep=True, later=5, **fields):
        """The outcome of a turn; `keep`: the client goes on from its answer."""
        self.number += 1
        self.at += timedelta(seconds=later)
        content = [text(block) if isinstance(block, str) else block for block in blocks]
        if content:
            self.messages.append({"role": "user", "content": content})
        said = [text(block) if isinstance(block, str) else block for block in answer]
        calls = [block["name"] for block in said if block["type"] == "tool_use"]
        offered = [{"name": name, "input_schema": {"type": "object"}} for name in tools]
        received = {
            "model": "claude-x",
            "system": "be good " * 40,
            "tools": offered,
            "messages": self.messages,
        }
        returned = {
            "type": "message", "role": "assistant", "content": said,
            "stop_reason": "tool_use" if calls else "end_turn",
        }  # fmt: skip
        failed = [block for block in content if block.get("type") == "tool_result" and block.get("is_error")]
        given = {
            "request_id": f"req_{self.session}_{self.agent}_{self.number}", "started_at": self.at,
            "endpoint": "messages", "state": "ok", "status": 200, "session_id": self.session,
            "agent_id": self.agent, "request_class": "subagent" if self.agent else "main",
            "stop_reason": returned["stop_reason"], "tools_called": calls,
            "tools_failed": ["Bash"] * len(failed), "attempts": 1, "streamed": True, "input_tokens": 100,
            "output_tokens": 20, "cache_read_tokens": 300, "cache_write_tokens": 0, "first_byte_ms": 500,
            "duration_ms": 1500, **self.fields, **fields,
        }  # fmt: skip
        if self.contents:
            given["bodies"] = CapturedBodies(
                received=jsontext.dumps(received),
                returned=jsontext.dumps(returned) if given["state"] == "ok" else b"",
            )
        if keep and given["state"] == "ok":
            self.messages.append({"role": "assistant", "content": said})
        return ExchangeOutcome(**given)

    def ask(self, *blocks, **fields):
        told = self.outcome(*blocks, **fields)
        write([told])
        return told.request_id


def priced(request_id, dollars):
    """Give a stored request a price, as the price book would have."""
    RequestLog.objects.filter(request_id=request_id).update(cost=Decimal(dollars))


def followed():
    while follow_up():
        pass


def numbers(table=HourlyOutcome, request_class=None, **slot):
    """The sums of all rows, by name, without those of every class unless asked for; zeros left out."""
    rows = table.objects.filter(**slot)
    rows = (
        rows.exclude(request_class="*") if request_class is None else rows.filter(request_class=request_class)
    )
    sums = {}
    for row in rows.values():
        for name in table.NUMBERS:
            sums[name] = sums.get(name, 0) + row[name]
    return {name: number for name, number in sums.items() if number}


def by_tool(name, **slot):
    return {row.tool: getattr(row, name) for row in HourlyTool.objects.filter(**slot) if getattr(row, name)}


def everything():
    """All totals that say something, and the units, as sets of rows."""
    found = {}
    for table in (HourlyOutcome, DailyOutcome, HourlyTool, DailyTool):
        rows = table.objects.values_list(*table.SLOT, *table.NUMBERS)
        found[table.__name__] = sorted(row for row in rows if any(row[len(table.SLOT) :]))
    units = CountedUnit.objects.values_list("digest", "hours", "turns", "tokens", "cost_units", "unpriced")
    return {**found, "units": sorted((bytes(digest), *rest) for digest, *rest in units)}
