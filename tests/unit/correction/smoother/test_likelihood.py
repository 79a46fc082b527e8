"""The measurand's spectrum from irregular records: against the truth, and what is refused."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from dyncal.correction.design.sensor import sensor_of
from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.forms import correct_at
from dyncal.correction.smoother import likelihood
from dyncal.correction.smoother.design import design_smoother
from dyncal.correction.smoother.likelihood import fit_measurand
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from tests.unit.correction.examples import ALL, FINE, T0_NS, Case, irregular, sampled


def record(case: Case, n: int, seed: int = 1) -> tuple[Int64Array, FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    at = irregular(rng, n)
    measurand, indication = sampled(case, rng, at)
    return T0_NS + at * (case.dt_ns // FINE), measurand, indication


def fitted(case: Case, t_ns: Int64Array, y: FloatArray, **changes: object) -> MeasurandSpectrum:
    asked = {"dt_ns": case.dt_ns, "noise_std": case.noise_std} | changes
    return fit_measurand(t_ns, y, case.parameters, **asked)  # type: ignore[arg-type]  # values by name


@pytest.mark.parametrize("name", ["thermocouple", "pressure_line", "dead_time"])
def test_a_smoother_for_the_fitted_spectrum_is_as_good_as_for_the_true_one(name: str) -> None:
    case = ALL[name]
    t, measurand, y = record(case, 1200)
    errors = []
    for spectrum in (fitted(case, t[:800], y[:800]), case.spectrum):
        correction = design_smoother(
            case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=spectrum
        ).correction
        value, u = correct_at(correction, case.parameters, t, y)
        error = (value - measurand)[800:]
        told = np.isfinite(error)
        errors.append(math.sqrt(float(np.mean(error[told] ** 2))))
        assert errors[-1] < 1.5 * math.sqrt(float(np.mean(u[800:][told] ** 2)))
    assert errors[0] < 1.15 * errors[1]
    assert errors[0] < 0.1 * float(np.std(y / case.theta[0] - measurand))


def test_the_likelihood_is_that_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """ln det and quadratic form of the dense covariance of a short record, compiled and not."""
    case = dataclasses.replace(ALL["thermocouple"], dt_ns=160_000_000)
    t, _, y = record(case, 30)
    at = (math.log(case.spectrum.density), math.log(case.spectrum.corner_rad_s), 2)
    tau, (m, corner) = float(case.theta[1]), (2, case.spectrum.corner_rad_s)
    omega = np.linspace(0, 40 * corner, 20_001)[1:]
    power = case.spectrum.density / (1 + (omega / corner) ** (2 * m)) / (1 + (omega * tau) ** 2)
    lag_s = np.abs(np.subtract.outer(t, t)) / 1e9
    process = np.trapezoid(power * np.cos(lag_s[..., None] * omega), omega, axis=-1) / math.pi
    level = 100 * case.spectrum.variance
    walk = 1e-7 * case.spectrum.density * corner**2  # too slow to be seen in so short a record
    assert walk * float(lag_s.max()) < 1e-4
    cov = process + level + case.noise_std**2 * np.eye(30)
    e = y - y[0]
    expected = float(e @ np.linalg.solve(cov, e)) + float(np.linalg.slogdet(cov)[1])
    for compiled in (True, False):
        monkeypatch.setattr(likelihood, "HAVE_NUMBA", compiled)
        found = likelihood._Likelihood(t, y, case.parameters, sensor_of(case.parameters), case.dt_ns, case.noise_std)(
            at
        )
        assert found == pytest.approx(expected, abs=0.05)


def test_bad_samples_are_left_out() -> None:
    case = ALL["thermocouple"]
    t, _, y = record(case, 300)
    held = np.arange(300) % 7 != 3
    spoiled = np.where(held, y, np.where(np.arange(300) % 2, np.nan, np.inf))
    assert fitted(case, t, spoiled) == fitted(case, t[held], y[held])


def test_what_cannot_be_fitted_is_refused() -> None:
    case = ALL["thermocouple"]
    t, _, y = record(case, 200)
    spiked, stopped = y.copy(), np.minimum(y, np.quantile(y, 0.95))
    spiked[100] += 10 * float(np.std(y))
    rng = np.random.default_rng(2)
    refused: list[tuple[str, Int64Array, FloatArray, dict[str, object]]] = [
        ("at least 128", t[:100], y[:100], {}),
        ("at least 128", t, np.full(200, np.nan), {}),
        ("constant", t, np.full(200, 20.0), {}),
        ("no activity", t, 20 + case.noise_std * rng.normal(size=200), {}),
        ("strictly increasing", t[::-1].copy(), y, {}),
        ("strictly increasing", t[:-1], y, {}),
        ("positive", t, y, {"noise_std": 0.0}),
        ("positive", t, y, {"noise_std": math.nan}),
        ("positive", t, y, {"dt_ns": 0}),
        ("lone spike", t, spiked, {}),
        ("saturated", t, stopped, {}),
        ("noise about 1000 times", t, y, {"noise_std": case.noise_std / 1000}),
        ("noise about 0.001 times", t, y, {"noise_std": case.noise_std * 1000}),
    ]
    for words, instants, values, changes in refused:
        with pytest.raises(InvalidData, match=words):
            fitted(case, instants, values, **changes)
