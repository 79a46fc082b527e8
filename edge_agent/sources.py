"""What the edge reads: the sources of its own settings, and those that were commissioned while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from dyncal.adapters.opcua.pki import Pki
from dyncal.domain.sensors import Sensor, SensorId
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus, Will
from dyncal.runtime.settings import BrokerSettings
from edge_agent.readers.handover import Handover
from edge_agent.readers.mqtt import MqttReader
from edge_agent.readers.opcua import OpcuaReader
from edge_agent.readers.sink import Reader, Sink
from edge_agent.settings import EdgeSection, EdgeSettings
from edge_agent.source_settings import MqttSourceSettings, OpcuaSettings

_FAREWELL_S: Final = 1.0


class Connect(Protocol):
    """Opens a bus to a broker."""

    def __call__(
        self, settings: BrokerSettings, client_id: str, *, will: Will | None, clean: bool = False
    ) -> contextlib.AbstractAsyncContextManager[MessageBus]:
        """Return a bus to enter."""
        ...


@dataclass(slots=True)
class _Source:
    reader: Reader
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

    @property
    def readers(self) -> list[Reader]:
        """All readers."""
        return [source.reader for source in (*self._own, *self._commissioned.values())]

    async def open_own(self, sensors: Mapping[SensorId, Sensor]) -> None:
        """Open the sources of the settings."""
        edge = self._settings.edge
        for server in edge.opcua:
            self._own.append(await self._opcua(server, edge, ""))
        for number, source in enumerate(edge.mqtt):
            self._own.append(await self._mqtt(source, sensors, f"south{number}"))

    async def close_all_but(self, edge: EdgeSection) -> None:
        """Close what was commissioned and is not there any more, or is another now."""
        stay = {_key(server) for server in edge.opcua} | {_key(source) for source in edge.mqtt}
        for key in [key for key in self._commissioned if key not in stay]:
            await self._close(key, self._commissioned.pop(key))

    async def open_commissioned(self, edge: EdgeSection, sensors: Mapping[SensorId, Sensor]) -> None:
        """Open what was commissioned and is not read yet; what is goes on."""
        wanted: list[OpcuaSettings | MqttSourceSettings] = [*edge.opcua, *edge.mqtt]
        for settings in wanted:
            key = _key(settings)
            if key in self._commissioned:
                continue
            if isinstance(settings, OpcuaSettings):
                source = await self._opcua(settings, edge, key)
            else:
                source = await self._mqtt(settings, sensors, f"south-{key}")
            self._commissioned[key] = source
            self._run(source)

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
        left = self._settings.subscriptions_dir / key
        handover = Handover(left, server, edge.sensors)
        reader = OpcuaReader(server, edge.sensors, self._sink, self._clock, self._pki, handover)
        return _Source(reader, await self._stack.enter_async_context(contextlib.AsyncExitStack()))

    async def _mqtt(self, source: MqttSourceSettings, sensors: Mapping[SensorId, Sensor], suffix: str) -> _Source:
        broker = source.broker or self._settings.broker
        left = await self._stack.enter_async_context(contextlib.AsyncExitStack())
        bus = await left.enter_async_context(self._connect(broker, self._client_id(suffix), will=None))
        name = f"mqtt://{broker.host}:{broker.port}#{suffix.removeprefix('south')}"
        return _Source(MqttReader(source, sensors, bus, self._sink, self._clock, name), left, broker)

    def _client_id(self, suffix: str) -> str:
        return f"dyncal-edge-{self._settings.site}-{self._settings.edge.name}-{suffix}"


def _key(source: OpcuaSettings | MqttSourceSettings) -> str:
    """Name a source by its content."""
    text = f"{type(source).__name__}\n{source.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
