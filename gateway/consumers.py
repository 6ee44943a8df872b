"""The live tail's WebSocket: for staff who may see the history, and each sees what the list shows them."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth import get_user_model

from gateway.audit.tail import GROUP, viewers
from gateway.audit.visible import VIEW_ALL, owned_keys

NOT_ALLOWED: Final = 4403
# a right that is taken away ends the view after this many seconds
LOOK_AGAIN: Final = 60.0
# requests of the own keys that are remembered while they stream
MOST_SHOWN: Final = 500


class LiveTailConsumer(AsyncJsonWebsocketConsumer):
    """Sends `{"rows": [...]}` as audit/tail.py makes them; nothing that comes in has a meaning."""

    checked_at = 0.0
    # the client keys whose requests are shown; None: those of all
    keys: frozenset[int] | None = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shown: deque[str] = deque(maxlen=MOST_SHOWN)

    async def connect(self) -> None:
        if not await self._allowed():
            await self.close(NOT_ALLOWED)
            return
        await self.accept()
        await self.channel_layer.group_add(GROUP, self.channel_name)
        viewers.add(self)

    async def disconnect(self, code: int) -> None:
        viewers.discard(self)
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def receive(self, *_: Any, **__: Any) -> None:
        """The page only listens."""

    async def tail_rows(self, message: dict[str, Any]) -> None:
        """A message of the group."""
        if time.monotonic() - self.checked_at > LOOK_AGAIN and not await self._allowed():
            await self.close(NOT_ALLOWED)
            return
        rows = [row for row in message["rows"] if self._shows(row)]
        if rows:
            await self.send_json({"rows": rows})

    def _shows(self, row: dict[str, Any]) -> bool:
        if self.keys is None:
            return True
        if row.get("client_key_id") in self.keys:
            self._shown.append(row["request_id"])
            return True
        # how far a stream is says nothing of its key
        return "client_key_id" not in row and row["request_id"] in self._shown

    async def _allowed(self) -> bool:
        self.checked_at = time.monotonic()
        self.keys = await database_sync_to_async(_keys_to_watch)(self.scope["user"])
        return self.keys is None or bool(self.keys)


def _keys_to_watch(user: Any) -> frozenset[int] | None:
    """The keys whose requests a user may watch: None for all, none for whoever may not."""
    if not user.is_authenticated:
        return frozenset()
    # as it is now, not as it was when the page was opened
    current = get_user_model().objects.filter(pk=user.pk, is_active=True, is_staff=True).first()
    if current is None:
        return frozenset()
    if current.has_perm(VIEW_ALL):
        return None
    return frozenset(owned_keys(current).values_list("pk", flat=True))
