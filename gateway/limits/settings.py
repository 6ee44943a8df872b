"""The store that the setting LIMITS_STORE names."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from gateway.limits.database_store import DatabaseStore
from gateway.limits.stores import MemoryStore, Store


def limits_store(name: str) -> Store:
    """`database`, `cache` (Redis, as REDIS_URL names it) or `memory`."""
    if name == "database":
        return DatabaseStore()
    if name == "cache":
        # imported by name, so that the Redis client is loaded only where it is used
        store: Store = import_string("gateway.limits.redis_store.RedisStore")(settings.REDIS_URL)
        return store
    return MemoryStore()
