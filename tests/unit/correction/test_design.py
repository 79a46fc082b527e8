from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dyncal.correction.design import Judge, design
from dyncal.correction.folding import Folding
from dyncal.correction.safety import check
from dyncal.correction.sensitivities import refine
from dyncal.correction.spectrum import from_bandwidth
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.models import model_of
from tests.unit.correction.examples import CASES, coefficient_set, designed


@pytest.mark.parametrize("name", CASES)
def test_exact_at_dc_and_near_the_optimum(name: str) -> None:
    result, case = designed(name), CASES[name]
    assert float(np.sum(result.filter.fir)) * case.theta[0] == pytest.approx(1.0, abs=1e-12)
    assert 1.0 <= result.optimum_ratio < 1.03
    assert result.rms_error_in_band <= result.rms_uncorrected_in_band / 10
    assert result.filter.u_noise == pytest.approx(case.noise_std * result.noise_gain)
    assert result.filter.fir.size <= 512


@pytest.mark.parametrize("name", CASES)
def test_no_filter_of_its_length_is_better(name: str) -> None:
    """Taps moved along directions that leave the gain at DC alone only raise the predicted error."""
    case, result = CASES[name], designed(name)
    f = result.filter
    judge = Judge(model_of(case.kind), case.theta, Folding(case.dt_s, 1 << 13, 6), case.spectrum, case.noise_std)
    best = judge.of(f.fir, f.delay, f.sensitivities, f.dt_ns, result.problem).rms_error
    rng = np.random.default_rng(1)
    for size in (0.1, 0.01):
        for _ in range(5):
            move = rng.normal(size=f.fir.size)
            move *= size * np.linalg.norm(f.fir) / np.linalg.norm(move)
            moved = f.fir + move - move.mean()
            assert judge.of(moved, f.delay, f.sensitivities, f.dt_ns, result.problem).rms_error > best


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_dense_normal_equations(name: str) -> None:
    """The same taps from a direct sum over frequencies and a dense constrained solve."""
    case, f = CASES[name], designed(name).filter
    n, dt = f.fir.size, case.dt_s
    edge = 6 * np.pi / dt
    omega = (np.arange(60_000) + 0.5) * edge / 60_000
    step = edge / 60_000
    density = case.spectrum.at(omega)
    response = model_of(case.kind).frequency_response(case.theta, omega / 2 / np.pi)
    lags = np.arange(n)
    auto = np.cos(np.outer(lags, omega * dt)) @ (density * np.abs(response) ** 2) * step / np.pi
    cross = (np.exp(1j * np.outer(lags - f.delay, omega * dt)) @ (density * np.conj(response))).real * step / np.pi
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = auto[np.abs(lags[:, None] - lags)] + case.noise_std**2 * np.eye(n)
    system[n, :n] = system[:n, n] = 1
    taps = np.linalg.solve(system, np.append(cross, 1 / case.theta[0]))[:n]
    np.testing.assert_allclose(f.fir, taps, atol=2e-3 * np.max(np.abs(taps)))


def test_latency_is_kept_and_its_price_falls() -> None:
    case = CASES["pressure_line"]
    errors = []
    for latency in (0.0, 0.03, 0.1, None):
        result = design(
            case.parameters,
            dt_ns=case.dt_ns,
            noise_std=case.noise_std,
            spectrum=case.spectrum,
            max_latency_s=latency,
        )
        if latency is not None:
            assert result.filter.delay * case.dt_s <= latency + 1e-12
        assert result.optimum_ratio < 1.05
        errors.append(result.rms_error)
    assert errors[0] > 2 * errors[1] > 2 * errors[2] > 2 * errors[3] * 0.97


def test_a_wished_band_is_given() -> None:
    case = CASES["thermocouple"]
    free = designed("thermocouple").filter.band_hz
    wide = design(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum, band_hz=3 * free)
    assert wide.filter.band_hz > 2 * free
    assert wide.optimum_ratio > 1.2  # what it costs is told
    assert wide.noise_gain > designed("thermocouple").noise_gain


def test_noise_gain_is_capped() -> None:
    case = CASES["thermocouple"]
    result = design(
        case.parameters,
        dt_ns=case.dt_ns,
        noise_std=0.0,
        spectrum=from_bandwidth(20.0, 1.0),
        max_noise_gain=20.0,
    )
    assert result.noise_gain <= 20.0
    assert float(np.sum(result.filter.fir)) == pytest.approx(1.0, abs=1e-12)
    assert result.filter.u_noise == 0.0
    assert result.filter.u_model > 0.0


