"""Bias, coverage and covariance of frequency-response fits: the short form.

49 points and 17 points from 10 Hz to 10 kHz, of one laboratory or of three with systematic errors. The trial counts
can be raised by DYNCAL_TRIALS; bounds are binomial or chi-squared at the 3.3 standard deviation level.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.stats import binom, chi2

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response import (
    FrequencyFitSettings,
    PhaseSign,
    fit_frequency_response,
)
from dyncal.models import Delayed, Rational, ResponseModel, model_of
from tests.unit.identification.laboratory import ACCELEROMETER, SECOND, Laboratory

TRIALS = max(200, int(os.environ.get("DYNCAL_TRIALS", "0")))
LEVEL = 5e-4
F_HZ = np.array([20.0, 100.0, 1000.0, 5000.0, 10_000.0])
W = 2 * np.pi * 12_000.0
ONE_49 = (Laboratory(),)
ONE_17 = (Laboratory(n_points=17, u_low=0.002, u_high=0.005),)
THREE = (
    Laboratory("A", 49, u_common=0.002, u_delay_s=5e-8),
    Laboratory("B", 17, u_common=0.004, u_delay_s=1e-7, phase_sign=PhaseSign.LAG_POSITIVE),
    Laboratory("C", 17, u_low=0.002, u_high=0.008),
)
CASES: list[tuple[str, ResponseModel, FloatArray, tuple[Laboratory, ...]]] = [
    ("accelerometer 49", SECOND, ACCELEROMETER, ONE_49),
    ("accelerometer 17", SECOND, ACCELEROMETER, ONE_17),
    ("accelerometer three", SECOND, ACCELEROMETER, THREE),
    ("first order 17", model_of(ModelKind.FIRST_ORDER), np.array([1.0, 1e-4]), ONE_17),
    ("dead time 49", Delayed(SECOND), np.array([1.0, 0.4, 8000.0, 2e-5]), ONE_49),
    ("lead-lag 49", model_of(ModelKind.LEAD_LAG), np.array([1.0, 2e-3, 5e-5, 3e-4]), ONE_49),
    ("rational 49", Rational(1, 3), np.array([1.0, 0.3 / W, 2.0 / W, 2.0 / W**2, 1.0 / W**3]), ONE_49),
]


@pytest.mark.parametrize(("label", "model", "theta", "labs"), CASES, ids=[case[0] for case in CASES])
def test_unbiased_and_honest(label: str, model: ResponseModel, theta: FloatArray, labs: tuple[Laboratory, ...]) -> None:
    truth = model.frequency_response(theta, F_HZ)
    estimates, covs, inside, inside_h, rejected, ps = [], [], np.zeros(theta.size), np.zeros(5), 0, []
    for seed in range(TRIALS):
        rng = np.random.default_rng([seed, *label.encode()])
        fit = fit_frequency_response([lab.points(rng, model, theta) for lab in labs], [model], FrequencyFitSettings())
        assert fit.parameters is not None, fit.detail
        rejected += not fit.accepted
        ps.append(fit.p_value)
        estimates.append(fit.parameters.values)
        covs.append(fit.parameters.cov)
        inside += np.abs(fit.parameters.values - theta) <= 1.96 * fit.parameters.u
        h, cov_h = fit.response(F_HZ)
        error = np.stack([(h - truth).real, (h - truth).imag], axis=-1)
        inside_h += np.einsum("ni,nij,nj->n", error, np.linalg.pinv(cov_h, rcond=1e-9), error) <= chi2.ppf(0.95, 2)
    error_theta = np.array(estimates) - theta
    u = np.sqrt(np.mean([np.diag(cov) for cov in covs], axis=0))
    bias, spread = error_theta.mean(axis=0) / u, error_theta.std(axis=0, ddof=1) / u
    print(f"{label}: bias/u {bias}, sd/u {spread}, cover {inside / TRIALS}, response {inside_h / TRIALS}, {rejected}")  # noqa: T201
    assert np.all(np.abs(bias) < 3.5 / np.sqrt(TRIALS))
    low, high = np.sqrt(chi2.ppf([LEVEL, 1 - LEVEL], TRIALS - 1) / (TRIALS - 1))
    assert np.all((spread > low) & (spread < high))
    assert np.all(inside >= binom.ppf(LEVEL, TRIALS, 0.95))
    assert np.all(inside <= binom.ppf(1 - LEVEL, TRIALS, 0.95))
    assert np.all(inside_h >= binom.ppf(LEVEL, TRIALS, 0.95))
    assert rejected <= binom.ppf(1 - LEVEL, TRIALS, 0.01)
    assert np.sum(np.array(ps) < 0.5) == pytest.approx(TRIALS / 2, abs=3.5 * np.sqrt(TRIALS / 4))
