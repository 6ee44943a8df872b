"""Server time of the admin's pages over the history in DATABASE_URL: the median of 20.

Each page is requested through Django's whole stack inside this process, without a network. On a busy
machine the median says less than the columns beside it: the CPU time of this process, and of PostgreSQL's
process when it runs on this machine (SQLite's is part of ours). Queries are counted too: the list's number
of queries must not depend on the rows. Exit status 1 when a page is slower than the goal.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

import django

TIMES = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES, help="how often each page is asked")
    parser.add_argument("--only", default="", help="pages whose name contains this")
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    django.setup()
    # the pages import records, which need Django to be ready
    code: int = importlib.import_module("bench.admin_times").measure(given.times, given.only)
    return code


if __name__ == "__main__":
    sys.exit(main())
