"""Make a virtual environment and install a lock file into it, with a sign of life: `make run` begins with it.

    python ccproxy_site/installation.py FOLDER LOCK [--optional LOCK]

Runs before anything is installed, so it needs the standard library alone. uv installs: the one on the PATH,
or the one of requirements-installer.lock, which the pip that comes with Python puts into the environment.
pip installs where uv has no wheel, where uv fails, and where pip's own settings name another index, which uv
does not read. The lock names every package, so nothing is resolved. Nothing is compiled either: Python
compiles what it imports, which is a part of what is installed. A package of an optional lock file is left out
where it has no wheel.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import deque
from pathlib import Path
from typing import Final

INSTALLER: Final = Path(__file__).parent.parent / "requirements-installer.lock"
# pip's settings that take the place of PyPI; an additional index does not
OWN_INDEX: Final = frozenset({"index-url", "no-index"})
PIP: Final = ("--disable-pip-version-check", "--no-deps", "--no-compile", "--require-hashes")
VENV_MISSING: Final = (
    "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv; "
    "elsewhere choose another one: make run PYTHON=/path/to/python3"
)


def main(arguments: list[str]) -> None:
    """Exits with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--optional", type=Path)
    given = parser.parse_args(arguments)
    try:
        uv = _environment(given.folder, shutil.which("uv"))
        if _installed(given.folder, given.lock, uv) != 0:
            if uv is None or uv == shutil.which("uv"):
                sys.exit("The packages could not be installed; the lines above say why. Then start it again.")
            print("uv could not install them; pip tries.", flush=True)
            uv = None
            _with_pip(given.folder)
            if _installed(given.folder, given.lock, uv) != 0:
                sys.exit("The packages could not be installed; the lines above say why. Then start it again.")
        if given.optional and _installed(given.folder, given.optional, uv, only_wheels=True) != 0:
            print("No wheel of an optional package for this system: tokens are estimated more roughly.")
    except KeyboardInterrupt:
        sys.exit("\nStopped while installing. Start it again: it goes on from here.")


def _environment(folder: Path, uv: str | None) -> str | None:
    """Make the environment where there is none; returns the uv that installs into it, None for its pip."""
    python = folder / "bin" / "python"
    own = folder / "bin" / "uv"
    if python.exists():
        if uv or own.exists():
            return uv or str(own)
        if _quiet([str(python), "-m", "pip", "--version"])[0] == 0:
            return None
    print(f"Making a virtual environment in {folder} ...", flush=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as problem:
        sys.exit(
            f"Cannot write to {folder.resolve().parent}: {problem.strerror}. Give this user the right to."
        )
    if uv:
        _made(folder, [uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(folder)])
        return uv
    pip = _bundled_pip()
    if pip and INSTALLER.exists():
        _made(folder, [sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
        code, settings = _quiet([str(python), pip, "config", "list"])
        names = {line.partition("=")[0].rpartition(".")[2] for line in settings.splitlines()}
        if code == 0 and not names & OWN_INDEX:
            by = [str(python), pip, "install", *PIP, "--only-binary", ":all:", "-r", str(INSTALLER)]
            if _quiet(by)[0] == 0 and own.exists():
                return str(own)
    _with_pip(folder)
    return None


def _with_pip(folder: Path) -> None:
    """Make the environment anew, with pip in it."""
    _made(folder, [sys.executable, "-m", "venv", "--clear", str(folder)])


def _made(folder: Path, command: list[str]) -> None:
    code, said = _quiet(command)
    if code:
        # a half-made one would be taken for a whole one
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(VENV_MISSING if "venv" in said or "ensurepip" in said else said.strip()[-500:])


def _bundled_pip() -> str | None:
    """The pip that Python would put into an environment; it runs from its wheel."""
    found = importlib.util.find_spec("ensurepip")
    places = [Path(place) / "_bundled" for place in (found.submodule_search_locations or [])] if found else []
    # where a distribution keeps it
    if other := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        places.append(Path(other))
    wheels = [wheel for place in places for wheel in sorted(place.glob("pip-*.whl"))]
    return str(wheels[-1] / "pip") if wheels else None


def _installed(folder: Path, lock: Path, uv: str | None, *, only_wheels: bool = False) -> int:
    """Install the lock file; the exit code of what did it."""
    number = sum("==" in line and not line.startswith((" ", "#")) for line in lock.read_text().splitlines())
    begun = time.monotonic()
    wheels = ["--only-binary", ":all:"] if only_wheels else []
    python = str(folder / "bin" / "python")
    if uv:
        by = [uv, "pip", "install", "--python", python, "--no-deps", "--require-hashes"]
    else:
        by = [python, "-m", "pip", "install", *PIP]
    print(f"Installing {number} packages of {lock} ...", flush=True)
    last = deque[str](maxlen=8)
    shown = sys.stdout.isatty()
    # as pip does: a company's CA is among the system's
    variables = {"UV_SYSTEM_CERTS": "true", **os.environ}
    with subprocess.Popen(  # noqa: S603 - pip or uv, with a file of ours
        [*by, *wheels, "-r", str(lock)], env=variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            if line.startswith("WARNING: Location"):
                continue
            last.append(line)
            seen += line.startswith("Collecting")
            if shown and seen:
                print(f"\r  {seen} of {number} ", end="", flush=True)
    if shown and seen:
        print("\r", end="")
    if process.returncode and not only_wheels:
        sys.stdout.writelines(last)
        sys.stdout.flush()
    elif not process.returncode:
        print(f"  installed in {time.monotonic() - begun:.0f} s", flush=True)
    return process.returncode


def _quiet(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - Python's own tools
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    main(sys.argv[1:])
