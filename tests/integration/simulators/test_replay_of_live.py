"""A live run of the real programs, and the replay of what arrived at them: the same effects, to the last bit.

Edge, ingest and calibrate run as they are, in one process, on a broker without network, at several times real time.
What arrives at the edge's engine and at calibration's worker is taken down with its instant, in order, as timers and
threads would have it. The replay feeds samples and instants alone: coefficient sets must come from its own calibration,
and records and reports from its own edge, or it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyncal.adapters.ledger import SqliteLedger
from dyncal.adapters.registry import open_registry
from dyncal.adapters.signing import open_signer, open_verifier
from dyncal.adapters.stores import open_store
from dyncal.contracts import samples, topics
from dyncal.contracts.coefficients import encode_report
from dyncal.contracts.residuals import encode as encode_residuals
from dyncal.domain.sensors import EdgeId, SiteId
from dyncal.domain.time import LATEST, InstantNs, duration
from dyncal.ports.records import Act, SetRecord
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import BrokerSettings, RegistrySettings, SigningSettings, StoreSettings
from dyncal.testing.bus import FakeBroker, FakeMessageBus, matches
from dyncal.testing.store import MemorySampleStore
from edge_agent import declared
from edge_agent.agent import AgentEngine
from edge_agent.events import Append, DesiredSet, Event, ShadowSet, Tell, TellResiduals
from edge_agent.service import EdgeService
from edge_agent.settings import EdgeSettings
from edge_agent.station import Station
from services.api.births import decode_status, read_birth
from services.calibrate.metrics import CalibrateMetrics
from services.calibrate.service import CalibrateService
from services.calibrate.settings import CalibrateSection, CalibrateSettings
from services.calibrate.worker import KINDS, Arrived, Worker
from services.ingest.service import IngestService
from services.ingest.settings import IngestSection
from simulators.plant import Channel, Plant, Publication
from simulators.replay.simulated import T0, edge_settings
from simulators.scenarios.scenario import Scenario
from simulators.surfaces.addresses import topic
from simulators.surfaces.mqtt_fleet import payload
from simulators.surfaces.pacing import Tally, pace
from tests.unit.simulators.replay.scenarios import small

SPEED = 8.0
RULES = CalibrateSection(poll_s=0.5, orders_poll_s=0.5)


class FastClock:
    """Real time, several times as fast; in a thread that holds it, it stands still."""

    def __init__(self, *, fast_seconds: bool) -> None:
        self._begun = time.monotonic()
        self._fast_seconds = fast_seconds
        self._held = threading.local()

    def now(self) -> InstantNs:
        held: InstantNs | None = getattr(self._held, "at", None)
        return InstantNs(T0 - duration(1.0) + round(self._gone() * SPEED * 1e9)) if held is None else held

    def monotonic_s(self) -> float:
        return self._gone() * (SPEED if self._fast_seconds else 1.0)

    def _gone(self) -> float:
        return time.monotonic() - self._begun

    @contextlib.contextmanager
    def held(self) -> Iterator[InstantNs]:
        self._held.at = self.now()
        try:
            yield self._held.at
        finally:
            self._held.at = None


@dataclass(frozen=True)
class Batch:
    """What calibration's worker was given at an instant."""

    at_ns: InstantNs
    jobs: list[Any]


@dataclass
class Journal:
    """What arrived at the edge's engine and at calibration's worker, in order."""

    entries: list[list[Event] | Batch] = field(default_factory=list)
    epoch: int = 0


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    found = Journal()
    take, process = Station.take, Worker.process

    def taken(station: Station, events: Iterable[Event]) -> None:
        together = list(events)
        found.entries.append(together)
        found.epoch = station._spool.epoch
        take(station, together)

    def processed(worker: Worker, jobs: Iterable[Any], *rest: Any, **options: Any) -> Any:
        clock: Any = worker._clock
        if not isinstance(clock, FastClock):
            return process(worker, jobs, *rest, **options)
        with clock.held() as at_ns:
            found.entries.append(Batch(at_ns, together := list(jobs)))
            return process(worker, together, *rest, **options)

    monkeypatch.setattr(Station, "take", taken)
    monkeypatch.setattr(Worker, "process", processed)
    return found


