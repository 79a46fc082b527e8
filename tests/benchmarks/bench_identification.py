"""What the online estimator costs a sample: the compiled pass alone, and everything around it.

Run: ``python -m tests.benchmarks.bench_identification``
"""

from __future__ import annotations

import time

import numpy as np

from dyncal.identification import OnlineEstimator, OnlineSettings
from dyncal.identification.block import BlockData, BlockProblem
from dyncal.models import model_of
from tests.unit.identification.plant import ACCELEROMETER, PRESSURE, THERMOCOUPLE, THERMOWELL, Plant, part


def pass_ns(plant: Plant, n: int = 20_000, repeats: int = 20) -> float:
    """Return the shortest time of one pass with all sensitivities [ns a sample]."""
    record = plant.record(n, seed=1)
    data = BlockData.of(record.t_ns, record.indication, record.reference, fresh=True)
    model = model_of(plant.kind)
    h = np.append(model.to_internal(np.array(plant.theta)), -2.0)
    problem = BlockProblem(model, data, h, None)
    problem.evaluate(h)
    return min(_timed(lambda: problem.evaluate(h)) for _ in range(repeats)) / n


def update_ns(plant: Plant, block: int, n: int = 20_000) -> tuple[float, int]:
    """Return the time of `update` after the start [ns a sample] with blocks of at least `block` samples, and blocks."""
    settings = OnlineSettings(min_block_samples=block)
    record = plant.record(n, seed=1)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
    begin = 0
    while not estimator.update(part(record, begin, begin + 64)):
        begin += 64
    begin += 64
    outcomes: list[object] = []
    rest = part(record, begin, n)
    elapsed = _timed(lambda: outcomes.extend(estimator.update(rest)))
    return elapsed / len(rest), len(outcomes)


def _timed(run: object) -> float:
    started = time.perf_counter_ns()
    run()  # type: ignore[operator]
    return float(time.perf_counter_ns() - started)


def main() -> None:
    """Print the table."""
    for plant in (THERMOCOUPLE, PRESSURE, ACCELEROMETER, THERMOWELL):
        line = f"{plant.kind:13} {plant.rate_hz:6.0f} Hz: pass {pass_ns(plant):6.1f} ns a sample; update "
        cells = []
        for block in (48, 1000):
            ns, blocks = update_ns(plant, block)
            cells.append(f"{ns:8.0f} ns a sample with {blocks} blocks (at least {block} samples)")
        print(line + ", ".join(cells))  # noqa: T201


if __name__ == "__main__":
    main()
