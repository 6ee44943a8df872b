"""Look: ask something that may be unavailable, in a thread of its own.

A probe waits only briefly for its answer. A stuck look is the only one of its kind, so
neither threads nor connections pile up behind a server that does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# probes and scrapers wait at least one second
PATIENCE: Final = 0.5


class Look(Generic[T]):
    """`await look(question)` returns its answer, or None when there is none within `patience` seconds.

    Whatever the question raises is raised here. Callers that come while one is running wait for its answer.
    """

    def __init__(self, name: str, patience: float = PATIENCE) -> None:
        self._name = name
        self._patience = patience
        self._asked: asyncio.Future[T] | None = None

    async def __call__(self, question: Callable[[], T]) -> T | None:
        loop = asyncio.get_running_loop()
        asked = self._asked
        if asked is None or asked.done() or asked.get_loop() is not loop:
            asked = self._asked = loop.create_future()
            # retrieve the outcome even when every caller is gone by now
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())
            # a daemon: a server that does not answer must not delay the end of the process
            arguments = (question, asked, loop)
            threading.Thread(target=_ask, args=arguments, name=self._name, daemon=True).start()
        done, _ = await asyncio.wait({asked}, timeout=self._patience)
        return asked.result() if done else None


def _ask(question: Callable[[], T], asked: asyncio.Future[T], loop: asyncio.AbstractEventLoop) -> None:
    def tell(answer: T | None, problem: BaseException | None) -> None:
        if not asked.done():
            if problem is not None:
                asked.set_exception(problem)
            else:
                asked.set_result(answer)  # type: ignore[arg-type]

    answer: T | None = None
    problem: BaseException | None = None
    try:
        answer = question()
    except Exception as raised:
        problem = raised
    # a closed loop has nobody waiting
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(tell, answer, problem)
