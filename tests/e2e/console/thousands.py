"""A plant of ten thousand sensors, put into the registry at once: for what has to be quick with so many."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from dyncal.adapters.registry import documents, open_registry, sets
from dyncal.contracts import conditions
from dyncal.contracts.edges import StatusMessage
from dyncal.contracts.topics import EdgeAddress, condition
from dyncal.domain import quality
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.samples import CorrectedSpan, SampleBlock
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, UniformAxis
from dyncal.ports.records import Act
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.bus import FakeBroker
from dyncal.testing.registry import make_set
from dyncal.testing.store import MemorySampleStore
from services.api.deps import Deps
from services.api.frames import Latest
from services.api.service import ApiService
from services.api.settings import ApiSection, ApiSettings

N: Final = 10_000
N_REFERENCES: Final = 500
SITES: Final = ("north", "south", "tank-farm", "utilities")
N_EDGES: Final = 40
DT_NS: Final = DurationNs(5 * NS_PER_S)
CHANGING: Final = 1_000
"""Sensors that have new values every half a second."""

_KINDS: Final = (
    ("TT", "Cel", "temperature"),
    ("PT", "kPa", "pressure"),
    ("FT", "m3/h", "flow"),
    ("VT", "m/s2", "vibration"),
)


def name_of(k: int) -> SensorId:
    """Return the id of the k-th sensor; the first `N_REFERENCES` are references."""
    return SensorId(f"{_KINDS[k % 4][0]}-{10_000 + k}{'-REF' if k < N_REFERENCES else ''}")


def edge_of(k: int) -> EdgeId:
    """Return the edge of the k-th sensor."""
    return EdgeId(f"edge-{k % N_EDGES:02d}")


def site_of(k: int) -> SiteId:
    """Return the site of the k-th sensor."""
    return SiteId(SITES[k % N_EDGES % len(SITES)])


def fill(folder: Path, now: int) -> None:
    """Put sensors, pairings and active sets into a registry."""
    registry = open_registry(RegistrySettings(), folder)
    sensors = [
        Sensor(name_of(k), site_of(k), edge_of(k), _KINDS[k % 4][1], DT_NS, f"Unit {k // 100} {_KINDS[k % 4][2]}")
        for k in range(N)
    ]
    pairings = [
        Pairing(name_of(k), name_of(k % N_REFERENCES), ModelKind.FIRST_ORDER, 0.02) for k in range(N_REFERENCES, N)
    ]
    registry.put_sensors(sensors, pairings, Act("test", InstantNs(now), "birth"))
    registry.close()
    pattern = make_set()
    rows = []
    for k in range(N_REFERENCES, N - 200):
        made = replace(pattern, id=f"{name_of(k)}.{k % 9 + 1}", sensor=name_of(k), sequence=k % 9 + 1)
        document = documents.dump(sets._document_of(made))
        rows.append((made.id, made.sensor, made.sequence, "active", "applied", now - k * NS_PER_S, document, b"{}"))
    with contextlib.closing(sqlite3.connect(folder / "registry.sqlite")) as database, database:
        database.executemany("INSERT INTO coefficient_sets VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


@dataclass(frozen=True, slots=True)
class Works:
    """A plant of `N` sensors: the service, and the broker that it listens to."""

    service: ApiService
    broker: FakeBroker

    @property
    def address(self) -> str:
        """Address of the service."""
        return self.service.address

    def drifts(self, k: int, now: InstantNs, *, holds: bool = True) -> str:
        """Report that the k-th sensor drifts, or does so no longer; return the id of the alarm."""
        found = Condition(site_of(k), name_of(k), AlarmKind.DRIFT, holds, now, edge_of(k), "tau_s", 0.08, 0.004, 11.0)
        topic = condition(found.site, found.source, found.kind)
        self.broker.publish(topic, conditions.encode(found, "calibrate", now), retain=True)
        return f"{found.source}:{found.kind}"


@contextlib.asynccontextmanager
async def thousands(**api: object) -> AsyncIterator[Works]:
    """Yield a plant of `N` sensors, of which `CHANGING` change twice a second."""
    with tempfile.TemporaryDirectory() as name:
        folder, clock, broker = Path(name), SystemClock(), FakeBroker()
        await asyncio.to_thread(fill, folder, clock.now())
        service = ApiService(
            ApiSettings(
                site=SiteId("works"), api=ApiSection.model_validate({"port": 0, "access": {"mode": "open"}, **api})
            ),
            clock,
            registry=lambda: open_registry(RegistrySettings(), folder),
            store=MemorySampleStore,
            bus=lambda: broker.bus("api", clean=True),
        )
        stop = asyncio.Event()
        serving = asyncio.create_task(service.run(stop))
        try:
            await asyncio.wait_for(service.listening.wait(), 20)
            assert service._deps is not None
            born(broker, clock.now())
            rng = np.random.default_rng(5)
            for k in range(N):
                service._deps.hub.remember(name_of(k), latest(k, clock.now(), rng))
            feeding = asyncio.create_task(feed(service._deps, rng))
            try:
                yield Works(service, broker)
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
        finally:
            stop.set()
            await asyncio.wait_for(serving, 10)


def born(broker: FakeBroker, now: int) -> None:
    """Have all edges come online; their sensors are known."""
    for k in range(N_EDGES):
        message = StatusMessage(1, "online", InstantNs(now), "0.1.0", 1, 50_000, [])
        broker.publish(EdgeAddress(site_of(k), edge_of(k)).status, msgspec.json.encode(message), retain=True)


def latest(k: int, now: int, rng: np.random.Generator) -> Latest:
    """Return plausible newest values."""
    value = 20 + 5 * rng.normal()
    set_id = f"{name_of(k)}.{k % 9 + 1}" if N_REFERENCES <= k < N - 200 else ""
    if not set_id:
        return Latest(now, value)
    return Latest(now, value, 0, now - DT_NS, value + 0.1, 0.05, set_id)


async def feed(deps: Deps, rng: np.random.Generator) -> None:
    """Give other sensors new values, twice a second."""
    first = 0
    while True:
        now = deps.clock.now()
        for k in range(first, first + CHANGING):
            axis = UniformAxis(InstantNs(now), DT_NS, 1)
            value = np.array([20 + 5 * rng.normal()])
            made = latest(k % N, now, rng)
            span = CorrectedSpan(axis, value, np.array([0.05]), made.set_id) if made.set_id else None
            deps.hub.record(
                SampleBlock(
                    name_of(k % N), edge_of(k % N), 1, 1, axis, value, quality.good(1), InstantNs(now), corrected=span
                )
            )
        first = (first + CHANGING) % N
        await asyncio.sleep(0.5)
