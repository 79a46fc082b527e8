from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from dyncal.correction.design.judge import Judge
from dyncal.correction.design.rational_fit import response
from dyncal.correction.design.sensitivities import refine
from dyncal.correction.design.sensor import sensor_of
from dyncal.correction.design.spectrum import MeasurandSpectrum, from_bandwidth
from dyncal.correction.design.wiener import Form, design
from dyncal.correction.folding import Folding
from dyncal.correction.safety import check, dc_gain, noise_gain, pole_radius
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.models import model_of
from tests.unit.correction.examples import ALL, CASES, GENERAL, Case, coefficient_set, designed


@pytest.mark.parametrize("name", ALL)
def test_exact_at_dc_and_near_the_optimum(name: str) -> None:
    result, case = designed(name), ALL[name]
    assert float(np.sum(result.filter.fir)) * case.theta[0] == pytest.approx(1.0, abs=1e-12)
    assert 1.0 <= result.optimum_ratio < 1.03
    assert result.rms_error_in_band <= result.rms_uncorrected_in_band / 10
    assert result.filter.u_noise == pytest.approx(case.noise_std * result.noise_gain)
    assert result.filter.fir.size <= 512


@pytest.mark.parametrize("name", ALL)
def test_no_filter_of_its_length_is_better(name: str) -> None:
    """Taps moved along directions that leave the gain at DC alone only raise the predicted error."""
    case, f = ALL[name], designed(name).filter
    folding = Folding(case.dt_s, 1 << 13, 6)
    judge = Judge(sensor_of(case.parameters), folding, case.spectrum, case.noise_std)
    best = judge.rms_error(folding.response(f.fir), f.delay)
    rng = np.random.default_rng(1)
    for size in (0.1, 0.01):
        for _ in range(5):
            move = rng.normal(size=f.fir.size)
            move *= size * np.linalg.norm(f.fir) / np.linalg.norm(move)
            assert judge.rms_error(folding.response(f.fir + move - move.mean()), f.delay) > best


@pytest.mark.parametrize("name", ALL)
def test_agrees_with_dense_normal_equations(name: str) -> None:
    """The same taps from a direct sum over frequencies and a dense constrained solve."""
    case, f = ALL[name], designed(name).filter
    n, dt = f.fir.size, case.dt_s
    edge = 6 * np.pi / dt
    omega = (np.arange(60_000) + 0.5) * edge / 60_000
    step = edge / 60_000
    density = case.spectrum.at(omega)
    response = case.model.frequency_response(case.theta, omega / 2 / np.pi)
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
        {"max_taps": 10**9},
        {"max_taps": 2.5},
        {"max_noise_gain": 0.5},
        {"max_noise_gain": float("nan")},
        {"u_response": ([1.0], [1.0, 2.0])},
        {"band_hz": 0.0},
    ],
)
def test_impossible_wishes_are_refused(changes: dict[str, object]) -> None:
    case = CASES["thermocouple"]
    wishes = {"dt_ns": case.dt_ns, "noise_std": 0.01, "spectrum": case.spectrum} | changes
    with pytest.raises(InvalidData):
        design(case.parameters, **wishes)  # type: ignore[arg-type]  # values by name


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


@pytest.mark.parametrize("name", GENERAL)
def test_sensitivities_of_any_kind_follow_the_exact_ones(name: str) -> None:
    """Within 1 % over the signal's spectrum, but for the zero in the right half-plane, where none can."""
    case, result = ALL[name], designed(name)
    sensor = sensor_of(case.parameters)
    omega = np.linspace(1e-3, np.pi / case.dt_s, 4000)
    weight = case.spectrum.at(omega)
    exact = sensor.log_sensitivities(omega)
    rows = result.prediction.sensitivities.reshape(-1, case.theta.size, 5)
    got = response(rows, np.exp(-1j * omega * case.dt_s))
    wrong = np.sqrt(weight @ np.abs(got - exact) ** 2 / (weight @ np.abs(exact) ** 2))
    reached = np.full(case.theta.size, 0.02)
    if name == "non_minimum_phase":
        reached[3] = 0.5
        assert result.prediction.u_unexplained > 0.05 * result.filter.u_noise
    assert np.all(wrong < reached)


