"""The live tail's WebSocket: for staff who may see the history, and each sees what the list shows them."""

from __future__ import annotations

import time
from typing import Any, Final

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth import get_user_model

from gateway.audit.tail import GROUP, viewers

NOT_ALLOWED: Final = 4403
# a right that is taken away ends the view after this many seconds
LOOK_AGAIN: Final = 60.0


class LiveTailConsumer(AsyncJsonWebsocketConsumer):
    """Sends `{"rows": [...]}` as audit/tail.py makes them; nothing that comes in has a meaning."""

    checked_at = 0.0

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
        await self.send_json({"rows": message["rows"]})

    async def _allowed(self) -> bool:
        self.checked_at = time.monotonic()
        return bool(await database_sync_to_async(_may_watch)(self.scope["user"]))


def _may_watch(user: Any) -> bool:
    if not user.is_authenticated:
        return False
    # as it is now, not as it was when the page was opened
    current = get_user_model().objects.filter(pk=user.pk, is_active=True, is_staff=True).first()
    return current is not None and current.has_perm("gateway.view_requestlog")
