"""What one pass of the Kalman likelihood with score and information costs, against a pass of the innovations form.

Run: ``python -m tests.benchmarks.bench_kalman``
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dyncal.identification import AlignedRecord
from dyncal.identification.kalman.joint import Layout
from dyncal.identification.kalman.measurand import Process, log_intensity
from dyncal.identification.kalman.segments import Segment, run
from dyncal.identification.online.block import BlockData, BlockProblem
from dyncal.models import model_of
from tests.evidence import Figure, table
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, THERMOWELL, Plant

N = 20_000
REPEATS = 15
BAR_NS = 2000.0


def kalman_pass(plant: Plant, record: AlignedRecord, process: Process, *, rest: bool = True) -> Callable[[], object]:
    """Return one pass over the record at the truth."""
    model = model_of(plant.kind)
    layout = Layout(model.n_parameters, model.n_states, process)
    scale, rate = 1 / plant.rate_hz, float(np.log(2 * np.pi * plant.band_hz))
    logs = [np.log(1e-4), np.log(1e-4), log_intensity(process, 0.0, rate, scale), rate, 0.0]
    h = np.concatenate([model.to_internal(np.array(plant.theta)), logs])
    segment = Segment.of(record)
    return lambda: run(model, layout, segment, h, scale_s=scale, rest=rest)


def innovations_pass(plant: Plant, record: AlignedRecord) -> Callable[[], object]:
    """Return one pass of the innovations form over the record at the truth."""
    model = model_of(plant.kind)
    h = np.append(model.to_internal(np.array(plant.theta)), -2.0)
    data = BlockData.of(record.t_ns, record.indication, record.reference, fresh=True)
    problem = BlockProblem(model, data, h, None)
    return lambda: problem.evaluate(h)


def ns_a_sample(*passes: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Return the shortest times [ns a sample] of several passes, taken in turn so that all see the same machine."""
    best = [float("inf")] * len(passes)
    for _ in range(repeats):
        for i, once in enumerate(passes):
            # the time of this thread: others may use the machine
            started = time.thread_time_ns()
            once()
            best[i] = min(best[i], (time.thread_time_ns() - started) / N)
    return best


def jittered(record: AlignedRecord) -> AlignedRecord:
    """Return the record with every seventh indication missing, so that gains never come to rest."""
    y = record.indication.copy()
    y[::7] = np.nan
    return AlignedRecord(record.t_ns, y, record.reference)


def sections() -> dict[str, list[Figure]]:
    """Return ns a sample, with the bar for the default case of a second-order sensor."""
    figures = []
    rough, smooth = Process.ORNSTEIN_UHLENBECK, Process.BUTTERWORTH_4
    for plant in (THERMOCOUPLE, PRESSURE, THERMOWELL):
        record = replace(plant, snr_db=50.0).record(N, seed=1)
        name = plant.kind.replace("_", " ")
        even, full, soft, other = ns_a_sample(
            kalman_pass(plant, record, rough),
            kalman_pass(plant, jittered(record), rough),
            kalman_pass(plant, record, smooth),
            innovations_pass(plant, record),
        )
        ratio = even / other
        figures += [
            Figure(f"{name}: even samples, against a pass of the innovations form", ratio, -np.inf, np.inf, REPEATS),
            Figure(
                f"{name}: likelihood, score, information, even samples", even, 0.0, BAR_NS, REPEATS, unit="ns/sample"
            ),
            Figure(f"{name}: the same with missing samples", full, -np.inf, np.inf, REPEATS, unit="ns/sample"),
            Figure(f"{name}: even samples, smooth measurand (order 4)", soft, 0.0, BAR_NS, REPEATS, unit="ns/sample"),
        ]
    return {"kalman: one pass": figures}


def main() -> None:
    """Print the table."""
    for name, figures in sections().items():
        print(name, *table(figures), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
