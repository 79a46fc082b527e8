"""One daemon thread for what blocks: it never keeps the process from ending, as a pool's threads do."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

FINISH_S: Final = 1.0

T = TypeVar("T")


class Worker:
    """Runs calls one after the other; entered and left in the event loop."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what `function` returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001  # carried to whoever waits for it
                _hand_over(loop, future, future.set_exception, error)
            else:
                _hand_over(loop, future, future.set_result, result)

        self._jobs.put(job)
        return await future

    async def finish(self, last: Callable[[], None]) -> None:
        """Run `last` after what was given before, and let the thread end; waits for it a second at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await self.run(last)
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _hand_over(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], setter: Callable[[Any], None], value: Any
) -> None:
    def hand_over() -> None:
        if not future.done():
            setter(value)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(hand_over)
