"""What the online estimator costs: a fleet of sensors, one sensor alone, and one pass.

Run: ``python -m tests.benchmarks.bench_identification``
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.online.block import BlockData, BlockProblem
from dyncal.identification.online.fleet import EstimatorFleet
from dyncal.identification.settings import Likelihood
from dyncal.models import model_of
from tests.evidence import Figure, table
from tests.unit.identification.plant import ACCELEROMETER, PRESSURE, THERMOCOUPLE, THERMOWELL, Plant, part

_INF: Final = float("inf")
_FAST: Final = OnlineSettings(likelihood=Likelihood.INNOVATIONS)
_KINDS: Final = 40  # different records that a fleet's sensors share
_YOUNG: Final = 2000  # samples: until then a sensor may be fitted anew, as a whole (`full_likelihood.ANEW`)


def _cpu_ns(run: Callable[[], object]) -> float:
    """Return the processor time of this thread: the machine may be shared."""
    started = time.thread_time_ns()
    run()
    return float(time.thread_time_ns() - started)


def pass_ns(plant: Plant, n: int = 20_000, repeats: int = 20) -> float:
    """Return the shortest time of one pass with all sensitivities [ns a sample]."""
    record = plant.record(n, seed=1)
    data = BlockData.of(record.t_ns, record.indication, record.reference, fresh=True)
    model = model_of(plant.kind)
    h = np.append(model.to_internal(np.array(plant.theta)), -2.0)
    problem = BlockProblem(model, data, h, None)
    problem.evaluate(h)
    return min(_cpu_ns(lambda: problem.evaluate(h)) for _ in range(repeats)) / n


def _extend(outcomes: list[object], estimator: OnlineEstimator, chunk: AlignedRecord) -> None:
    outcomes.extend(estimator.update(chunk))


def alone_ns(plant: Plant, settings: OnlineSettings, n: int = 24_000) -> tuple[float, int]:
    """Return the time of `OnlineEstimator.update` after the start [ns a sample], and samples a block."""
    record = plant.record(n, seed=1)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
    estimator.update(part(record, 0, n // 4))
    times, blocks = [], 0
    for begin in range(n // 4, n, n // 8):
        chunk = part(record, begin, begin + n // 8)
        outcomes: list[object] = []
        times.append(_cpu_ns(partial(_extend, outcomes, estimator, chunk)) / len(chunk))
        blocks += len(outcomes)
    return min(times), (n - n // 4) // max(blocks, 1)


def fleet_ns(plant: Plant, n_sensors: int, chunk: int, seconds: float, warm: int = _YOUNG) -> tuple[float, float, int]:
    """Return the time of `EstimatorFleet.ingest` [ns a sample], share of blocks excited, and samples a block.

    Measured after `warm` samples: until then a first record that seems to have changed is fitted anew as a whole.
    """
    warm = max(warm, round(0.3 * plant.rate_hz))
    n = warm + round(seconds * plant.rate_hz)
    records = [plant.record(n, seed) for seed in range(_KINDS)]
    which = np.arange(n_sensors) % _KINDS
    y = np.array([record.indication for record in records])
    r = np.array([record.reference for record in records])
    t = records[0].t_ns
    fleet = EstimatorFleet(plant.kind, np.full(n_sensors, plant.dt_ns), _FAST)
    everyone = np.arange(n_sensors, dtype=np.int64)

    def give(begin: int, end: int) -> int:
        offsets = np.arange(n_sensors + 1, dtype=np.int64) * (end - begin)
        closed = fleet.ingest(
            everyone,
            offsets,
            np.tile(t[begin:end], n_sensors),
            y[which, begin:end].ravel(),
            r[which, begin:end].ravel(),
        )
        counts[0] += sum(len(outcomes) for outcomes in closed)
        counts[1] += sum(int(outcomes.excited.sum()) for outcomes in closed)
        return 0

    counts = [0, 0]
    give(0, warm)
    counts[:] = [0, 0]
    spent = [_cpu_ns(partial(give, b, min(b + chunk, n))) for b in range(warm, n, chunk)]
    samples = n_sensors * (n - warm)
    return sum(spent) / samples, counts[1] / max(counts[0], 1), samples // max(counts[0], 1)


def sections() -> dict[str, list[Figure]]:
    """Return the figures with the bars of the issue."""
    updates = []
    # 20 kHz: a block is at least a quarter of a second, and what a block costs is spread over its samples
    fast = replace(PRESSURE, theta=(1.0, 0.3, 500.0), rate_hz=20_000.0, band_hz=1000.0)
    for plant, seconds in ((THERMOCOUPLE, 30.0), (PRESSURE, 3.0), (fast, 0.6), (THERMOWELL, 60.0)):
        ns, _, size = fleet_ns(plant, 100, 100 if plant is not fast else 5000, seconds)
        bar = 300.0 if plant is fast else _INF
        updates.append(
            Figure(
                f"{plant.kind}: fleet of 100, {plant.rate_hz:g} Hz, blocks of {size} samples",
                ns,
                -_INF,
                bar,
                100,
                unit="ns",
            )
        )
    for plant in (PRESSURE, ACCELEROMETER):
        for settings in (_FAST, OnlineSettings()):
            ns, size = alone_ns(plant, settings)
            what = f"{plant.kind}: one sensor, {settings.likelihood}, blocks of {size} samples"
            updates.append(Figure(what, ns, -_INF, _INF, 1, unit="ns"))
        updates.append(Figure(f"{plant.kind}: one pass", pass_ns(plant), -_INF, _INF, 1, unit="ns"))
    slow = replace(THERMOCOUPLE, rate_hz=10.0)
    ns, excited, size = fleet_ns(slow, 10_000, 10, 10.0)
    what = f"10 000 sensors at 10 Hz, {100 * excited:.0f} % of blocks excited, {size} samples each: share of a core"
    load = Figure(what, ns * 1e-9 * 1e5, -_INF, 0.10, 10_000, unit="%")
    ns, _, _ = fleet_ns(slow, 1000, 10, _YOUNG / 10.0, warm=0)
    begun = Figure(
        "10 000 sensors at 10 Hz, first fits and three minutes after: share of a core",
        ns * 1e-9 * 1e5, -_INF, _INF, 1000, unit="%",
    )  # fmt: skip
    return {"online update, a sample with all sensitivities": updates, "online, thousands of sensors": [load, begun]}


def main() -> None:
    """Print the tables."""
    for name, figures in sections().items():
        print(name, *table(figures), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
