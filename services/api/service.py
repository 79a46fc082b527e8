"""The API service: the HTTP interface, the console, and what keeps them current."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from functools import partial
from typing import Final, TypeVar

from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.registry import open_registry
from dyncal.adapters.registry.alone import Alone
from dyncal.adapters.signing import open_signer
from dyncal.adapters.stores import open_store
from dyncal.domain.errors import DyncalError, InvalidSetting, StoreUnavailable, Unavailable
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from dyncal.ports.history import HistoryStore
from dyncal.ports.message_bus import MessageBus
from dyncal.ports.registry import Registry
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.exclusive import Exclusive
from dyncal.runtime.logging import logger
from dyncal.runtime.service import Health
from services.api.access.entrance import Entrance
from services.api.access.first import make_first_key, show
from services.api.alarms.releases import ReleaseConditions
from services.api.alarms.retention import HistoryKeeper
from services.api.alarms.sources import OwnConditions
from services.api.app import create_app
from services.api.consumer import BusConsumer
from services.api.deps import Deps
from services.api.frames import now_body
from services.api.outlets.service import Outlets, outlets_of
from services.api.server import HttpServer, bind
from services.api.settings import ApiSettings

CHECK_S: Final = 5.0
RETRY_S: Final = 2.0
SILENCE_S: Final = 2.0
RELEASES_S: Final = 3.0
TIDY_S: Final = 60.0

T = TypeVar("T")

log = logger("api")


class ApiService:
    """Serves until told to stop. Opens what it needs when it runs, and waits for what is not there yet."""

    def __init__(
        self,
        settings: ApiSettings,
        clock: Clock,
        *,
        registry: Callable[[], Registry],
        store: Callable[[], HistoryStore],
        bus: Callable[[], AbstractAsyncContextManager[MessageBus]],
        alone: Callable[[], Alone] | None = None,
        tell: Callable[[str], None] = show,
    ) -> None:
        self._settings, self._clock, self._tell = settings, clock, tell
        self._open_registry, self._open_store, self._open_bus, self._take_over = registry, store, bus, alone
        self._deps: Deps | None = None
        self._outlets: Outlets | None = None
        self._waiting_for = "nothing yet"
        self.listening = asyncio.Event()
        self.address = ""

    @property
    def name(self) -> str:
        """Name for logs and metrics."""
        return "api"

    @property
    def entrance(self) -> Entrance:
        """Who is let in; there once it listens."""
        if self._deps is None:
            raise Unavailable("the service has not begun")
        return self._deps.entrance

    def health(self) -> Health:
        """Tell how it stands."""
        if self._deps is None:
            return Health(ready=False, parts={"start": f"waiting for {self._waiting_for}"})
        parts = dict(self._deps.parts.faults)
        if self._outlets is not None:  # they are told of, and do not keep the service from being ready
            parts |= self._outlets.faults()
        return Health(self._deps.parts.ready and self.listening.is_set(), parts)

    def follow(self, settings: ApiSettings) -> Callable[[], None]:
        """See `dyncal.runtime.reload.Following`."""

        def take_up() -> None:
            self._settings = settings

        return take_up

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`. Raises `InvalidSetting` if the address cannot be listened on."""
        listener = bind(self._settings.api)
        async with AsyncExitStack() as stack:
            stack.callback(listener.close)
            # A second service on the same files would tell third parties twice, and cut off the first one's broker.
            alone = await self._opened("the data directory", self._lock, stop)
            if alone is None:
                return
            stack.callback(alone.close)
            keeping = None if self._take_over is None else await self._opened("registry", self._take_over, stop)
            if keeping is not None:
                stack.callback(keeping.close)
            registry = await self._opened("registry", self._open_registry, stop)
            store = await self._opened("store", self._open_store, stop)
            if registry is not None:
                stack.callback(registry.close)
            if store is not None:
                stack.callback(store.close)
            if registry is None or store is None:
                return
            deps = self._deps = Deps.make(registry, store, self._clock, self._settings.api)
            deps.parts.faults.update(registry="", store="", bus="not connected yet")
            outlets = self._outlets = await self._opened("outlets", lambda: outlets_of(self._settings, deps), stop)
            if outlets is None:
                return
            deps.outlets.look = outlets.standing
            stack.callback(outlets.close)
            keeper = HistoryKeeper(registry, self._clock, self._settings.api.alarms.history_days)
            if not deps.entrance.open:
                await self._opened("first key", lambda: make_first_key(registry, self._clock, self._tell), stop)
            await self._opened("jobs", deps.jobs.load, stop)
            server = HttpServer(create_app(deps), self._settings.api)
            async with asyncio.TaskGroup() as group:
                workers = [
                    group.create_task(self._frames(deps), name="api-frames"),
                    group.create_task(self._watch(deps), name="api-watch"),
                    group.create_task(self._check(deps), name="api-check"),
                    group.create_task(self._stay_alone(keeping), name="api-alone"),
                    group.create_task(self._keep_access(deps), name="api-access"),
                    group.create_task(self._renew(server), name="api-certificate"),
                    group.create_task(self._consume(deps), name="api-bus"),
                    group.create_task(deps.clerk.run(), name="api-alarms"),
                    group.create_task(deps.jobs.run(), name="api-jobs"),
                    group.create_task(self._listen_for_silence(deps), name="api-silence"),
                    group.create_task(self._look_at_releases(deps), name="api-releases"),
                    group.create_task(outlets.run(), name="api-outlets"),
                    group.create_task(keeper.run(), name="api-history"),
                ]
                host, port = listener.getsockname()[:2]
                scheme = "http" if self._settings.api.tls is None else "https"
                self.address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
                serving = group.create_task(server.serve(sockets=[listener]), name="api-http")
                self.listening.set()
                log.info("listening", address=self.address)
                await stop.wait()
                # Streams first: uvicorn waits for open answers, and a stream never ends by itself.
                deps.hub.close()
                deps.watcher.close()
                deps.jobs.close()
                server.stop()
                await asyncio.wait({serving})
                with contextlib.suppress(DyncalError):  # the log has them
                    await deps.entrance.note_refusals(at_once=True)
                for worker in workers:
                    worker.cancel()

    def _lock(self) -> Exclusive | ExitStack:
        """Have the data directory for this service alone, where it keeps files. Raises `Unavailable`."""
        if not self._settings.keeps_files:
            return ExitStack()
        directory = self._settings.data_dir
        try:
            directory.mkdir(parents=True, exist_ok=True)
            return Exclusive(directory / "api.lock", "another API service")
        except OSError as error:
            raise InvalidSetting(f"data_dir = {str(directory)!r}: {error}") from error

    async def _opened(self, what: str, opener: Callable[[], T], stop: asyncio.Event) -> T | None:
        """Return what `opener` opens, tried again while it is unavailable; None if told to stop meanwhile."""
        self._waiting_for = what
        while not stop.is_set():
            try:
                return await asyncio.to_thread(opener)
            except Unavailable as error:
                log.warning("waiting", part=what, error=str(error))
                try:
                    async with asyncio.timeout(error.retry_after_s or RETRY_S):
                        await stop.wait()
                except TimeoutError:
                    continue
        return None

    async def _frames(self, deps: Deps) -> None:
        while True:
            deps.hub.flush()
            await asyncio.sleep(self._settings.api.frame_interval_s)

    async def _watch(self, deps: Deps) -> None:
        """Ask the registry for changes, wake long-polls, and tell the console."""
        while True:
            try:
                revision = await asyncio.to_thread(deps.watcher.look)
            except DyncalError as error:
                deps.watcher.running = False
                _found(deps, "registry", str(error))
            else:
                _found(deps, "registry", "")
                deps.watcher.running = True
                if deps.watcher.see(revision):
                    deps.hub.announce("registry", now_body(self._clock.now(), **revision._asdict()))
            await asyncio.sleep(self._settings.api.watch_interval_s)

    async def _keep_access(self, deps: Deps) -> None:
        """Keep up with who may get in, and write down now and then who was here."""
        entrance, tidied_s = deps.entrance, self._clock.monotonic_s()
        while True:
            try:
                await asyncio.to_thread(entrance.book.refresh)
                entrance.watched = True
                if self._clock.monotonic_s() - tidied_s > TIDY_S:
                    tidied_s = self._clock.monotonic_s()
                    await asyncio.to_thread(entrance.book.tidy)
                await entrance.note_refusals()
            except DyncalError as error:
                entrance.watched = False
                log.warning("access_not_read", error=str(error))
            await asyncio.sleep(self._settings.api.watch_interval_s)

    async def _renew(self, server: HttpServer) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            await asyncio.to_thread(server.renew)

    async def _listen_for_silence(self, deps: Deps) -> None:
        """Report sources whose values have stopped, and those that speak again."""
        own = OwnConditions(deps.desk)
        while True:
            await asyncio.sleep(SILENCE_S)
            try:
                found = await asyncio.to_thread(
                    lambda: list(own.silent(deps.catalogue.get().sensors.values(), deps.hub, deps.clock.now()))
                )
            except DyncalError as error:
                log.warning("silence_not_looked_for", error=str(error))
            else:
                await deps.clerk.feed(found)

    async def _look_at_releases(self, deps: Deps) -> None:
        """Report sets that wait for people, and rollouts that pause or go back."""
        releases = ReleaseConditions(deps.registry, deps.desk, SiteId(self._settings.site))
        while True:
            try:
                found = await asyncio.to_thread(lambda: releases.look(deps.catalogue.get(), deps.clock.now()))
            except DyncalError as error:
                log.warning("releases_not_looked_at", error=str(error))
            else:
                await deps.clerk.feed(found)
            await asyncio.sleep(RELEASES_S)

    async def _check(self, deps: Deps) -> None:
        own, site = OwnConditions(deps.desk), SiteId(self._settings.site)
        while True:
            try:
                await asyncio.to_thread(deps.store.check)
            except DyncalError as error:
                _found(deps, "store", str(error))
            else:
                _found(deps, "store", "")
            await deps.clerk.feed(own.store(site, deps.parts.faults["store"], InstantNs(self._clock.now())))
            await asyncio.sleep(CHECK_S)

    async def _stay_alone(self, keeping: Alone | None) -> None:
        """See now and then that no other service has taken over while the database was away.

        Raises
        ------
        Unavailable
            If one has: this one ends, since two would write alarms against each other, and tell third parties twice.
        """
        while keeping is not None:
            await asyncio.sleep(CHECK_S)
            try:
                await asyncio.to_thread(keeping.renew)
            except StoreUnavailable as error:
                log.warning("registry_not_held", error=str(error))

    async def _consume(self, deps: Deps) -> None:
        consumer = BusConsumer(deps)
        signer = partial(open_signer, self._settings.signing, self._settings.data_dir)
        async with self._open_bus() as bus, asyncio.TaskGroup() as group:
            group.create_task(self._follow(deps, bus), name="api-bus-state")
            group.create_task(deps.commissioning.run(bus, signer), name="api-commissioning")
            group.create_task(deps.clerk.send(bus), name="api-alarms-out")
            await bus.wait_connected()
            with deps.voice.through(bus):
                await consumer.run(bus)

    async def _follow(self, deps: Deps, bus: MessageBus) -> None:
        while True:
            deps.parts.faults["bus"] = "" if bus.connected else "the broker does not answer"
            await asyncio.sleep(1.0)


def _found(deps: Deps, part: str, fault: str) -> None:
    """Keep what is wrong with a part ('' for nothing), and log it when it changes."""
    if deps.parts.faults.get(part) != fault:
        log.warning("part_fails", part=part, error=fault) if fault else log.info("part_works", part=part)
    deps.parts.faults[part] = fault


def build(settings: ApiSettings, clock: Clock | None = None) -> ApiService:
    """Return the service as the settings say."""
    return ApiService(
        settings,
        clock or SystemClock(),
        registry=lambda: open_registry(settings.registry, settings.data_dir),
        store=lambda: open_store(settings.store, settings.data_dir),
        # A clean session: what passed while the service was away is in the store, and states are retained.
        # No other client may have its name: that of another registry's service, or a second one that waits, would cut
        # it off.
        bus=lambda: open_bus(settings.broker, f"dyncal-api-{settings.site}-{secrets.token_hex(4)}", clean=True),
        alone=lambda: Alone(settings.registry, settings.data_dir, "api", "another API service"),
    )
