"""What the PostgreSQL pool of this process holds, for /metrics."""

from __future__ import annotations

from typing import Any

from django.db import connections


def pool_state() -> dict[str, int]:
    """Connections by state (`used`, `idle`), and how many threads wait for one; {} without a pool.

    Asks the pool alone, so it may be called in an event loop.
    """
    database: Any = connections["default"]
    pool = database.pool if database.vendor == "postgresql" else None
    if pool is None:
        return {}
    held = pool.get_stats()
    size, idle = held.get("pool_size", 0), held.get("pool_available", 0)
    return {"used": size - idle, "idle": idle, "waiting": held.get("requests_waiting", 0)}
