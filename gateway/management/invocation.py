"""How a command of this project is typed where this process was started; knows no models."""

from __future__ import annotations

import sys
from pathlib import Path


def command(arguments: str) -> str:
    """A command as it can be typed here: of `ccproxy` where that was started, else of manage.py."""
    if Path(sys.argv[0]).name == "ccproxy":
        return f"ccproxy {arguments}"
    python = Path(sys.executable)
    inside = python.is_relative_to(Path.cwd())
    return f"{python.relative_to(Path.cwd()) if inside else 'python'} manage.py {arguments}"
