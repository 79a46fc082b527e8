"""Correction with uncertainty against scipy's filter without it: ``python -m tests.benchmarks.bench_correction``.

Contestants take turns, and each has the shortest of its times: ratios within one run, on whatever machine it is.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np
from scipy.signal import butter, lfilter

from dyncal.correction.streaming.stream import StreamingCorrector
from dyncal.correction.streaming.uniform import UniformCorrector
from dyncal.correction.uncertain import FilterBank, UncertainFIR, UncertainIIR, prepare
from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.samples import FloatArray
from dyncal.kernels import warm_up
from tests.benchmarks import foreign
from tests.evidence import Figure, table
from tests.unit.correction.examples import arbitrary_set, instants

SENSORS: Final = 1000
PYDYNAMIC: Final = "Filters with uncertain coefficients: against PyDynamic, 10 000 samples"
Work = Callable[[], object]


def race(
    contestants: dict[str, Work], rounds: int, inner: int = 1, clock: Callable[[], float] = time.thread_time
) -> dict[str, float]:
    """Return the shortest time of each [s a call], over rounds in which they take turns, `inner` calls a turn.

    By the thread's own time, so that what else the machine does in between does not count; where a contestant has
    more threads than one, by the wall clock.
    """
    best = dict.fromkeys(contestants, float("inf"))
    for work in contestants.values():
        work()
    for _ in range(rounds):
        for name, work in contestants.items():
            started = clock()
            for _ in range(inner):
                work()
            best[name] = min(best[name], (clock() - started) / inner)
    return best


def ratio(what: str, reference: float, ours: float, low: float, n: int, peer: str = "scipy") -> Figure:
    """Return how many times faster ours is than the peer."""
    return Figure(what, reference / ours, low, np.inf, n, unit="×", peer=peer)


def default_set() -> CoefficientSet:
    """Return 64 taps, one denominator for three parameters with covariance: what the default design makes."""
    return arbitrary_set(np.random.default_rng(1), taps=64, delay=20)


def order_two() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return b, a and the full covariance of their coefficients."""
    b, a = butter(2, 0.2)
    root = 1e-3 * np.random.default_rng(1).normal(size=(5, 5))
    return b, a, root @ root.T


def steady(coefficients: CoefficientSet, block: FloatArray) -> Work:
    """Return a call that gives a running StreamingCorrector its next block."""
    corrector = StreamingCorrector(coefficients)
    n = block.size
    corrector.process(instants(200), np.zeros(200))
    state = {"at": 200}
    first = instants(n) - instants(1)[0]
    origin, dt = int(instants(1)[0]), int(coefficients.filter.dt_ns)

    def work() -> object:
        t = first + (origin + dt * state["at"])
        state["at"] += n
        return corrector.process(t, block)

    return work


def with_state(b: FloatArray, a: FloatArray, block: FloatArray) -> Work:
    """Return a call of scipy's filter that carries its state."""
    state = {"zi": np.zeros(max(b.size, a.size) - 1)}

    def work() -> object:
        y, state["zi"] = lfilter(b, a, block, zi=state["zi"])
        return y

    return work


def default_design() -> list[Figure]:
    """Measure the default design: one stream in large blocks, and many sensors."""
    coefficients = default_set()
    taps, one = coefficients.filter.fir, np.ones(1)
    figures = []
    for n, low in ((10_000, 0.6), (1_000, -np.inf)):
        block = np.random.default_rng(2).normal(size=n)
        uniform = UniformCorrector(coefficients.filter, coefficients.parameters)
        found = race(
            {
                "stream": steady(coefficients, block),
                "uniform": lambda block=block, uniform=uniform: uniform.process(block),  # type: ignore[misc]
                "scipy": with_state(taps, one, block),
            },
            200 if n > 1_000 else 600,
        )
        figures += [
            ratio(f"StreamingCorrector, blocks of {n}", found["scipy"], found["stream"], low, n),
            ratio(f"UniformCorrector, blocks of {n}", found["scipy"], found["uniform"], low, n),
        ]
    n = 1000
    blocks = np.random.default_rng(2).normal(size=(SENSORS, n))
    bank = [UniformCorrector(coefficients.filter, coefficients.parameters) for _ in range(SENSORS)]

    def all_sensors() -> None:
        for corrector, block in zip(bank, blocks, strict=True):
            corrector.process(block)

    found = race({"ours": all_sensors, "scipy": lambda: lfilter(taps, one, blocks, axis=1)}, 12)
    figures.append(ratio("1 000 sensors on one core, blocks of 1 000", found["scipy"], found["ours"], 1.1, SENSORS * n))
    return figures


