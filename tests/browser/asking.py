"""Requests to the gateway under test, as clients send them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.browser.conftest import Console


async def ask(
    console: Console, body: dict[str, Any] | bytes, key: str = "anything", **headers: str
) -> httpx.Response:
    """One request to the end of its answer. JSON in ASCII carries what UTF-8 cannot; bytes go as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body)
    async with httpx.AsyncClient(base_url=console.url, timeout=30, trust_env=False) as client:
        return await client.post("/v1/messages", content=content, headers={"x-api-key": key, **headers})


async def recorded(console: Console, count: int) -> list[dict[str, object]]:
    """The rows of the history, once there are `count`; a busy machine writes them behind the answers."""
    async with asyncio.timeout(60):
        while len(rows := console.served.rows()) < count:  # noqa: ASYNC110 - another process writes them
            await asyncio.sleep(0.05)
    return rows
