"""Identification without a reference: do the intervals of both sensors' parameters cover?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.in_situ import LoopCurrentSettings, StepRecord, fit_cross_relation, fit_loop_current
from tests.evidence import Figure, bias, coverage
from tests.statistical.harness import Experiment
from tests.unit.identification.in_situ.pairs import pair
from tests.unit.identification.in_situ.thermometer import plunge_time_constant, transient

FIRST, SECOND = ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER
Case = tuple[tuple[ModelKind, ModelKind], tuple[tuple[float, ...], tuple[float, ...]], float]
CASES: Final[dict[str, Case]] = {
    "0.2 s and 0.5 s, 20 dB": ((FIRST, FIRST), ((1.0, 0.2), (1.05, 0.5)), 20.0),
    "0.2 s and 0.24 s, 40 dB": ((FIRST, FIRST), ((1.0, 0.2), (1.0, 0.24)), 40.0),
    "second order, 5 Hz and 8 Hz, 40 dB": ((SECOND, SECOND), ((1.0, 0.3, 5.0), (0.9, 0.4, 8.0)), 40.0),
}


def _trial(seed: int, case: Case) -> FloatArray:
    """Return errors over truth, then u over truth, of all but the stated gain; NaN where the verdict is against it."""
    kinds, theta, snr_db = case
    true = np.concatenate(theta)[1:]
    fit = fit_cross_relation(pair(seed, kinds, theta, snr_db=snr_db), *kinds)
    if not fit.accepted or fit.first is None or fit.second is None or fit.cov is None:
        return np.full(2 * true.size, np.nan)
    found = np.concatenate([fit.first.values, fit.second.values])[1:]
    return np.concatenate([(found - true) / true, np.sqrt(np.diag(fit.cov))[1:] / true])


def _judge(results: FloatArray, names: Sequence[str]) -> list[Figure]:
    said = np.isfinite(results[:, 0])
    errors, u = np.split(results[said], 2, axis=1)
    n = len(results)
    figures = [Figure("records that got an answer", float(said.mean()), 0.99, 1.0, n, float(np.sqrt(0.01 / n)), "%")]
    for i, name in enumerate(names):
        figures.append(coverage(f"{name}: 95 % interval covers", np.abs(errors[:, i]) <= 1.96 * u[:, i]))
        figures.append(
            bias(f"{name}: mean error over its standard deviation", errors[:, i], float(errors[:, i].std()), 0.15)
        )
    return figures


def _alike(seed: int) -> FloatArray:
    record = pair(seed, (FIRST, FIRST), ((1.0, 0.2), (1.05, 0.2)), snr_db=20.0 + seed % 40)
    return np.array([float(fit_cross_relation(record, FIRST, FIRST).accepted)])


def _judge_alike(results: FloatArray) -> list[Figure]:
    n = len(results)
    return [
        Figure(
            "numbers given for sensors that respond alike",
            float(results.mean()),
            0.0,
            0.002,
            n,
            0.002**0.5 / n**0.5,
            "%",
        )
    ]


def _names(case: Case) -> list[str]:
    (one, two), _, _ = case
    parameters = {FIRST: ["gain", "tau_s"], SECOND: ["gain", "damping", "f0_hz"]}
    return [f"first.{name}" for name in parameters[one][1:]] + [f"second.{name}" for name in parameters[two]]


def _thermometer(seed: int) -> FloatArray:
    """Return the relative error of the predicted plunge, and its relative u without the method's own."""
    rng = np.random.default_rng(seed)
    biot, noise, radius = 10 ** rng.uniform(-0.5, 1.5), 10 ** rng.uniform(-2.7, -1.7), rng.uniform(0.0, 0.4)
    records = [transient(biot, seed=2 * seed + k, noise=noise, radius=radius, n=1200, dt_s=0.03) for k in range(2)]
    fit = fit_loop_current(records, LoopCurrentSettings(u_method=0.01))
    true = plunge_time_constant(biot, 5.0)
    return np.array([fit.tau_s / true - 1, fit.u_tau_s / true]) if fit.accepted else np.full(2, np.nan)


def _judge_thermometer(results: FloatArray) -> list[Figure]:
    said = np.isfinite(results[:, 0])
    error, u = results[said].T
    n = len(results)
    return [
        Figure("transients that got an answer", float(said.mean()), 0.95, 1.0, n, float(np.sqrt(0.05 / n)), "%"),
        Figure(
            "rms error of the plunge time constant", float(np.sqrt(np.mean(error**2))), 0.0, 0.03, n, 0.03 / n**0.5, "%"
        ),
        coverage("95 % interval covers, 1 % for the method", np.abs(error) <= 1.96 * u, 0.935, 1.0),
    ]


def _begun(seed: int) -> FloatArray:
    """Return whether the right instant of a step is believed, and one that is 0.1 to 1 τ off."""
    rng = np.random.default_rng(seed)
    biot, noise, lead = 10 ** rng.uniform(-0.5, 1.5), 10 ** rng.uniform(-2.7, -1.7), 300
    after = transient(biot, seed=seed, noise=noise, n=1200, dt_s=0.03)
    before = 20 + noise * rng.normal(size=lead)
    t_ns = np.concatenate([np.arange(-lead, 0) * 30_000_000, after.t_ns])
    record = StepRecord(t_ns, np.concatenate([before, after.indication]), 0)
    off_s = 5 * 10 ** rng.uniform(-1, 0) * rng.choice([-1, 1])
    wrong = StepRecord(t_ns, record.indication, round(1e9 * off_s))
    return np.array([float(fit_loop_current(each).accepted) for each in (record, wrong)])


def _judge_begun(results: FloatArray) -> list[Figure]:
    right, wrong = results.mean(axis=0)
    n = len(results)
    u = float(np.sqrt(0.02 * 0.98 / n))
    return [
        Figure("right instants that are believed", float(right), 0.98, 1.0, n, u, "%"),
        Figure("instants 0.1 to 1 τ off that are believed", float(wrong), 0.0, 0.02, n, u, "%"),
    ]


EXPERIMENTS = (
    *(
        Experiment(
            f"in situ: cross-relation, {name}",
            partial(_trial, case=case),
            partial(_judge, names=_names(case)),
            1000,
            12,
        )
        for name, case in CASES.items()
    ),
    Experiment("in situ: cross-relation, alike", _alike, _judge_alike, 1000, 20),
    Experiment("in situ: loop-current step response", _thermometer, _judge_thermometer, 1000, 4),
    Experiment("in situ: loop-current step, when it began", _begun, _judge_begun, 200, 2),
)
