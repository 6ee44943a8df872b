"""The gateway's server, which on SIGUSR1 writes what its process holds to a file.

    python -m bench.counted_serve FILE serve

The file holds JSON: `tasks` of the event loop, file descriptors (`fds`), threads, and resident memory in
KiB (`rss`), counted after a garbage collection.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from django.core.management import execute_from_command_line


def counts() -> dict[str, int]:
    """What this process holds now; called in the thread of the event loop."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "tasks": len(asyncio.all_tasks()),
        "fds": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "rss": pages * resource.getpagesize() // 1024,
    }


def main() -> None:
    file, *arguments = sys.argv[1:]

    def write(*_: Any) -> None:
        part = Path(file + ".part")
        part.write_text(json.dumps(counts()))
        part.rename(file)

    signal.signal(signal.SIGUSR1, write)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    execute_from_command_line(["manage.py", *arguments])


if __name__ == "__main__":
    main()
