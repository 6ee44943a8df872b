"""The pool of processes that read PDFs: started for the first file, ended after a while without one."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import gateway
from gateway.conversion.blocks.pdf import CUT, MAX_CHARACTERS, MAX_PAGES, remember, remembered
from gateway.relay.pdf_extraction.worker import END_OF_FILE, LENGTH, frame
from gateway.values import frozen

logger = logging.getLogger("gateway.relay")

_WORKER: Final = "gateway.relay.pdf_extraction.worker"
_ROOT: Final = Path(gateway.__file__).parent.parent
# seconds within which a killed process is gone
_DEATH: Final = 1.0
# the only variables that a reader needs; the environment also has credentials
_ENVIRONMENT: Final = ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")


@frozen
class PDFLimits:
    """What reading one file may cost. `cpu` and `wall`: seconds; `memory`: bytes above a reader's own.

    `workers`: files that are read at once. `idle`: seconds that a reader waits for the next file.
    """

    cpu: int = 5
    wall: float = 15.0
    memory: int = 256 * 1024 * 1024
    workers: int = 2
    idle: float = 60.0


class _NotRead(Exception):
    """A file was not read completely, and why. `passing`: at another time it might be."""

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(why)
        self.passing = passing


_ENDED: Final = "its reader reached a limit, or died"


class _Worker:
    """One process. It does not outlive its socket."""

    def __init__(self, limits: PDFLimits) -> None:
        ours, theirs = socket.socketpair()
        try:
            # asyncio's own subprocesses need SIGCHLD, which the server uses itself
            self._process = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-m", _WORKER, str(limits.cpu), str(limits.memory)],
                cwd=_ROOT,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.rests: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def pages(self, data: str, found: list[str]) -> None:
        """Append the text of each page of a base64 PDF to `found`. Raises _NotRead."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_unix_connection(sock=self._socket)
            reader, writer = self._streams
            writer.write(frame(data.encode("ascii", "replace")))
            await writer.drain()
            left = MAX_CHARACTERS + len(CUT)
            while (length := await reader.readexactly(LENGTH.size)) != END_OF_FILE:
                size = LENGTH.unpack(length)[0]
                if size > 4 * left or len(found) > MAX_PAGES:
                    raise ValueError("more than a reader may tell")
                found.append((await reader.readexactly(size)).decode())
                left -= len(found[-1])
        except (EOFError, OSError, ValueError):
            raise _NotRead(_ENDED, passing=False) from None

    def kill(self) -> None:
        """Kill it now; from any thread."""
        self._process.kill()

    def wait(self, seconds: float) -> None:
        """Wait until the process is gone."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    async def buried(self) -> None:
        """Close what belongs to a killed worker."""
        if self._streams is None:
            self._socket.close()
        else:
            self._streams[1].transport.abort()
        await asyncio.to_thread(self._process.wait)


class PDFWorkers:
    """Reads PDFs, a few at once, those of one owner one after another. Belongs to one event loop."""

    def __init__(self, limits: PDFLimits | None = None) -> None:
        self.limits = limits or PDFLimits()
        self._room = asyncio.Semaphore(self.limits.workers)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._burials: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def read(self, owner: str, data: str) -> tuple[str, ...] | None:
        """The text of each page of a PDF in base64; only the pages that were read when it costs too much.

        () when nothing can be read; None when that is not the file's fault. Waits for the owner's turn, and
        for a worker. Cancelling the call kills its worker.
        """
        turn = self._turns.setdefault(owner, asyncio.Lock())
        async with turn, self._room:
            # the previous request may have had the same file
            known = remembered(data)
            if known is not None:
                return known
            found: list[str] = []
            try:
                await self._read(data, found)
            except _NotRead as failure:
                logger.warning("PDF not read to its end", extra={"reason": str(failure), "pages": len(found)})
                if failure.passing:
                    return (*found, CUT) if found else None
                found += [CUT] if found else []
            pages = tuple(found)
            remember(data, pages)
            return pages

    async def _read(self, data: str, found: list[str]) -> None:
        """Raises _NotRead."""
        if self._stopped:
            raise _NotRead("the gateway stops", passing=True)
        try:
            worker = self._ready()
        except OSError as problem:
            raise _NotRead(f"no process for it: {problem}", passing=True) from None
        done = False
        try:
            async with asyncio.timeout(self.limits.wall):
                await worker.pages(data, found)
            done = True
        except TimeoutError:
            raise _NotRead(f"not done within {self.limits.wall:g} s", passing=True) from None
        finally:
            if done and not self._stopped:
                self._rest(worker)
            else:
                self._end(worker)

    def stop(self) -> None:
        """Kill all workers and start no more; from any thread."""
        self._stopped = True
        workers = tuple(self._workers)
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait(_DEATH)

    @property
    def pids(self) -> Sequence[int]:
        """The current processes."""
        return [worker.pid for worker in self._workers]

    def _ready(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.rests is not None:
                worker.rests.cancel()
            if worker.alive:
                return worker
            self._end(worker)
        worker = _Worker(self.limits)
        self._workers.add(worker)
        return worker

    def _rest(self, worker: _Worker) -> None:
        self._idle.append(worker)
        worker.rests = asyncio.get_running_loop().call_later(self.limits.idle, self._rested, worker)

    def _rested(self, worker: _Worker) -> None:
        self._idle.remove(worker)
        self._end(worker)

    def _end(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        worker.kill()
        burial = asyncio.get_running_loop().create_task(worker.buried())
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)
