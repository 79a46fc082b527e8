"""Standard uncertainties by the law of propagation against Monte Carlo, and the adaptive Monte Carlo against itself.

The correction: one record of each kind of sensor, u of each sample as the stream gives it against draws with the exact
response (`dyncal.correction_monte_carlo`); a trial is 2 000 draws of the same record. Judged from where the
sensitivities have settled: what was before the record nobody knows.

u is judged with parameters known to 2 % (accelerometer: 1 %) and to a quarter of that, clause 8 with the latter: where
f0 is known to 2 %, û depends on it by 2ε - 3ε², and both ends of an interval are off by some 12 % of u to the same
side, which is more than one digit of u allows. No first-order u can tell.

The adaptive procedure: a trial is one run with a seed of its own, for outputs whose distribution is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np
from scipy import stats

from dyncal.correction.budget import budget
from dyncal.correction.forms import correct_at
from dyncal.correction.monte_carlo import correction_monte_carlo
from dyncal.correction.smoother.design import design_smoother
from dyncal.correction.streaming.prepared import prepare
from dyncal.correction.streaming.record import correct
from dyncal.domain.coefficients import CorrectionFilter, CorrectionSmoother
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.uncertainty import (
    GumResult,
    MonteCarloSettings,
    MultivariateNormal,
    monte_carlo,
    numerical_tolerance,
)
from tests.evidence import Figure, coverage
from tests.statistical.harness import Experiment
from tests.unit.correction.examples import ALL, CASES, FINE, T0_NS, Case, designed, irregular, sampled

DRAWS = 2_000
KEPT = 300
KINDS = ("thermocouple", "pressure_line", "thermowell", "accelerometer")


WELL_KNOWN = 0.25
SMOOTHED, SETTLED, SMOOTHED_DRAWS, SHARE_OF_DT = 180, 80, 400, 0.01


@cache
def corrected_by(name: str, share: float) -> tuple[Case, CorrectionFilter]:
    """Return a kind of sensor, its parameters' u multiplied by `share`, with its filter."""
    case = CASES[name]
    if share == 1:
        return case, designed(name).filter
    known = replace(case, u_relative=share * case.u_relative)
    return known, known.design().filter


