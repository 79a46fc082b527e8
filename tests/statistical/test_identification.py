"""Bias, efficiency, coverage and false resets of the online estimator: the short form.

The record is what the model says it is (a line between the reference's samples, white noise on the sensor alone), so
that the Cramér-Rao bound is that of output error. The trial counts can be raised by DYNCAL_TRIALS; bounds are binomial.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.block import BlockData, BlockProblem
from dyncal.models import model_of

TRIALS = int(os.environ.get("DYNCAL_TRIALS", "12"))
CASES = [
    (ModelKind.FIRST_ORDER, (1.0, 0.5), 0.01, 0.95, 2000),
    (ModelKind.SECOND_ORDER, (1.0, 0.3, 5.0), 0.005, 0.8, 2000),
]


def _record(
    kind: ModelKind, theta: tuple[float, ...], dt_s: float, pole: float, n: int, snr_db: float, seed: int
) -> tuple[AlignedRecord, float]:
    rng = np.random.default_rng(seed)
    x = lfilter([1.0], [1.0, -pole], rng.normal(size=n + 500))[500:]
    x /= x.std()
    t = np.arange(n, dtype=np.int64) * round(dt_s * 1e9)
    z = model_of(kind).simulate(np.array(theta), t, x)
    noise = float(z.std()) * 10 ** (-snr_db / 20)
    return AlignedRecord(t, z + noise * rng.normal(size=n), x), noise


def _bound(kind: ModelKind, theta: tuple[float, ...], record: AlignedRecord, noise: float) -> FloatArray:
    """Standard deviations of the Cramér-Rao bound, the noise known and the initial state not."""
    model = model_of(kind)
    h = np.append(model.to_internal(np.array(theta)), -40.0)
    data = BlockData.of(record.t_ns, record.indication, record.reference, fresh=True)
    there = BlockProblem(model, data, h, None).evaluate(h)
    assert there is not None
    p = len(theta)
    jacobian = model.internal_jacobian(h[:p])
    cov = jacobian @ np.linalg.inv(there.a[:p, :p] / noise**2) @ jacobian.T
    return np.asarray(np.sqrt(np.diag(cov)), dtype=np.float64)


@pytest.mark.parametrize("snr_db", [30.0, 40.0])
@pytest.mark.parametrize(("kind", "theta", "dt_s", "pole", "n"), CASES)
def test_unbiased_efficient_and_honest(
    kind: ModelKind, theta: tuple[float, ...], dt_s: float, pole: float, n: int, snr_db: float
) -> None:
    errors, inside, resets, bounds = [], 0, 0, []
    for seed in range(TRIALS):
        record, noise = _record(kind, theta, dt_s, pole, n, snr_db, seed)
        # a memory far longer than the record: with forgetting, nothing can reach the bound of all the data
        estimator = OnlineEstimator(kind, round(dt_s * 1e9), OnlineSettings(memory_blocks=1e6))
        outcomes = estimator.update(record)
        estimate = estimator.estimate
        assert estimate is not None
        assert estimate.parameters is not None
        assert estimate.accepted, estimate.detail
        resets += sum(outcome.reset for outcome in outcomes)
        error = estimate.parameters.values - np.array(theta)
        errors.append(error)
        inside += int(np.sum(np.abs(error) <= 1.96 * estimate.parameters.u))
        bounds.append(_bound(kind, theta, record, noise))
    error, bound = np.array(errors), np.sqrt(np.mean(np.square(bounds), axis=0))
    rmse = np.sqrt(np.mean(error**2, axis=0))
    ratio = rmse / bound
    print(f"{kind} {snr_db} dB: bias/bound {error.mean(axis=0) / bound}, rmse/bound {ratio}, inside {inside}")  # noqa: T201
    # 3.3 standard deviations of what is estimated from this number of trials
    assert np.all(np.abs(error.mean(axis=0)) < 3.3 * rmse / np.sqrt(TRIALS) + 0.1 * bound)
    assert np.all(ratio < 1.15 * (1 + 3.3 / np.sqrt(2 * TRIALS)))
    assert inside >= binom.ppf(5e-4, TRIALS * len(theta), 0.93)
    assert resets == 0
