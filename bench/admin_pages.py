"""The pages that `bench.admin` measures, and the measuring; imported after Django is set up."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from gateway.models import ClientKey, RequestLog, SessionTotal

GOAL_MS = 300


def measure(times: int, only: str) -> int:
    """Print the table; 1 when a page missed the goal."""
    user, _ = get_user_model().objects.get_or_create(
        username="bench", defaults={"is_superuser": True, "is_staff": True}
    )
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    rows = RequestLog.objects.count()
    print(f"{rows:,} requests, {connection.vendor}, median of {times} (and slowest), milliseconds\n")
    print(f"| {'Page':<44} | Median | Slowest | CPU | SQL | Queries |")
    print(f"|{'-' * 46}|-------:|--------:|----:|----:|--------:|")
    slow = 0
    # its one record is made when it is first looked at
    client.get("/admin/gateway/retention/")
    for name, address in pages():
        if only not in name:
            continue
        taken, busy, asked = [], [], []
        for number in range(times + 1):
            with CaptureQueriesContext(connection) as queries:
                start, cpu = time.perf_counter(), time.process_time()
                response = client.get(address, follow=False)
                if response.streaming:
                    b"".join(response.streaming_content)
                spent, worked = (time.perf_counter() - start) * 1000, (time.process_time() - cpu) * 1000
            if response.status_code != 200:
                print(f"| {name:<44} | status {response.status_code} at {address}")
                slow += 1
                break
            if number:
                # the first one compiles templates
                taken.append(spent)
                busy.append(worked)
                asked.append(sum(float(query["time"]) for query in queries) * 1000)
        else:
            median = statistics.median(taken)
            slow += median > GOAL_MS
            mark = " !" if median > GOAL_MS else ""
            numbers = (
                f"{median:6.0f} | {max(taken):7.0f} | {_middle(busy)} | {_middle(asked)} | {len(queries):7}"
            )
            print(f"| {name:<44} | {numbers} |{mark}", flush=True)
    print(f"\nGoal: {GOAL_MS} ms. {'All within.' if not slow else f'{slow} missed.'}")
    return int(bool(slow))


def _middle(values: list[float]) -> str:
    return f"{statistics.median(values):3.0f}"


def pages() -> Iterator[tuple[str, str]]:
    """(name, address) of the list with every filter, search, dashboard, sessions and single requests."""
    history = "/admin/gateway/requestlog/"
    newest = RequestLog.objects.order_by("-started_at").first()
    middle = RequestLog.objects.order_by("pk")[RequestLog.objects.count() // 2 :][0]
    key = ClientKey.objects.filter(name__startswith="seed").first() or ClientKey.objects.first()
    for chosen in ("1h", "24h", "7d", "30d"):
        yield f"dashboard, {chosen}", f"/admin/?range={chosen}"
    yield "list", history
    yield "list, page 5", f"{history}?p=5"
    filters = {
        "time": ("1h", "30d"),
        "key": (str(key.pk), "none") if key else (),
        "owner": (key.owner,) if key else (),
        "provider": ("openai", "llama", "nobody"),
        "model": ("claude-sonnet-4-6", "gpt-4o-mini", "nothing"),
        "upstream_model": ("gpt-4o", "nothing"),
        **_values("status", "state", "error", "stop_reason", "slow", "with", "endpoint"),
    }
    for name, values in filters.items():
        for value in values:
            yield f"list, {name}={value}", f"{history}?{name}={value}"
    yield "list, two filters", f"{history}?provider=llama&state=error"
    yield "list, three filters", f"{history}?provider=llama&key={key.pk if key else 1}&with=retried"
    yield "search, request id", f"{history}?q={middle.request_id}"
    yield "search, session id", f"{history}?q={middle.session_id}"
    yield "search, word of many conversations", f"{history}?q=gateway"
    yield "search, word of one conversation", f"{history}?q=case7x"
    yield "search, nothing", f"{history}?q=zzzzzz"
    yield "one request", f"{history}{newest.pk}/change/"
    yield "one request, old", f"{history}{middle.pk}/change/"
    yield "sessions", "/admin/gateway/sessiontotal/"
    session = SessionTotal.objects.order_by("-requests").first()
    if session:
        yield f"session of {session.requests} requests", f"/admin/gateway/sessiontotal/{session.pk}/change/"
    yield "changes", "/admin/admin/logentry/"
    yield "reads", "/admin/gateway/contentread/"
    yield "retention", "/admin/gateway/retention/1/change/"


def _values(*names: str) -> dict[str, tuple[str, ...]]:
    """What the filters of the history offer."""
    model_admin = admin.site._registry[RequestLog]
    request = RequestFactory().get("/admin/gateway/requestlog/")
    request.user = get_user_model().objects.get(username="bench")
    found = {}
    for kind in model_admin.get_list_filter(request):
        filter_ = kind(request, {}, RequestLog, model_admin)
        if filter_.parameter_name in names:
            found[filter_.parameter_name] = tuple(str(value) for value, _ in filter_.lookup_choices)
    return found
