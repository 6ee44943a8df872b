"""Asks the admin's pages and prints what they took; imported after Django is set up."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection, reset_queries
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench.admin_pages import Page, pages
from gateway.models import ClientKey, RequestLog

GOAL_MS: Final = 300
# keys that the member owns
_OWNED: Final = 5
_COLUMNS: Final = ("Median", "Slowest", "CPU", "Database's CPU", "Queries")


@dataclass(slots=True)
class Taken:
    """Times of one page in milliseconds, one per request; `problem`: it could not be shown."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    problem: str = ""


def measure(times: int, only: str) -> int:
    """Print the table; 1 when a page missed the goal, or the list asked more with one filter than another."""
    rows = RequestLog.objects.count()
    print(f"{rows:,} requests, {connection.vendor}, {times} times each, milliseconds, load {_load()}\n")
    widths = (52, *(len(name) for name in _COLUMNS))
    _line("Page", *_COLUMNS, widths=widths)
    print("|-" + "-" * widths[0] + "-|" + "|".join("-" * (width + 1) + ":" for width in widths[1:]) + "|")
    slow = 0
    counts: dict[int, list[str]] = {}
    with _visitors() as visitors:
        for page in pages():
            if only not in page.name:
                continue
            taken = _asked(visitors[page.member], page, times)
            median = statistics.median(taken.wall) if taken.wall else 0.0
            missed = bool(taken.problem) or median > GOAL_MS
            slow += missed
            numbers = (
                _number(median),
                _number(max(taken.wall, default=0)),
                _number(_median(taken.cpu)),
                _number(_median(taken.database)) if taken.database else "-",
                str(max(taken.queries, default=0)),
            )
            _line(page.name, *numbers, widths=widths, end=f" ! {taken.problem}" if missed else "")
            if page.name.startswith("list") and taken.queries:
                counts.setdefault(max(taken.queries), []).append(page.name)
    print(
        f"\nGoal: a median of {GOAL_MS} ms. {'All within' if not slow else f'{slow} missed'}; load {_load()}."
    )
    for number, names in sorted(counts.items()):
        print(f"The list asked {number} queries: {len(names)} of its pages, such as {names[0]!r}.")
    return int(bool(slow))


def _asked(client: Client, page: Page, times: int) -> Taken:
    taken = Taken()
    for number in range(times + 1):
        # the log of queries is bounded, and counts nothing beyond its end
        reset_queries()
        with CaptureQueriesContext(connection) as queries:
            before = _database_cpu()
            start, cpu = time.perf_counter(), time.process_time()
            response = client.get(page.address)
            wall, worked = time.perf_counter() - start, time.process_time() - cpu
            after = _database_cpu()
        if response.status_code != 200:
            taken.problem = f"status {response.status_code} at {page.address}"
            break
        if not number:
            # the first one compiles templates
            continue
        taken.wall.append(wall * 1000)
        taken.cpu.append(worked * 1000)
        taken.queries.append(len(queries))
        if before is not None and after is not None:
            taken.database.append((after - before) * 1000)
    return taken


@contextmanager
def _visitors() -> Iterator[dict[bool, Client]]:
    """Somebody with all permissions, and (True) a member; their accounts are restored afterwards."""
    users = get_user_model().objects
    staff, _ = users.get_or_create(username="bench", defaults={"is_superuser": True, "is_staff": True})
    member, _ = users.get_or_create(username="bench-member", defaults={"is_staff": True})
    member.groups.set(Group.objects.filter(name="Member"))
    lent = list(ClientKey.objects.filter(user=None).order_by("pk").values_list("pk", flat=True)[:_OWNED])
    clients = {}
    for is_member, user in ((False, staff), (True, member)):
        clients[is_member] = Client(SERVER_NAME="localhost", raise_request_exception=False)
        clients[is_member].force_login(user)
    # its one record is created when it is first read
    clients[False].get("/admin/gateway/retention/")
    ClientKey.objects.filter(pk__in=lent).update(user=member)
    try:
        yield clients
    finally:
        ClientKey.objects.filter(pk__in=lent).update(user=None)


def _database_cpu() -> float | None:
    """CPU seconds of the server process of our connection; None: there is none on this machine."""
    if connection.vendor != "postgresql":
        return None
    raw: Any = connection.connection
    try:
        text = Path(f"/proc/{raw.info.backend_pid}/schedstat").read_text()
    except (OSError, AttributeError):
        return None
    return int(text.split()[0]) / 1e9


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def _number(value: float) -> str:
    return f"{value:.0f}"


def _line(name: str, *values: str, widths: tuple[int, ...], end: str = "") -> None:
    cells = " | ".join(f"{value:>{width}}" for value, width in zip(values, widths[1:], strict=True))
    print(f"| {name:<{widths[0]}} | {cells} |{end}", flush=True)
