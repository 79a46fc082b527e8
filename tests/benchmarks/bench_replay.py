"""How fast a replay goes without network: ``python -m tests.benchmarks.bench_replay [--seconds N] [--profile]``.

100 sensors, each with a reference, at 100 Hz, through the engines of edge, ingest and calibration: an hour of it, and
less in shorter spans. What counts is simulated time over the processor time of one process: the machine may be busy
with other things. What follows the beginning (first estimates, first sets) is told as well. Ten simulated stations
serve ten sensors each: what it costs to simulate them is not part of it.
"""

from __future__ import annotations

import argparse
import cProfile
import dataclasses
import os
import pstats
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, InstantNs, duration
from dyncal.kernels import warm_up
from dyncal.runtime.logging import configure
from dyncal.runtime.settings import LogSettings
from edge_agent.events import StreamConfig
from simulators.replay import Block, Options, Replayed, replay
from simulators.replay.calibrate import CalibrateDriver
from simulators.replay.edge import EdgeDriver
from simulators.replay.ingest import IngestDriver
from simulators.replay.simulated import SimulatedSource
from simulators.replay.sources import gathered
from simulators.scenarios.scenario import Scenario
from tests.benchmarks.__main__ import say
from tests.evidence import Figure, table

STATIONS: Final = 10
COPIES: Final = 10
RATE_HZ: Final = 100
BAR: Final = 200.0
START_S: Final = 120.0
"""First estimates and first sets: told apart [s]."""

_INF: Final = float("inf")
_STAGES: Final[dict[str, tuple[type[Any], tuple[str, ...]]]] = {
    "edge": (EdgeDriver, ("read", "take", "tick")),
    "ingest": (IngestDriver, ("take", "tick")),
    "calibration": (CalibrateDriver, ("take", "tick", "look")),
}


def scenario(*, good: bool) -> Scenario:
    """Return ten thermocouples: with references that are `good` (stated noise far below the sensor's own), or not."""
    stations = [
        {
            "id": f"T{k}",
            "unit": "Cel",
            "surface": "mqtt",
            "model": "first_order",
            "parameters": {"gain": 1.0, "tau_s": 1.0 + 0.3 * k},
            "rate_hz": RATE_HZ,
            "block": RATE_HZ,
            "measurand": {"mean": 80.0, "rms": 5.0, "band_hz": 3.0, "lines": 64},
            "converter": {"noise": 0.1},
            "reference": {"converter": {"noise": 0.02 if good else 0.1}},
            "pairing": {"u_reference": 0.05},
        }
        for k in range(STATIONS)
    ]
    return Scenario.model_validate({"name": "speed", "seed": 1, "stations": stations})


class Many:
    """A source of which every channel stands for several."""

    name = "speed"

    def __init__(self, seconds: float, copies: int, gather_s: float, *, good: bool) -> None:
        source = SimulatedSource(scenario(good=good), duration(seconds))
        self._blocks = list(gathered(source.blocks(), duration(gather_s)))  # as a recording is read in such spans
        self._copies = copies
        self._noise = 0.02 if good else None
        self.streams = [self._stream(stream, k) for k in range(copies) for stream in source.streams]

    def _stream(self, stream: StreamConfig, k: int) -> StreamConfig:
        pairing = stream.pairing
        if pairing is not None:
            pairing = dataclasses.replace(
                pairing,
                sensor=_copy(pairing.sensor, k),
                reference=_copy(pairing.reference, k),
                u_reference_noise=self._noise,
            )
        sensor = dataclasses.replace(stream.sensor, id=_copy(stream.sensor.id, k))
        return dataclasses.replace(stream, sensor=sensor, pairing=pairing)

    def end_ns(self) -> None:
        """Return None."""

    def blocks(self) -> Iterator[Block]:
        """Iterate over the blocks of all."""
        for block in self._blocks:
            for k in range(self._copies):
                yield Block(_copy(block.channel, k), block.t_ns, block.raw, block.codes, block.arrival_ns)


def _copy(name: str, k: int) -> SensorId:
    return SensorId(f"{name}.{k}")


@dataclasses.dataclass
class Cost:
    """Processor time by stage, and at instants of the replay [s]."""

    stages: dict[str, float] = dataclasses.field(default_factory=lambda: defaultdict(float))
    marks: list[tuple[InstantNs, float, dict[str, float]]] = dataclasses.field(default_factory=list)

    def at(self, now: InstantNs, n_samples: int) -> None:
        """Take down how much was spent until an instant."""
        del n_samples
        self.marks.append((now, time.process_time(), dict(self.stages)))

    def since(self, first: int) -> tuple[float, float, dict[str, float]]:
        """Return simulated time and processor time since a mark, and the latter by stage [s]."""
        (a, spent_a, by_a), (b, spent_b, by_b) = self.marks[first], self.marks[-1]
        return (b - a) / NS_PER_S, spent_b - spent_a, {k: v - by_a.get(k, 0.0) for k, v in by_b.items()}


