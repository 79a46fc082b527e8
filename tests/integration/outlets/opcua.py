"""An OPC UA server over a plant and alarms that tests make up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dyncal.domain.sensors import EdgeId, Sensor, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from services.api.catalogue import ActiveSet
from services.api.frames import Latest
from services.api.outlets.feed import Answer, Wish
from services.api.outlets.opcua.conditions import Conditions
from services.api.outlets.opcua.server import OpcuaOutlet
from services.api.outlets.settings import OpcuaServerSettings
from services.api.state import SensorState, Standing
from tests.unit.services.api.outlets.alarms import FakeFeed, change


class FakePlant:
    """`services.api.outlets.opcua.plant.Plant` in memory: sensors TT-0, TT-1, … on edges of a hundred."""

    def __init__(self, n: int) -> None:
        self.site = "plant"
        self.sensors: Mapping[SensorId, Sensor] = {}
        self.edges: Mapping[EdgeId, Sequence[Sensor]] = {}
        self.latests: dict[str, Latest] = {}
        self.states: dict[str, Standing] = {}
        self.stales: set[str] = set()
        self.changed = False
        self.declare(n)

    def declare(self, n: int) -> None:
        edges: dict[EdgeId, list[Sensor]] = {}
        sensors = {}
        for k in range(n):
            edge, name = EdgeId(f"edge-{k // 100}"), SensorId(f"TT-{k}")
            sensors[name] = Sensor(name, SiteId("plant"), edge, "Cel", DurationNs(NS_PER_S), "")
            edges.setdefault(edge, []).append(sensors[name])
        self.sensors, self.edges, self.changed = sensors, edges, True

    def put(self, sensor: str, t_ns: int, raw: float, corrected: float, u: float, quality: int = 0) -> None:
        self.latests[sensor] = Latest(t_ns, raw, quality, t_ns - 1000, corrected, u, "set-1")

    def refresh(self) -> bool:
        changed, self.changed = self.changed, False
        return changed

    def latest(self, sensor: Sensor) -> Latest | None:
        return self.latests.get(sensor.id)

    def standing(self, sensor: Sensor) -> Standing:
        return self.states.get(sensor.id, Standing(SensorState.NORMAL, ""))

    def stale(self, sensor: Sensor, t_ns: int) -> bool:
        return t_ns >= 0 and sensor.id in self.stales

    def active(self, sensor: Sensor) -> ActiveSet | None:
        return ActiveSet("set-1", 7, InstantNs(1_769_860_800 * NS_PER_S), 1.0, 0) if sensor.id == "TT-0" else None


@dataclass(slots=True)
class FakeDesk:
    """Keeps commands, and carries them out in the feed as simply as possible."""

    feed: FakeFeed
    wishes: list[tuple[Wish, str]] = field(default_factory=list)
    refusal: str = ""

    async def carry_out(self, wish: Wish, actor: str) -> Answer:
        self.wishes.append((wish, actor))
        if not self.refusal and wish.command == "acknowledge":
            source = wish.alarm.partition(":")[0]
            number = self.feed.newest() + 1
            self.feed.add(change(number, source, "acknowledged", acknowledged=True, state="acknowledged"))
        return Answer(self.refusal)


@dataclass(slots=True)
class Serving:
    """A running server and what is behind it."""

    url: str
    plant: FakePlant
    feed: FakeFeed
    desk: FakeDesk
    outlet: OpcuaOutlet
    directory: Path


@asynccontextmanager
async def serving(tmp_path: Path, n: int = 3, **more: Any) -> AsyncIterator[Serving]:
    url = f"opc.tcp://127.0.0.1:{free_port()}/dyncal"
    given = {"enabled": True, "url": url, "allow_none": True, "interval_s": 0.05, **more}
    settings = OpcuaServerSettings.model_validate(given)
    plant, feed = FakePlant(n), FakeFeed()
    desk = FakeDesk(feed)
    outlet = OpcuaOutlet(settings, tmp_path / "pki", plant, Conditions(), feed, desk, SystemClock())
    task = asyncio.create_task(outlet.run())
    listening = asyncio.create_task(outlet.listening.wait())
    try:
        await asyncio.wait({task, listening}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield Serving(url, plant, feed, desk, outlet, tmp_path / "pki")
    finally:
        listening.cancel()
        task.cancel()
        await asyncio.gather(task, listening, return_exceptions=True)