def test_a_dead_time_longer_than_the_window_is_latency() -> None:
    case = GENERAL["dead_time"]
    values = np.array([1.0, 0.5, 12.0])  # 1 200 samples
    parameters = Parameters(case.kind, case.names, values, np.diag((0.01 * values) ** 2))
    result = design(parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum)
    short = designed("dead_time")
    assert result.filter.delay == pytest.approx(1200 + short.filter.delay - 12, abs=2)
    assert result.filter.fir.size < 120
    assert result.rms_error == pytest.approx(short.rms_error, rel=0.02)


def test_a_latency_shorter_than_the_dead_time_is_told_what_it_costs() -> None:
    case = GENERAL["dead_time"]
    result = design(
        case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum, max_latency_s=0.05
    )
    assert result.filter.delay <= 5
    assert result.filter.u_model > 10 * designed("dead_time").filter.u_model


@pytest.mark.parametrize("name", [name for name in ALL if name != "accelerometer"])
def test_a_recursive_form_does_as_well_with_less(name: str) -> None:
    case, fir = ALL[name], designed(name)
    result = design(
        case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum, form=Form.RECURSIVE
    )
    f = result.filter
    assert f.sos.shape[0] >= 1
    assert f.fir.size + 5 * f.sos.shape[0] < fir.filter.fir.size
    assert f.delay == fir.filter.delay
    assert result.rms_error <= 1.002 * fir.rms_error
    assert dc_gain(f.fir, f.sos) * case.theta[0] == pytest.approx(1.0, abs=1e-9)
    assert pole_radius(f.sos[:, 4:]) < 0.9999
    assert noise_gain(f.fir, f.sos) == pytest.approx(result.noise_gain, rel=1e-6)


def test_a_recursive_form_is_taken_by_itself_where_it_saves_a_quarter() -> None:
    case = CASES["thermocouple"]
    slow = from_bandwidth(0.03, 1.0, order=2)
    wish = {"dt_ns": case.dt_ns, "noise_std": case.noise_std, "spectrum": slow, "form": Form.AUTO}
    result = design(case.parameters, **wish)  # type: ignore[arg-type]  # values by name
    assert result.filter.sos.size
    assert designed("thermocouple").filter.fir.size <= 96
    auto = design(case.parameters, **(wish | {"spectrum": case.spectrum}))  # type: ignore[arg-type]  # values by name
    assert np.array_equal(auto.filter.fir, designed("thermocouple").filter.fir)


def test_uncertain_parameters_are_named_and_widened() -> None:
    case = CASES["thermocouple"]
    for u_relative, low, high in ((0.05, 1.0, 1.02), (0.2, 1.02, 1.3)):
        u = case.theta * np.array([0.001, u_relative])
        parameters = Parameters(case.kind, case.model.names, case.theta, np.diag(u**2))
        result = design(parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum)
        assert low <= result.prediction.second_order <= high
        assert any("tau_s (20%)" in note for note in result.notes) == (u_relative > 0.1)
    assert result.prediction.second_order == pytest.approx(_by_quadrature(case), rel=0.01)
    wild = Parameters(case.kind, case.model.names, case.theta, np.diag((case.theta * [0.1, 0.9]) ** 2))
    result = design(wild, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum)
    assert np.isnan(result.prediction.second_order)
    assert "beyond what can be propagated" in result.notes[0]


def _by_quadrature(case: Case) -> float:
    """κ of a time constant that is uncertain by 20 %, by 61 points of Gauss and Hermite."""
    x, weight = np.polynomial.hermite_e.hermegauss(61)
    omega = np.linspace(1e-3, 100, 20_000)
    slope = omega / np.abs(1 + 1j * omega * 0.5)
    true = claimed = 0.0
    for point, share in zip(0.5 * (1 + 0.2 * x), weight, strict=True):
        if point <= 0:
            continue
        rho = (1 + 0.5j * omega) / (1 + 1j * omega * point)
        true += share * float(np.abs(rho - 1) ** 2 @ case.spectrum.at(omega))
        claimed += share * float((np.abs(rho) * slope * 0.1) ** 2 @ case.spectrum.at(omega))
    return float(np.sqrt(true / claimed))


