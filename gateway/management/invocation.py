"""How a command of this project is typed where this process was started. Imports no models."""

from __future__ import annotations

import sys
from pathlib import Path


def command(arguments: str) -> str:
    """A command to type: with `ccproxy` if that was started, else with manage.py."""
    if Path(sys.argv[0]).name == "ccproxy":
        return f"ccproxy {arguments}"
    python = Path(sys.executable)
    inside = python.is_relative_to(Path.cwd())
    return f"{python.relative_to(Path.cwd()) if inside else 'python'} manage.py {arguments}"