def measured(seconds: float, copies: int, gather_s: float, *, good: bool) -> tuple[Replayed, Cost]:
    """Replay, and say what it cost."""
    cost = Cost()
    source = Many(seconds, copies, gather_s, good=good)
    span = duration(gather_s)
    taken: list[tuple[type[Any], str, Callable[..., Any]]] = []
    for stage, (kind, names) in _STAGES.items():
        for name in names:
            taken.append((kind, name, original := getattr(kind, name)))
            setattr(kind, name, _timed(original, stage, cost))
    try:
        done = replay(source, Options(gather_ns=span, tick_ns=span, poll_ns=span), progress=cost.at)
    finally:
        for kind, name, original in taken:
            setattr(kind, name, original)
    return done, cost


def _timed(call: Callable[..., Any], stage: str, cost: Cost) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        begun = time.process_time()
        try:
            return call(*arguments)
        finally:
            cost.stages[stage] += time.process_time() - begun

    return timed


@dataclasses.dataclass(frozen=True)
class Case:
    """What is replayed: for how long [s], in spans of which length [s], with good references or noisy ones."""

    words: str
    seconds: float
    gather_s: float
    good: bool


CASES: Final[Sequence[Case]] = (
    Case("an hour, in spans of 60 s", 3600.0, 60.0, good=True),
    Case("in spans of 10 s", 300.0, 10.0, good=True),
    Case("in spans of 10 s, references as noisy as the sensors", 300.0, 10.0, good=False),
)

_LONGEST_S: Final = max(case.gather_s for case in CASES)


def sections(cases: Sequence[Case] = CASES, copies: int = COPIES) -> dict[str, list[Figure]]:
    """Measure. The bar is for the hour, with all that comes at its beginning."""
    configure(LogSettings(level="error"))
    warm_up()
    found: dict[str, list[Figure]] = {}
    for case in cases:
        n = copies if case.good else max(copies // 10, 1)
        done, cost = measured(case.seconds, n, case.gather_s, good=case.good)
        bar = BAR if case.seconds >= 3600.0 else -_INF
        found[f"Replay without network: {case.words}"] = _figures(done, cost, n * STATIONS, bar=bar)
    return found


def _figures(done: Replayed, cost: Cost, n_sensors: int, *, bar: float) -> list[Figure]:
    n = done.n_samples
    first = next(k for k, (at, _, _) in enumerate(cost.marks) if at - cost.marks[0][0] >= START_S * NS_PER_S)
    span_s, spent_s, stages = cost.since(first)
    all_s, all_spent_s, _ = cost.since(0)
    rows = RATE_HZ * 2 * n_sensors
    what = f"{n_sensors} sensors at {RATE_HZ} Hz with a reference each: times real time"
    figures = [
        Figure(what, all_s / all_spent_s, bar, _INF, n),
        Figure("the same, once all have their first sets", span_s / spent_s, -_INF, _INF, n),
        Figure("the same, a sample", 1e9 * spent_s / (span_s * rows), -_INF, _INF, n, unit="ns"),
        Figure("sets", float(len(done.effects.sets)), 1, _INF, n),
    ]
    without = stages["edge"] + stages["ingest"]
    figures.append(Figure("edge and ingest alone: times real time", span_s / without, -_INF, _INF, n))
    for stage, spent in sorted(stages.items()):
        figures.append(Figure(f"{stage}, a sample", 1e9 * spent / (span_s * rows), -_INF, _INF, n, unit="ns"))
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print; with a profile where asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    least_s = START_S + _LONGEST_S
    parser.add_argument("--seconds", type=float, help=f"for each, of simulated time; more than {least_s:g}")
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args(arguments)
    cases: Sequence[Case] = CASES
    if options.seconds is not None:
        if not options.seconds > least_s:
            parser.error(f"--seconds {options.seconds:g}: what follows the first {START_S:g} s is told apart from them")
        cases = tuple(dataclasses.replace(case, seconds=options.seconds) for case in CASES)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    profile = cProfile.Profile() if options.profile else None
    if profile is not None:
        profile.enable()
    found = sections(cases, options.copies)
    if profile is not None:
        profile.disable()
        pstats.Stats(profile).sort_stats("cumtime").print_stats("services|edge_agent|dyncal", 60)
    for section, figures in found.items():
        say(f"\n{section}\n" + "\n".join(table(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
