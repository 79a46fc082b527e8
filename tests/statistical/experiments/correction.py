"""Corrected values against the truth: u, coverage, optimum, contributions, switches; all kinds of sensor.

A trial draws true parameters from the covariance, a measurand from the spectrum, and noise; the sensor is simulated
exactly, by its frequency response up to 8 times Nyquist, so that nothing of the design is in the judge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial

import numpy as np
from scipy.signal import sosfilt

from dyncal.correction.design.spectrum import fit_spectrum
from dyncal.correction.design.wiener import Design, Form, design
from dyncal.correction.streaming.record import correct
from dyncal.correction.streaming.stream import StreamingCorrector
from dyncal.domain.coefficients import CorrectionFilter
from dyncal.domain.samples import FloatArray
from tests.evidence import Figure, coverage
from tests.statistical.harness import Experiment
from tests.unit.correction.examples import ALL, Case, coefficient_set, designed, instants

N = 1500
FROM = 600  # sensitivities have settled


@cache
def _design(name: str, form: Form) -> tuple[Design, float]:
    """Return a design and the rms error of the best filter of its latency."""
    case = ALL[name]
    made = (
        designed(name)
        if form is Form.FIR
        else design(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum, form=form)
    )
    return made, designed(name).problem.best(made.filter.delay)


def _true_parameters(case: Case, z: FloatArray) -> FloatArray:
    return np.asarray(case.theta + z * case.parameters.u, np.float64)  # the cases' parameters are uncorrelated


def _responses(case: Case, seed: int, *thetas: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    """Return one measurand and the noiseless indications of sensors with these parameters."""
    quiet = Case(case.kind, case.theta, case.dt_ns, 0.0, case.spectrum, names=case.names)
    pairs = [quiet.simulate(np.random.default_rng([seed, 1]), N, theta) for theta in thetas]
    return pairs[0][0], [indication for _, indication in pairs]


def _filtered(f: CorrectionFilter, y: FloatArray) -> FloatArray:
    """Return what the filter makes of y, laid beside it: NaN where it does not reach."""
    out = np.convolve(y, f.fir)[: y.size]
    if f.sos.size:
        out = sosfilt(f.sos, out)
    whole: FloatArray = np.full(y.size, np.nan)
    whole[: y.size - f.delay] = out[f.delay :]
    return whole


def _mean_square(x: FloatArray) -> float:
    return float(np.mean(np.square(x[np.isfinite(x)])))


def _trial(name: str, form: Form, seed: int) -> FloatArray:
    """Return coverage of one sample; mean squares of error, u, and the error's parts; and the parameters drawn."""
    case, f = ALL[name], _design(name, form)[0].filter
    rng = np.random.default_rng([seed, 2])
    z = rng.normal(size=case.theta.size)
    measurand, (true, known) = _responses(case, seed, _true_parameters(case, z), case.theta)
    noise = case.noise_std * rng.normal(size=N)
    value, u = correct(f, case.parameters, true + noise)
    error = value - measurand
    parts = _filtered(f, noise), _filtered(f, known) - measurand, _filtered(f, true - known)
    within = slice(FROM, N - f.delay)
    picked = int(rng.integers(FROM, N - f.delay))
    return np.array(
        [
            abs(error[picked]) <= 1.96 * u[picked],
            _mean_square(error[within]),
            _mean_square(u[within]),
            _mean_square((parts[0] + parts[1])[within]),
            *(_mean_square(part[within]) for part in parts),
            *z,
        ]
    )


def _judge(name: str, form: Form, results: FloatArray) -> Sequence[Figure]:
    made, best = _design(name, form)
    inside, error, u, left, noise, model, parameters = results.T[:7]
    f, p, n = made.filter, made.prediction, len(results)
    error, parameters = (_adjusted(part, results[:, 7:]) for part in (error, parameters))
    figures = [
        coverage("95 % intervals of corrected samples", inside.astype(bool)),
        _ratio("rms(u) / rms(true error)", u, error, 0.98, 1.02),
        _ratio("rms error / mean-square optimum at that latency", left, np.full(n, best**2), 0.9, 1.1),
        Figure("error in band / uncorrected", made.rms_error_in_band / made.rms_uncorrected_in_band, 0, 0.1, 1),
        _ratio("noise gain / predicted", noise, np.full(n, f.u_noise**2), 0.95, 1.05),
    ]
    # what the sensitivity biquads cannot follow is in u_model, but comes from the parameters
    lines = {
        "noise": (np.full(n, p.u_noise**2), noise),
        "model": (np.full(n, p.u_lost**2), model),
        "parameters": (u - p.u_noise**2 - p.u_lost**2, parameters),
    }
    figures += [_ratio(f"budget: {what} / Monte Carlo", *pair, 0.98, 1.02) for what, pair in lines.items()]
    return figures


