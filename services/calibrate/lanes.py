"""What waits for the worker, in two lanes: reports, states and looks at the registry pass the samples by, time not."""

from __future__ import annotations

import asyncio
import collections
import enum
from collections.abc import Callable
from typing import Final, NamedTuple

from dyncal.ports.message_bus import Delivery
from services.calibrate.worker import Arrived, Job

_FIRST: Final = 1024  # reports and states that wait at most: few come, and they are dealt with before all else


class Waiting(NamedTuple):
    """A job, and the delivery that it came with."""

    job: Job
    delivery: Delivery | None = None

    @property
    def n_bytes(self) -> int:
        """How much it holds; next to nothing where it is no message."""
        return len(self.job.payload) if isinstance(self.job, Arrived) else 0


class Lane(enum.Enum):
    """Which lane a job takes."""

    FIRST = enum.auto()
    BULK = enum.auto()


class Lanes:
    """Two queues in one, each in order and bounded to `size` jobs and `n_bytes`: who puts into a full lane waits."""

    def __init__(self, size: int, n_bytes: int = 64 << 20) -> None:
        self._lanes: dict[Lane, collections.deque[Waiting]] = {lane: collections.deque() for lane in Lane}
        self._sizes = {Lane.FIRST: min(size, _FIRST), Lane.BULK: size}
        self._n_bytes = dict.fromkeys(Lane, 0)
        self._most_bytes = n_bytes
        self._room = {lane: asyncio.Event() for lane in Lane}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def length(self, lane: Lane) -> int:
        """Return how many wait in a lane."""
        return len(self._lanes[lane])

    def full(self, lane: Lane) -> bool:
        """Tell whether who puts into a lane has to wait."""
        return self.length(lane) >= self._sizes[lane] or self._n_bytes[lane] >= self._most_bytes

    async def put(self, item: Waiting, lane: Lane = Lane.FIRST) -> None:
        """Add at the end of a lane, once there is room."""
        while self.full(lane):
            self._room[lane].clear()
            await self._room[lane].wait()
        self._add(item, lane)

    def offer(self, item: Waiting, lane: Lane) -> bool:
        """Add at the end of a lane if there is room; tell whether there was."""
        if self.full(lane):
            return False
        self._add(item, lane)
        return True

    async def take(self, n: int) -> list[Waiting]:
        """Wait for something, and return at most `n`, the first lane first; nothing where another one was faster."""
        await self._filled.wait()
        return self._taken(n)

    def empty(self) -> list[Waiting]:
        """Return all."""
        return self._taken(len(self))

    def sift(self, lane: Lane, keep: Callable[[Waiting], bool]) -> list[Waiting]:
        """Keep in a lane, in its order, what `keep` says; return the others."""
        gone: list[Waiting] = []
        for _ in range(self.length(lane)):
            item = self._next(lane)
            if keep(item):
                self._add(item, lane)
            else:
                gone.append(item)
        if not len(self):
            self._filled.clear()
        return gone

    def _taken(self, n: int) -> list[Waiting]:
        batch: list[Waiting] = []
        for lane, queue in self._lanes.items():
            while queue and len(batch) < n:
                batch.append(self._next(lane))
        if not len(self):
            self._filled.clear()
        return batch

    def _add(self, item: Waiting, lane: Lane) -> None:
        self._lanes[lane].append(item)
        self._n_bytes[lane] += item.n_bytes
        self._filled.set()

    def _next(self, lane: Lane) -> Waiting:
        item = self._lanes[lane].popleft()
        self._n_bytes[lane] -= item.n_bytes
        self._room[lane].set()
        return item
