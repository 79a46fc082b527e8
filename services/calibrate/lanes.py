"""What waits for the worker, in two lanes: reports, states and looks at the registry pass the samples by, time not."""

from __future__ import annotations

import asyncio
import collections
import enum
from typing import NamedTuple

from dyncal.ports.message_bus import Delivery
from services.calibrate.worker import Job


class Waiting(NamedTuple):
    """A job, and the delivery that it came with."""

    job: Job
    delivery: Delivery | None = None


class Lane(enum.Enum):
    """Which lane a job takes."""

    FIRST = enum.auto()
    BULK = enum.auto()


class Lanes:
    """Two queues in one, each in order and bounded to `size`: who puts into a full lane waits."""

    def __init__(self, size: int) -> None:
        self._lanes: dict[Lane, collections.deque[Waiting]] = {lane: collections.deque() for lane in Lane}
        self._free = {lane: asyncio.Semaphore(size) for lane in Lane}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    async def put(self, item: Waiting, lane: Lane = Lane.FIRST) -> None:
        """Add at the end of a lane, once there is room."""
        await self._free[lane].acquire()
        self._lanes[lane].append(item)
        self._filled.set()

    async def offer(self, item: Waiting, lane: Lane) -> bool:
        """Add at the end of a lane if there is room; tell whether there was."""
        if self._free[lane].locked():
            return False
        await self.put(item, lane)
        return True

    async def take(self, n: int) -> list[Waiting]:
        """Wait for something, and return at most `n`, the first lane first; nothing where another one was faster."""
        await self._filled.wait()
        return self._taken(n)

    def empty(self) -> list[Waiting]:
        """Return all."""
        return self._taken(len(self))

    def _taken(self, n: int) -> list[Waiting]:
        batch: list[Waiting] = []
        for lane, queue in self._lanes.items():
            while queue and len(batch) < n:
                batch.append(queue.popleft())
                self._free[lane].release()
        if not len(self):
            self._filled.clear()
        return batch
