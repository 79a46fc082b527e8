"""What calibration at work costs: the demo's stream through the worker, without a broker, live and as a backlog.

Run: ``python -m tests.benchmarks.bench_calibrate [--profile]``
"""

from __future__ import annotations

import cProfile
import heapq
import pstats
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from dyncal.adapters.registry import open_registry
from dyncal.adapters.signing import open_signer
from dyncal.contracts import samples
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain import quality
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import EdgeId, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, UniformAxis, duration
from dyncal.kernels import warm_up
from dyncal.ports.records import Act
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.logging import configure, logger
from dyncal.runtime.settings import LogSettings, RegistrySettings, SigningSettings
from dyncal.testing.store import MemorySampleStore
from services.calibrate.metrics import CalibrateMetrics
from services.calibrate.settings import CalibrateSection
from services.calibrate.worker import Arrived, Job, Worker
from simulators.plant import Channel, Plant
from simulators.scenarios.scenario import Scenario, StationSpec, load_scenario
from simulators.trial.configuration import Ports, configuration
from tests.evidence import Figure, table

SITE: Final = SiteId("demo")
EDGE: Final = EdgeId("edge1")
T0: Final = InstantNs(1_700_000_000 * NS_PER_S)
START_S: Final = 25.0  # first estimates and first sets: not what this is about
DURATION_S: Final = 55.0
BACKLOGS: Final = (16, 256)  # messages that wait for the worker, at most as many as a batch takes
_INF: Final = float("inf")


class Sent(NamedTuple):
    """A message of the edge, when it arrives."""

    at_ns: InstantNs
    arrived: Arrived
    n: int


@dataclass(frozen=True, slots=True)
class Stream:
    """The messages of a scenario, in the order of their arrival, and what the registry knows of its sensors."""

    sensors: tuple[Sensor, ...]
    pairings: tuple[Pairing, ...]
    messages: tuple[Sent, ...]

    @classmethod
    def of(cls, scenario: Scenario, duration_s: float) -> Stream:
        """Simulate a scenario as the demo's edge sends it: what a channel gathers within its interval is one block."""
        demo = configuration(scenario, Ports(1, 2, 3), Path(), "error")
        flush_ns = duration(demo["edge"]["flush_s"])
        channels = Plant(scenario, T0).channels()
        sensors = tuple(Sensor(SensorId(c.id), SITE, EDGE, c.station.unit, c.dt_ns) for c in channels)
        pairings = tuple(_pairing(station) for station in scenario.stations)
        sent = heapq.merge(*(_blocks(c, duration_s, flush_ns) for c in channels), key=lambda s: s.at_ns)
        return cls(sensors, pairings, tuple(sent))


def _pairing(station: StationSpec) -> Pairing:
    p = station.pairing
    return Pairing(
        SensorId(station.id), SensorId(station.reference_id), station.model, p.u_reference, p.u_reference_gain,
        p.u_clock_s,
    )  # fmt: skip


