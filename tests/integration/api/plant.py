"""A small plant for the API: a service on a real port, its bus in the process, and sensors that never rest.

Run as a program it serves the console with simulated sensors: ``python -m tests.integration.api.plant --port 8090``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from dyncal.adapters.registry import open_registry
from dyncal.contracts import coefficients as coefficient_contract
from dyncal.contracts import conditions as condition_contract
from dyncal.contracts import health as health_contract
from dyncal.contracts import samples as sample_contract
from dyncal.contracts.edges import PairingMessage, SensorMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress, condition
from dyncal.contracts.topics import health as health_topic
from dyncal.domain import quality
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.calibration import Calibration, Conformity, Deviation, Verdict
from dyncal.domain.coefficients import CoefficientSet, CorrectionFilter, Parameters, Provenance, SetState
from dyncal.domain.health import SensorHealth, Watch
from dyncal.domain.samples import CorrectedSpan, Gap, GapCause, GapRecord, SampleBlock
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, UniformAxis
from dyncal.ports.clock import Clock
from dyncal.ports.records import Act
from dyncal.ports.registry import Registry
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.bus import FakeBroker
from dyncal.testing.store import MemorySampleStore
from services.api.service import ApiService
from services.api.settings import ApiSection, ApiSettings

SITE = SiteId("plant")
EDGE = EdgeId("edge-a")
ADDRESS = EdgeAddress(SITE, EDGE)


class NoSigner:
    """Signs with nothing: the API hands envelopes on and does not look."""

    key_id = "none"

    def sign(self, message: bytes) -> bytes:
        """Return no signature worth the name."""
        return message[:64].ljust(64, b".")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is simulated: a first-order lag is enough to look at."""

    label: str
    unit: str
    dt_ns: int
    mean: float
    swing: float
    tau_s: float
    noise: float
    model: ModelKind = ModelKind.FIRST_ORDER


KINDS = {
    "TT": Kind("Reactor inlet temperature", "Cel", 100_000_000, 182.0, 6.0, 1.8, 0.05),
    "RTD": Kind("Thermowell, column top", "Cel", 100_000_000, 96.0, 3.0, 3.0, 0.02),
    "PT": Kind("Suction line pressure", "kPa", 20_000_000, 412.0, 14.0, 0.25, 0.3, ModelKind.SECOND_ORDER),
    "VT": Kind("Pump casing vibration", "m/s2", 1_000_000, 0.0, 9.0, 0.004, 0.15, ModelKind.SECOND_ORDER),
    "FT": Kind("Feed flow", "m3/h", 100_000_000, 38.0, 2.0, 0.9, 0.04),
}


