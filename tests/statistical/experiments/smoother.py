"""The fixed-lag smoother against the truth, and against resampling, on instants of every kind.

The measurand is made on a grid 16 times as fine as the nominal interval, exactly through the sensor; instants lie on
that grid.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import cache, partial

import numpy as np

from dyncal.correction.design.spectrum import from_bandwidth
from dyncal.correction.forms import correct_at
from dyncal.correction.smoother.build import build_smoother
from dyncal.correction.smoother.design import design_smoother
from dyncal.correction.smoother.likelihood import fit_measurand
from dyncal.correction.smoother.model import SmootherModel
from dyncal.correction.smoother.rest import lag_errors
from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.correction.streaming.record import correct
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from tests.evidence import Figure, coverage
from tests.statistical.experiments.correction import _adjusted, _ratio
from tests.statistical.harness import Experiment
from tests.unit.correction.examples import ALL, FINE, T0_NS, Case, designed, irregular, sampled

N = 600
FROM = 200

CASES: dict[str, Case] = {name: ALL[name] for name in ("thermocouple", "pressure_line", "dead_time")}
LEARNT = 700  # samples to which the measurand's spectrum is fitted
CASES["slow thermocouple"] = dataclasses.replace(ALL["thermocouple"], dt_ns=80_000_000)
CASES["narrow band"] = dataclasses.replace(
    ALL["thermocouple"], spectrum=from_bandwidth(0.1, 1.0, order=4), noise_std=0.02, dt_ns=50_000_000
)


@cache
def _smoother(name: str) -> SmootherModel:
    case = CASES[name]
    return build_smoother(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum)


def _regular(rng: np.random.Generator) -> Int64Array:
    del rng
    return FINE * np.arange(N)


def _irregular(rng: np.random.Generator) -> Int64Array:
    return irregular(rng, N)


def _with_gaps(rng: np.random.Generator) -> Int64Array:
    """A regular stream with holes of 4 to 12 samples, one about every 40."""
    held = np.ones(N, np.bool_)
    for at in range(20, N, 40):
        at_now = at + int(rng.integers(0, 20))
        held[at_now : at_now + int(rng.integers(4, 13))] = False
    return FINE * np.flatnonzero(held)


SAMPLINGS = {"regular": _regular, "irregular": _irregular, "gaps": _with_gaps}


def _trial(name: str, sampling: str, seed: int) -> FloatArray:
    """Return coverage of one sample, mean squares of error, u, error at known parameters, of resampling; parameters."""
    case = CASES[name]
    rng = np.random.default_rng([seed, 5])
    at = SAMPLINGS[sampling](rng)
    z = rng.normal(size=case.theta.size)
    state = rng.bit_generator.state
    squares = []
    covered, other = 0.0, math.nan
    for theta in (case.theta + z * case.parameters.u, case.theta):
        rng.bit_generator.state = state
        measurand, y = sampled(case, rng, at, theta)
        t = T0_NS + at * (case.dt_ns // FINE)
        span = StreamingSmoother(_smoother(name), case.parameters, "s").process(t, y)
        assert span is not None
        error = (span.value - measurand[: span.value.size])[FROM:]
        squares += [float(np.mean(error**2)), float(np.mean(span.u[FROM:] ** 2))]
        if not covered and len(squares) == 2:
            picked = int(rng.integers(error.size))
            covered = float(abs(error[picked]) <= 1.96 * span.u[FROM + picked])
    if sampling != "regular":
        other = _resampled(case, name, at, y, measurand)
    return np.array([covered, *squares[:3], other, *z])


def _resampled(case: Case, name: str, at: Int64Array, y: FloatArray, measurand: FloatArray) -> float:
    """Return the mean square error of the FIR correction on lines between the samples, at the samples."""
    whole = np.interp(np.arange(0, int(at[-1]) + 1, FINE), at, y)
    f = designed(name).filter if name in ALL else designed("thermocouple").filter
    value, _ = correct(f, case.parameters, whole)
    back = np.interp(at, FINE * np.arange(value.size), value)
    error = (back - measurand)[FROM:]
    return float(np.mean(error[np.isfinite(error)] ** 2))


def _judge(name: str, sampling: str, results: FloatArray) -> Sequence[Figure]:
    inside, error, u, known, other = results.T[:5]
    model = _smoother(name)
    figures = [
        coverage("95 % intervals of corrected samples", inside.astype(bool)),
        _ratio("rms(u) / rms(true error)", u, _adjusted(error, results[:, 5:]), 0.97, 1.03),
    ]
    if sampling == "regular":
        lag = round(model.lag_s / CASES[name].dt_s)
        best = designed(name).problem.best(lag + round(model.dead_time_s / CASES[name].dt_s)) if name in ALL else (
            float(lag_errors(model, lag)[-1])
        )  # fmt: skip
        figures.append(
            _ratio("rms error / mean-square optimum at that latency", known, np.full(known.size, best**2), 0.9, 1.1)
        )
    elif name != "narrow band":
        # slow measurands are a line between two samples; near a resonance they are not
        least = 3.0 if name == "pressure_line" else 1.0
        figures.append(_ratio("resampling's rms error / the smoother's", other, known, least, math.inf))
    return figures


def _learnt(name: str, seed: int) -> FloatArray:
    """Return coverage of one sample and mean squares of error and u, the spectrum fitted to the samples before."""
    case, rng = CASES[name], np.random.default_rng([seed, 6])
    at = irregular(rng, LEARNT + N)
    z = rng.normal(size=case.theta.size)
    measurand, y = sampled(case, rng, at, case.theta + z * case.parameters.u)
    t = T0_NS + at * (case.dt_ns // FINE)
    asked = {"dt_ns": case.dt_ns, "noise_std": case.noise_std}
    spectrum = fit_measurand(t[:LEARNT], y[:LEARNT], case.parameters, **asked)  # type: ignore[arg-type]  # two numbers
    correction = design_smoother(case.parameters, **asked, spectrum=spectrum).correction  # type: ignore[arg-type]
    value, u = (part[LEARNT:-FROM] for part in correct_at(correction, case.parameters, t, y))
    error = value - measurand[LEARNT:-FROM]
    picked = int(rng.integers(error.size))
    covered = float(abs(error[picked]) <= 1.96 * u[picked])
    return np.array([covered, float(np.mean(error**2)), float(np.mean(u**2)), *z])


def _judge_learnt(results: FloatArray) -> Sequence[Figure]:
    inside, error, u = results.T[:3]
    return [
        coverage("95 % intervals of corrected samples", inside.astype(bool)),
        _ratio("rms(u) / rms(true error)", u, _adjusted(error, results[:, 3:]), 0.95, 1.1),
    ]


EXPERIMENTS = tuple(
    Experiment(
        f"smoother: {name}, {sampling}", partial(_trial, name, sampling), partial(_judge, name, sampling), 1500, 5
    )
    for name in CASES
    if name != "slow thermocouple"
    for sampling in SAMPLINGS
) + tuple(
    Experiment(f"smoother: {name}, irregular, measurand learnt", partial(_learnt, name), _judge_learnt, 1000, 2)
    for name in ("slow thermocouple", "pressure_line")
)
