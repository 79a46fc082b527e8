"""Identification without a reference: do the intervals of both sensors' parameters cover?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.in_situ import fit_cross_relation
from tests.evidence import Figure, bias, coverage
from tests.statistical.harness import Experiment
from tests.unit.identification.in_situ.pairs import pair

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
)
