"""The restore drill: the backup of a gateway that serves, brought up elsewhere, with and without the keys.

    python -m chaos.restore                      SQLite and PostgreSQL
    python -m chaos.restore --database sqlite

A copy is made under load (SQLite's backup, pg_dump). A new gateway gets it as a new machine would: an empty
folder, an empty database. Printed is what is there: rows of every table, the client key, the credential of
a provider; and what is left without FIELD_ENCRYPTION_KEYS and SECRET_KEY. Exit code 1 when something is
missing that should be there.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import psycopg

from bench import upstream
from chaos.campaigns import MODEL, Result, asked
from chaos.engines import EngineMissing, Postgres, running
from chaos.gateway import KEY, Gateway
from chaos.run import DATABASES, until_told

OTHER_KEYS: Final = {
    "FIELD_ENCRYPTION_KEYS": "b3RoZXIta2V5LW9mLTMyLWJ5dGVzLWZvci1kcmlsbHM=",
    "SECRET_KEY": "another",
}
# the client key is then that of the database, not the environment's
ONLY_STORED: Final = {"ANTHROPIC_API_KEY": ""}
STORED: Final = (
    "from gateway.models import ClientKey, Provider\n"
    "p = Provider.objects.create(name='Stored', slug='stored', base_url='https://stored.example/v1')\n"
    "p.set_headers({'X-Team': 'header-secret'})\np.save()\n"
    "p.add_credential('sk-stored-secret')\n"
    f"k = ClientKey(name='stored')\nk.set_key({KEY!r})\nk.save()\n"
)
OPENED: Final = (
    "from gateway.models import Provider\n"
    "p = Provider.objects.get(slug='stored')\n"
    "print('opened', p.credentials.get().revealed(), p.revealed_headers()['X-Team'])\n"
)


def copied(gateway: Gateway, place: Path) -> None:
    """A backup of the database of a gateway that serves."""
    if gateway.database_url:
        with place.open("wb") as file:
            command = ["pg_dump", "--format=custom", gateway.database_url]
            subprocess.run(command, stdout=file, check=True)
        return
    source = sqlite3.connect(gateway.folder / "ccproxy.sqlite3")
    target = sqlite3.connect(place)
    source.backup(target)
    source.close()
    target.close()


def restored(backup: Path, folder: Path, url: str) -> None:
    """Put the backup where a new gateway looks for its database."""
    if url:
        command = ["pg_restore", "--no-owner", "--exit-on-error", "--dbname", url, str(backup)]
        subprocess.run(command, check=True)
    else:
        (folder / "ccproxy.sqlite3").write_bytes(backup.read_bytes())


def rows(gateway: Gateway) -> dict[str, int]:
    """How many rows each table of ours has."""
    if gateway.database_url:
        with psycopg.connect(gateway.database_url) as connection:
            names = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            return {name: _count(connection, name) for (name,) in names}
    with sqlite3.connect(gateway.folder / "ccproxy.sqlite3") as connection:
        # the index's own tables are its business
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            " AND name NOT LIKE 'gateway_searchwords%'"
        ).fetchall()
        return {name: _count(connection, name) for (name,) in names}


def _count(connection: sqlite3.Connection | psycopg.Connection, name: str) -> int:
    row = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


async def restore(postgres: Postgres | None) -> Result:
    """The whole drill on one database."""
    provider = await upstream.serve()
    port = provider.sockets[0].getsockname()[1]
    result = Result()
    with tempfile.TemporaryDirectory(prefix="ccproxy-restore-") as name:
        old, new, keyless = (Path(name) / part for part in ("old", "new", "keyless"))
        for folder in (old, new, keyless):
            folder.mkdir()
        url = postgres.create("old") if postgres else ""
        gateway = await asyncio.to_thread(Gateway, old, port, url, 1, 0.05)
        gateway.manage("shell", "-c", STORED)
        await asyncio.to_thread(gateway.start)
        try:
            async with asked(gateway, MODEL, 4):
                await asyncio.sleep(2)
            states = await asyncio.to_thread(gateway.settled_states)
            async with asked(gateway, MODEL, 4):
                await asyncio.to_thread(copied, gateway, Path(name) / "backup")
        finally:
            await asyncio.to_thread(gateway.stop)
        for folder, keys in ((new, True), (keyless, False)):
            what = "with the keys" if keys else "without the keys"
            variables = {**ONLY_STORED, **({} if keys else OTHER_KEYS)}
            url = postgres.create(folder.name) if postgres else ""
            restored(Path(name) / "backup", folder, url)
            there = await asyncio.to_thread(Gateway, folder, port, url, 1, 0.05, **variables)
            missing = set(states) - set(there.states())
            full = {table: number for table, number in rows(there).items() if number}
            result.sentences.append(
                f"{what}: {len(states) - len(missing)} of {len(states)} requests from before the backup, "
                f"{sum(full.values())} rows in {len(full)} tables"
            )
            if missing:
                result.problems.append(f"{what}: {len(missing)} requests from before the backup are missing")
            await compared(there, result, what, keys=keys)
    provider.close()
    return result


async def compared(gateway: Gateway, result: Result, what: str, *, keys: bool) -> None:
    """Start it, and see who gets in and which secrets open."""
    opens = "opened sk-stored-secret header-secret" in gateway.manage("shell", "-c", OPENED, check=False)
    doctor = gateway.manage("doctor", check=False)
    await asyncio.to_thread(gateway.start)
    try:
        async with asked(gateway, MODEL, 1) as asking:
            await asyncio.sleep(2)
    finally:
        await asyncio.to_thread(gateway.stop)
    known = bool(asking.complete)
    result.sentences.append(
        f"{what}: the client key {'works' if known else 'DOES NOT WORK'}; "
        f"stored credentials and headers {'open' if opens else 'must be entered again'}"
    )
    if not known:
        result.problems.append(f"{what}: the client key does not work")
    if opens is not keys:
        result.problems.append(f"{what}: secrets {'do not open' if keys else 'open with other keys'}")
    told = "Stored" in doctor and "No key in FIELD_ENCRYPTION_KEYS opens" in doctor
    if told is keys:
        result.problems.append(f"{what}: doctor {'complains' if keys else 'does not name what is lost'}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    options = parser.parse_args(arguments)
    good = True
    for database in options.database or DATABASES:
        print(f"\nrestore on {database}", flush=True)
        try:
            if database == "sqlite":
                result = asyncio.run(until_told(restore(None)))
            else:
                with running(Postgres()) as postgres:
                    result = asyncio.run(until_told(restore(postgres)))
        except EngineMissing as missing:
            print(f"  NOT RUN: {missing}", file=sys.stderr)
            continue
        for sentence in result.sentences:
            print("  " + sentence)
        for problem in result.problems:
            print("  WRONG: " + problem)
        good = good and not result.problems
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
