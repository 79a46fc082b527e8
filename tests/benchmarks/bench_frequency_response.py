"""What a frequency-response fit costs: ``python -m tests.benchmarks.bench_frequency_response``.

49 and 17 points of an accelerometer, one model and the choice between six, and PyDynamic's `fit_som` with its Monte
Carlo for the covariance, given the same points with the same covariance.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response import FrequencyFit, FrequencyPoints, fit_frequency_response
from dyncal.models import Delayed, Rational, ResponseModel, model_of
from tests.benchmarks import foreign
from tests.evidence import Figure, table
from tests.unit.identification.laboratory import SECOND, Laboratory

RUNS = 10_000  # of PyDynamic's Monte Carlo
SEVERAL: list[ModelKind | ResponseModel] = [
    ModelKind.FIRST_ORDER,
    SECOND,
    model_of(ModelKind.LEAD_LAG),
    Delayed(SECOND),
    Rational(1, 3),
    Rational(2, 4),
]


def points_of(n: int) -> FrequencyPoints:
    """Return n points in real and imaginary parts, with the covariance that polar uncertainties make of them."""
    polar = Laboratory(n_points=n).points(np.random.default_rng(1))
    h, u = polar.response, np.sqrt(np.diagonal(polar.cov, axis1=1, axis2=2))
    # d(Re, Im)/d(ln |H|, arg H)
    turn = np.stack([np.stack([h.real, -h.imag], axis=-1), np.stack([h.imag, h.real], axis=-1)], axis=1)
    scaled = turn * u[:, None, :]
    return FrequencyPoints(polar.f_hz, h, scaled @ scaled.swapaxes(1, 2), "A")


def whole(points: FrequencyPoints) -> FloatArray:
    """Return the covariance of all real, then all imaginary parts."""
    n = len(points)
    cov = np.zeros((2 * n, 2 * n))
    each = np.arange(n)
    for i in range(2):
        for j in range(2):
            cov[i * n + each, j * n + each] = points.cov[:, i, j]
    return cov


def fit_s(points: FrequencyPoints, kinds: Sequence[ModelKind | ResponseModel], repeats: int = 20) -> float:
    """Return the shortest time of a fit [s]."""
    return min(_s(lambda: fit_frequency_response(points, kinds)) for _ in range(repeats))


def _s(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def sections() -> dict[str, list[Figure]]:
    """Measure; the comparison is missing where PyDynamic cannot be had."""
    made: dict[str, list[Figure]] = {}
    for n in (17, 49):
        points = points_of(n)
        fit = fit_frequency_response(points, [SECOND])
        alone = fit_s(points, [SECOND])
        made[f"Frequency response, {n} points"] = [
            Figure("second order", alone * 1e3, -np.inf, np.inf, n, unit="ms"),
            Figure("with dead time", fit_s(points, [Delayed(SECOND)]) * 1e3, -np.inf, np.inf, n, unit="ms"),
            Figure("choice of six models", fit_s(points, SEVERAL, 3) * 1e3, -np.inf, np.inf, n, unit="ms"),
        ]
        if foreign.available():
            given = {
                "f_hz": points.f_hz,
                "h": np.concatenate([points.response.real, points.response.imag]),
                "cov": whole(points),
            }
            theirs = foreign.run("frequency_response.py", given)
            made[f"Frequency response, {n} points: against PyDynamic"] = compared(
                fit, min(alone, fit_s(points, [SECOND])), theirs
            )
    return made


def compared(fit: FrequencyFit, ours_s: float, theirs: dict[str, foreign.AnyArray]) -> list[Figure]:
    """Return the ratios of times, and how far apart the results are."""
    assert fit.parameters is not None
    u = fit.parameters.u
    apart = float(np.max(np.abs(np.asarray(theirs["theta"], np.float64) - fit.parameters.values) / u))
    ratio = np.asarray(theirs["u"], np.float64) / u
    return [
        Figure(
            "time of `fit_som` with Monte Carlo over ours",
            float(theirs["plain_s"]) / ours_s,
            50,
            np.inf,
            RUNS,
            unit="×",
            peer="PyDynamic",
        ),
        Figure(
            "the same, weighted by covariance",
            float(theirs["weighted_s"]) / ours_s,
            50,
            np.inf,
            RUNS,
            unit="×",
            peer="PyDynamic",
        ),
        Figure("largest difference of a parameter (weighted), in u", apart, 0, 0.5, RUNS, peer="PyDynamic"),
        Figure("its u over ours, smallest", float(ratio.min()), 0.9, np.inf, RUNS, peer="PyDynamic"),
    ]


def main() -> None:
    """Print the tables."""
    for section, figures in sections().items():
        sys.stdout.write("\n".join([section, *table(figures)]) + "\n")


if __name__ == "__main__":
    main()
