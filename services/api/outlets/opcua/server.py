"""The OPC UA server: started, kept current, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import Server, ua
from asyncua.common.connection import TransportLimits

from dyncal.adapters.opcua.pki import Pki
from dyncal.domain.errors import DyncalError, InvalidSetting
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import read_secret
from services.api.outlets.feed import AlarmDesk, AlarmFeed
from services.api.outlets.opcua.building import WatchedValue
from services.api.outlets.opcua.conditions import Conditions
from services.api.outlets.opcua.dispatch import Dispatcher
from services.api.outlets.opcua.methods import Methods
from services.api.outlets.opcua.model import OF_THE_SITE, ROOT, Model
from services.api.outlets.opcua.plant import Plant
from services.api.outlets.opcua.sessions import Account, Door, GuardedServer
from services.api.outlets.opcua.space import LazyNodes, QuickViews
from services.api.outlets.settings import OpcuaServerSettings
from services.api.outlets.standing import OutletStanding, OutletState, host_of

NAMESPACE: Final = "urn:dyncal:opcua:1"
LOOK_S: Final = 1.0
PLANT_S: Final = 2.0
RETRY_S: Final = 5.0
MOST_MESSAGE_BYTES: Final = 16 << 20
END_S: Final = 3.0
PAUSE_S: Final = 0.05
_AT_ONCE: Final = 500
_YIELD_EVERY: Final = 200

log = logger("api")


class OpcuaOutlet:
    """One server, in a thread and a loop of its own.

    A client that subscribes to 10 000 variables keeps a loop busy for seconds, and that of the service has streams to
    send. What nodes show is read from the service's memory, where it is replaced as a whole and never altered.

    Parameters
    ----------
    directory : Path
        Of our certificate and the list of trusted clients.
    alarms : Conditions
        Gets the alarms that the feed brings.
    desk : AlarmDesk, optional
        Takes commands; without one all are refused.
    """

    name = "opcua"

    def __init__(
        self,
        settings: OpcuaServerSettings,
        directory: Path,
        plant: Plant,
        alarms: Conditions,
        feed: AlarmFeed,
        desk: AlarmDesk | None,
        clock: Clock,
    ) -> None:
        self._settings, self._plant, self._alarms = settings, plant, alarms
        self._feed, self._desk, self._clock = feed, desk, clock
        host = urlsplit(settings.url).hostname or ""
        self._pki = Pki(
            directory,
            f"urn:dyncal:{plant.site}:api",
            clock,
            title="dyncal",
            server=True,
            hosts=(host, *settings.hosts),
        )
        self._door = Door(self._pki.trust, settings.allow_none, settings.anonymous, _accounts(settings))
        self._watched: dict[WatchedValue, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._stop, self._news = asyncio.Event(), asyncio.Event()  # of that loop
        self._last = 0
        self.listening = asyncio.Event()
        self.fault = "not started"

    def standing(self) -> OutletStanding:
        """Return how it stands."""
        state = OutletState.FAILS if self.fault else OutletState.WORKS
        state = state if self.listening.is_set() else OutletState.STARTING
        return OutletStanding(self.name, self.name, host_of(self._settings.url), state, self.fault)

    def wake(self) -> None:
        """Look for news of alarms now."""
        self._in_its_loop(self._news.set)

    @property
    def n_watched(self) -> int:
        """Variables that somebody is subscribed to."""
        return len(self._watched)

    async def run(self) -> None:
        """Serve until cancelled. Raises `InvalidSetting` if the address cannot be listened on."""
        outer = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException | None] = outer.create_future()

        def work() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._until_stopped(lambda: outer.call_soon_threadsafe(self.listening.set)))
            except BaseException as raised:  # noqa: BLE001 - it is raised where the service waits
                error = raised
            with contextlib.suppress(RuntimeError):  # the service's loop may have ended
                outer.call_soon_threadsafe(ended.set_result, error)

        thread = threading.Thread(target=work, name="api-opcua", daemon=True)
        thread.start()
        try:
            error = await asyncio.shield(ended)
            if error is not None:
                raise error
        finally:
            self._stopping.set()
            self._in_its_loop(self._stop.set)
            self.listening.clear()
            await asyncio.wait({ended}, timeout=END_S)

    def _in_its_loop(self, call: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                loop.call_soon_threadsafe(call)

    async def _until_stopped(self, listening: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(self._serve(listening), name="api-opcua-server")
        stop = asyncio.create_task(self._stop.wait(), name="api-opcua-stop")
        try:
            if not self._stopping.is_set():  # otherwise told before there was a loop
                await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            serving.cancel()
            done = await asyncio.gather(serving, stop, return_exceptions=True)
            self._loop = None
        if isinstance(done[0], BaseException) and not isinstance(done[0], asyncio.CancelledError):
            raise done[0]

    async def _serve(self, listening: Callable[[], object]) -> None:
        await self._begin_alarms()
        iserver = GuardedServer(self._door)
        server = Server(iserver=iserver)
        await self._prepare(server)
        model = Model(self._plant, self._alarms, await server.register_namespace(NAMESPACE), self._watched)
        nodes = LazyNodes(iserver.aspace._nodes, model.namespace, model.make)  # noqa: SLF001 - as its own lazy one
        model.attach(nodes)
        iserver.aspace._nodes = nodes  # noqa: SLF001
        iserver.view_service = QuickViews(iserver.aspace)
        dispatcher = Dispatcher(iserver, model, self._clock)
        Methods(iserver, self._alarms, self._desk, dispatcher).install()
        await self._see_plant(nodes)  # it took seconds to come here
        try:
            await server.start()
        except OSError as error:
            raise InvalidSetting(f"api.opcua.url = {self._settings.url!r}: cannot listen there: {error}") from error
        log.info("opcua_listening", url=self._settings.url)
        self.fault = ""
        listening()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_values(), name="api-opcua-values")
                group.create_task(self._send_alarms(dispatcher, nodes), name="api-opcua-alarms")
                group.create_task(self._follow_plant(nodes), name="api-opcua-plant")
        finally:
            await server.stop()

    async def _prepare(self, server: Server) -> None:
        settings = self._settings
        await server.init()
        await server.set_application_uri(self._pki.application_uri)
        server.product_uri, server.name, server.manufacturer_name = NAMESPACE, "dyncal", "dyncal"
        # A message of the library's own 100 MB from each of a hundred clients would be all memory.
        chunk, most = 65_535, MOST_MESSAGE_BYTES
        server.limits = TransportLimits(
            max_recv_buffer=chunk, max_send_buffer=chunk, max_chunk_count=-(-most // chunk), max_message_size=most
        )
        server.application_type = ua.ApplicationType.Server
        server.set_endpoint(settings.url)
        offered = [
            getattr(ua.SecurityPolicyType, f"{policy.replace('_', '')}_{mode}")
            for policy in settings.security_policies
            for mode in settings.security_modes
        ]
        if offered:
            own = await asyncio.to_thread(self._pki.own)
            await server.load_certificate(own.certificate)
            await server.load_private_key(own.private_key)
        server.set_security_policy([*offered, *[ua.SecurityPolicyType.NoSecurity] * settings.allow_none])

    async def _begin_alarms(self) -> None:
        """Take over the registry as it stands; wait for it where it is away."""
        while True:
            try:
                await asyncio.to_thread(self._plant.refresh)
                self._last = await asyncio.to_thread(self._feed.newest)
                for news in await asyncio.to_thread(self._feed.standing):
                    self._alarms.take(news)
            except DyncalError as error:
                self.fault = str(error)
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _send_values(self) -> None:
        """Send what has changed of the variables that somebody is subscribed to, at a bounded rate."""
        while True:
            for n, value in enumerate(list(self._watched)):
                if n % _YIELD_EVERY == _YIELD_EVERY - 1:
                    await asyncio.sleep(0)  # others wait for the loop
                await _send(value)
            await asyncio.sleep(self._settings.interval_s)

    async def _send_alarms(self, dispatcher: Dispatcher, nodes: LazyNodes) -> None:
        while True:
            self._news.clear()
            try:
                news = await asyncio.to_thread(self._feed.after, self._last, _AT_ONCE)
            except DyncalError as error:
                self.fault = str(error)
                await asyncio.sleep(RETRY_S)
                continue
            self.fault = ""
            if news:  # states of sensors go with their alarms
                await self._see_plant(nodes)
            for n, change in enumerate(news):
                self._alarms.take(change)
                nodes.forget(ROOT if change.scope in OF_THE_SITE else f"{change.scope}/{change.source}")
                await dispatcher.tell(change)
                if n % 50 == 49:
                    # The library puts all that waits into one message, whatever a client asks for: a flood in one would
                    # keep slow clients busy for longer than they wait for an answer.
                    await asyncio.sleep(PAUSE_S)
                self._last = change.number
            if not news:
                await _first(self._news.wait(), LOOK_S)

    async def _follow_plant(self, nodes: LazyNodes) -> None:
        while True:
            await asyncio.sleep(PLANT_S)
            await self._see_plant(nodes)

    async def _see_plant(self, nodes: LazyNodes) -> None:
        try:
            changed = await asyncio.to_thread(self._plant.refresh)
        except DyncalError as error:
            log.warning("opcua_plant_not_read", error=str(error))
            return
        if changed:
            nodes.forget_all()


async def _send(value: WatchedValue) -> None:
    now = value.read()
    essence = (now.SourceTimestamp, now.StatusCode.value, now.Value.Value)
    if essence == value.sent:
        return
    value.sent = essence
    for handle in list(value.datachange_callbacks):
        callback = value.datachange_callbacks.get(handle)  # it may have been taken away meanwhile
        if callback is not None:
            await callback(handle, now)


async def _first(waiting: Any, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await waiting
    except TimeoutError:
        return


def _accounts(settings: OpcuaServerSettings) -> dict[str, Account]:
    accounts = {}
    for user in settings.users:
        key = f"api.opcua.users.{user.name}.password_file"
        password = read_secret(user.password_file, None, key)
        if not password:
            raise InvalidSetting(f"{key} = {str(user.password_file)!r}: is empty")
        accounts[user.name] = Account(password, user.operates)
    return accounts