def _blocks(channel: Channel, duration_s: float, flush_ns: int) -> Iterator[Sent]:
    sensor, dt_ns = SensorId(channel.id), channel.dt_ns
    topic = EdgeAddress(SITE, EDGE).samples(sensor)
    values: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    begin = since = 0
    sequence = 0
    while True:
        published = channel.next_publication()
        if published.due_ns - T0 > duration_s * NS_PER_S:
            return
        if not published.copies:
            continue
        if not values:
            begin, since = int(published.t_ns[0]), published.due_ns
        values.append(published.value)
        # the edge looks four times in an interval
        if published.due_ns - since >= flush_ns - dt_ns:
            raw = np.concatenate(values)
            at_ns = InstantNs(published.due_ns + flush_ns // 8)
            axis = UniformAxis(InstantNs(begin), DurationNs(dt_ns), raw.size)
            block = SampleBlock(sensor, EDGE, 1, sequence, axis, raw, quality.good(raw.size), at_ns)
            yield Sent(at_ns, Arrived(topic, samples.encode(block)), raw.size)
            sequence += 1
            values = []


@dataclass(slots=True)
class Cost:
    """Processor time of the worker over a part of a stream."""

    ns: int = 0
    messages: int = 0
    samples: int = 0
    seconds: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of a core, for a stream as it comes."""
        return self.ns / (self.seconds * NS_PER_S)


def replay(stream: Stream, batch: int, profile: cProfile.Profile | None = None) -> Cost:
    """Give a stream to a worker, `batch` messages at a time, and return what it costs after the start."""
    cost = Cost()
    with tempfile.TemporaryDirectory(prefix="dyncal-bench-") as folder:
        registry = open_registry(RegistrySettings(), Path(folder))
        registry.put_sensors(stream.sensors, stream.pairings, Act("bench", T0))
        clock, metrics = SimulatedClock(T0), CalibrateMetrics()
        worker = Worker(
            CalibrateSection(), registry, MemorySampleStore(), open_signer(SigningSettings(), Path(folder)),
            clock, metrics, logger("bench"),
        )  # fmt: skip
        worker.process([None])
        for jobs, n in _given(stream, batch, worker, clock):
            late = clock.instant - T0 >= START_S * NS_PER_S
            if late and profile is not None:
                profile.enable()
            started = time.thread_time_ns()
            worker.process(jobs)
            spent = time.thread_time_ns() - started
            if profile is not None:
                profile.disable()
            if late:
                cost.ns += spent
                cost.messages += len(jobs)
                cost.samples += n
        cost.seconds = (clock.instant - T0) / NS_PER_S - START_S
        cost.notes = {
            sample.labels["kind"]: int(sample.value)
            for family in metrics.notes.collect() for sample in family.samples if sample.name.endswith("_total")
        }  # fmt: skip
        registry.close()
    return cost


def _given(stream: Stream, batch: int, worker: Worker, clock: SimulatedClock) -> Iterator[tuple[list[Job], int]]:
    """Yield jobs with the number of their samples: messages, and every second time and a look at the registry."""
    jobs: list[Job] = []
    n, second = 0, T0 + NS_PER_S
    # the first part comes as it comes in any case, so that all begin with the same estimates
    for sent in stream.messages:
        clock.instant = max(clock.instant, sent.at_ns)
        if clock.instant >= second:
            jobs += [None, worker.tick()]
            second += NS_PER_S
        jobs.append(sent.arrived)
        n += sent.n
        if len(jobs) >= batch or clock.instant - T0 < START_S * NS_PER_S:
            yield jobs, n
            jobs, n = [], 0
    if jobs:
        yield jobs, n


def sections() -> dict[str, list[Figure]]:
    """Return the figures."""
    configure(LogSettings(level="error"))
    warm_up()
    stream = Stream.of(load_scenario("demo"), DURATION_S)
    live = replay(stream, 1)
    n = live.messages
    what = f"{len(stream.pairings)} sensors, {live.samples / live.seconds:.0f} samples/s, {n / live.seconds:.0f} jobs/s"
    figures = [
        Figure(f"{what}: share of a core", live.share, -_INF, _INF, n, unit="%"),
        Figure("the same, a job", live.ns / n / 1e3, -_INF, _INF, n, unit="µs"),
        Figure("the same, a sample", live.ns / live.samples, -_INF, _INF, n, unit="ns"),
    ]
    for batch in BACKLOGS:
        late = replay(stream, batch)
        figures += [
            Figure(f"backlog, {batch} jobs at a time: times faster", live.ns / late.ns, -_INF, _INF, n),
            Figure(f"backlog, {batch} jobs at a time: times real time", 1 / late.share, -_INF, _INF, n),
        ]
    return {"calibration at work, the demo's stream": figures}


def main(arguments: Sequence[str]) -> None:
    """Print the table, or with --profile [BATCH] where the time goes."""
    if arguments[:1] == ["--profile"]:
        configure(LogSettings(level="error"))
        warm_up()
        profile = cProfile.Profile()
        batch = int(arguments[1]) if arguments[1:] else 1
        cost = replay(Stream.of(load_scenario("demo"), DURATION_S), batch, profile)
        print(f"{cost.share:.1%} of a core, {cost.ns / cost.messages / 1e3:.0f} µs a job, {cost.notes}")  # noqa: T201
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
        return
    for name, figures in sections().items():
        print(name, *table(figures), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
