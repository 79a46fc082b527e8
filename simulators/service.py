"""A plant on its surfaces, as a program: `python -m simulators SCENARIO --opcua-port P --mqtt-port P`.

It tells on standard output, one JSON object a line, when it has started (with the instant of the first sample) and, in
the end, what it made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from dyncal.adapters.mqtt import open_bus
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, duration
from dyncal.ports.clock import Clock
from dyncal.runtime.collecting import keep_what_stands
from dyncal.runtime.logging import logger
from dyncal.runtime.service import Health
from dyncal.runtime.settings import BrokerSettings
from simulators.plant import Plant
from simulators.reports import Report, Started, Stopped
from simulators.scenarios.scenario import Scenario
from simulators.surfaces.mqtt_fleet import MqttFleet
from simulators.surfaces.opcua_server import PlantServer
from simulators.surfaces.pacing import COALESCE_NS, Tally, pace

CLIENT_ID: Final = "dyncal-simulators"
DRAIN_S: Final = 3.0
_LEAD_NS: Final = 100_000_000  # least time from being ready to the first sample
_GRID_NS: Final = 100_000_000


Tell = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Where the channels appear."""

    opcua_port: int
    broker: BrokerSettings
    together_ns: DurationNs = COALESCE_NS
    """What is due within this span comes at one waking."""


class PlantService:
    """Runs a scenario in real time.

    Parameters
    ----------
    scenario : Scenario
    surfaces : Surfaces
    clock : Clock
    tell : callable
        Gets a `Started` and a `Stopped`.
    """

    def __init__(self, scenario: Scenario, surfaces: Surfaces, clock: Clock, tell: Tell) -> None:
        self._scenario, self._surfaces, self._clock, self._tell = scenario, surfaces, clock, tell
        self._running = False
        self.tally = Tally()

    @property
    def name(self) -> str:
        """Name for logs."""
        return "simulators"

    def health(self) -> Health:
        """Tell whether samples flow."""
        return Health(self._running)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`. Raises `Unavailable` if the OPC UA port is taken; the broker is waited for."""
        has_mqtt = any(s.surface == "mqtt" for s in self._scenario.stations)
        async with AsyncExitStack() as stack:
            # Names are known before the start instant is; the plant that runs is made when the surfaces are up.
            begun_s = self._clock.monotonic_s()
            nameless = Plant(self._scenario, InstantNs(0)).channels()
            lead_ns = _LEAD_NS + 2 * duration(self._clock.monotonic_s() - begun_s)  # the plant itself takes as long
            server = await stack.enter_async_context(
                PlantServer(
                    [c for c in nameless if c.station.surface == "opcua"],
                    self._surfaces.opcua_port,
                    self._clock,
                    spec=self._scenario.opcua,
                )
            )
            bus = await stack.enter_async_context(open_bus(self._surfaces.broker, CLIENT_ID, clean=True))
            fleet = await stack.enter_async_context(MqttFleet(bus, stop))
            if has_mqtt and not await _first(fleet.wait_connected(), stop):
                return
            keep_what_stands()
            t0_ns = InstantNs((self._clock.now() + lead_ns) // _GRID_NS * _GRID_NS + _GRID_NS)
            plant = Plant(self._scenario, t0_ns)
            opcua, mqtt = plant.channels("opcua"), plant.channels("mqtt")
            self._tell(Started(self._scenario.name, t0_ns, server.url))
            self._running = True
            async with asyncio.TaskGroup() as group:
                for channels, publish in ((opcua, server.publish), (mqtt, fleet.publish)):
                    if channels:
                        together = self._surfaces.together_ns
                        paced = pace(channels, publish, self._clock, stop, self.tally, together_ns=together)
                        group.create_task(paced)
            self._running = False
            await asyncio.gather(server.drain(1.0), fleet.drain(DRAIN_S))
            logger(self.name).info("plant_stopped", max_late_s=self.tally.max_late_ns / NS_PER_S)
            self._tell(
                Stopped(dict(self.tally.generated), dict(self.tally.published), self.tally.max_late_ns / NS_PER_S)
            )


async def _first(wish: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Wait for `wish` or `stop`, whichever comes first; tell whether it was the wish."""
    wished = asyncio.create_task(wish)
    stopped = asyncio.create_task(stop.wait())
    done, pending = await asyncio.wait({wished, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return wished in done
