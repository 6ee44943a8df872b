"""Clients' telemetry on its way to a collector: sent on as it is, beside the request, within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from gateway.errors import GatewayError
from gateway.upstream.client import UpstreamClient
from gateway.upstream.request_builder import UpstreamCall

logger = logging.getLogger("gateway.upstream")

# waiting and under way, in one process
MOST_BYTES: Final = 8 * 1024 * 1024
MOST_RECORDS: Final = 200
LARGEST: Final = 4 * 1024 * 1024
AT_ONCE: Final = 4
SECONDS: Final = 10.0
_LONGEST_ANSWER: Final = 64 * 1024


class TelemetryCollector:
    """`url`: the collector's OTLP/HTTP address, to which `/v1/metrics` and the like are added.

    Nothing waits for it: what it does not take in time, or what is more than the bounds, is dropped, and the
    log says once how much until it takes something again.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._tasks: set[asyncio.Task[None]] = set()
        self._bytes = 0
        self._dropped = 0
        self._slots = asyncio.Semaphore(AT_ONCE)

    def send(
        self, client: UpstreamClient, signal: str, form: Mapping[str, str], person: str, body: bytes
    ) -> None:
        """Send one export of a client on.

        `form`: the headers that say what the body is, its content type and its compression; `person`: whose
        bearer came with it.
        """
        size = len(body)
        if size > LARGEST or self._bytes + size > MOST_BYTES or len(self._tasks) >= MOST_RECORDS:
            self._drop("more telemetry than the bounds allow")
            return
        headers = {**form, "user-agent": "ccproxy", "accept-encoding": "identity"}
        if person:
            # what a payload says of its person can be made up; a header has letters of ASCII alone
            headers["x-ccproxy-user"] = person.encode("ascii", "backslashreplace").decode()[:200]
        call = UpstreamCall(f"{self._url}/v1/{signal}", body, headers, connect_timeout=SECONDS / 2)
        self._bytes += size
        task = asyncio.get_running_loop().create_task(self._sent(client, call))
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, size))

    def _done(self, size: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._bytes -= size

    async def _sent(self, client: UpstreamClient, call: UpstreamCall) -> None:
        try:
            async with asyncio.timeout(SECONDS), self._slots:
                answer = await client.open(call)
                try:
                    await answer.body(_LONGEST_ANSWER)
                finally:
                    await answer.close()
            if not 200 <= answer.status < 300:
                self._drop(f"HTTP {answer.status}")
                return
        except TimeoutError:
            self._drop("no answer in time")
            return
        except GatewayError as problem:
            self._drop(problem.message)
            return
        if self._dropped:
            logger.warning("the telemetry collector takes telemetry again", extra={"dropped": self._dropped})
            self._dropped = 0

    def _drop(self, problem: str) -> None:
        self._dropped += 1
        if self._dropped == 1:
            logger.error("telemetry of clients is dropped", extra={"problem": problem})
