"""The first text over TLS, with a local certificate: a new connection, a resumed session, a warm connection.

    python -m bench.first_text_tls [--rounds 200]

The three ways are taken in turn, so that all see the same machine. The provider is on loopback: there is no
round trip in the figures, only what the two ends compute. On a network a handshake adds round trips.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.table import markdown
from gateway.upstream.http1.transport import LeanTransport
from tests.upstream.sockets import CHUNKED, ScriptedServer, certificates

TEXT: Final = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
FIRST: Final = CHUNKED + b"%x\r\n%b\r\n" % (len(TEXT), TEXT)
CLOSING: Final = FIRST.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
REST: Final = b"0\r\n\r\n"


async def _keeping(line: Any) -> None:
    while True:
        await line.request()
        await line.send(FIRST)
        await line.send(REST)


async def _closing(line: Any) -> None:
    await line.request()
    await line.send(CLOSING)
    await line.send(REST)


async def first_text(transport: LeanTransport, url: str) -> float:
    """Milliseconds until the first piece of the body is here; the answer is read to its end."""
    began = time.perf_counter()
    answer = await transport.post(url, {}, b"{}", connect_timeout=10, write_timeout=10)
    took = 0.0
    async for _piece in answer:
        took = took or (time.perf_counter() - began) * 1000
    return took


async def measured(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each round, by the way that was taken."""
    found: dict[str, list[float]] = {"new connection": [], "session resumed": [], "warm connection": []}
    with tempfile.TemporaryDirectory() as folder:
        ca, context = certificates(Path(folder))
        async with (
            ScriptedServer(_closing, context=context) as closing,
            ScriptedServer(_keeping, context=context) as keeping,
        ):
            warm = LeanTransport(ssl.create_default_context(cafile=ca))
            await first_text(warm, keeping.url)
            for _ in range(rounds):
                # sessions belong to a context, so a new one has none
                cold = LeanTransport(ssl.create_default_context(cafile=ca))
                found["new connection"].append(await first_text(cold, closing.url))
                found["session resumed"].append(await first_text(cold, closing.url))
                found["warm connection"].append(await first_text(warm, keeping.url))
                await cold.aclose()
            await warm.aclose()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    found = asyncio.run(measured(parser.parse_args().rounds))
    rows = [
        [name, f"{statistics.median(times):.2f}", f"{sorted(times)[len(times) * 9 // 10]:.2f}"]
        for name, times in found.items()
    ]
    print(markdown(["first text over TLS", "median, ms", "90th percentile, ms"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