@pytest.mark.parametrize(
    ("kind", "theta", "dt_ns"),
    [
        (ModelKind.FIRST_ORDER, [1.0, 1e-4], 10_000_000),  # τ far below dt
        (ModelKind.FIRST_ORDER, [-3.0, 500.0], 10_000_000),  # τ far above any window, wrong sign
        (ModelKind.FIRST_ORDER, [1e6, 0.5], 10_000_000),
        (ModelKind.SECOND_ORDER, [1.0, 1e-4, 20.0], 10_000_000),  # hardly damped
        (ModelKind.SECOND_ORDER, [1.0, 0.02, 80.0], 10_000_000),  # resonance beyond Nyquist
        (ModelKind.SECOND_ORDER, [1.0, 5.0, 5.0], 10_000_000),  # overdamped
        (ModelKind.LEAD_LAG, [1.0, 8.0, 1e-3, 0.8], 200_000_000),
        (ModelKind.LEAD_LAG, [1.0, 8.0, 1.5, 1e-9], 200_000_000),
    ],
)
@pytest.mark.parametrize("noise_std", [0.0, 1e-2, 10.0])
@pytest.mark.parametrize("band", [1e-4, 0.05, 0.4, 2.0])
def test_hard_sensors_give_safe_sets(
    kind: ModelKind, theta: list[float], dt_ns: int, noise_std: float, band: float
) -> None:
    values = np.array(theta)
    parameters = Parameters(kind, model_of(kind).names, values, np.diag((0.01 * values) ** 2))
    spectrum = from_bandwidth(band / (dt_ns / 1e9), 1.0, order=2)
    result = design(parameters, dt_ns=dt_ns, noise_std=noise_std, spectrum=spectrum)
    assert float(np.sum(result.filter.fir)) * values[0] == pytest.approx(1.0, abs=1e-11)
    gain = 1 / values[0]
    check(
        dataclasses.replace(
            coefficient_set(parameters, result.filter), gain_limits=(gain - abs(gain) / 2, gain + abs(gain) / 2)
        )
    )
    assert np.isfinite(result.rms_error)


@pytest.mark.parametrize(
    "changes",
    [
        {"dt_ns": 0},
        {"noise_std": -1.0},
        {"noise_std": float("nan")},
        {"max_latency_s": float("nan")},
        {"max_latency_s": -1.0},
        {"max_taps": 1},
        {"band_hz": 0.0},
    ],
)
def test_impossible_wishes_are_refused(changes: dict[str, float]) -> None:
    case = CASES["thermocouple"]
    wishes = {"dt_ns": case.dt_ns, "noise_std": 0.01, "spectrum": case.spectrum} | changes
    with pytest.raises(InvalidData):
        design(case.parameters, **wishes)  # type: ignore[arg-type]


def test_no_gain_no_correction() -> None:
    case = CASES["thermocouple"]
    parameters = Parameters(case.kind, ("gain", "tau_s"), np.array([0.0, 0.5]), np.eye(2))
    with pytest.raises(InvalidData, match="gain"):
        design(parameters, dt_ns=case.dt_ns, noise_std=0.01, spectrum=case.spectrum)


def test_refined_sensitivities_follow_the_exact_ones() -> None:
    """An accelerometer sampled four times a period: bilinear biquads are far off in its band, fitted ones are not."""
    case = CASES["accelerometer"]
    model = model_of(case.kind)
    angle = (np.arange(4096) + 0.5) * np.pi / 4096
    f_hz = angle / (2 * np.pi * case.dt_s)
    exact = -model.jacobian(case.theta, f_hz) / model.frequency_response(case.theta, f_hz)[:, None]
    weight = case.spectrum.at(2 * np.pi * f_hz)
    bilinear = model.sensitivity_biquads(case.theta, case.dt_s)
    fitted = refine(bilinear, exact, angle, weight)
    z = np.exp(-1j * angle)

    def wrong(rows: np.ndarray) -> np.ndarray:
        power = np.stack([np.ones_like(z), z, z * z])
        response = (rows[:, :3] @ power / (1 + rows[:, 3:] @ power[1:])).T
        ratio: np.ndarray = np.sqrt(weight @ np.abs(response - exact) ** 2 / (weight @ np.abs(exact) ** 2))
        return ratio

    assert wrong(bilinear)[1:].max() > 0.3
    assert wrong(fitted).max() < 0.1
    assert np.array_equal(fitted[0], bilinear[0])
    assert np.abs(fitted[1:, :3].sum(axis=1)).max() < 1e-9 * np.abs(fitted[1:, :3]).max()


def test_good_bilinear_sensitivities_stay() -> None:
    case = CASES["thermocouple"]
    expected = model_of(case.kind).sensitivity_biquads(case.theta, case.dt_s)
    np.testing.assert_array_equal(designed("thermocouple").filter.sensitivities, expected)
