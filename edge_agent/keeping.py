"""Puts sets on the disk beside the event loop, and has what becomes of them told only after: a disk takes its time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from edge_agent.events import Keep, Tell
from edge_agent.keeper import SetKeeper

Kept = Keep | Tell


class Keeping:
    """A row of sets to keep and of reports that follow them. `prompt` keeps and tells at once, in the caller's thread.

    Parameters
    ----------
    keeper : SetKeeper
    tell : callable
        Publishes a report.
    failed : callable
        Takes a set that the disk did not take, and why; its report goes out all the same: it runs.
    """

    def __init__(
        self, keeper: SetKeeper, tell: Callable[[Tell], None], failed: Callable[[Keep, OSError], None]
    ) -> None:
        self._keeper = keeper
        self._tell = tell
        self._failed = failed
        self._row: deque[Kept] = deque()
        self._under_way: list[Kept] = []
        self._some = asyncio.Event()
        self.prompt = True

    def put(self, effect: Kept) -> None:
        """Take the next of the row."""
        if isinstance(effect, Tell) and not self._row and not self._under_way:
            self._tell(effect)
            return
        self._row.append(effect)
        if self.prompt:
            self.finish()
        else:
            self._some.set()

    async def run(self) -> None:
        """Keep what comes, many together, until cancelled; `finish` is for what is left then."""
        self.prompt = False
        while True:
            await self._some.wait()
            self._some.clear()
            self._under_way = [*self._row]
            self._row.clear()
            failed = await asyncio.to_thread(self._write, self._under_way)
            done, self._under_way = self._under_way, []
            self._say(done, failed)

    def finish(self) -> None:
        """Keep and tell all that is left; what a thread has begun is done again."""
        self.prompt = True
        done = [*self._under_way, *self._row]
        self._under_way = []
        self._row.clear()
        self._say(done, self._write(done))

    def _write(self, row: Iterable[Kept]) -> list[tuple[Keep, OSError]]:
        """Keep the newest of each sensor; return what the disk did not take. Blocks."""
        newest = {effect.sensor: effect for effect in row if isinstance(effect, Keep)}
        return self._keeper.keep_all(newest.values())

    def _say(self, row: Iterable[Kept], failed: Iterable[tuple[Keep, OSError]]) -> None:
        for lost, error in failed:
            self._failed(lost, error)
        for effect in row:
            if isinstance(effect, Tell):
                self._tell(effect)
