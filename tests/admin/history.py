"""Rows of the history for the tests of its pages."""

from datetime import UTC, datetime, timedelta

from gateway.history.content.bodies import packed, store
from gateway.history.outcome import CapturedBodies
from gateway.models import RequestLog
from tests.admin.pages import url

HOSTILE = "<script>alert('x')</script>"
START = datetime(2026, 11, 1, tzinfo=UTC)
LIST = "/admin/gateway/requestlog/"


def make_rows(count, **values):
    rows = [
        RequestLog(
            **{
                "request_id": f"req_{number:05}", "started_at": START + timedelta(seconds=number),
                "asked_model": "claude-opus-5-5", "provider": "main", "state": "ok", **values,
            }
        )
        for number in range(count)
    ]  # fmt: skip
    return RequestLog.objects.bulk_create(rows)


def keep(row, headers, *texts, **others):
    store([(row.request_id, packed(CapturedBodies(headers, *texts, **others)))])


def one_row(**values):
    [row] = make_rows(
        1,
        **{
            "session_id": "session-1", "upstream_model": "gpt-4o", "input_tokens": 1234, "output_tokens": 56,
            "cache_read_tokens": 1000, "first_byte_ms": 450, "duration_ms": 2500, "tools_called": ["Bash"],
            "tool_count": 1, "status": 200, "stop_reason": "end_turn",
            "ledger": [{"code": "dropped", "path": "top_k", "note": "not known upstream"}], "ledger_count": 1,
            **values,
        },
    )  # fmt: skip
    return row


def shown(response):
    return [row.request_id for row in response.context["cl"].result_list]


def change(client, row, **parameters):
    return client.get(url("requestlog", "change", row.pk), parameters)