def scenario() -> Scenario:
    content = small().model_dump(mode="json")
    for station in content["stations"]:
        station["surface"] = "mqtt"
    return Scenario.model_validate(content)


class Live:
    """The programs on a broker of their own."""

    def __init__(self, data_dir: Path) -> None:
        self.broker, self.data_dir = FakeBroker(), data_dir
        plain = edge_settings(scenario())
        self.settings = EdgeSettings.model_construct(site=plain.site, data_dir=data_dir, edge=plain.edge)
        open_signer(SigningSettings(), data_dir)

    def connect(self, settings: BrokerSettings, client_id: str, **options: Any) -> FakeMessageBus:
        del settings
        return self.broker.bus(client_id, **options)

    def _has_all(self) -> bool:
        """Tell whether both sensors have a set, and a drift was found."""
        reported = {m.topic for m in self.broker.log if matches(topics.ALL_REPORTED, m.topic)}
        return len(reported) == 2 and any(m.topic.endswith("conditions/T1/drift") for m in self.broker.log)

    async def run(self) -> None:
        """Have the plant's samples go through all programs."""
        stop_plant, stop = asyncio.Event(), asyncio.Event()
        clock, fast = FastClock(fast_seconds=False), FastClock(fast_seconds=True)
        edge = EdgeService(self.settings, clock, self.connect)
        ingest = IngestService(
            IngestSection(),
            open_bus=lambda: self.broker.bus("ingest"),
            open_store=lambda: open_store(StoreSettings(), self.data_dir),
            open_ledger=lambda: SqliteLedger(self.data_dir / "ledger.sqlite"),
            quarantine_dir=self.data_dir / "quarantine",
            clock=clock,
            rng=np.random.default_rng(1),
        )
        own = CalibrateSettings.model_construct(site=self.settings.site, data_dir=self.data_dir, calibrate=RULES)
        calibrate = CalibrateService(own, fast, lambda: self.broker.bus("calibrate"))
        async with asyncio.TaskGroup() as group:
            group.create_task(edge.run(stop))
            group.create_task(ingest.run(stop))
            await until(lambda: bool(self.broker.published(topics.ALL_STATUS)))
            enter(self.broker.published(topics.ALL_STATUS)[0], self.settings, self.data_dir)
            group.create_task(calibrate.run(stop))
            await until(lambda: calibrate.health().ready)
            plant = Plant(scenario(), InstantNs((clock.now() + duration(0.5)) // 1_000_000 * 1_000_000))

            async def publish(channel: Channel, publication: Publication) -> None:
                self.broker.publish(topic(channel.id), payload(channel, publication))

            group.create_task(pace(plant.channels(), publish, clock, stop_plant, Tally()))
            await until(self._has_all)
            await asyncio.sleep(1.0)
            stop_plant.set()
            await asyncio.sleep(0.6)  # longer than the edge keeps anything back
            await until(lambda: not any(map(self.broker.unacknowledged, ("calibrate", "ingest"))))
            stop.set()


def enter(birth: bytes, settings: EdgeSettings, data_dir: Path | None = None, registry: Any = None) -> None:
    """Enter what an edge declares, as the API does."""
    where = registry if data_dir is None else open_registry(RegistrySettings(), data_dir)
    found = read_birth(decode_status(birth), SiteId(settings.site), EdgeId(settings.edge.name), {}, {})
    where.put_sensors(found.sensors, found.pairings, Act("edge", T0, "birth"))
    if data_dir is not None:
        where.close()


async def until(true: Any) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


class Again:
    """The engines, fed by a journal."""

    def __init__(self, live: Live, journal: Journal, birth: bytes) -> None:
        self._journal, self._address = (
            journal,
            topics.EdgeAddress(SiteId(live.settings.site), EdgeId(live.settings.edge.name)),
        )
        policy = declared.policy(live.settings, open_verifier(SigningSettings(), live.data_dir))
        self._edge = AgentEngine(
            self._address.edge, journal.epoch, declared.stream_configs(live.settings), {},
            limits=declared.agent_limits(live.settings), policy=policy,
        )  # fmt: skip
        self.clock, self.store = SimulatedClock(), MemorySampleStore()
        self.registry = open_registry(RegistrySettings(url="sqlite://"), live.data_dir)
        enter(birth, live.settings, registry=self.registry)
        signer = open_signer(SigningSettings(), live.data_dir)
        self._worker = Worker(
            RULES, self.registry, self.store, signer, self.clock, CalibrateMetrics(), logger("again"),
            SiteId(live.settings.site),
        )  # fmt: skip
        self._records: set[bytes] = set()
        self._reports: set[bytes] = set()
        self._residuals: set[bytes] = set()
        self.sent: list[tuple[str, bytes]] = []
        self.n_sets = 0

    def run(self) -> None:
        for entry in self._journal.entries:
            if isinstance(entry, Batch):
                self._calibrate(entry)
            else:
                for event in entry:
                    self._feed(event)

    def _feed(self, event: Event) -> None:
        if isinstance(event, (DesiredSet, ShadowSet)):
            assert event.envelope in {content for _, content in self.sent}, "a set that this calibration did not make"
            self.n_sets += 1
        for effect in self._edge.handle(event):
            if isinstance(effect, Append):
                self._records.add(samples.encode(effect.record))
                self.store.write([effect.record])
            elif isinstance(effect, Tell):
                self._reports.add(encode_report(effect.report))
            elif isinstance(effect, TellResiduals):
                self._residuals.update(encode_residuals(effect.found, effect.at_ns))

    def _calibrate(self, batch: Batch) -> None:
        for job in batch.jobs:
            if not isinstance(job, Arrived):
                continue
            kind = topics.parse(job.topic).kind
            if kind == "samples":
                record = dataclasses.replace(samples.decode(job.payload), replayed=False)
                assert samples.encode(record) in self._records, "a record that this edge did not make"
            elif kind in ("reported", "residuals"):
                said = self._reports if kind == "reported" else self._residuals
                assert job.payload in said, "words that this edge did not say"
        self.clock.instant = batch.at_ns
        self.sent += self._worker.process(batch.jobs)


def essence(records: list[SetRecord]) -> list[tuple[Any, ...]]:
    return [(r.coefficients.id, r.envelope, r.state, r.reason, r.changed_ns) for r in records]


def test_a_replay_has_the_effects_of_the_live_run(tmp_path: Path, journal: Journal) -> None:
    live = Live(tmp_path)
    asyncio.run(live.run())
    again = Again(live, journal, live.broker.published(topics.ALL_STATUS)[0])
    again.run()

    with contextlib.closing(open_registry(RegistrySettings(), tmp_path)) as registry:
        there = registry.sets(limit=1000)
    assert len(there) >= 2
    assert essence(again.registry.sets(limit=1000)) == essence(there)
    assert again.n_sets >= 2

    n_corrected = 0
    with contextlib.closing(open_store(StoreSettings(), tmp_path)) as store:
        assert store.sensors() == again.store.sensors()
        for sensor in store.sensors():
            one, other = (s.read(sensor, InstantNs(0), LATEST) for s in (store, again.store))
            for name in ("t_ns", "raw", "corrected", "u", "quality", "set_index"):
                assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), (sensor, name)
            assert one.set_ids == other.set_ids
            assert store.gaps(sensor, InstantNs(0), LATEST) == again.store.gaps(sensor, InstantNs(0), LATEST)
            n_corrected += int(np.count_nonzero(np.isfinite(one.corrected)))
    assert n_corrected > 1000

    # Of what is retained, the broker is told the newest: all that it was told was said again, in that order.
    said: dict[str, list[bytes]] = {}
    for where, content in again.sent:
        said.setdefault(where, []).append(content)
    alarms = [m for m in live.broker.log if matches(topics.ALL_CONDITIONS, m.topic) and m.topic.split("/")[-1] in KINDS]
    assert any(m.topic.endswith("/T1/drift") for m in alarms)
    for message in alarms:
        left = said[message.topic]
        del left[: left.index(message.payload) + 1]
    again.registry.close()
