"""Correction with uncertainty against scipy's filter without: ``python -m tests.benchmarks.bench_correction``.

64 taps, one sensitivity biquad's poles, three parameters with covariance, u for each sample. Prints one JSON object of
nanoseconds a sample, the best of several rounds in which the contestants take turns.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from dyncal.correction import kernels
from dyncal.correction.prepared import prepare
from dyncal.correction.stream import StreamingCorrector
from dyncal.kernels import warm_up
from tests.unit.correction.examples import arbitrary_set, instants

_ROUNDS = 9


def measure(contestants: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Return the best time of each [ns a sample]; each returns how many samples it took."""
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(_ROUNDS):
        for name, work in contestants.items():
            started = time.perf_counter_ns()
            n = work()
            best[name] = min(best[name], (time.perf_counter_ns() - started) / n)
    return best


def main() -> None:
    """Measure and print."""
    warm_up()
    coefficients = arbitrary_set(np.random.default_rng(1), taps=64, delay=20)
    prepared = prepare(coefficients.filter, coefficients.parameters)
    n = 100_000
    y = np.random.default_rng(2).normal(size=n)
    t = instants(n)
    extended = np.concatenate([np.zeros(63), y])
    value, u, zeros = np.empty(n), np.empty(n), np.zeros(n)

    def kernel_alone() -> int:
        kernels.fir(prepared.taps, extended, value)
        kernels.advance(
            extended,
            64,
            prepared.sos,
            np.zeros((0, 2)),
            prepared.denominators,
            np.zeros((1, 2)),
            prepared.factor,
            zeros,
            zeros,
            prepared.variance,
            prepared.dt_s,
            prepared.dc_gain,
            prepared.delay,
            0,
            np.zeros(3, np.int64),
            np.zeros(1),
            value,
            u,
        )
        return n

    def streaming(block: int, total: int, *, compiled: bool = True) -> Callable[[], int]:
        def work() -> int:
            corrector = StreamingCorrector(coefficients, compiled=compiled)
            for k in range(0, total, block):
                corrector.process(t[k : k + block], y[k : k + block])
            return total

        return work

    def reference(block: int, total: int) -> Callable[[], int]:
        def work() -> int:
            state = np.zeros(63)
            for k in range(0, total, block):
                _, state = lfilter(prepared.taps, [1.0], y[k : k + block], zi=state)
            return total

        return work

    found = measure(
        {
            "kernel": kernel_alone,
            "lfilter": lambda: lfilter(prepared.taps, [1.0], y).size,
            "stream, blocks of 10000": streaming(10_000, n),
            "lfilter with state, blocks of 10000": reference(10_000, n),
            "stream, blocks of 1000": streaming(1000, n),
            "lfilter with state, blocks of 1000": reference(1000, n),
            "stream, blocks of 10": streaming(10, 5000),
            "lfilter with state, blocks of 10": reference(10, 5000),
            "stream in numpy, blocks of 1000": streaming(1000, n, compiled=False),
        }
    )
    json.dump({name: round(figure, 1) for name, figure in found.items()}, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