def recursive() -> list[Figure]:
    """Measure order 2 with the covariance of all coefficients: one stream, 1 000 sensors, two threads."""
    b, a, cov = order_two()
    n = 10_000
    block = np.random.default_rng(2).normal(size=n)
    one = UncertainIIR(b, a, cov, u_x=0.05)
    found = race({"ours": lambda: one.process(block), "scipy": with_state(b, a, block)}, 400)
    figures = [ratio(f"one stream, blocks of {n}", found["scipy"], found["ours"], 0.8, n)]
    filters = [prepare(b, a, cov, u_x=0.05)] * SENSORS
    bank = FilterBank(filters)
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(2) as executor:
        shared = FilterBank(filters, executor=executor, parts=2)
        for rows, low, low_threads in ((100, 1.5, -np.inf), (1000, -np.inf, 1.6 if cores > 1 else -np.inf)):
            x = np.random.default_rng(2).normal(size=(rows, SENSORS))
            across, out = np.ascontiguousarray(x.T), (np.empty_like(x), np.empty_like(x))
            alone, together = partial(bank.process, x, out=out), partial(shared.process, x, out=out)
            rounds = 10_000 // rows
            found = race({"ours": alone, "scipy": partial(lfilter, b, a, across, axis=1)}, rounds)
            threads = race({"one": alone, "two": together}, 3 * rounds, clock=time.perf_counter)
            what = f"1 000 sensors, {rows} samples of each"
            figures += [
                ratio(f"{what}, against lfilter(axis=1)", found["scipy"], found["ours"], low, x.size),
                ratio(f"{what}: two threads against one", threads["one"], threads["two"], low_threads, x.size, ""),
            ]
        figures.append(_machine(executor))
    return figures


def _machine(executor: ThreadPoolExecutor) -> Figure:
    """Measure what a second thread is worth on this machine, where neither memory nor Python holds it up."""
    parts = [bytes(1 << 21)] * 2

    def alone() -> None:
        for part in parts:
            hashlib.sha256(part)

    threads = race(
        {"one": alone, "two": lambda: list(executor.map(hashlib.sha256, parts))}, 100, clock=time.perf_counter
    )
    return ratio(
        "this machine: two digests by two threads against one", threads["one"], threads["two"], -np.inf, 100, ""
    )


def chunks() -> list[Figure]:
    """Measure calls with 1 to 10 samples against lfilter(zi)."""
    b, a, cov = order_two()
    coefficients = default_set()
    figures = []
    for n in (1, 10):
        block = np.random.default_rng(2).normal(size=n)
        one = UncertainIIR(b, a, cov, u_x=0.05)
        uniform = UniformCorrector(coefficients.filter, coefficients.parameters)
        found = race(
            {
                "iir": lambda one=one, block=block: one.process(block),  # type: ignore[misc]
                "scipy, order 2": with_state(b, a, block),
                "uniform": lambda uniform=uniform, block=block: uniform.process(block),  # type: ignore[misc]
                "stream": steady(coefficients, block),
                "scipy, 64 taps": with_state(coefficients.filter.fir, np.ones(1), block),
            },
            100,
            200,
        )
        what = f"{n} samples a call" if n > 1 else "1 sample a call"
        figures += [
            ratio(f"recursive, order 2, {what}", found["scipy, order 2"], found["iir"], 3.0, 100 * 200),
            ratio(
                f"default design, UniformCorrector, {what}", found["scipy, 64 taps"], found["uniform"], 3.0, 100 * 200
            ),
            ratio(f"default design with time stamps, {what}", found["scipy, 64 taps"], found["stream"], -np.inf, 200),
        ]
    return figures


