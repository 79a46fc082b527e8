"""The sensors that an edge has: those of its file, and those that come and go while it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import BusUnavailable
from dyncal.domain.sensors import Sensor, SensorId
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.logging import logger
from edge_agent import inbox
from edge_agent.agent import AgentEngine
from edge_agent.events import StreamConfig
from edge_agent.keeper import SetKeeper
from edge_agent.spool import Spool
from edge_agent.station import Station


class Roster:
    """Brings sensors into the engine, and lets go of them.

    Parameters
    ----------
    configs : iterable of StreamConfig
        Those that the engine was made with.
    own : collection of str
        Which of them are of the edge's file.
    """

    def __init__(
        self,
        configs: Iterable[StreamConfig],
        own: Collection[str],
        engine: AgentEngine,
        station: Station,
        spool: Spool,
        keeper: SetKeeper,
        bus: MessageBus,
        address: EdgeAddress,
        clock: Clock,
    ) -> None:
        self._configs = {config.sensor.id: config for config in configs}
        self._own = {sensor: config.sensor for sensor, config in self._configs.items() if sensor in own}
        self._others = {sensor: config.sensor for sensor, config in self._configs.items() if sensor not in own}
        self._engine = engine
        self._station = station
        self._spool = spool
        self._keeper = keeper
        self._bus = bus
        self._address = address
        self._clock = clock
        self._log = logger("edge")

    @property
    def configs(self) -> list[StreamConfig]:
        """The sensors."""
        return list(self._configs.values())

    @property
    def own(self) -> Mapping[SensorId, Sensor]:
        """The sensors of the edge's file by name."""
        return self._own

    @property
    def commissioned(self) -> Mapping[SensorId, Sensor]:
        """The others by name: a view, for they come and go."""
        return MappingProxyType(self._others)

    def config(self, sensor: SensorId) -> StreamConfig | None:
        """Return what is known of a sensor."""
        return self._configs.get(sensor)

    def let_go(self, sensors: Iterable[SensorId]) -> None:
        """Forget sensors that nobody reads any more; what was read of them is kept and sent."""
        gone = list(sensors)
        for sensor in gone:
            self._configs.pop(sensor, None)
            self._others.pop(sensor, None)
        self._station.perform(self._engine.remove(gone, self._clock.now()))

    async def take_up(self, configs: Iterable[StreamConfig]) -> None:
        """Take up sensors; their records go on where an earlier life left them, and so do their coefficients."""
        new = {config.sensor.id: config for config in configs}
        if not new:
            return
        self._configs |= new
        self._others |= {sensor: config.sensor for sensor, config in new.items()}
        self._engine.add(new.values(), self._spool.starts)
        kept = {sensor: content for sensor, content in self._keeper.load().items() if sensor in new}
        highest = {sensor: number for sensor, number in self._keeper.highest.items() if sensor in new}
        self._station.perform(self._engine.restore(kept, self._clock.now(), highest))
        try:
            await self._bus.subscribe(inbox.of_sensors(self._address, new))
        except BusUnavailable as error:  # records are kept and sent all the same
            self._log.error("subscription_refused", error=str(error))
