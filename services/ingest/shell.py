"""One run of ingest: carries out what the pipeline decides, on the bus, the worker thread and the clock."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, assert_never

from dyncal.contracts.topics import ALL_SAMPLES, ALL_STATUS
from dyncal.domain.accounts import Account
from dyncal.domain.errors import BusUnavailable, DyncalError, InvalidInput, StoreUnavailable, Unavailable
from dyncal.domain.samples import GapRecord
from dyncal.domain.time import seconds
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.following import Follower
from dyncal.runtime.logging import Logger
from services.ingest.followed import follow
from services.ingest.intake import Accepted
from services.ingest.metrics import IngestMetrics
from services.ingest.persisting import Persister
from services.ingest.pipeline import (
    Ack,
    Announce,
    Arrived,
    Batch,
    Connected,
    Effect,
    Event,
    Failed,
    IngestPipeline,
    Limits,
    LookedUp,
    LookUp,
    NotAnnounced,
    Persist,
    Persisted,
    Stopping,
    Tick,
)
from services.ingest.reporting import LedgerReporter
from services.ingest.worker import Worker

DRAIN_S: Final = 3.0
CHECK_INTERVAL_S: Final = 5.0
TIDY_INTERVAL_S: Final = 60.0
LOOK_INTERVAL_S: Final = 0.5
SUBSCRIBE_AGAIN_S: Final = 2.0
LEAST_SLEEP_S: Final = 0.0005
MOST_AT_ONCE: Final = 100
"""Messages that are taken before the bytes that are held are looked at again."""


@dataclass(slots=True)
class Standing:
    """What health tells; outlives a run."""

    store_trouble: str = "not asked yet"
    connected: Callable[[], bool] = lambda: False


class Shell:
    """Everything here runs in the event loop; what blocks runs in `worker`."""

    def __init__(
        self,
        bus: MessageBus,
        worker: Worker,
        persister: Persister[Any],
        pipeline: IngestPipeline,
        metrics: IngestMetrics,
        standing: Standing,
        clock: Clock,
        log: Logger,
        *,
        report_s: float,
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
        follower: Follower | None = None,
    ) -> None:
        self._follower = follower
        self._bus = bus
        self._worker = worker
        self._persister = persister
        self._pipeline = pipeline
        self._metrics = metrics
        self._standing = standing
        self._clock = clock
        self._log = log
        self._report_s = report_s
        self._beside = beside
        self._reporter = LedgerReporter()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._settled = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._jobs = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then drain. Raises the errors that nobody can work with, in a group."""
        self._standing.connected = lambda: self._bus.connected
        try:
            async with self._tasks as tasks:
                lasting = [
                    tasks.create_task(job)
                    for job in (
                        self._subscribe(),
                        self._receive(),
                        self._watch_broker(),
                        self._watch_store(),
                        self._report_ledger(),
                        self._tidy(),
                        *(() if self._beside is None else (self._beside(),)),
                        self._keep_time(),
                    )
                ]
                await stop.wait()
                for task in lasting[:-1]:
                    task.cancel()
                await self._drain()
                lasting[-1].cancel()
        finally:
            self._standing.connected = lambda: False

    async def _drain(self) -> None:
        self._feed(Stopping())
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._settled.wait()
        if not self._pipeline.idle:
            self._log.warning("left_with_the_broker", n_messages=self._pipeline.n_pending)

    async def _subscribe(self) -> None:
        while True:
            try:
                await self._bus.subscribe([ALL_SAMPLES, ALL_STATUS])
            except BusUnavailable as error:
                self._log.error("not_subscribed", error=str(error))
                await asyncio.sleep(SUBSCRIBE_AGAIN_S)
            else:
                return

    async def _receive(self) -> None:
        async for together in self._bus.arrivals():
            self._metrics.received(len(together))
            waiting = iter(together)
            while part := tuple(itertools.islice(waiting, min(self._pipeline.room, MOST_AT_ONCE))):
                begun_s = self._clock.monotonic_s()
                self._feed(Arrived(part, begun_s))
                self._metrics.taken_in(self._clock.monotonic_s() - begun_s)
                if self._pipeline.full:
                    self._metrics.full()
                while self._pipeline.full:
                    self._room.clear()
                    await self._room.wait()

    async def _keep_time(self) -> None:
        while True:
            self._feed(Tick(self._clock.monotonic_s(), self._clock.now()))
            self._metrics.standing(n_pending=self._pipeline.n_pending, connected=self._bus.connected)
            if not self._pipeline.full:
                self._room.set()
            if self._pipeline.settled and not self._jobs:
                self._settled.set()
            due = self._pipeline.next_s()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    None if due is None else max(due - self._clock.monotonic_s(), LEAST_SLEEP_S)
                ):
                    await self._wake.wait()
            self._wake.clear()

    async def _watch_broker(self) -> None:
        """Take note of each connection: before it, what was sent here may have got lost."""
        known = 0
        while True:
            await self._bus.wait_connected()
            if self._bus.connections != known:
                known = self._bus.connections
                self._feed(Connected(self._clock.monotonic_s()))
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def _watch_store(self) -> None:
        """Ask the store now and then while there is nothing to write, so that health tells the truth."""
        while True:
            if self._pipeline.idle:
                try:
                    self._store_works(await self._worker.run(self._persister.check))
                except InvalidInput:  # a setting that nobody can work with
                    raise
                except DyncalError as error:
                    self._store_fails(error)
            await asyncio.sleep(CHECK_INTERVAL_S)

    def follow(self, limits: Limits, report_s: float) -> None:
        """Go on with other sizes and times."""
        self._pipeline.follow(limits)
        self._report_s = report_s

    async def _report_ledger(self) -> None:
        """Say now and then what became of the records of each edge, where that has changed."""
        while True:
            await asyncio.sleep(self._report_s)
            try:
                accounts = await self._worker.run(self._persister.accounts)
            except StoreUnavailable as error:
                self._log.warning("ledger_unavailable", error=str(error))
                continue
            self._metrics.ledger(sum(accounts.values(), Account()))
            for address, payload in self._reporter.due(accounts, self._clock.now()):
                try:
                    await self._bus.publish(address.ledger, payload, retain=True)
                except BusUnavailable:
                    self._reporter.failed(address)

    async def _tidy(self) -> None:
        """Let the store forget what is too old, a little at a time: what is to be written goes in between."""
        while True:
            await asyncio.sleep(TIDY_INTERVAL_S)
            try:
                while await self._worker.run(self._persister.tidy, self._clock.now()):
                    pass
            except DyncalError as error:
                self._log.warning("not_tidied", error=str(error), kind=type(error).__name__)

    def _feed(self, event: Event) -> None:
        idle = self._pipeline.idle
        effects = self._pipeline.handle(event)
        for effect in effects:
            self._perform(effect)
        match event:
            case Tick():
                return
            case Arrived() if not effects and not idle:
                return  # it puts off what is due, if anything: time is kept by the first that waits
        self._wake.set()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Ack(deliveries):
                for delivery in deliveries:
                    delivery.ack()
            case Persist(batch):
                self._spawn(self._persist(batch))
            case LookUp():
                self._spawn(self._look_up(effect))
            case Announce():
                self._spawn(self._announce(effect))
            case other:
                assert_never(other)

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        self._jobs += 1
        self._tasks.create_task(job).add_done_callback(self._finished)

    def _finished(self, _: asyncio.Task[None]) -> None:
        self._jobs -= 1
        self._wake.set()

    async def _persist(self, batch: Batch) -> None:
        started, begun_ns = self._clock.monotonic_s(), self._clock.now()
        try:
            outcome = await self._worker.run(self._persister.persist, batch, self._clock.now())
        except InvalidInput:  # a setting that nobody can work with
            raise
        except DyncalError as error:
            self._store_fails(error)
            passing = isinstance(error, Unavailable)
            after = error.retry_after_s if isinstance(error, Unavailable) else None
            self._feed(Failed(self._clock.monotonic_s(), after, patient=not passing))
            return
        ended = self._clock.monotonic_s()
        self._store_works("")
        lag = _lag_s(batch, self._clock)
        self._metrics.stored(
            outcome.report,
            n_messages=len(batch.items),
            seconds=ended - started,
            ledger_s=outcome.ledger_s,
            lag_s=lag,
        )
        self._metrics.not_kept(outcome.n_not_kept)
        self._metrics.contested(outcome.n_contested)
        for why in outcome.quarantined:
            self._metrics.quarantined(why.reason)
        if self._follower is not None:
            follow(self._follower, batch, begun_ns, self._clock.now())
        for address, _ in outcome.watermarks:
            self._reporter.heard_of(address)
        self._feed(Persisted(outcome.watermarks, ended))

    async def _look_up(self, effect: LookUp) -> None:
        self._reporter.heard_of(effect.birth.address)
        try:
            upto = await self._worker.run(self._persister.look_up, effect.birth)
        except StoreUnavailable as error:  # the edge asks again when it hears less than it knows
            self._log.warning("ledger_unavailable", error=str(error))
            upto = {}
        self._feed(LookedUp(effect.birth, upto, self._clock.monotonic_s()))

    async def _announce(self, effect: Announce) -> None:
        try:
            await self._bus.publish(effect.address.committed, effect.payload, retain=True)
        except BusUnavailable:
            self._metrics.announced(taken=False)
            self._feed(NotAnnounced(effect.address, self._clock.monotonic_s()))
        else:
            self._metrics.announced(taken=True)

    def _store_fails(self, error: DyncalError) -> None:
        self._metrics.failed(error)
        if self._standing.store_trouble != str(error):
            self._log.error("store_fails", error=str(error), kind=type(error).__name__)
        self._standing.store_trouble = str(error)

    def _store_works(self, said: str) -> None:
        if self._standing.store_trouble:
            self._log.info("store_works", store=said)
        self._standing.store_trouble = ""


def _lag_s(batch: Batch, clock: Clock) -> float | None:
    arrivals = [
        item.content.record.arrival_ns
        for item in batch.items
        if isinstance(item.content, Accepted) and not isinstance(item.content.record, GapRecord)
    ]
    return seconds(clock.now() - max(arrivals)) if arrivals else None
