"""Monte Carlo of the true error, as JCGM 101 would judge, against u and against the mean-square optimum.

A trial draws true parameters from the covariance, a measurand from the spectrum, and noise; the sensor is simulated
exactly, by its frequency response up to 8 times Nyquist, so that nothing of the design is in the judge.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dyncal.correction.design import design
from dyncal.correction.prepared import prepare
from dyncal.correction.record import correct
from dyncal.correction.spectrum import fit_spectrum
from dyncal.domain.samples import FloatArray
from tests.unit.correction.examples import CASES, designed

N = 1500
TRIALS = 200
PICKED = 5  # samples of a record, far apart, that count towards coverage


def rms(x: FloatArray | list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def true_parameters(rng: np.random.Generator, mean: FloatArray, cov: FloatArray, n: int) -> FloatArray:
    """Draw n vectors whose sample mean and covariance are exactly those given: fewer trials tell as much."""
    z = rng.normal(size=(n, mean.size))
    z -= z.mean(axis=0)
    whitened = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T, bias=True))).T
    drawn: FloatArray = mean + whitened @ np.linalg.cholesky(cov).T
    return drawn


@pytest.mark.parametrize("name", CASES)
def test_u_is_the_spread_of_the_true_error(name: str) -> None:
    """200 trials: rms(u) within 4 % of rms(true error) once the sensitivities have settled, before that not below 0.9.

    95 % intervals cover within binomial bounds of 1e-4.
    """
    case, f = CASES[name], designed(name).filter
    rng = np.random.default_rng(11)
    settled = prepare(f, case.parameters).settle_sensitivities
    squares = np.zeros((2, N))
    covered = 0
    for theta in true_parameters(rng, case.theta, case.parameters.cov, TRIALS):
        measurand, indication = case.simulate(rng, N, theta)
        value, u = correct(f, case.parameters, indication)
        squares += np.square([value - measurand, u])
        picked = np.linspace(settled + f.fir.size, N - f.delay - 1, PICKED).astype(int)
        covered += int(np.sum(np.abs(value - measurand)[picked] <= 1.96 * u[picked]))
    error, claimed = np.sqrt(squares[:, np.isfinite(squares[0])] / TRIALS)
    assert rms(claimed[settled:]) / rms(error[settled:]) == pytest.approx(1.0, abs=0.04)
    assert rms(claimed[:settled]) / rms(error[:settled]) > 0.9
    # The samples of one trial share its parameters: they count as half as many.
    counted = TRIALS * PICKED // 2
    low, high = (float(stats.binom.ppf(p, counted, 0.95)) / counted for p in (1e-4, 1 - 1e-4))
    assert low <= covered / (TRIALS * PICKED) <= high


@pytest.mark.parametrize("name", CASES)
def test_the_error_is_as_predicted_and_a_tenth_of_the_uncorrected(name: str) -> None:
    """60 trials at known parameters; the whole error, in band and above, noise included."""
    case, result = CASES[name], designed(name)
    rng = np.random.default_rng(12)
    left, raw, noise = [], [], []
    for _ in range(60):
        measurand, indication = case.simulate(rng, N)
        value, _ = correct(result.filter, case.parameters, indication)
        ok = np.isfinite(value)
        left.append(rms((value - measurand)[ok]))
        raw.append(rms((indication - measurand)[ok]))
        noise.append(rms(np.convolve(rng.normal(size=N), result.filter.fir, "valid")))
    assert rms(left) == pytest.approx(result.rms_error, rel=0.03)
    assert rms(noise) == pytest.approx(result.noise_gain, rel=0.03)
    assert rms(left) <= rms(raw) / 10


@pytest.mark.parametrize("name", CASES)
def test_near_the_best_that_the_data_allow(name: str) -> None:
    """On held-out data: at most 1.05 of the error of taps fitted to the measurand itself by least squares."""
    case, f = CASES[name], designed(name).filter
    rng = np.random.default_rng(13)
    n_taps = min(2 * f.fir.size, 120)
    rows, right = [], []
    for _ in range(12):
        measurand, indication = case.simulate(rng, N)
        window = np.lib.stride_tricks.sliding_window_view(indication, n_taps)[:, ::-1]
        rows.append(window)
        right.append(measurand[n_taps - 1 - f.delay : N - f.delay])
    best = np.linalg.lstsq(np.concatenate(rows), np.concatenate(right))[0]
    ours, theirs = [], []
    for _ in range(40):
        measurand, indication = case.simulate(rng, N)
        about = measurand[n_taps - 1 - f.delay : N - f.delay]
        ours.append(rms(np.convolve(indication, f.fir, "valid")[n_taps - f.fir.size :] - about))
        theirs.append(rms(np.convolve(indication, best, "valid") - about))
    assert rms(ours) / rms(theirs) <= 1.05


@pytest.mark.parametrize("name", CASES)
def test_with_a_fitted_spectrum(name: str) -> None:
    """A design from one record of indications alone, judged on 40 others: at most 1.15 of the error with the truth."""
    case = CASES[name]
    rng = np.random.default_rng(14)
    _, training = case.simulate(rng, 4 * N)
    found = fit_spectrum(training, case.dt_s, case.kind, case.theta, case.noise_std)
    fitted = design(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=found)
    errors: list[float] = []
    known: list[float] = []
    for _ in range(40):
        measurand, indication = case.simulate(rng, N)
        for correction, into in ((fitted.filter, errors), (designed(name).filter, known)):
            value, _ = correct(correction, case.parameters, indication)
            ok = np.isfinite(value)
            into.append(rms((value - measurand)[ok]))
    assert rms(errors) <= 1.15 * rms(known)
    assert 0.8 < fitted.rms_error / rms(errors) < 1.35