def test_uncertain_parameters_do_not_move_the_poles_of_their_sensitivities() -> None:
    case = CASES["accelerometer"]
    certain = Parameters(case.kind, case.parameters.names, case.theta, 1e-8 * case.parameters.cov)
    rows = [
        design(p, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum).filter.sensitivities
        for p in (certain, case.parameters)
    ]
    np.testing.assert_allclose(rows[1][:, 3:], rows[0][:, 3:], rtol=1e-12)
    of_f0 = [each[2::3, :3][each[2::3, :3] != 0] for each in rows]
    ratio = of_f0[1] / of_f0[0]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    assert ratio[0] > 1.005


def test_the_response_s_own_uncertainty_is_in_u_model() -> None:
    case, free = CASES["pressure_line"], designed("pressure_line")
    wish = {"dt_ns": case.dt_ns, "noise_std": case.noise_std, "spectrum": case.spectrum}
    flat = design(case.parameters, u_response=0.01, **wish)  # type: ignore[arg-type]  # values by name
    assert flat.prediction.u_in_band == pytest.approx(0.01 * np.sqrt(case.spectrum.variance), rel=0.02)
    assert flat.filter.u_model == pytest.approx(np.hypot(free.filter.u_model, flat.prediction.u_in_band))
    shaped = design(case.parameters, u_response=(np.array([0.0, 100.0]), np.array([0.01, 0.01])), **wish)  # type: ignore[arg-type]  # values by name
    assert shaped.filter.u_model == pytest.approx(flat.filter.u_model)
    for bad in (-0.1, float("nan"), (np.array([1.0, 0.5]), np.array([0.1, 0.1])), (np.ones(2), np.ones(3))):
        with pytest.raises(InvalidData):
            design(case.parameters, u_response=bad, **wish)  # type: ignore[arg-type]  # values by name


@pytest.mark.parametrize(
    ("values", "cov"),
    [
        ([1.0, np.nan], np.eye(2)),
        ([1.0, -0.5], np.eye(2)),
        ([1.0, 0.0], np.eye(2)),
        ([1.0, 0.5], np.array([[1.0, 2.0], [2.0, 1.0]])),
        ([1.0, 0.5], np.array([[1.0, 0.5], [0.2, 1.0]])),
        ([1.0, 0.5], np.diag([1.0, -1.0])),
        ([1.0, 0.5], np.diag([1.0, np.inf])),
    ],
)
def test_impossible_parameters_are_refused(values: list[float], cov: np.ndarray) -> None:
    case = CASES["thermocouple"]
    parameters = Parameters(case.kind, case.model.names, np.array(values), cov)
    with pytest.raises(InvalidData):
        design(parameters, dt_ns=case.dt_ns, noise_std=0.01, spectrum=case.spectrum)


@pytest.mark.parametrize("delay_s", [-0.02, 1e-5, 0.5, 50.0])
def test_dead_times_of_any_size(delay_s: float) -> None:
    """A little below zero by its uncertainty, far below dt, long; and refused where no edge would take the latency."""
    case = GENERAL["dead_time"]
    values = np.array([1.0, 0.5, delay_s])
    parameters = Parameters(case.kind, case.names, values, np.diag([1e-6, 1e-4, 1e-6]))
    if delay_s > 40:
        with pytest.raises(InvalidData, match="dead time"):
            design(parameters, dt_ns=case.dt_ns, noise_std=0.01, spectrum=case.spectrum)
        return
    result = design(parameters, dt_ns=case.dt_ns, noise_std=0.01, spectrum=case.spectrum)
    check(coefficient_set(parameters, result.filter))
    assert result.rms_error_in_band < result.rms_uncorrected_in_band / 5


@pytest.mark.parametrize(
    ("tau_s", "spectrum", "said"),
    [
        (1e5, from_bandwidth(1.0, 1.0), "little is restored: the rms error is 100%"),
        (0.05, from_bandwidth(500.0, 1.0), r"little is restored: .*goes up to 600 Hz, .* no more than 50 Hz"),
        (0.5, from_bandwidth(1.0, 1.0), None),
    ],
)
def test_a_design_says_where_nothing_comes_back(tau_s: float, spectrum: MeasurandSpectrum, said: str | None) -> None:
    parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([1.0, tau_s]), np.zeros((2, 2)))
    notes = design(parameters, dt_ns=10_000_000, noise_std=0.01, spectrum=spectrum).notes
    if said is None:
        assert notes == ()
    else:
        assert len(notes) == 1
        assert re.search(said, notes[0]), notes
