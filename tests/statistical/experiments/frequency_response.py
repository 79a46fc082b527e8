"""Bias, coverage and covariance of frequency-response fits.

49 points and 17 points from 10 Hz to 10 kHz, of one laboratory or of three with systematic errors and different signs
of the phase; a trial is one delivery of points with fresh errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response import PhaseSign, fit_frequency_response
from dyncal.models import Delayed, Rational, ResponseModel, model_of
from tests.evidence import Figure, bias, coverage
from tests.statistical.harness import Experiment
from tests.unit.identification.laboratory import ACCELEROMETER, SECOND, Laboratory

F_HZ = np.array([20.0, 100.0, 1000.0, 5000.0, 10_000.0])
W = 2 * np.pi * 12_000.0
ONE_49 = (Laboratory(),)
ONE_17 = (Laboratory(n_points=17, u_low=0.002, u_high=0.005),)
THREE = (
    Laboratory("A", 49, u_common=0.002, u_delay_s=5e-8),
    Laboratory("B", 17, u_common=0.004, u_delay_s=1e-7, phase_sign=PhaseSign.LAG_POSITIVE),
    Laboratory("C", 17, u_low=0.002, u_high=0.008),
)


@dataclass(frozen=True, eq=False)
class Case:
    """A sensor, and who calibrates it."""

    model: ResponseModel
    theta: FloatArray
    laboratories: tuple[Laboratory, ...]


CASES = {
    "accelerometer, 49 points": Case(SECOND, ACCELEROMETER, ONE_49),
    "accelerometer, 17 points": Case(SECOND, ACCELEROMETER, ONE_17),
    "accelerometer, three laboratories": Case(SECOND, ACCELEROMETER, THREE),
    "first order, 17 points": Case(model_of(ModelKind.FIRST_ORDER), np.array([1.0, 1e-4]), ONE_17),
    "with dead time, 49 points": Case(Delayed(SECOND), np.array([1.0, 0.4, 8000.0, 2e-5]), ONE_49),
    "lead-lag, 49 points": Case(model_of(ModelKind.LEAD_LAG), np.array([1.0, 2e-3, 5e-5, 3e-4]), ONE_49),
    "rational (1, 3), 49 points": Case(
        Rational(1, 3), np.array([1.0, 0.3 / W, 2.0 / W, 2.0 / W**2, 1.0 / W**3]), ONE_49
    ),
}


def trial(name: str, seed: int) -> FloatArray:
    """Return errors and u of p parameters, the Mahalanobis square, errors and u of ln H (10 each), p-value, verdict.

    NaN throughout where the fit gives no parameters.
    """
    case = CASES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    points = [laboratory.points(rng, case.model, case.theta) for laboratory in case.laboratories]
    fit = fit_frequency_response(points, [case.model])
    if fit.parameters is None:
        return np.full(2 * case.theta.size + 23, np.nan)
    error = fit.parameters.values - case.theta
    distance = float(error @ np.linalg.solve(fit.parameters.cov, error))
    h, cov = fit.response(F_HZ)
    wrong = np.log(h / case.model.frequency_response(case.theta, F_HZ))
    # to ln|H| and arg H: (dRe + j dIm)/H
    turn = (
        np.stack([np.stack([h.real, h.imag], -1), np.stack([-h.imag, h.real], -1)], 1) / np.abs(h)[:, None, None] ** 2
    )
    u_log = np.sqrt(np.diagonal(turn @ cov @ turn.swapaxes(1, 2), axis1=1, axis2=2))
    ends = [fit.p_value, float(fit.accepted)]
    return np.concatenate([error, fit.parameters.u, [distance], wrong.real, wrong.imag, *u_log.T, ends])


def judge(name: str, results: FloatArray) -> Sequence[Figure]:
    """Return the figures of one case."""
    case = CASES[name]
    p = case.theta.size
    given = ~np.isnan(results).any(axis=1)
    n, rows = int(np.count_nonzero(given)), results[given]
    error, u, distance = rows[:, :p], rows[:, p : 2 * p], rows[:, 2 * p]
    wrong, u_log = rows[:, 2 * p + 1 : 2 * p + 11], rows[:, 2 * p + 11 : 2 * p + 21]
    figures = [share("fits without parameters", np.asarray(~given), 0.0, 0.0)]
    for i, parameter in enumerate(case.model.names):
        typical = float(np.sqrt(np.mean(u[:, i] ** 2)))
        spread = float(np.std(error[:, i], ddof=1)) / typical
        figures += [
            coverage(f"{parameter}: 95 % intervals cover", np.abs(error[:, i]) <= 1.96 * u[:, i]),
            Figure(f"{parameter}: sd of estimates over stated u", spread, 0.95, 1.05, n, edge(spread) / np.sqrt(2 * n)),
            bias(f"{parameter}: bias, of u", error[:, i], typical, 0.1),
        ]
    level = float(np.mean(distance)) / p
    figures.append(Figure("mean square of errors in the stated covariance", level, 0.9, 1.1, n, np.sqrt(2 / (p * n))))
    for k, f_hz in enumerate(F_HZ):
        for j, part in enumerate(("magnitude", "phase")):
            inside = np.abs(wrong[:, 5 * j + k]) <= 1.96 * u_log[:, 5 * j + k]
            figures.append(coverage(f"{part} at {f_hz:g} Hz: 95 % intervals cover", inside))
    figures.append(share("p-values below 0.5", rows[:, -2] < 0.5, 0.45, 0.55))
    figures.append(share("consistent data rejected (level 1 %)", rows[:, -1] == 0, 0.0, 0.02))
    return figures


def edge(ratio: float) -> float:
    """Return the nearer edge of ±5 %: a spread that is small by chance must not look sure of itself."""
    return min(max(ratio, 0.95), 1.05)


def share(what: str, hit: npt.NDArray[np.bool_], low: float, high: float) -> Figure:
    """Return a share of trials with its binomial uncertainty at the nearer edge of the bar."""
    return coverage(what, hit, low, high)


EXPERIMENTS = tuple(
    Experiment(f"frequency response: {name}", partial(trial, name), partial(judge, name), full=2500, short=8)
    for name in CASES
)
