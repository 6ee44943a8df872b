"""Requests to the gateway under test, as clients send them."""

from __future__ import annotations

from typing import Any

import httpx

from tests.browser.conftest import Console


async def ask(
    console: Console, body: dict[str, Any], key: str = "anything", **headers: str
) -> httpx.Response:
    """One request to the end of its answer."""
    async with httpx.AsyncClient(base_url=console.url, timeout=30, trust_env=False) as client:
        return await client.post("/v1/messages", json=body, headers={"x-api-key": key, **headers})


def last_row(console: Console) -> dict[str, object]:
    return console.served.rows()[-1]
