"""Run campaigns and print what they found in plain sentences.

    python -m chaos.run                    kill -9 and database outage, on SQLite and on PostgreSQL
    python -m chaos.run soak --minutes 10  many conversations for long

Exit code 1 when something was lost or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from bench import upstream
from chaos import campaigns
from chaos.engines import EngineMissing, Postgres
from chaos.gateway import Gateway

DATABASES: Final = ("sqlite", "postgresql")
CAMPAIGNS: Final = ("kill", "outage", "soak")
STOPPED: Final = 130

T = TypeVar("T")


async def until_told(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end. SIGTERM and SIGHUP cancel it, so that it stops what it started."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await work


async def campaign(name: str, postgres: Postgres | None, options: argparse.Namespace) -> campaigns.Result:
    """One campaign on a gateway of its own."""
    provider = await upstream.serve()
    port = provider.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="ccproxy-chaos-") as folder:
        url = postgres.create(f"chaos_{name}") if postgres else ""
        gateway = await asyncio.to_thread(
            Gateway, Path(folder), port, url, options.processes, options.patience
        )
        await asyncio.to_thread(gateway.start)
        try:
            if name == "kill":
                result = await campaigns.killing(gateway, options.rounds, options.seed)
            elif name == "outage":
                result = await campaigns.outage(gateway, postgres, options.seconds)
            else:
                result = await campaigns.soak(gateway, options.minutes, options.conversations)
        finally:
            code = await asyncio.to_thread(gateway.stop)
            if options.keep_log:
                await asyncio.to_thread(shutil.copy, gateway.log, options.keep_log)
        if code:
            result.problems.append(f"the gateway's exit code was {code}")
    provider.close()
    return result


def on(database: str, options: argparse.Namespace) -> bool:
    """All campaigns on one database; returns whether everything was right."""
    good = True
    postgres: Postgres | None = None
    if database == "postgresql":
        postgres = Postgres(durable=True)
        postgres.start()
    try:
        for name in options.campaigns:
            print(f"\n{name} on {database}, {options.processes} processes", flush=True)
            result = asyncio.run(until_told(campaign(name, postgres, options)))
            for sentence in result.sentences:
                print("  " + sentence)
            for problem in result.problems:
                print("  WRONG: " + problem)
            print("  " + ("Nothing was lost." if not result.problems else "FAILED"), flush=True)
            good = good and not result.problems
    finally:
        if postgres is not None:
            postgres.remove()
    return good


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("campaigns", nargs="*", default=["kill", "outage"], metavar="/".join(CAMPAIGNS))
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    parser.add_argument("--rounds", type=int, default=30, help="processes to kill")
    parser.add_argument("--seconds", type=float, default=20, help="of the outage")
    parser.add_argument("--minutes", type=float, default=10, help="of the soak")
    parser.add_argument("--conversations", type=int, default=200, help="of the soak")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--patience", type=float, default=0.05,
        help="HISTORY_PATIENCE of the gateway; 0: every end of an answer goes to a file first",
    )  # fmt: skip
    parser.add_argument("--keep-log", metavar="FILE", help="where the gateway's log goes")
    return parser


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    if wrong := set(options.campaigns) - set(CAMPAIGNS):
        parser().error(f"no campaign {', '.join(sorted(wrong))}; there are {', '.join(CAMPAIGNS)}")
    good = True
    for database in options.database or DATABASES:
        try:
            good = on(database, options) and good
        except EngineMissing as missing:
            print(f"\nSKIPPED on {database}: {missing}", file=sys.stderr)
        except (asyncio.CancelledError, KeyboardInterrupt):
            print("\nStopped; what was started for it has ended too.", file=sys.stderr)
            return STOPPED
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