def uncertain_taps() -> tuple[FloatArray, FloatArray]:
    """Return 64 taps and their covariance, of full rank."""
    rng = np.random.default_rng(3)
    root = 1e-3 * rng.normal(size=(64, 64))
    return rng.normal(size=64), root @ root.T


def linear() -> list[Figure]:
    """Measure that the time of an FIR filter with uncertain taps grows with the length and no faster."""
    taps, cov = uncertain_taps()
    x = np.random.default_rng(2).normal(size=100_000)
    made = UncertainFIR(taps, cov, u_x=0.05)
    found = race({"short": lambda: made.process(x[:10_000]), "long": lambda: made.process(x)}, 20)
    return [
        Figure(
            "64 taps: time of 100 000 samples over ten times that of 10 000",
            found["long"] / (10 * found["short"]),
            0,
            1.25,
            100_000,
        )
    ]


def against_pydynamic() -> list[Figure]:
    """Compare results and times."""
    b, a, cov = order_two()
    taps, cov_taps = uncertain_taps()
    n = 10_000
    x = np.cumsum(np.random.default_rng(2).normal(size=n)) * 0.1
    iir = UncertainIIR(b, a, cov, u_x=0.05, past="constant")
    fir = UncertainFIR(taps, cov_taps, u_x=0.05, past="constant")
    results = {"iir": iir.process(x), "fir": fir.process(x)}
    first = race({"iir": lambda: iir.process(x), "fir": lambda: fir.process(x)}, 50)
    theirs = foreign.run(
        "filters.py",
        {"x": x, "u_x": 0.05, "b": b, "a": a, "cov": cov, "taps": taps, "cov_taps": cov_taps},
        timeout_s=1800,
    )
    # ours before and after the foreign run, since the machine may be slower at one time than at the other
    second = race({"iir": lambda: iir.process(x), "fir": lambda: fir.process(x)}, 50)
    figures = []
    for name, label, bar in (("iir", "IIRuncFilter", 2000.0), ("fir", "FIRuncFilter", 500.0)):
        y, u = np.asarray(theirs[f"{name}_y"], np.float64), np.asarray(theirs[f"{name}_u"], np.float64)
        seconds = min(first[name], second[name])
        figures += [
            ratio(f"against `{label}`", float(theirs[f"{name}_s"]), seconds, bar, n, "PyDynamic"),
            Figure(
                f"`{label}`: largest difference of y over its largest",
                _apart(results[name][0], y),
                0,
                1e-12,
                n,
                peer="PyDynamic",
            ),
            Figure(
                f"`{label}`: largest relative difference of u",
                _apart(results[name][1] / u, u / u),
                0,
                1e-12,
                n,
                peer="PyDynamic",
            ),
        ]
    return figures


def sections() -> dict[str, list[Figure]]:
    """Measure; the comparison is missing where PyDynamic cannot be had."""
    warm_up()
    made = {
        "Correction, 64 taps with sensitivities and u: speed over scipy's 64-tap lfilter without u": default_design(),
        "Recursive filter of order 2, uncertain coefficients and u: speed over scipy's lfilter without u": recursive(),
        "Few samples a call: speed over lfilter(zi) without u": chunks(),
        "FIR filter with uncertain taps": linear(),
    }
    if foreign.available():
        made[PYDYNAMIC] = against_pydynamic()
    return made


def main() -> None:
    """Print the tables."""
    for section, figures in sections().items():
        sys.stdout.write("\n".join(["", section, *table(figures)]) + "\n")


def _apart(one: FloatArray, other: FloatArray) -> float:
    return float(np.max(np.abs(one - other)) / np.max(np.abs(other)))


if __name__ == "__main__":
    main()