@dataclass(slots=True)
class Channel:
    """One simulated sensor."""

    id: SensorId
    kind: Kind
    phase: float
    set_id: str = ""
    set_sequence: int = 0
    sequence: int = 0
    state: float = 0.0
    pending_u: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Plant:
    """The service with all around it."""

    broker: FakeBroker
    store: MemorySampleStore
    registry: Registry
    service: ApiService
    clock: Clock
    channels: list[Channel]
    rng: np.random.Generator
    stop: asyncio.Event
    task: asyncio.Task[None]
    data_dir: Path
    t_ns: int = 0
    told: list[str] = field(default_factory=list)
    """What the service told whoever started it."""

    @property
    def first_key(self) -> str:
        """Return the key that a service in which nobody could sign in made when it began."""
        return next(word for word in self.told[0].split() if word.startswith("dyn_"))

    def birth(self) -> None:
        """Announce all sensors."""
        sensors = [
            SensorMessage(
                c.id,
                c.kind.unit,
                c.kind.dt_ns,
                c.kind.label if not c.id.endswith("-REF") else f"{c.kind.label}, reference",
                None if c.id.endswith("-REF") else PairingMessage(f"{c.id}-REF", c.kind.model.value, 0.02),
            )
            for c in self.channels
        ]
        message = StatusMessage(1, "online", self.clock.now(), "0.1.0", 1, 50_000, sensors)
        self.broker.publish(ADDRESS.status, msgspec.json.encode(message), retain=True)

    def calibrate(self, channel: Channel) -> CoefficientSet:
        """Give a sensor a calibration and a set that is active."""
        now = self.clock.now()
        channel.set_sequence += 1
        channel.set_id = f"{channel.id}.{channel.set_sequence}"
        parameters = parameters_of(channel.kind)
        act = Act("calibrate", InstantNs(now), "periodic")
        window = (InstantNs(now - 600 * NS_PER_S), InstantNs(now - 30 * NS_PER_S))
        reference = SensorId(f"{channel.id}-REF")
        swing = channel.kind.swing
        calibration = Calibration(
            f"cal-{channel.set_id}",
            channel.id,
            reference,
            parameters,
            Verdict.ACCEPTED,
            (),
            1.02,
            0.41,
            channel.kind.noise,
            5700,
            *window,
            InstantNs(now),
            "block_map",
            "",
            Conformity(
                Deviation(0.21 * swing, 0.6 * swing, 0.01 * swing, 900),
                Deviation(0.034 * swing, 0.1 * swing, 0.01 * swing, 900),
                Deviation(0.011 * swing, 0.03 * swing, 0.01 * swing, 900),
                "guarded acceptance, w = U",
                passed=True,
            ),
        )
        self.registry.add_calibration(calibration, act)
        delay = 5
        coefficients = CoefficientSet(
            channel.set_id,
            channel.id,
            channel.set_sequence,
            None,
            parameters,
            CorrectionFilter(
                DurationNs(channel.kind.dt_ns),
                np.full(12, 1 / 12),
                np.zeros((0, 6)),
                delay,
                np.zeros((len(parameters.names), 5)),
                channel.kind.noise * 2,
                0.0,
                0.1 / (channel.kind.dt_ns / 1e9),
            ),
            (0.9, 1.1),
            InstantNs(now),
            Provenance(calibration.id, reference, InstantNs(now), *window, 5700),
        )
        envelope = coefficient_contract.seal(coefficients, NoSigner())
        self.registry.add_set(coefficients, envelope, SetState.PUBLISHED, act)
        self.registry.set_state(channel.set_id, SetState.ACTIVE, Act(f"edge:{EDGE}", InstantNs(now), "applied"))
        self.trust(channel)
        return coefficients

    def trust(self, channel: Channel, watch: Watch = Watch.IN_CONTROL, reason: str = "") -> None:
        """Say how far a sensor can be trusted, as calibration does."""
        now = InstantNs(self.clock.now())
        until = InstantNs(now + 3600 * NS_PER_S)
        said = SensorHealth(channel.id, now, until, watch, now, now, reason)
        self.broker.publish(health_topic(SITE, channel.id), health_contract.encode(said), retain=True)

    def alarm(self, sensor: str, *, holds: bool = True) -> Condition:
        """Report on the bus that a sensor drifts, or does so no longer."""
        now = InstantNs(self.clock.now())
        found = Condition(
            SITE,
            sensor,
            AlarmKind.DRIFT,
            holds,
            now,
            EDGE,
            "tau_s",
            0.18,
            0.02,
            11.4,
            "The time constant has grown by 18 % since the last calibration.",
            "Inspect the element for fouling; recalibrate when clean.",
        )
        topic = condition(SITE, found.source, found.kind)
        self.broker.publish(topic, condition_contract.encode(found, "calibrate", now), retain=True)
        return found

    def gap(self, channel: Channel, seconds: float) -> None:
        """Lose some samples."""
        end = InstantNs(self.t_ns)
        lost = Gap(InstantNs(end - int(seconds * NS_PER_S)), end, GapCause.CONNECTION_LOST)
        record = GapRecord(channel.id, EDGE, 1, channel.sequence, channel.sequence, lost)
        channel.sequence += 1
        self.store.write([record])
        self.broker.publish(ADDRESS.samples(channel.id), sample_contract.encode(record))

    def step(self, to_ns: int, *, live: bool = True, skip: frozenset[str] = frozenset()) -> None:
        """Simulate up to `to_ns`: one block for each channel that has samples in it."""
        for channel in self.channels:
            if channel.id in skip:
                continue
            block = self._block(channel, self.t_ns, to_ns)
            if block is not None:
                self.store.write([block])
                if live:
                    self.broker.publish(ADDRESS.samples(channel.id), sample_contract.encode(block))
        self.t_ns = to_ns

    def _block(self, channel: Channel, from_ns: int, to_ns: int) -> SampleBlock | None:
        kind = channel.kind
        first = -(-from_ns // kind.dt_ns)
        n = -(-to_ns // kind.dt_ns) - first
        if n <= 0:
            return None
        axis = UniformAxis(InstantNs(first * kind.dt_ns), DurationNs(kind.dt_ns), n)
        truth = measurand(channel, axis.t_ns)
        pole = np.exp(-kind.dt_ns / 1e9 / kind.tau_s)
        raw = np.empty(n)
        for k, value in enumerate(truth):
            channel.state = value if channel.state == 0 else pole * channel.state + (1 - pole) * value
            raw[k] = channel.state
        raw += self.rng.normal(0, kind.noise, n)
        corrected = None
        if channel.set_id:
            past = UniformAxis(InstantNs(axis.t0_ns - 5 * kind.dt_ns), axis.dt_ns, n)
            u = np.full(n, 2 * kind.noise + 0.01 * kind.swing)
            corrected = CorrectedSpan(
                past, measurand(channel, past.t_ns) + self.rng.normal(0, u / 2), u, channel.set_id
            )
        channel.sequence += 1
        arrival = InstantNs(self.clock.now())
        return SampleBlock(
            channel.id, EDGE, 1, channel.sequence, axis, raw, quality.good(n), arrival, corrected=corrected
        )


def measurand(channel: Channel, t_ns: np.typing.NDArray[np.int64]) -> np.typing.NDArray[np.float64]:
    """Return the truth: a few tones and now and then a step."""
    kind = channel.kind
    t = (t_ns - 1_600_000_000 * NS_PER_S) / 1e9 / max(kind.tau_s, 0.02)
    tones = np.sin(0.23 * t + channel.phase) + 0.5 * np.sin(0.61 * t + 2 * channel.phase)
    steps = 0.7 * np.sign(np.sin(0.11 * t + channel.phase))
    return np.asarray(kind.mean + kind.swing * (0.5 * tones + 0.6 * steps))


def parameters_of(kind: Kind) -> Parameters:
    """Return plausible parameters."""
    if kind.model is ModelKind.SECOND_ORDER:
        values = np.array([1.003, 0.31, 1 / (2 * np.pi * kind.tau_s)])
        return Parameters(kind.model, ("gain", "damping", "f0_hz"), values, np.diag((values * 0.004) ** 2))
    values = np.array([1.0021, kind.tau_s])
    return Parameters(kind.model, ("gain", "tau_s"), values, np.diag((values * 0.0031) ** 2))


def channels(n: int) -> list[Channel]:
    """Return `n` sensors with their references."""
    made = []
    names = list(KINDS)
    for k in range(n):
        kind = KINDS[names[k % len(names)]]
        name = f"{names[k % len(names)]}-{101 + k // len(names)}"
        made += [
            Channel(SensorId(name), kind, 0.7 * k),
            Channel(
                SensorId(f"{name}-REF"),
                Kind(kind.label, kind.unit, kind.dt_ns, kind.mean, kind.swing, 1e-6, 0),
                0.7 * k,
            ),
        ]
    return made


@contextlib.asynccontextmanager
async def running(
    n: int = 5, *, port: int = 0, history_s: float = 60, feed: bool = True, **api: object
) -> AsyncIterator[Plant]:
    """Yield a running service with `n` sensors, `history_s` seconds of past, and live blocks every 100 ms."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        broker, store = FakeBroker(), MemorySampleStore()
        told: list[str] = []
        registry = open_registry(RegistrySettings(), Path(folder))
        section = ApiSection.model_validate({"port": port, "access": {"mode": "open"}, **api})
        settings = ApiSettings(site=SITE, data_dir=Path(folder), api=section)
        service = ApiService(
            settings,
            clock,
            registry=lambda: open_registry(RegistrySettings(), Path(folder)),
            store=lambda: store,
            bus=lambda: broker.bus("api", clean=True),
            tell=told.append,
        )
        stop = asyncio.Event()
        task = asyncio.create_task(service.run(stop))
        plant = Plant(
            broker,
            store,
            registry,
            service,
            clock,
            channels(n),
            np.random.default_rng(1),
            stop,
            task,
            Path(folder),
            told=told,
        )
        plant.birth()
        plant.t_ns = clock.now() - int(history_s * NS_PER_S)
        try:
            await asyncio.wait_for(service.listening.wait(), 20)
            await _until(lambda: len(registry.sensors()) == len(plant.channels))
            learned = [c for c in plant.channels if not c.id.endswith("-REF")]
            while plant.t_ns < clock.now() - NS_PER_S:
                plant.step(plant.t_ns + NS_PER_S, live=False)
                if (
                    plant.t_ns > clock.now() - int(0.6 * history_s * NS_PER_S)
                    and learned
                    and not learned[0].set_sequence
                ):
                    for channel in learned[: max(len(learned) - 1, 1)]:
                        plant.calibrate(channel)
            feeding = asyncio.create_task(_feed(plant)) if feed else None
            try:
                yield plant
            finally:
                if feeding is not None:
                    feeding.cancel()
                    await asyncio.gather(feeding, return_exceptions=True)
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)
            registry.close()


async def _feed(plant: Plant) -> None:
    while True:
        plant.step(plant.clock.now())
        plant.broker.log.clear()
        await asyncio.sleep(0.1)


async def _until(condition: object, timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.02)


async def main() -> None:
    """Serve until interrupted, with something of everything to look at."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("-n", type=int, default=8)
    arguments = parser.parse_args()
    async with running(arguments.n, port=arguments.port) as plant:
        await asyncio.sleep(2)
        plant.alarm("RTD-101")
        while True:
            await asyncio.sleep(25)
            plant.calibrate(plant.channels[0])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
