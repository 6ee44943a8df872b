"""What a long session takes on disk, compared with its last request alone: make bench-storage.

    python -m bench.storage [--turns 200]

A coding session of that many turns, with the whole conversation in each request and the stream of each
answer, is stored by the recorder's own code in a database created for it: on SQLite, and on PostgreSQL when
its programs are installed. It counts what the database takes for contents, including indexes, compression,
page heads and free space; the search index and the rows of the history are not contents. Exit status 1 when
it is twice the last request or more.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from chaos.engines import EngineMissing, Postgres, running

TURNS = 200


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--here", action="store_true", help="store into the database of DATABASE_URL")
    given = parser.parse_args()
    if given.here:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
        importlib.import_module("django").setup()
        # it imports records, which need Django to be ready
        code: int = importlib.import_module("bench.stored").measure(given.turns)
        return code
    with tempfile.TemporaryDirectory() as folder:
        codes = [_in(f"sqlite:///{Path(folder) / 'storage.sqlite3'}", given.turns)]
    try:
        with running(Postgres()) as postgres:
            codes.append(_in(postgres.url(), given.turns))
    except EngineMissing as missing:
        print(f"NOT MEASURED on PostgreSQL: {missing}")
    return max(codes)


def _in(url: str, turns: int) -> int:
    environment = {**os.environ, "DATABASE_URL": url}
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], env=environment, check=True)
    again = [sys.executable, "-m", "bench.storage", "--here", "--turns", str(turns)]
    return subprocess.run(again, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
