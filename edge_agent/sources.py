"""What the edge reads: the sources of its own settings, and those that were commissioned while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from dyncal.adapters.opcua import client as opcua_client
from dyncal.adapters.opcua.pki import Pki
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.sensors import Sensor, SensorId
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus, Will
from dyncal.runtime.settings import BrokerSettings
from edge_agent.readers.absent import Absent
from edge_agent.readers.handover import Handover
from edge_agent.readers.mqtt import MqttReader
from edge_agent.readers.sink import Reader, Sink
from edge_agent.settings import EdgeSection, EdgeSettings
from edge_agent.source_settings import MqttSourceSettings, OpcuaSettings

if TYPE_CHECKING:
    from edge_agent.readers.opcua import OpcuaReader

_FAREWELL_S: Final = 1.0
_NODES: Final = "nodes"
_MAPPINGS: Final = "mappings"


class Connect(Protocol):
    """Opens a bus to a broker."""

    def __call__(
        self, settings: BrokerSettings, client_id: str, *, will: Will | None, clean: bool = False
    ) -> contextlib.AbstractAsyncContextManager[MessageBus]:
        """Return a bus to enter."""
        ...


@dataclass(slots=True)
class _Source:
    settings: OpcuaSettings | MqttSourceSettings
    reader: OpcuaReader | MqttReader | Absent
    left: contextlib.AsyncExitStack
    broker: BrokerSettings | None = None
    task: asyncio.Task[None] | None = None


class Sources:
    """Opens readers, runs each in a task of its own, and ends them.

    Parameters
    ----------
    settings : EdgeSettings
    stack : contextlib.AsyncExitStack
        Entered, and left after the last acknowledgement: connections are closed with it.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        sink: Sink,
        clock: Clock,
        connect: Connect,
        pki: Pki,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._clock = clock
        self._connect = connect
        self._pki = pki
        self._stack = stack
        self._own: list[_Source] = []
        self._commissioned: dict[str, _Source] = {}
        self._group: asyncio.TaskGroup | None = None
        edge = settings.edge
        self._names = [
            *(server.url for server in edge.opcua),
            *(_name(source, settings, str(number)) for number, source in enumerate(edge.mqtt)),
        ]

    @property
    def readers(self) -> list[Reader]:
        """All readers."""
        return [source.reader for source in (*self._own, *self._commissioned.values())]

    @property
    def troubles(self) -> dict[str, str]:
        """What is wrong with each source, by name, empty where nothing is; also of those that are not open yet."""
        opened = {reader.name: reader.trouble for reader in self.readers}
        return dict.fromkeys(self._names, "not open yet") | opened

    async def open_own(self, sensors: Mapping[SensorId, Sensor]) -> None:
        """Open the sources of the settings."""
        edge = self._settings.edge
        for server in edge.opcua:
            self._own.append(await self._opcua(server, edge, ""))
        for number, source in enumerate(edge.mqtt):
            self._own.append(await self._mqtt(source, sensors, f"south{number}"))

    def check(self, edge: EdgeSection) -> None:
        """See whether what is to be read could be opened. Raises `InvalidSetting` where a file of it is of no use."""
        for key, source in _together(edge).items():
            if isinstance(source, MqttSourceSettings):
                broker = source.broker or self._settings.broker
                broker.resolved_password()
                self._connect(broker, self._client_id(f"south-{key}"), will=None)
            else:
                source.resolved_password()

    async def close_all_but(self, edge: EdgeSection) -> None:
        """Read no more what is not there any more, or is another now; what stays as it is goes on."""
        wanted = _together(edge)
        for key, source in list(self._commissioned.items()):
            stay = _common(source.settings, wanted[key]) if key in wanted else None
            if stay is None:
                await self._close(key, self._commissioned.pop(key))
            else:
                self._become(source, stay)

    async def open_commissioned(self, edge: EdgeSection, sensors: Mapping[SensorId, Sensor]) -> None:
        """Read what is not read yet: of a server or broker that is there already by the same connection."""
        for key, settings in _together(edge).items():
            source = self._commissioned.get(key)
            if source is not None and isinstance(source.reader, Absent):
                await self._close(key, source)  # perhaps it can be had by now
                source = None
            if source is not None:
                self._become(source, settings)
                continue
            self._commissioned[key] = source = await self._opened(key, settings, edge, sensors)
            self._run(source)

    async def _opened(
        self,
        key: str,
        settings: OpcuaSettings | MqttSourceSettings,
        edge: EdgeSection,
        sensors: Mapping[SensorId, Sensor],
    ) -> _Source:
        if isinstance(settings, OpcuaSettings):
            return await self._opcua(settings, edge, key)
        try:
            return await self._mqtt(settings, sensors, f"south-{key}")
        except InvalidSetting as error:  # a file of it has gone: the others are read all the same
            reader = Absent(_name(settings, self._settings, key), str(error), self._sink, self._clock)
            return _Source(settings, reader, contextlib.AsyncExitStack())

    @staticmethod
    def _become(source: _Source, settings: OpcuaSettings | MqttSourceSettings) -> None:
        if source.settings == settings:
            return
        source.settings = settings
        reader = source.reader
        if isinstance(reader, MqttReader):
            if isinstance(settings, MqttSourceSettings):
                reader.become(settings)
        elif not isinstance(reader, Absent) and isinstance(settings, OpcuaSettings):
            reader.become(settings)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin to read."""
        self._group = group
        for source in (*self._own, *self._commissioned.values()):
            self._run(source)

    async def stop(self) -> None:
        """Read no more; connections stay, for acknowledgements."""
        tasks = [s.task for s in (*self._own, *self._commissioned.values()) if s.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELL_S)

    def _run(self, source: _Source) -> None:
        if self._group is not None and source.task is None:
            source.task = self._group.create_task(source.reader.run(), name=f"edge-{source.reader.name}")

    async def _close(self, key: str, source: _Source) -> None:
        if source.task is not None:
            source.task.cancel()
            await asyncio.wait([source.task], timeout=_FAREWELL_S)
        await source.left.aclose()
        if source.broker is not None:
            await self._forget(key, source.broker)

    async def _forget(self, key: str, broker: BrokerSettings) -> None:
        """Have the broker forget the session of a source that is read no more: it would keep messages for it."""
        async with self._connect(broker, self._client_id(f"south-{key}"), will=None, clean=True) as bus:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await bus.wait_connected()

    async def _opcua(self, server: OpcuaSettings, edge: EdgeSection, key: str) -> _Source:
        # a third of what an edge takes to start, and a quarter of its memory: not where devices speak MQTT alone
        opcua_client.load()
        from edge_agent.readers.opcua import OpcuaReader  # noqa: PLC0415

        left = self._settings.subscriptions_dir / key
        handover = Handover(left, server, edge.sensors)
        reader = OpcuaReader(server, edge.sensors, self._sink, self._clock, self._pki, handover)
        return _Source(server, reader, await self._stack.enter_async_context(contextlib.AsyncExitStack()))

    async def _mqtt(self, source: MqttSourceSettings, sensors: Mapping[SensorId, Sensor], suffix: str) -> _Source:
        broker = source.broker or self._settings.broker
        left = await self._stack.enter_async_context(contextlib.AsyncExitStack())
        bus = await left.enter_async_context(self._connect(broker, self._client_id(suffix), will=None))
        name = _name(source, self._settings, suffix.removeprefix("south"))
        return _Source(source, MqttReader(source, sensors, bus, self._sink, self._clock, name), left, broker)

    def _client_id(self, suffix: str) -> str:
        return f"dyncal-edge-{self._settings.site}-{self._settings.edge.name}-{suffix}"


def _name(source: MqttSourceSettings, settings: EdgeSettings, key: str) -> str:
    broker = source.broker or settings.broker
    return f"mqtt://{broker.host}:{broker.port}#{key}"


def _together(edge: EdgeSection) -> dict[str, OpcuaSettings | MqttSourceSettings]:
    """Return what is to be read by one connection each, by a name that stays while it is the same place."""
    found: dict[str, OpcuaSettings | MqttSourceSettings] = {}
    for server in edge.opcua:
        key = _key(server, _NODES)
        before = found.get(key)
        nodes = [*before.nodes, *server.nodes] if isinstance(before, OpcuaSettings) else server.nodes
        found[key] = server.model_copy(update={_NODES: nodes})
    for source in edge.mqtt:
        key = _key(source, _MAPPINGS)
        before = found.get(key)
        mappings = [*before.mappings, *source.mappings] if isinstance(before, MqttSourceSettings) else source.mappings
        found[key] = source.model_copy(update={_MAPPINGS: mappings})
    return found


def _common(
    one: OpcuaSettings | MqttSourceSettings, other: OpcuaSettings | MqttSourceSettings
) -> OpcuaSettings | MqttSourceSettings | None:
    """Return what of `one` is in `other` as well; None if nothing is."""
    if isinstance(one, OpcuaSettings) and isinstance(other, OpcuaSettings):
        nodes = [node for node in one.nodes if node in other.nodes]
        return one.model_copy(update={_NODES: nodes}) if nodes or one.browse else None
    if isinstance(one, MqttSourceSettings) and isinstance(other, MqttSourceSettings):
        mappings = [mapping for mapping in one.mappings if mapping in other.mappings]
        return one.model_copy(update={_MAPPINGS: mappings}) if mappings else None
    return None


def _key(source: OpcuaSettings | MqttSourceSettings, but: str) -> str:
    """Name a source by where it is and how it is connected to, whatever is read of it."""
    text = f"{type(source).__name__}\n{source.model_dump_json(exclude={but})}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
