"""The shell of the calibration service: broker, worker thread, timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol, TypeVar

from dyncal.adapters.keyring import Keyring
from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.registry import open_registry
from dyncal.adapters.signing import open_signer
from dyncal.adapters.stores import open_store
from dyncal.contracts import topics
from dyncal.domain.errors import BusUnavailable, StoreUnavailable, Unavailable
from dyncal.domain.sensors import SiteId
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime import metrics as metrics_server
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.following import follower
from dyncal.runtime.logging import logger
from dyncal.runtime.service import Health
from dyncal.runtime.warming import kernels_ready
from services.calibrate import intake
from services.calibrate.events import PassedOver
from services.calibrate.keeping import Message
from services.calibrate.keys import KeyTeller
from services.calibrate.lanes import Lane, Lanes, Waiting
from services.calibrate.metrics import CalibrateMetrics
from services.calibrate.notary import Notary
from services.calibrate.overload import Overload
from services.calibrate.settings import CalibrateSettings
from services.calibrate.worker import Arrived, Job, Orders, Worker

CLIENT_ID: Final = "dyncal-calibrate"
_RETRY_S: Final = 1.0
_TICK_S: Final = 1.0
_DRAIN_S: Final = 2.0
_BATCH: Final = 256  # what comes first waits for so many blocks of samples at most
_IN_HAND: Final = 2  # batches: while one is dealt with, the next one is ready, however busy this loop is
_UNACKNOWLEDGED: Final = 500  # blocks of samples; less than brokers have under way, so that none of them has to wait
_FILTERS: Final = (topics.ALL_STATUS, topics.ALL_REPORTED, topics.ALL_RESIDUALS, topics.ALL_SAMPLES)

T = TypeVar("T")


class ReconnectingBus(MessageBus, Protocol):
    """A bus that counts its connections."""

    @property
    def connections(self) -> int:
        """How many times the broker has accepted a connection so far."""
        ...


OpenBus = Callable[[], AbstractAsyncContextManager[ReconnectingBus]]


class CalibrateService:
    """Listens to samples and reports, and lets the engine decide on its worker thread."""

    name: Final = "calibrate"

    def __init__(self, settings: CalibrateSettings, clock: Clock, bus: OpenBus) -> None:
        self._settings, self._clock, self._open_bus = settings, clock, bus
        self._log = logger(self.name)
        self.metrics = CalibrateMetrics()
        metrics_server.tell_of_program(self.metrics.registry, self.name, self.health)
        self._follower = follower(settings.trace, self.name, self._log)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        self._queue = Lanes(settings.calibrate.queue_size)
        self._overload = Overload(settings.calibrate.max_behind_s)
        self._sets: dict[str, bytes] = {}
        self._outbox: dict[str, bytes] = {}
        self._to_send = asyncio.Event()
        self._health = {"kernels": "not compiled yet", "registry": "not opened yet", "broker": "not connected yet"}

    def health(self) -> Health:
        """Tell how it stands."""
        return Health(ready=not any(self._health.values()), parts=dict(self._health))

    def follow(self, settings: CalibrateSettings) -> Callable[[], None]:
        """See `dyncal.runtime.reload.Following`."""

        def take_up() -> None:
            self._settings = settings

        return take_up

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then deal with what was received as far as time allows, save the estimators, and return.

        Raises
        ------
        InvalidSetting
            If the signing key or a setting cannot be used.
        StoreRefused
            If the registry is of another version.
        """
        section = self._settings.calibrate
        port, host = section.metrics_port, section.metrics_host
        close_metrics = None if port is None else metrics_server.serve(self.metrics.registry, port, host, self.health)
        try:
            await self._run(stop)
        finally:
            # beside the loop: a fit may take minutes, and a signal is to be heard
            await asyncio.to_thread(self._pool.shutdown, wait=True)
            await asyncio.to_thread(self._follower.close)
            if close_metrics is not None:
                close_metrics()

    async def _run(self, stop: asyncio.Event) -> None:
        s = self._settings
        signer = open_signer(s.signing, s.data_dir)
        registry = await self._open(lambda: open_registry(s.registry, s.data_dir), "registry", stop)
        if registry is None:
            return
        try:
            store = await self._open(lambda: open_store(s.store, s.data_dir), "store", stop)
            if store is None:
                return
            try:
                site = SiteId(s.site)
                worker = Worker(
                    s.calibrate, registry, store, signer, self._clock, self.metrics, self._log, site, self._follower
                )
                keys = KeyTeller(signer, Keyring(s.signing, s.data_dir, s.site).announcement, site)
                notary = Notary(registry, signer, self._clock, site, s.data_dir)
                async with notary.at_work(s.registry.checkpoint_s):
                    await self._serve(worker, keys, stop)
            finally:
                await self._in_thread(store.close)
        finally:
            await self._in_thread(registry.close)

    async def _serve(self, worker: Worker, keys: KeyTeller, stop: asyncio.Event) -> None:
        async with self._open_bus() as bus:
            if await self._at_work(worker, bus, keys, stop):
                await self._drain(worker, bus)

    async def _at_work(self, worker: Worker, bus: ReconnectingBus, keys: KeyTeller, stop: asyncio.Event) -> bool:
        """Work until `stop`; tell whether work had begun. What comes is taken from the broker from the beginning."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._receive(bus), name="calibrate-receive")]
            try:
                done = await kernels_ready(stop)
                if done is None:
                    return False
                seconds = round(done.seconds, 2)
                self._log.info("kernels_warm", n=done.n_kernels, compiled=done.n_compiled, seconds=seconds)
                self._health["kernels"] = ""
                await self._with_retries(worker, [None], lambda: False, stop)
                await self._catch_up(worker, stop)
                tasks += (
                    *(group.create_task(self._work(worker, stop), name=f"calibrate-work-{k}") for k in range(_IN_HAND)),
                    group.create_task(self._send(bus), name="calibrate-send"),
                    group.create_task(self._timers(worker), name="calibrate-timers"),
                    group.create_task(self._watch(bus, worker), name="calibrate-watch"),
                    group.create_task(keys.run(bus, self._in_thread), name="calibrate-keys"),
                )
                await stop.wait()
            finally:
                for task in tasks:
                    task.cancel()
        return True

    async def _catch_up(self, worker: Worker, stop: asyncio.Event) -> None:
        try:
            slices = worker.catch_up()
            while not stop.is_set():
                messages = await self._in_thread(lambda: next(slices, None))
                if messages is None:
                    return
                self._post(messages)
        except Unavailable as error:
            self._log.warning("not_caught_up", error=str(error))
            self.metrics.notes.labels("not_caught_up").inc()

    async def _receive(self, bus: MessageBus) -> None:
        await bus.wait_connected()
        while True:
            try:
                await bus.subscribe(_FILTERS)
                break
            except BusUnavailable as error:
                self._health["broker"] = str(error)
                await asyncio.sleep(_RETRY_S)
        async for delivery in bus.deliveries():
            item = Waiting(Arrived(delivery.topic, delivery.payload), delivery)
            await (self._take_samples(item) if intake.is_samples(delivery.topic) else self._queue.put(item))

    async def _take_samples(self, item: Waiting) -> None:
        """Have samples wait, and not in the broker: what it holds for one program is a burden to all (ADR 0072)."""
        if self._queue.full(Lane.BULK):
            self._pass_over_waiting()
        if item.delivery is not None and self._queue.length(Lane.BULK) >= _UNACKNOWLEDGED:
            item.delivery.ack()  # should the program end now, the store has them
            item = Waiting(item.job)
        await self._queue.put(item, Lane.BULK)

    def _pass_over_waiting(self) -> None:
        """Make room at once, however busy the worker is: one stretch of time of all sensors, and spools are kept."""
        n_samples = 0

        def keep(item: Waiting) -> bool:
            nonlocal n_samples
            n = intake.live_samples(item.job.payload) if isinstance(item.job, Arrived) else 0
            n_samples += n
            return n == 0

        gone = self._queue.sift(Lane.BULK, keep)
        if not gone:
            return
        for _, delivery in gone:
            if delivery is not None:
                delivery.ack()
        self._queue.offer(Waiting(PassedOver(self._clock.now())), Lane.BULK)
        self.metrics.passed_over.inc(n_samples)
        self._log.warning("samples_passed_over", n_samples=n_samples, n_messages=len(gone), why="as many waited")

    async def _work(self, worker: Worker, stop: asyncio.Event) -> None:
        """Deal with batches; the worker's only thread keeps them in the order in which they were taken."""
        while True:
            batch = await self._queue.take(_BATCH)
            self.metrics.waiting.set(len(self._queue))
            if batch:
                await self._process(worker, batch, stop, passing=self._judge(len(batch), worker.lag_s))

    def _judge(self, n: int, lag_s: float) -> bool:
        """Return whether samples are passed over, and say when that begins and ends."""
        before = self._overload.passing
        passing = self._overload.look(self._clock.monotonic_s(), lag_s, full=n == _BATCH)
        if passing and not before:
            self._log.warning("overloaded", behind_s=round(lag_s, 1), waiting=len(self._queue))
        elif before and not passing:
            self._log.warning("samples_passed_over", behind_s=round(lag_s, 1))
        return passing

    async def _process(
        self,
        worker: Worker,
        batch: list[Waiting],
        stop: asyncio.Event,
        enough: Callable[[], bool] | None = None,
        *,
        passing: bool = False,
    ) -> None:
        jobs = [job for job, _ in batch]
        until = enough or stop.is_set
        with self.metrics.handled.time():
            done = await self._with_retries(worker, jobs, until, stop, passing=passing)
        if not done:  # broken off: the broker keeps what was not acknowledged
            return
        for _, delivery in batch:
            if delivery is not None:
                delivery.ack()

    async def _with_retries(
        self,
        worker: Worker,
        jobs: list[Job],
        until: Callable[[], bool],
        stop: asyncio.Event,
        *,
        passing: bool = False,
    ) -> bool:
        """Process in the worker's thread until the registry is there, and post the result; tell whether all is done."""

        def process() -> tuple[list[Message], bool]:
            return worker.process(jobs, until, passing=passing), worker.n_waiting == 0

        while True:
            try:
                messages, done = await self._in_thread(process)
            except StoreUnavailable as error:
                if not self._health["registry"]:
                    self._log.warning("registry_unavailable", error=str(error))
                self._health["registry"] = str(error)
                if stop.is_set():
                    return False
                jobs = []  # the worker has them
                await asyncio.sleep(error.retry_after_s or _RETRY_S)
            else:
                self._post(messages)
                self._health["registry"] = ""
                return done

    def _post(self, messages: list[Message]) -> None:
        for topic, payload in messages:
            (self._sets if topic.endswith("/desired") else self._outbox)[topic] = payload
        if messages:
            self._count_unsent()
            self._to_send.set()

    def _count_unsent(self) -> None:
        self.metrics.unsent.set(len(self._sets) + len(self._outbox))

    async def _send(self, bus: MessageBus) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            await bus.wait_connected()
            if not await self._flush(bus):
                self._to_send.set()
                await asyncio.sleep(_RETRY_S)

    async def _flush(self, bus: MessageBus) -> bool:
        """Publish what waits, coefficient sets before all else: edges wait for those. Tell whether all went."""
        while waiting := self._sets or self._outbox:
            topic, payload = next(iter(waiting.items()))
            try:
                await bus.publish(topic, payload, retain=True)
            except BusUnavailable as error:
                self._log.warning("not_published", topic=topic, error=str(error))
                self.metrics.publish_failures.inc()
                return False
            self.metrics.published.inc()
            if waiting.get(topic) == payload:  # what has changed meanwhile goes out again
                del waiting[topic]
            self._count_unsent()
        return True

    async def _timers(self, worker: Worker) -> None:
        next_poll = next_tick = next_orders = self._clock.monotonic_s()
        while True:
            now = self._clock.monotonic_s()
            poll_s, orders_s = self._settings.calibrate.poll_s, self._settings.calibrate.orders_poll_s
            if now >= next_poll:
                next_poll = now + poll_s
                await self._queue.put(Waiting(None))
            if now >= next_orders:
                next_orders = now + orders_s
                self._queue.offer(Waiting(Orders()), Lane.FIRST)
            if now >= next_tick:
                next_tick = now + _TICK_S
                # behind the samples that have come: before them it would find a silence where there is none
                self._queue.offer(Waiting(worker.tick()), Lane.BULK)
            await asyncio.sleep(min(poll_s, _TICK_S, 2 * orders_s) / 2)

    async def _watch(self, bus: ReconnectingBus, worker: Worker) -> None:
        """Tell the engine of every new connection."""
        seen = 0
        while True:
            await bus.wait_connected()
            if bus.connections != seen:
                seen = bus.connections
                self._health["broker"] = ""
                await self._queue.put(Waiting(worker.connected()))
            await asyncio.sleep(_RETRY_S / 4)
            if not bus.connected:
                self._health["broker"] = "not connected"

    async def _drain(self, worker: Worker, bus: MessageBus) -> None:
        """Deal with what was received as far as time allows, then with the end; the rest comes again later."""
        stopped = asyncio.Event()
        stopped.set()
        deadline = self._clock.monotonic_s() + _DRAIN_S
        await self._process(worker, self._queue.empty(), stopped, lambda: self._clock.monotonic_s() > deadline)
        if left := worker.drop():
            self._log.info("left_for_later", n=left)
        await self._process(worker, [Waiting(worker.stopping())], stopped, lambda: False)
        if bus.connected and not await self._flush(bus):
            self._log.warning("left_unsent", n=len(self._sets) + len(self._outbox))

    async def _open(self, opener: Callable[[], T], part: str, stop: asyncio.Event) -> T | None:
        while not stop.is_set():
            try:
                opened = await self._in_thread(opener)
            except StoreUnavailable as error:
                self._health[part] = str(error)
                self._log.warning("unavailable", part=part, error=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                self._health[part] = ""
                return opened
        return None

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def build(settings: CalibrateSettings, clock: Clock | None = None) -> CalibrateService:
    """Return the service on the broker, the registry and the store of its settings."""
    client_id = f"{CLIENT_ID}-{settings.site}"
    return CalibrateService(settings, clock or SystemClock(), lambda: open_bus(settings.broker, client_id))