@cache
def record(name: str, share: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the record, and the corrected values with u of its last `KEPT` samples."""
    case, f = corrected_by(name, share)
    n = prepare(f, case.parameters).settle_sensitivities + f.fir.size + KEPT
    _, raw = case.simulate(np.random.default_rng(21), n)
    value, u = correct(f, case.parameters, raw)
    last = np.flatnonzero(np.isfinite(value))[-KEPT:]
    return raw, value[last], u[last]


def draws_of_a_record(name: str, share: float, seed: int) -> FloatArray:
    """Return mean, u, lower and upper end of the 95 % interval for each of the `KEPT` samples."""
    case, f = corrected_by(name, share)
    raw, _, _ = record(name, share)
    settings = MonteCarloSettings(n_draws=DRAWS)
    found = correction_monte_carlo(
        f,
        case.parameters,
        case.model,
        raw,
        noise_std=case.noise_std,
        seed=seed,
        settings=settings,
    ).result
    return np.stack([found.value, found.u, found.low, found.high])[:, -KEPT:].ravel()


def judge_record(name: str, share: float, results: FloatArray) -> Sequence[Figure]:
    """Return how far u is from that of all draws, sample by sample, and clause 8 with one digit."""
    rows = results.reshape(-1, 4, KEPT)
    n = rows.shape[0] * DRAWS
    mean = rows[:, 0].mean(axis=0)
    spread = np.sqrt(np.mean(rows[:, 1] ** 2, axis=0) + np.var(rows[:, 0], axis=0))
    low, high = rows[:, 2:].mean(axis=0)
    _, value, u = record(name, share)
    ratio, scatter = u / spread, 1 / np.sqrt(2 * n)
    law = GumResult(value, u)
    expanded = law.coverage_factor(0.95) * u
    delta = numerical_tolerance(u, 1)
    off = np.maximum(np.abs(value - expanded - low), np.abs(value + expanded - high)) / delta
    limit = 1.0 if share < 1 else np.inf
    # of an end of an interval: √(p(1-p))/f at the 2.5 % quantile, in u
    u_off = float(np.max(2.68 * u / delta)) / np.sqrt(n)
    return [
        Figure("u over Monte Carlo, smallest of 300 samples", float(ratio.min()), 0.98, np.inf, n, scatter),
        Figure("u over Monte Carlo, largest of 300 samples", float(ratio.max()), -np.inf, 1.02, n, scatter),
        Figure(
            "value off the mean of the draws, of u, largest",
            float(np.max(np.abs(mean - value) / u)),
            0,
            0.1,
            n,
            1 / np.sqrt(n),
        ),
        Figure("clause 8, one digit: largest of d over δ", float(off.max()), -np.inf, limit, n, u_off),
    ]


def adaptive_sum(seed: int) -> FloatArray:
    """Return errors over the tolerance of value, u, low, high for a sum of normal inputs, and thousands of draws."""
    settings = MonteCarloSettings(digits=2, max_draws=4_000_000)
    inputs = MultivariateNormal(np.zeros(4), np.eye(4))
    found = monte_carlo(inputs, lambda x: x.sum(axis=1), seed=seed, settings=settings)
    end = float(2 * stats.norm.ppf(0.975))
    errors = np.array([found.value[0], found.u[0] - 2, found.low[0] + end, found.high[0] - end])
    return np.append(errors / found.tolerance[0], [found.stable, found.n_draws / 1e3])


def adaptive_square(seed: int) -> FloatArray:
    """Return the same for X1² + X2² (JCGM 101, 9.4.3.2, x1 = 0.01, u = 0.005), noncentral χ²."""
    settings = MonteCarloSettings(digits=2, max_draws=4_000_000)
    inputs = MultivariateNormal(np.array([0.010, 0.0]), 0.005**2 * np.eye(2))
    found = monte_carlo(inputs, lambda x: x[:, 0] ** 2 + x[:, 1] ** 2, seed=seed, settings=settings)
    truth = stats.ncx2(2, 4.0)
    wanted = 0.005**2 * np.array([truth.mean(), truth.std(), *truth.ppf([0.025, 0.975])])
    errors = np.array([found.value[0], found.u[0], found.low[0], found.high[0]]) - wanted
    return np.append(errors / found.tolerance[0], [found.stable, found.n_draws / 1e3])


def judge_adaptive(results: FloatArray) -> Sequence[Figure]:
    """Return how often each figure lies within the tolerance that the procedure promises, two standard deviations."""
    figures = [
        coverage(f"{what} within δ", np.asarray(np.abs(results[:, k]) <= 1), 0.94, 1.0)
        for k, what in enumerate(("estimate", "u", "lower end", "upper end"))
    ]
    n = results.shape[0]
    figures.append(coverage("stable before 4 million draws", np.asarray(results[:, 4] == 1), 0.99, 1.0))
    figures.append(Figure("draws, mean", float(np.mean(results[:, 5])), -np.inf, np.inf, n, unit="thousand"))
    return figures


@cache
def smoothed(name: str) -> tuple[Case, CorrectionSmoother, Int64Array, FloatArray]:
    """Return a kind of sensor with its smoother, and a record at irregular instants."""
    case = replace(ALL[name], u_relative=WELL_KNOWN * ALL[name].u_relative)
    made = design_smoother(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum)
    rng = np.random.default_rng(22)
    at = irregular(rng, SMOOTHED)
    return case, made.correction, T0_NS + at * (case.dt_ns // FINE), sampled(case, rng, at)[1]


def draws_of_a_smoother(name: str, seed: int) -> FloatArray:
    """Return mean, u, lower and upper end of the 95 % interval for each sample from `SETTLED` on."""
    case, correction, t, y = smoothed(name)
    found = correction_monte_carlo(
        correction, case.parameters, case.model, y, t_ns=t, u_t_s=SHARE_OF_DT * case.dt_s, seed=seed,
        settings=MonteCarloSettings(n_draws=SMOOTHED_DRAWS),
    ).result  # fmt: skip
    return np.stack([found.value, found.u, found.low, found.high])[:, SETTLED:].ravel()


def judge_smoother(name: str, results: FloatArray) -> Sequence[Figure]:
    """Return how far the streamed u, and the budget's sum, are from the u of all draws."""
    rows = results.reshape(results.shape[0], 4, -1)
    n = rows.shape[0] * SMOOTHED_DRAWS
    mean, spread = rows[:, 0].mean(axis=0), np.sqrt(np.mean(rows[:, 1] ** 2, axis=0) + np.var(rows[:, 0], axis=0))
    low, high = rows[:, 2:].mean(axis=0)
    case, correction, t, y = smoothed(name)
    u_t_s, judged = SHARE_OF_DT * case.dt_s, slice(SETTLED, SETTLED + mean.size)
    value, u = (part[judged] for part in correct_at(correction, case.parameters, t, y, u_t_s=u_t_s))
    lines = budget(correction, case.parameters, y, t_ns=t, u_t_s=u_t_s)
    summed = np.sqrt(sum(lines[one][judged] ** 2 for one in ("noise", "model", "parameters", "time")))
    ratio, scatter = u / spread, 1 / np.sqrt(2 * n)
    delta, expanded = numerical_tolerance(u, 1), GumResult(value, u).coverage_factor(0.95) * u
    off = np.maximum(np.abs(value - expanded - low), np.abs(value + expanded - high)) / delta
    rms = float(np.sqrt(np.mean(u**2) / np.mean(spread**2)))
    return [
        Figure("rms(u) over Monte Carlo", rms, 0.98, 1.02, n, scatter / 5),
        Figure("u over Monte Carlo, smallest of the samples", float(ratio.min()), 0.9, np.inf, n, scatter),
        Figure("u over Monte Carlo, largest of the samples", float(ratio.max()), -np.inf, 1.1, n, scatter),
        Figure("budget's lines over the u of the stream", float(np.max(np.abs(summed / u - 1))), 0, 1e-6, n),
        Figure("clause 8, one digit: samples within δ", float(np.mean(off <= 1)), -np.inf, np.inf, n, unit="%"),
    ]


EXPERIMENTS = (
    *(
        Experiment(
            f"uncertainty: u of a smoother against Monte Carlo, {name}",
            partial(draws_of_a_smoother, name),
            partial(judge_smoother, name),
            full=50,
            short=2,
        )
        for name in ("thermocouple", "pressure_line", "dead_time")
    ),
    *(
        Experiment(
            f"uncertainty: u per sample against Monte Carlo, {name}{how}",
            partial(draws_of_a_record, name, share),
            partial(judge_record, name, share),
            full=100,
            short=2,
        )
        for name in KINDS
        for how, share in (("", 1.0), (", parameters well known", WELL_KNOWN))
    ),
    Experiment("uncertainty: adaptive Monte Carlo, sum of four", adaptive_sum, judge_adaptive, full=400, short=6),
    Experiment(
        "uncertainty: adaptive Monte Carlo, comparison loss", adaptive_square, judge_adaptive, full=400, short=6
    ),
)