def _adjusted(values: FloatArray, z: FloatArray) -> FloatArray:
    """Return values without what the drawn parameters' own scatter explains (control variates z_i z_j, mean known).

    Mean squares that come from few parameters scatter like χ²; regression on what is known of the draws takes most of
    that away and leaves the mean where it was. Few trials stay as they are.
    """
    i, j = np.triu_indices(z.shape[1])
    controls = z[:, i] * z[:, j] - (i == j)
    if values.size < 10 * controls.shape[1]:
        return values
    matrix = np.column_stack([np.ones(values.size), controls])
    slopes = np.linalg.lstsq(matrix, values)[0][1:]
    return np.asarray(values - controls @ slopes, np.float64)


def _ratio(what: str, above: FloatArray, below: FloatArray, low: float, high: float) -> Figure:
    """Return √(mean above / mean below), with its uncertainty from the scatter between trials."""
    value = math.sqrt(float(np.mean(above)) / float(np.mean(below)))
    scatter = above / np.mean(above) - below / np.mean(below)
    u = value / 2 * float(np.std(scatter, ddof=1)) / math.sqrt(above.size)
    return Figure(what, value, low, high, above.size, u)


def _fitted_trial(name: str, seed: int) -> FloatArray:
    """Return mean squares of error and u by a design from a record of indications, and of the error by the true one."""
    case = ALL[name]
    rng = np.random.default_rng([seed, 3])
    _, training = case.simulate(rng, 4 * N)
    found = fit_spectrum(training, case.dt_s, case.kind, case.theta, case.noise_std)
    f = design(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=found).filter
    z = rng.normal(size=case.theta.size)
    measurand, indication = case.simulate(rng, N, _true_parameters(case, z))
    value, u = correct(f, case.parameters, indication)
    best, _ = correct(designed(name).filter, case.parameters, indication)
    pieces = (value - measurand, u, best - measurand)
    return np.array([*(_mean_square(piece[FROM:]) for piece in pieces), *z])


def _judge_fitted(results: FloatArray) -> Sequence[Figure]:
    error, u, best = results.T[:3]
    adjusted = _adjusted(error, results[:, 3:])
    return [
        _ratio("rms(u) / rms(true error)", u, adjusted, 0.9, 1.1),
        _ratio("rms error / with the true spectrum", error, best, 0.9, 1.15),
    ]


def _switch_trial(name: str, seed: int) -> FloatArray:
    """Return the largest |switched - always the new set| over u, a set of other parameters and latency coming in."""
    case = ALL[name]
    rng = np.random.default_rng([seed, 4])
    _, y = case.simulate(rng, N)
    t = instants(N, case.dt_ns)
    sets = [coefficient_set(case.parameters, f) for f in (designed(name).filter, _successor(name))]
    old, new, always = (StreamingCorrector(sets[i]) for i in (0, 1, 1))
    at = int(rng.integers(N - 400, N - 200))
    old.process(t[:at], y[:at])
    history = slice(max(at - new.history_length, 0), at)
    new.prime(t[history], y[history], emitted_to_ns=old.emitted_to_ns)
    after, whole = new.process(t[at:], y[at:]), always.process(t, y)
    assert after is not None
    assert whole is not None
    same = np.isin(whole.axis.t_ns, after.axis.t_ns)
    return np.array([np.max(np.abs(after.value - whole.value[same]) / whole.u[same])])


@cache
def _successor(name: str) -> CorrectionFilter:
    case = ALL[name]
    moved = Case(case.kind, case.theta * 1.02, case.dt_ns, case.noise_std, case.spectrum, names=case.names)
    delay_s = designed(name).filter.delay * case.dt_s
    return design(
        moved.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum,
        max_latency_s=0.7 * delay_s, form=Form.RECURSIVE,
    ).filter  # fmt: skip


def _judge_switch(results: FloatArray) -> Sequence[Figure]:
    return [Figure("largest step of all over u", float(np.max(results)), 0.0, 0.05, len(results))]


EXPERIMENTS = (
    *(
        Experiment(
            f"correction: {name}, {form}", partial(_trial, name, form), partial(_judge, name, form), 2000, 15
        )
        for form, names in (
            (Form.FIR, ALL),
            (Form.RECURSIVE, ("thermocouple", "pressure_line", "dead_time", "rational")),
        )
        for name in names
    ),
    *(
        Experiment(
            f"correction: {name}, spectrum fitted", partial(_fitted_trial, name), _judge_fitted, 200, 2
        )
        for name in ("thermocouple", "pressure_line", "thermowell", "accelerometer")
    ),
    *(
        Experiment(f"correction: switch, {name}", partial(_switch_trial, name), _judge_switch, 200, 3)
        for name in ("thermocouple", "pressure_line", "rational")
    ),
)  # fmt: skip
