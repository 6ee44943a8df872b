"""The live tail's WebSocket: for staff who may see the history, and each sees what the list shows them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from importlib import import_module
from typing import Any, Final

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError
from django.http import HttpRequest

from gateway.history.access import VIEW_ALL, owned_keys
from gateway.history.live_tail import GROUP, Row, viewers
from gateway.history.outcome import OPEN
from gateway.security.sessions import is_over

NOT_ALLOWED: Final = 4403
# the page tries again
NOT_NOW: Final = 1013
# a session that ended, or a right that was taken away, ends the view after this many seconds
LOOK_AGAIN: Final = 1.0
# requests of the own keys that are remembered while they stream
MOST_SHOWN: Final = 500
# rows that wait for a page that is not reading; the oldest are dropped first
MOST_UNSENT: Final = 1000


class LiveTailConsumer(AsyncJsonWebsocketConsumer):
    """Sends `{"rows": [...]}` as history/live_tail.py makes them; nothing that comes in has a meaning.

    The view belongs to the session it was opened with, and is over when that is: at logout, with another
    password, when the account is deactivated, and when the session's time is up.

    Whatever comes in, messages of the group or of the page, is taken at once; one task sends. So a page that
    does not read costs its newest rows and no more: what is said of one request meanwhile becomes one row.
    """

    # the client keys whose requests are shown; None: those of all
    keys: frozenset[int] | None = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shown: deque[str] = deque(maxlen=MOST_SHOWN)
        self._watch: asyncio.Task[None] | None = None
        # request id -> what is to be sent of it
        self._unsent: dict[str, Row] = {}
        self._sending: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        problem = await self._problem()
        if problem:
            await self.close(problem)
            return
        await self.accept()
        await self.channel_layer.group_add(GROUP, self.channel_name)
        viewers.add(self)
        self._watch = asyncio.create_task(self._watched())

    async def disconnect(self, code: int) -> None:
        for task in (self._watch, self._sending):
            if task is not None:
                task.cancel()
        viewers.discard(self)
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def receive(self, *_: Any, **__: Any) -> None:
        """The page only listens."""

    async def tail_rows(self, message: dict[str, Any]) -> None:
        """A message of the group."""
        for row in filter(self._shows, message["rows"]):
            said = self._unsent.pop(row["request_id"], {})
            # progress that was overtaken by the end adds nothing
            overtaken = "state" not in row and said.get("state", OPEN) != OPEN
            self._unsent[row["request_id"]] = said if overtaken else {**said, **row}
            if len(self._unsent) > MOST_UNSENT:
                del self._unsent[next(iter(self._unsent))]
        if self._unsent and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send_rows())

    async def _send_rows(self) -> None:
        while self._unsent:
            rows, self._unsent = self._unsent, {}
            # waits while the page is not reading
            await self.send_json({"rows": list(rows.values())})

    def _shows(self, row: Row) -> bool:
        if self.keys is None:
            return True
        if row.get("client_key_id") in self.keys:
            self._shown.append(row["request_id"])
            return True
        # how far a stream is says nothing of its key
        return "client_key_id" not in row and row["request_id"] in self._shown

    async def _watched(self) -> None:
        """Look again and again, whether or not there is something to show."""
        problem = 0
        while not problem:
            await asyncio.sleep(LOOK_AGAIN)
            problem = await self._problem()
        await self.close(problem)

    async def _problem(self) -> int:
        """Why the page may not watch, as the code that closes it; 0 if it may."""
        try:
            self.keys = await database_sync_to_async(_keys_to_watch)(self.scope["session"].session_key)
        except DatabaseError:
            # whose session it is cannot be known
            self.keys = frozenset()
            return NOT_NOW
        return 0 if self.keys is None or self.keys else NOT_ALLOWED


def _keys_to_watch(session_key: str | None) -> frozenset[int] | None:
    """The keys whose requests may be watched in a session: None for all, none where it has ended."""
    # as it is now, not as it was when the page was opened; Django looks at user and password
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    if is_over(request.session, time.time()):
        return frozenset()
    user: Any = get_user(request)
    if not (user.is_active and user.is_staff):
        return frozenset()
    if user.has_perm(VIEW_ALL):
        return None
    return frozenset(owned_keys(user).values_list("pk", flat=True))
