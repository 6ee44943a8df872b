"""Look: a question to something that may be away, asked in a thread of its own.

Who answers probes waits for a moment and no longer. A look that is stuck is the only one of its
kind: neither threads nor connections pile up behind a server that answers nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# probes and scrapers wait for one second at the least
PATIENCE: Final = 0.5


class Look(Generic[T]):
    """`await look(question)` gives its answer, or None when there is none within `patience` seconds.

    What the question raises is raised. While one is under way, others wait for its answer.
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
            # nobody may be left to hear how it went
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())
            # a daemon: a server that answers nobody does not hold up the end of the process
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
    # a loop that is closed has nobody who waits
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(tell, answer, problem)
