"""The policies of clients as this machine last knew them, in a file: no client starts without its policy.

The file holds what answers GET /managed/settings: policies, groups, and whose sign-ins and keys are good. It
has digests and numbers of keys, never a key. Policies may hold secrets, so only the owner can read it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from gateway.config.client_policies import applies
from gateway.config.suggested_settings import suggested
from gateway.routing.allowed_models import model_lists
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry, PolicyEntry
from gateway.wire import jsontext

logger = logging.getLogger("gateway.config")

_FORM: Final = 3
# policies name people alone; one person each
_BEFORE: Final = (2, 1)
# no snapshot of the database has it
_STAMP: Final = -1
_KEY: Final = ("id", "name", "digest", "owner_id", "expires_at", "revoked", "owner_active", "signed_in")


class LastPolicies:
    """One process's hold of the file; several write the same, each at once and whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""

    def keep(self, snapshot: ConfigSnapshot) -> None:
        """Write what changed. Never raises: without the file, only a restart needs the database."""
        try:
            text = jsontext.dumps(_told(snapshot, datetime.now(UTC)))
            if text != self._written:
                self._write(text)
                self._written = text
        except (OSError, TypeError, ValueError):
            logger.exception("the policies of clients cannot be kept on disk")

    def read(self, token_keys: tuple[bytes, ...]) -> ConfigSnapshot | None:
        """A configuration with nothing but policies and who may have them; None: nothing was kept."""
        try:
            return _snapshot(jsontext.loads(self._path.read_bytes()), token_keys)
        except FileNotFoundError:
            return None
        except (OSError, jsontext.InvalidJSON, KeyError, TypeError, ValueError, AttributeError):
            logger.exception("the policies of clients that were kept on disk cannot be read")
            return None

    def _write(self, text: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_suffix(f".{os.getpid()}")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                beside.unlink()


def _without_mappings(policy: PolicyEntry, snapshot: ConfigSnapshot, now: datetime) -> Iterator[PolicyEntry]:
    """A policy that lists models as policies that say which: the file has no mappings to work it out from.

    They are worked out once for all keys that may ask for the same.
    """
    if policy.lists_models:
        alike: dict[tuple[tuple[str, ...], ...], list[KeyEntry | None]] = defaultdict(list)
        for key in (*snapshot.keys.values(), None):
            owner = None if key is None else key.owner_id
            if applies(policy, snapshot, owner, key) and not (key and key.refusal(now.timestamp())):
                alike[model_lists(key)].append(key)
        for keys in alike.values():
            ids = frozenset(None if key is None else key.id for key in keys)
            yield PolicyEntry(suggested(snapshot, keys[0], now), keys=ids)
    yield policy


def _listed(which: frozenset[int | None] | None) -> list[int | None] | None:
    return None if which is None else sorted(which, key=lambda one: one or 0)


def _told(snapshot: ConfigSnapshot, now: datetime) -> dict[str, Any]:
    return {
        "form": _FORM,
        "policies": [
            {
                "settings": dict(one.settings),
                "group": one.group,
                "people": _listed(one.people),
                "keys": _listed(one.keys),
            }
            for policy in snapshot.policies
            for one in _without_mappings(policy, snapshot, now)
        ],
        "groups": {str(person): sorted(groups) for person, groups in snapshot.groups.items()},
        "keys": [{name: getattr(key, name) for name in _KEY} for key in snapshot.keys.values()],
        "anonymous_allowed": snapshot.anonymous_allowed,
        "contact": snapshot.contact,
    }


def _snapshot(told: dict[str, Any], token_keys: tuple[bytes, ...]) -> ConfigSnapshot | None:
    if told.get("form") not in (_FORM, *_BEFORE):
        return None
    keys = [KeyEntry(**{name: key[name] for name in _KEY}) for key in told["keys"]]
    return ConfigSnapshot(
        stamp=_STAMP,
        policies=tuple(
            PolicyEntry(
                MappingProxyType(one["settings"]),
                one["group"],
                _people(one),
                keys=None if one.get("keys") is None else frozenset(one["keys"]),
            )
            for one in told["policies"]
        ),
        groups=MappingProxyType({int(person): frozenset(of) for person, of in told["groups"].items()}),
        keys=MappingProxyType({key.digest: key for key in keys}),
        sign_ins=MappingProxyType({key.id: key for key in keys if key.signed_in}),
        token_keys=token_keys,
        anonymous_allowed=told["anonymous_allowed"],
        contact=told["contact"],
    )


def _people(policy: dict[str, Any]) -> frozenset[int | None] | None:
    if "people" not in policy:
        return None if policy["person"] is None else frozenset({policy["person"]})
    return None if policy["people"] is None else frozenset(policy["people"])
