"""The store that the setting LIMITS_STORE names."""

from __future__ import annotations

from django.core.cache import caches

from gateway.limits.cache_store import CacheStore
from gateway.limits.database_store import DatabaseStore
from gateway.limits.stores import MemoryStore, Store


def limits_store(name: str) -> Store:
    """`database`, `cache` (Django's default cache) or `memory`."""
    if name == "database":
        return DatabaseStore()
    if name == "cache":
        return CacheStore(caches["default"])
    return MemoryStore()
