"""Spool: where outcomes wait on disk while the database does not answer.

One file per process, one JSON line per outcome, fsynced before anybody relies on it. The file is locked
by the living process that writes it; a file whose lock can be taken belongs to a dead one, and its lines
are written at the next start. Lines may reach the database twice; a row's request id makes that
harmless.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import IO, Any, Final

from gateway.history.outcome import AttemptFacts, CapturedBodies, ExchangeOutcome
from gateway.wire import jsontext

logger = logging.getLogger("gateway.history")

SUFFIX: Final = ".spool"
# rows that no database took; such a file is read again once it is renamed to .spool
REFUSED: Final = ".refused"
_TEXTS: Final = ("received", "sent", "answered", "returned")
_FACTS: Final = frozenset(field.name for field in dataclasses.fields(ExchangeOutcome))
_ATTEMPT: Final = frozenset(field.name for field in dataclasses.fields(AttemptFacts))


class Spool:
    """The spool of this process, in `folder`. One thread at a time per call."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._number = 0
        self._file: FileIO | None = None
        # rotated files stay open, because their lock shows that this process lives
        self._rotated: dict[Path, FileIO] = {}

    @property
    def empty(self) -> bool:
        return self._file is None and not self._rotated

    def append(self, lines: Iterable[bytes]) -> None:
        """Write lines of `as_line` and wait until they are on disk. Raises OSError; none is kept then."""
        if self._file is None:
            self._file = self._opened()
        file = self._file
        before = file.seek(0, os.SEEK_END)
        left = memoryview(b"".join(lines))
        try:
            while left:
                # a disk that is nearly full accepts only a part
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            # half a line would spoil the next one
            with contextlib.suppress(OSError):
                file.truncate(before)
            raise

    def rotate(self) -> list[Path]:
        """Stop writing to the current file; returns the files that can be read back now, oldest first."""
        if self._file is not None:
            self._rotated[Path(self._file.name)] = self._file
            self._file = None
        return list(self._rotated)

    def done(self, path: Path) -> None:
        """The outcomes of a rotated file are in the database."""
        path.unlink(missing_ok=True)
        self._rotated.pop(path).close()

    def close(self) -> None:
        """Release every file; the next process to start reads them."""
        for path in self.rotate():
            self._rotated.pop(path).close()

    def _opened(self) -> FileIO:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            self._number += 1
            path = self._folder / f"{self._name}-{self._number:06d}{SUFFIX}"
            # unbuffered: a buffer would keep what the disk refused, and fail again when the file is closed
            file = path.open("ab", buffering=0)
            if _taken(file):
                return file
            # another process, looking for files of the dead, was quicker and removes it
            file.close()


def abandoned(folder: Path) -> Iterator[Path]:
    """Spool files of processes that are gone, each locked while it is processed."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            if _taken(file):
                yield path


def _taken(file: IO[bytes]) -> bool:
    """Lock a file; False when another process has it, or had it and removed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return os.fstat(file.fileno()).st_nlink > 0


def waiting_bytes(folder: Path) -> int:
    """How much is waiting in the files of all processes of this machine."""
    size = 0
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def keep_refused(folder: Path, name: str, line: bytes) -> Path:
    """Keep a line for somebody to look at; returns its file. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}{REFUSED}"
    while True:
        with open(path, "ab", opener=_privately) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not os.fstat(file.fileno()).st_nlink:
                # `forget_refused` has put another file in its place meanwhile
                continue
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            return path


def forget_refused(folder: Path, wanted: Callable[[ExchangeOutcome], bool]) -> int:
    """Remove the outcomes that are `wanted` from the files of refused rows; returns how many.

    A line that is no outcome stays: nobody can say whose it is. Raises OSError.
    """
    forgotten = 0
    for path in sorted(folder.glob(f"*{REFUSED}")):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not os.fstat(file.fileno()).st_nlink:
                continue
            lines = file.readlines()
            left = [line for line in lines if not _is_wanted(line, wanted)]
            if len(left) == len(lines):
                continue
            forgotten += len(lines) - len(left)
            if not left:
                path.unlink()
                continue
            beside = path.with_suffix(".rewritten")
            with open(beside, "wb", opener=_privately) as new:
                new.writelines(left)
                new.flush()
                os.fsync(new.fileno())
            beside.replace(path)
    return forgotten


def _is_wanted(line: bytes, wanted: Callable[[ExchangeOutcome], bool]) -> bool:
    try:
        return wanted(from_line(line))
    except Exception:
        return False


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def read(path: Path, unreadable: Callable[[bytes], object] = lambda _line: None) -> Iterator[ExchangeOutcome]:
    """The outcomes of a file, in order. A last line that the process did not finish is left out.

    `unreadable` is called with each complete line that is not an outcome.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                outcome = from_line(line)
            except Exception as problem:
                logger.error(
                    "unreadable line in the spool",
                    extra={"file": path.name, "line": number, "problem": str(problem)},
                )
                if line.endswith(b"\n"):
                    unreadable(line)
                continue
            yield outcome


def as_line(outcome: ExchangeOutcome) -> bytes:
    """One outcome as one line of JSON."""
    facts: dict[str, Any] = {
        field.name: getattr(outcome, field.name)
        for field in dataclasses.fields(outcome)
        if field.name != "bodies"
    }
    facts["started_at"] = outcome.started_at.isoformat()
    facts["tries"] = [
        {**dataclasses.asdict(attempt), "started_at": attempt.started_at.isoformat()}
        for attempt in outcome.tries
    ]
    if outcome.bodies is not None:
        facts["bodies"] = {
            "headers": dict(outcome.bodies.headers),
            **{name: base64.b64encode(getattr(outcome.bodies, name)).decode("ascii") for name in _TEXTS},
        }
    return jsontext.dumps(facts) + b"\n"


def from_line(line: bytes) -> ExchangeOutcome:
    """The outcome that `as_line` wrote. Any other line may raise anything.

    Facts written by a later version of the gateway, and unknown to this one, are left out.
    """
    try:
        facts = jsontext.loads(line)
    except jsontext.InvalidJSON:
        # `as_line` writes integers of more digits than json reads
        facts = json.loads(line)
    bodies = facts.pop("bodies", None)
    tries = facts.pop("tries", [])
    return ExchangeOutcome(
        **_known(facts, _FACTS),
        tries=tuple(AttemptFacts(**_known(attempt, _ATTEMPT)) for attempt in tries),
        bodies=None if bodies is None else _bodies(bodies),
    )


def _bodies(facts: Mapping[str, Any]) -> CapturedBodies:
    texts: dict[str, Any] = {name: base64.b64decode(facts[name]) for name in _TEXTS}
    return CapturedBodies(headers=facts["headers"], **texts)


def _known(facts: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    known = {name: value for name, value in facts.items() if name in names}
    return {**known, "started_at": datetime.fromisoformat(facts["started_at"])}
