"""Runs the job beside the writing, on the same thread, for a small share of its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.errors import Conflict, DyncalError, Unavailable
from dyncal.domain.retention import Policy
from dyncal.domain.time import NS_PER_S, InstantNs, duration
from dyncal.ports.clock import Clock
from dyncal.ports.history import HistoryStore
from dyncal.ports.records import Act
from dyncal.ports.registry import Registry
from dyncal.runtime.exclusive import Exclusive
from dyncal.runtime.logging import Logger
from services.ingest.metrics import IngestMetrics
from services.ingest.retention.protection import Guard
from services.ingest.retention.reducer import Pass, Reducer, Step
from services.ingest.worker import Worker

LOCK_FILE: Final = "retention.lock"
RECORD: Final = "ingest.retention"
ACTOR: Final = "ingest"
LEAP_NS: Final = duration(3600.0)
NOTED_S: Final = 600.0
"""A long way is noted in the audit trail this often [s]."""


class Reducing(NamedTuple):
    """The registry that says what must stay, and the lock that one who reduces holds."""

    open_registry: Callable[[], Registry]
    lock_file: Path


class Record(msgspec.Struct, frozen=True):
    """What was done last, in the registry under `RECORD`."""

    at_ns: int
    rows: dict[int, int]
    sensors: int


def note(registry: Registry, done: Pass, at_ns: InstantNs, actor: str) -> None:
    """Enter into the audit trail what a pass has done so far, and forget that it did. Raises as the registry."""
    if not done.rows:
        return
    before = registry.load_snapshot(RECORD)
    record = Record(at_ns, done.rows, len(done.sensors))
    act = Act(actor, at_ns, told(record))
    registry.put_snapshot(RECORD, msgspec.json.encode(record), before, act, "samples.reduce")
    done.rows, done.sensors = {}, set()


def told(record: Record) -> str:
    """Say what was replaced."""
    parts = [
        f"{n} samples" if width == 0 else f"{n} aggregates of {width / NS_PER_S:g} s"
        for width, n in sorted(record.rows.items())
    ]
    return f"{', '.join(parts)} of {record.sensors} sensors"


class Keeper:
    """Goes through the store now and then, and says what it did.

    Parameters
    ----------
    store : callable
        Returns the store that the worker's thread writes to.
    share : float
        Most of its time for which that thread may be busy with this.
    """

    def __init__(
        self,
        worker: Worker,
        store: Callable[[], HistoryStore],
        reducing: Reducing,
        policy: Policy,
        metrics: IngestMetrics,
        clock: Clock,
        log: Logger,
        *,
        again_s: float,
        share: float,
    ) -> None:
        self._worker = worker
        self._store = store
        self._guard = Guard(reducing.open_registry)
        self._policy = policy
        self._lock_file = reducing.lock_file
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._again_s = again_s
        self._share = share
        self._began_ns, self._began_s = clock.now(), clock.monotonic_s()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self._go_through()
            except (DyncalError, OSError) as error:
                self._metrics.not_reduced()
                self._log.warning("not_reduced", error=str(error), kind=type(error).__name__)
            await asyncio.sleep(self._again_s)

    async def _go_through(self) -> None:
        if self._leapt():  # a clock that is wrong by a year would have a year reduced, and nothing brings it back
            self._log.warning("not_reduced", error="the clock was set; samples are reduced after the next start")
            return
        lock = Exclusive(self._lock_file, "ingest, or dyncal retention run,")
        try:
            reducer, under_way = await self._worker.run(self._begin)
            noted_s = self._clock.monotonic_s()
            while (done := await self._step(reducer, under_way)) is not None:
                self._metrics.reduced(done.n_rows, samples=done.width_ns == SAMPLES)
                if self._clock.monotonic_s() - noted_s > NOTED_S:
                    noted_s = self._clock.monotonic_s()
                    await self._note(under_way)
                if self._leapt():
                    break
            await self._note(under_way)
            self._metrics.all_reduced(under_way.at_ns / NS_PER_S)
        finally:
            lock.close()

    def _leapt(self) -> bool:
        went = duration(self._clock.monotonic_s() - self._began_s)
        return abs(self._clock.now() - self._began_ns - went) > LEAP_NS

    def _begin(self) -> tuple[Reducer, Pass]:
        reducer = Reducer(self._store(), self._guard, self._policy)
        return reducer, reducer.begin(self._clock.now())

    async def _step(self, reducer: Reducer, under_way: Pass) -> Step | None:
        """Do one step, and rest for as long as leaves the thread to those who write."""
        before = self._clock.monotonic_s()
        done = await self._worker.run(reducer.step, under_way, self._clock.now())
        took_s = self._clock.monotonic_s() - before
        await asyncio.sleep(took_s * (1 / self._share - 1))
        return done

    async def _note(self, under_way: Pass) -> None:
        if under_way.rows:
            self._log.info("reduced", rows=dict(under_way.rows), sensors=len(under_way.sensors))
        try:
            await self._worker.run(note, self._guard.registry, under_way, self._clock.now(), ACTOR)
        except (Conflict, Unavailable) as error:  # it is in the log; what is done is done
            self._log.warning("reduction_not_audited", error=str(error))

    def close(self) -> None:
        """Let go of the registry; idempotent."""
        self._guard.close()
