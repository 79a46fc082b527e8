"""What a frequency-response fit costs: one model of 49 and of 17 points, and the choice between six.

Run: ``python -m tests.benchmarks.bench_frequency_response``. Beside it, a Monte Carlo of 10 000 linear least-squares
fits of the same second-order model, which is how a covariance is got without the likelihood's own information (what
PyDynamic's `fit_som` does; it needs an environment of its own).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response import FrequencyPoints, fit_frequency_response
from dyncal.models import Delayed, Rational, ResponseModel, model_of
from tests.unit.identification.laboratory import SECOND, Laboratory

RUNS = 10_000


def monte_carlo(points: FrequencyPoints, rng: np.random.Generator) -> FloatArray:
    """Return the covariance of θ by fits linear in (μ, λ, κ), 1/H = μ(1 + ...) multiplied out, one after the other."""
    n = len(points)
    s = 1j * points.f_hz / points.f_hz.max()
    u = np.sqrt(np.diagonal(points.cov, axis1=1, axis2=2))
    found = np.empty((RUNS, 3))
    for k in range(RUNS):
        y = points.response * np.exp(u[:, 0] * rng.normal(size=n) + 1j * u[:, 1] * rng.normal(size=n))
        columns = np.stack([np.ones(n), s, s**2], axis=1) * np.abs(y)[:, None] / u[:, :1]
        right = np.abs(y) / (y * u[:, 0])
        found[k] = np.linalg.lstsq(
            np.concatenate([columns.real, columns.imag]), np.concatenate([right.real, right.imag]), rcond=None
        )[0]
    f0 = points.f_hz.max() * np.sqrt(found[:, 0] / found[:, 2])
    damping = found[:, 1] / (2 * np.sqrt(found[:, 0] * found[:, 2]))
    return np.asarray(np.cov(np.stack([1 / found[:, 0], damping, f0])))


def fit_ms(points: FrequencyPoints, kinds: Sequence[ModelKind | ResponseModel], repeats: int = 20) -> float:
    """Return the median time of a fit [ms]."""
    fit_frequency_response(points, kinds)
    return float(np.median([_ms(lambda: fit_frequency_response(points, kinds)) for _ in range(repeats)]))


def _ms(run: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - started) / 1e6


def main() -> None:
    """Print the table."""
    delayed = Delayed(SECOND)
    several: list[ModelKind | ResponseModel] = [ModelKind.FIRST_ORDER, SECOND, model_of(ModelKind.LEAD_LAG), delayed]
    several += [Rational(1, 3), Rational(2, 4)]
    for n in (17, 49):
        points = Laboratory(n_points=n).points(np.random.default_rng(1))
        alone, choice = fit_ms(points, [SECOND]), fit_ms(points, several)
        print(f"{n} points: second order {alone:.1f} ms; with dead time {fit_ms(points, [delayed]):.1f} ms; ", end="")  # noqa: T201
        sampled = _ms(lambda: monte_carlo(points, np.random.default_rng(2)))  # noqa: B023 - called at once
        print(f"choice of six {choice:.0f} ms; Monte Carlo of {RUNS} {sampled:.0f} ms = {sampled / alone:.0f} ×")  # noqa: T201


if __name__ == "__main__":
    main()
