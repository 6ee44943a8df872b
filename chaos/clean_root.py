"""The installation of docs/operations.md, "One machine", word by word in a clean root of Debian.

    python -m chaos.clean_root                   made by debootstrap: takes root's rights, and minutes
    python -m chaos.clean_root --root FOLDER     a root that is there already; it is changed
    python -m chaos.clean_root --suite bookworm

Each line of the page runs with chroot and is printed with its time. systemd does not run in a chroot: instead
of `systemctl enable --now` the command of the unit is started as the unit's user. Then a key is issued as the
page says; a request with it is answered by the demo, and one without it is refused. Exit code 1 when anything
of this fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chaos.engines import free_port

PROJECT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = PROJECT / "docs/operations.md"
UNIT: Final = PROJECT / "deploy/ccproxy.service"
# what the README names for Debian, and what any Debian has that is no chroot
PACKAGES: Final = "python3,python3-venv,ca-certificates"
# where this machine's certificates are; a company's proxy may be among them
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
WHERE: Final = "/srv/ccproxy"
START_WITHIN: Final = 120.0
ASKED: Final = b'{"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}'


def lines_of_the_page() -> list[str]:
    """The commands of the page's first block."""
    section = PAGE.read_text().partition("## One machine")[2]
    block = re.search(r"\n\n((?:    .+\n)+)", section)
    assert block is not None
    return [line.strip() for line in block[1].splitlines()]


def started_by_the_unit() -> str:
    """What systemd would start."""
    found = re.search(r"^ExecStart=(.+)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


@contextlib.contextmanager
def mounted(root: Path) -> Iterator[None]:
    """/proc. Not /dev: debootstrap makes the devices, and a bound /dev could be removed with the root."""
    place = str(root / "proc")
    subprocess.run(["mount", "-t", "proc", "proc", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=False)


def within(root: Path, command: str, **variables: str) -> subprocess.Popen[str]:
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **variables}
    return subprocess.Popen(
        ["chroot", str(root), "/bin/sh", "-c", command],
        env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def done(root: Path, folder: str, command: str, **variables: str) -> tuple[bool, str]:
    """Run one line; whether it went well, and the folder it ended in."""
    print(f"$ {command}", flush=True)
    begun = time.monotonic()
    process = within(root, f"cd {folder} && {command} && pwd", **variables)
    said, _ = process.communicate()
    lines = said.splitlines()
    if process.returncode == 0:
        folder = lines.pop()
    for line in lines:
        print(f"    {line}")
    print(f"  {'ok' if process.returncode == 0 else 'FAILED'}, {time.monotonic() - begun:.1f} s", flush=True)
    return process.returncode == 0, folder


def answered(port: int, path: str, key: str = "") -> int:
    """The status of an answer; 0: none."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", ASKED if "messages" in path else None)
    request.add_header("content-type", "application/json")
    if key:
        request.add_header("x-api-key", key)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def install(root: Path) -> list[str]:
    """Follow the page; what went wrong."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=PROJECT, check=True, capture_output=True).stdout
    place = root / WHERE.lstrip("/")
    place.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(place)], input=archive, check=True)
    if CERTIFICATES.exists():
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    port = free_port()
    folder = WHERE
    for line in lines_of_the_page():
        command, _, service = line.partition(" && systemctl ")
        ok, folder = done(root, folder, command, PORT=str(port))
        if not ok:
            return [line]
        if service:
            print(f"NOT RUN: systemctl {service}", flush=True)
    return served(root, port)


def served(root: Path, port: int) -> list[str]:
    """Start what the unit starts, and ask as a client does."""
    command = f"cd /opt/ccproxy && exec runuser -u ccproxy -- env PORT={port} {started_by_the_unit()}"
    print(f"$ {command}", flush=True)
    server = within(root, command)
    try:
        until = time.monotonic() + START_WITHIN
        while answered(port, "/health") != 200:
            if time.monotonic() > until or server.poll() is not None:
                return ["the gateway does not answer"]
            time.sleep(0.2)
        issue = "cd /opt/ccproxy && runuser -u ccproxy -- .venv/bin/python manage.py createclientkey ann"
        print(f"$ {issue}", flush=True)
        said, _ = within(root, issue).communicate()
        found = re.search(r"ccp_[\w-]+", said)
        if found is None:
            return [f"no key was issued: {said}"]
        # a change is in force within two seconds
        time.sleep(2)
        states = {"with the key": answered(port, "/v1/messages", found[0])}
        states["without"] = answered(port, "/v1/messages")
        print(f"  /v1/messages {states}", flush=True)
        return [] if list(states.values()) == [200, 401] else [str(states)]
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(60)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="a root of Debian with Python; default: made and removed")
    parser.add_argument("--suite", default="trixie")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        print("NOT RUN: chroot takes root's rights", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="ccproxy-root-") as name:
        root = options.root or Path(name) / "root"
        if options.root is None:
            print(f"$ debootstrap {options.suite}", flush=True)
            make = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", options.suite, str(root)]
            if subprocess.run(make, stdout=subprocess.DEVNULL, check=False).returncode:
                print("NOT RUN: debootstrap could not make the root", file=sys.stderr)
                return 1
        with mounted(root):
            problems = install(root)
    for problem in problems:
        print(f"WRONG: {problem}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
