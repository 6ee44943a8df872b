"""What runs a second time, on PostgreSQL and Redis.

A test runs there again when its outcome can depend on the engine: it has rows written, searched, sorted,
added up, locked or migrated, or watches what several processes tell each other through the database or
Redis. It has the mark `once` when rows are only what it starts from: the words of a page, the rights of a
role, sockets, signals, and everything that brings engines of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# fixtures that give a database or Redis
FIXTURES = frozenset({"db", "transactional_db", "serve", "demo", "postgres", "redis_server"})
# Folders and modules of which nothing runs again. They are not even collected: that would take longer than
# many of the others run.
LEFT_OUT = frozenset(
    {
        "attacks", "browser", "captures", "chaos", "client_protocol", "conformance", "conversion", "deploy",
        "dialects", "fakes", "faults", "masking", "patterns", "pricing", "relay", "routing", "safeguards",
        "security", "upstream", "vectors", "wire",
        "test_architecture.py", "test_cache.py", "test_docs.py", "test_environment.py", "test_figures.py",
        "test_outages.py", "test_public_types.py", "test_release.py", "test_seams.py", "test_values.py",
    }
)  # fmt: skip


def again() -> bool:
    """Whether this run is the second one: `python -m chaos.engines` gave it servers."""
    return bool(os.environ.get("ENGINES_DATABASE_URL"))


def left_out(path: Path) -> bool:
    """Whether a file or folder is, or is inside, one of LEFT_OUT."""
    return path.is_relative_to(HERE) and path != HERE and path.relative_to(HERE).parts[0] in LEFT_OUT


def runs_again(item: pytest.Item) -> bool:
    """Whether a test belongs into the second run."""
    if item.get_closest_marker("once") is not None:
        return False
    needed = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or not FIXTURES.isdisjoint(needed)
