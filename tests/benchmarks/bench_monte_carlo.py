"""Monte Carlo of an uncertain filter against PyDynamic: ``python -m tests.benchmarks.bench_monte_carlo``.

10 000 draws of 1 000 samples: a Butterworth filter of order 2, its five coefficients with a covariance, white noise.
PyDynamic's `UMC` gives mean, covariance and interval; its `MC` mean and covariance; ours is taken both with interval
alone and with the covariance of all samples as well. The results are compared, within what so many draws scatter.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.signal import butter

from dyncal.domain.samples import FloatArray
from dyncal.kernels import warm_up
from dyncal.uncertainty import MonteCarloResult, MonteCarloSettings, filter_monte_carlo
from tests.benchmarks import foreign
from tests.evidence import Figure, table

RUNS, SAMPLES = 10_000, 1_000
OURS = "Monte Carlo of a filter, 10 000 draws of 1 000 samples"
THEIRS = f"{OURS}: against PyDynamic"


def problem() -> dict[str, FloatArray]:
    """Return filter, covariance, signal and noise."""
    b, a = butter(2, 0.2)
    root = 1e-3 * np.random.default_rng(1).normal(size=(5, 5))
    x = np.sin(0.05 * np.arange(SAMPLES)) + (np.arange(SAMPLES) > SAMPLES // 2)
    return {"b": b, "a": a, "cov": root @ root.T, "x": x, "u_x": np.array(0.05)}


def ours(given: dict[str, FloatArray], *, covariance: bool, threads: int = 1) -> Callable[[], MonteCarloResult]:
    """Return the run to be timed."""
    settings = MonteCarloSettings(n_draws=RUNS, covariance=covariance, threads=threads)
    u_x = float(given["u_x"])
    return lambda: filter_monte_carlo(given["b"], given["a"], given["cov"], given["x"], u_x, seed=1, settings=settings)


def best_s(run: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest time [s]."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def sections() -> dict[str, list[Figure]]:
    """Measure; the comparison is missing where PyDynamic cannot be had."""
    warm_up()
    given = problem()
    plain, full = ours(given, covariance=False), ours(given, covariance=True)
    plain()
    first = best_s(plain), best_s(full)
    threads = best_s(plain) / best_s(ours(given, covariance=False, threads=2))
    # ours before and after the foreign run, since the machine may be slower at one time than at the other
    theirs = foreign.run("monte_carlo.py", {**given, "runs": RUNS}, timeout_s=1800) if foreign.available() else None
    plain_s, full_s = min(first[0], best_s(plain)), min(first[1], best_s(full))
    made = {
        OURS: [
            Figure("u and interval of each sample", plain_s, -np.inf, np.inf, RUNS, unit="s"),
            Figure("the same and the covariance of all samples", full_s, -np.inf, np.inf, RUNS, unit="s"),
            Figure("two threads against one", threads, -np.inf, np.inf, RUNS, unit="×"),
        ]
    }
    if theirs is not None:
        figures = []
        for name, bar in (("umc", 50.0), ("mc", 1.5)):
            for what, seconds in (("", plain_s), (" with covariance", full_s)):
                label = f"time of PyDynamic `{name.upper()}` over ours{what}"
                figures.append(
                    Figure(label, float(theirs[f"{name}_s"]) / seconds, bar, np.inf, RUNS, unit="×", peer="PyDynamic")
                )
        made[THEIRS] = figures + agreement(plain(), theirs)
    return made


def agreement(found: MonteCarloResult, theirs: dict[str, foreign.AnyArray]) -> list[Figure]:
    """Return how far the results differ, in units of what two runs of 10 000 draws differ by."""
    scatter = found.u / np.sqrt(2 * RUNS) * np.sqrt(2)
    mean_scatter = found.u / np.sqrt(RUNS) * np.sqrt(2)
    varies = found.u > 0
    figures = []
    for name in ("mc", "umc"):
        u, y = np.asarray(theirs[f"{name}_u"], np.float64), np.asarray(theirs[f"{name}_y"], np.float64)
        worst_u = float(np.max(np.abs(u - found.u)[varies] / scatter[varies]))
        worst_y = float(np.max(np.abs(y - found.value)[varies] / mean_scatter[varies]))
        label = f"PyDynamic {name.upper()}: largest difference of"
        figures.append(Figure(f"{label} u, in its standard deviation, of 1 000", worst_u, 0, 5, RUNS, peer="PyDynamic"))
        figures.append(
            Figure(f"{label} the mean, in its standard deviation, of 1 000", worst_y, 0, 5, RUNS, peer="PyDynamic")
        )
    return figures


def main() -> None:
    """Print the table."""
    for section, figures in sections().items():
        sys.stdout.write("\n".join([section, *table(figures)]) + "\n")


if __name__ == "__main__":
    main()
