"""The system that the smoother runs: spectra, exact intervals, the optimum, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.linalg import expm

from dyncal.correction.design.sensor import sensor_of
from dyncal.correction.design.spectrum import from_bandwidth
from dyncal.correction.smoother.build import build_smoother
from dyncal.correction.smoother.intervals import over
from dyncal.correction.smoother.model import SmootherModel
from dyncal.correction.smoother.rest import lag_errors, shortest_lag
from dyncal.domain.coefficients import MeasurandPrior, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from tests.unit.correction.examples import ALL, designed
from tests.unit.correction.smoother.test_smoother import NAMES, smoother_of


@pytest.mark.parametrize("order", [1.0, 2.0, 4.0, 8.0])
def test_the_prior_has_the_spectrum(order: float) -> None:
    case = dataclasses.replace(ALL["pressure_line"], spectrum=from_bandwidth(6.0, 2.0, order=order))
    model = smoother_of(case)
    omega = case.spectrum.corner_rad_s * np.array([0.1, 0.5, 1.0, 1.5, 3.0])
    eye = np.eye(model.drift.shape[0])
    for w in omega:
        rows = np.stack([model.measurand, model.observe]) @ np.linalg.inv(1j * w * eye - model.drift)
        density = (rows @ model.diffusion @ rows.conj().T).real
        walk = 1e-7 * case.spectrum.density * (case.spectrum.corner_rad_s / w) ** 2
        expected = float(case.spectrum.at(np.array([w]))[0]) + walk
        gain = abs(sensor_of(case.parameters).response(np.array([w]))[0]) ** 2
        assert density[0, 0] == pytest.approx(expected, rel=1e-6)
        assert density[1, 1] == pytest.approx(expected * gain, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_exact(name: str) -> None:
    """Against scipy: Φ itself, Q by 60 Gauss-Legendre points; from a thousandth of dt to a day."""
    model = smoother_of(ALL[name])
    h = model.dt_ns / 1e9 * np.array([1e-3, 1.0, 7.3, 86_400.0])
    phi, noise, s_phi, old, new = over(model, h)
    x, weight = np.polynomial.legendre.leggauss(60)
    for k in range(3):
        np.testing.assert_allclose(phi[k], expm(model.drift * h[k]), atol=1e-11 * np.abs(phi[k]).max())
        points = (x + 1) / 2 * h[k]
        parts = np.stack([e @ model.diffusion @ e.T for e in (expm(model.drift * p) for p in points)])
        expected = np.tensordot(weight * h[k] / 2, parts, 1)
        np.testing.assert_allclose(noise[k], expected, atol=1e-10 * np.abs(expected).max())
        np.testing.assert_allclose(s_phi[k], expm(model.s_drift * h[k]), atol=1e-11 * max(np.abs(s_phi[k]).max(), 1))
    # a line through 1 is followed: the steady state stays
    still = -np.linalg.solve(model.s_drift, model.s_input)
    np.testing.assert_allclose(np.einsum("mij,j->mi", s_phi, still) + old + new, np.tile(still, (4, 1)), atol=1e-7)
    assert np.isfinite(noise).all()


@pytest.mark.parametrize("name", NAMES)
def test_at_rest_it_is_the_optimum_at_that_latency(name: str) -> None:
    """Within 0.5 % of the best filter of any length (2 048 taps), where the order of the spectrum is whole."""
    case, problem = ALL[name], designed(name).problem
    model = smoother_of(case)
    lag = round(model.lag_s / case.dt_s)
    latency = lag + round(model.dead_time_s / case.dt_s)
    if latency <= designed(name).filter.delay + 200:
        assert lag_errors(model, lag)[-1] == pytest.approx(problem.best(latency), rel=5e-3)
    u = lag_errors(model, 4 * lag + 100)
    assert np.all(np.diff(u) <= 1e-12 * u[0])
    assert u[lag] <= 1.031 * u[-1]
    assert shortest_lag(model, 3 * case.dt_s) <= 3 * case.dt_s


@pytest.mark.parametrize("name", NAMES)
def test_sensitivities_are_those_of_the_model(name: str) -> None:
    case = ALL[name]
    model = smoother_of(case)
    omega = 2 * np.pi * case.spectrum.band_hz * np.array([0.01, 0.3, 1.0, 3.0])
    exact = sensor_of(case.parameters).log_sensitivities(omega)
    eye = np.eye(model.s_input.size)
    for w, row in zip(omega, exact, strict=True):
        state = np.linalg.solve(1j * w * eye - model.s_drift, model.s_input)
        got = model.s_output @ state + model.s_direct + 1j * w * model.s_slope
        np.testing.assert_allclose(got, row, rtol=1e-8, atol=1e-10 * np.abs(row).max())


@pytest.mark.parametrize(
    ("kind", "theta"),
    [
        (ModelKind.FIRST_ORDER, [1.0, 1e-6]),  # τ far below dt
        (ModelKind.FIRST_ORDER, [-2.0, 500.0]),
        (ModelKind.SECOND_ORDER, [1.0, 1e-4, 20.0]),
        (ModelKind.SECOND_ORDER, [1e6, 5.0, 2000.0]),
        (ModelKind.LEAD_LAG, [1.0, 8.0, 1e-3, 0.8]),
    ],
)
@pytest.mark.parametrize("prior", MeasurandPrior)
@pytest.mark.parametrize("band", [1e-4, 0.02, 0.4])
@pytest.mark.parametrize("noise_std", [0.0, 1e-2, 10.0])
def test_hard_sensors(
    kind: ModelKind, theta: list[float], prior: MeasurandPrior, band: float, noise_std: float
) -> None:
    from dyncal.correction.smoother.stream import StreamingSmoother
    from dyncal.models import model_of

    values = np.array(theta)
    parameters = Parameters(kind, model_of(kind).names, values, np.diag((0.01 * values) ** 2))
    model = build_smoother(
        parameters, dt_ns=10_000_000, noise_std=noise_std, spectrum=from_bandwidth(band * 100, 1.0, order=4),
        prior=prior, lag_s=0.2,
    )  # fmt: skip
    rng = np.random.default_rng(2)
    t = 10**18 + np.cumsum(rng.integers(1, 30_000_000, size=300))
    y = values[0] * np.sin(t * 1e-9 * band * 100) + 0.01 * rng.normal(size=300)
    span = StreamingSmoother(model, parameters, "s").process(t, y)
    assert span is not None
    assert np.isfinite(span.value).all()
    assert np.isfinite(span.u).all()
    assert (span.u >= 0).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"dt_ns": 0},
        {"noise_std": -1.0},
        {"noise_std": float("nan")},
        {"lag_s": -1.0},
        {"lag_s": float("inf")},
        {"max_lag_s": float("nan")},
    ],
)
def test_impossible_wishes_are_refused(changes: dict[str, float]) -> None:
    case = ALL["thermocouple"]
    wishes = {"dt_ns": case.dt_ns, "noise_std": 0.01, "spectrum": case.spectrum} | changes
    with pytest.raises(InvalidData):
        build_smoother(case.parameters, **wishes)  # type: ignore[arg-type]  # values by name


def test_a_zero_in_the_right_half_plane_is_refused() -> None:
    with pytest.raises(InvalidData, match="right half-plane"):
        smoother_of(ALL["non_minimum_phase"])


@pytest.mark.parametrize(
    "changes",
    [
        {"drift": np.eye(4)},
        {"drift": np.zeros((3, 3))},
        {"diffusion": -np.eye(4)},
        {"start": np.full((4, 4), np.nan)},
        {"noise_variance": 0.0},
        {"lag_s": -1.0},
        {"dt_ns": 0},
        {"line_s": 0.0},
        {"s_drift": np.array([[1.0]])},
    ],
)
def test_impossible_systems_are_refused(changes: dict[str, object]) -> None:
    model = smoother_of(ALL["thermocouple"])
    assert model.observe.size == 4
    values = {name: getattr(model, name) for name in SmootherModel.__slots__}
    with pytest.raises(InvalidData):
        SmootherModel(**(values | changes))
