from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import t as student

from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models.axes import Axis, Transform, monomials, powers
from dyncal.models.consistency import aicc, chi2_p_value, coverage_factor
from dyncal.models.covariances import checked_covariance
from dyncal.models.schedule import ParameterSchedule
from dyncal.models.schedule_fit import CalibrationAt, ScheduleSettings, fit_schedule

T, V = Axis("temperature_degc"), Axis("flow_m_per_s", Transform.LOG)
KELVIN = Axis("temperature_k", Transform.RECIPROCAL)
NAMES = ("gain", "tau_s")
COV = np.array([[1e-6, 4e-6], [4e-6, 1e-4]])


def _calibration(condition: Mapping[str, float], gain: float, tau: float, **more: Any) -> CalibrationAt:
    scale = np.array([1.0, tau])
    cov = scale[:, None] * COV * scale
    return CalibrationAt(condition, Parameters(ModelKind.FIRST_ORDER, NAMES, np.array([gain, tau]), cov), **more)


def _line(n: int = 6) -> list[CalibrationAt]:
    """Gain rises by 0.001 /°C, ln τ falls by 0.01 /°C."""
    return [
        _calibration({"temperature_degc": t}, 1 + 1e-3 * (t - 20), 0.5 * np.exp(-0.01 * (t - 20)))
        for t in np.linspace(20, 80, n).tolist()
    ]


def _at(schedule: ParameterSchedule, t: float, u: float = 0.0) -> Parameters:
    return schedule.at({"temperature_degc": t}, {"temperature_degc": u})


def test_exact_calibrations_give_the_truth_and_a_smaller_u() -> None:
    schedule = fit_schedule([T], _line(), ScheduleSettings(degree=1))
    got = _at(schedule, 50.0)
    assert_allclose(got.values, [1.03, 0.5 * np.exp(-0.3)], rtol=1e-12)
    assert schedule.consistent
    # the middle of six: u²/6
    assert_allclose(got.cov, np.outer([1, got.values[1]], [1, got.values[1]]) * COV / 6, rtol=1e-9)
    assert not np.any(schedule.u_lack_of_fit)


def test_coefficients_and_covariance_are_those_of_generalised_least_squares() -> None:
    """Against normal equations written out on ordinary powers of the temperature."""
    rng = np.random.default_rng(1)
    made = [
        _calibration(each.condition, *(each.parameters.values * (1 + 0.01 * rng.normal(size=2)))) for each in _line()
    ]
    schedule = fit_schedule([T], made, ScheduleSettings(degree={"gain": 1, "tau_s": 2}, consistency_level=0.0))
    rows, target, weight = [], [], np.zeros((12, 12))
    for i, each in enumerate(made):
        t = each.condition["temperature_degc"] / 50
        rows += [[1, t, 0, 0, 0], [0, 0, 1, t, t**2]]
        target += [each.parameters.values[0], np.log(each.parameters.values[1])]
        weight[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = np.linalg.inv(COV)
    x, y = np.array(rows), np.array(target)
    cov = np.linalg.inv(x.T @ weight @ x)
    beta = cov @ x.T @ weight @ y
    at = np.array([[1, 0.7, 0, 0, 0], [0, 0, 1, 0.7, 0.49]])
    got = _at(schedule, 35.0)
    assert_allclose([got.values[0], np.log(got.values[1])], at @ beta, rtol=1e-10)
    scale = np.array([1.0, got.values[1]])
    assert_allclose(got.cov, scale[:, None] * (at @ cov @ at.T) * scale, rtol=1e-8)
    residual = y - x @ beta
    assert schedule.chi2 == pytest.approx(residual @ weight @ residual, rel=1e-8)
    assert schedule.dof == 7


def test_the_condition_s_uncertainty_goes_through_the_slope() -> None:
    schedule = fit_schedule([T], _line(), ScheduleSettings(degree=1))
    known, unsure = _at(schedule, 40.0), _at(schedule, 40.0, 2.0)
    grown = unsure.cov - known.cov
    slope = np.array([1e-3, -0.01 * known.values[1]])
    assert_allclose(grown, 4.0 * np.outer(slope, slope), rtol=1e-8)


def test_what_calibrations_share_does_not_average_out() -> None:
    common = np.diag([1e-4, 0.0])
    alone, shared = (fit_schedule([T], _line(), ScheduleSettings(degree=1, common_cov=c)) for c in (None, common))
    assert_allclose(_at(shared, 33.0).cov - _at(alone, 33.0).cov, common, atol=1e-12)


def test_a_condition_known_badly_counts_less() -> None:
    made = _line()
    made[5] = _calibration({"temperature_degc": 80.0}, 0.95, 0.824, u_condition={"temperature_degc": 500.0})
    schedule = fit_schedule([T], made, ScheduleSettings(degree=1))
    assert_allclose(_at(schedule, 50.0).values[1], 0.5 * np.exp(-0.3), rtol=5e-3)


def test_degrees_are_chosen_with_one_to_spare() -> None:
    rng = np.random.default_rng(4)
    made = []
    for t in np.linspace(20, 80, 9).tolist():
        error = np.linalg.cholesky(COV) @ rng.normal(size=2)
        x = (t - 50) / 30
        made.append(_calibration({"temperature_degc": t}, 1.0 + error[0], 0.5 * float(np.exp(0.3 * x**2 + error[1]))))
    schedule = fit_schedule([T], made)
    assert schedule.degrees == (1, 3)
    assert fit_schedule([T], made, ScheduleSettings(max_degree=2)).degrees == (1, 2)
    assert fit_schedule([T], made[:1] + made[-1:]).degrees == (1, 1)


def test_two_conditions_and_their_transforms() -> None:
    def tau(t: float, v: float) -> float:
        return float(0.4 * v**-0.6 * np.exp(900 * (1 / t - 1 / 300)))

    made = [
        _calibration({"temperature_k": t, "flow_m_per_s": v}, 1.0, tau(t, v))
        for t in (280.0, 310.0, 350.0) for v in (0.2, 1.0, 4.0)
    ]  # fmt: skip
    schedule = fit_schedule([KELVIN, V], made, ScheduleSettings(degree={"gain": 0, "tau_s": 1}))
    got = schedule.at({"flow_m_per_s": 2.0, "temperature_k": 333.0})
    assert got.values[1] == pytest.approx(tau(333.0, 2.0), rel=1e-10)
    u = schedule.at({"flow_m_per_s": 2.0, "temperature_k": 333.0}, {"flow_m_per_s": 0.1, "temperature_k": 0.0}).cov
    assert u[1, 1] - got.cov[1, 1] == pytest.approx((0.6 * 0.05 * got.values[1]) ** 2, rel=1e-6)


def test_outside_is_refused_or_flagged() -> None:
    schedule = fit_schedule([T], _line(), ScheduleSettings(degree=1))
    for t in (19.9, 80.1, -300.0):
        with pytest.raises(InvalidData, match="outside"):
            _at(schedule, t)
        assert schedule.evaluate({"temperature_degc": t}).extrapolated
    assert not schedule.evaluate({"temperature_degc": 80.0}).extrapolated
    far = schedule.evaluate({"temperature_degc": 200.0}).parameters
    assert far.u[0] > 3 * _at(schedule, 50.0).u[0]


def test_scatter_beyond_the_uncertainties_is_found_and_named() -> None:
    made = _line(9)
    made[4] = _calibration(made[4].condition, 1.03, 1000 * made[4].parameters.values[1])
    schedule = fit_schedule([T], made, ScheduleSettings(degree=1))
    assert not schedule.consistent
    assert "tau_s of calibration 4" in schedule.detail
    assert "1000 times" in schedule.detail
    assert schedule.u_lack_of_fit[1] > 1.0
    assert schedule.u_lack_of_fit[0] == 0.0
    made = _line(9)
    made[4] = _calibration(made[4].condition, 1.03 + 0.05, float(made[4].parameters.values[1]))
    assert "gain of calibration 4" in fit_schedule([T], made, ScheduleSettings(degree=1)).detail


def test_calibrations_too_good_to_be_true_are_told() -> None:
    assert "better" in fit_schedule([T], _line(9), ScheduleSettings(degree=1)).detail


def test_an_unstable_sensor_is_not_scheduled() -> None:
    names = ("gain", "a1_s", "a2_s2", "a3_s3")
    first, last = np.array([1.0, 3.0, 3.0, 1.0]), np.array([1.0, 3.0, 3.0, 8.9])
    made = [
        CalibrationAt({"temperature_degc": t}, Parameters(ModelKind.RATIONAL, names, theta, np.eye(4) * 1e-6))
        for t, theta in ((0.0, first), (50.0, first), (100.0, last))
    ]
    schedule = fit_schedule([T], made, ScheduleSettings(degree=2))
    assert_allclose(_at(schedule, 100.0).values, last, rtol=1e-9)
    with pytest.raises(InvalidData, match="pole"):
        schedule.evaluate({"temperature_degc": 120.0})


def _broken(**change: Any) -> list[CalibrationAt]:
    made = _line()
    made[2] = replace(made[2], parameters=replace(made[2].parameters, **change))
    return made


BAD: list[tuple[str, Callable[[], list[CalibrationAt]]]] = [
    ("2 to", lambda: _line()[:1]),
    ("is of", lambda: _broken(names=("gain", "tau2_s"))),
    ("is of", lambda: _broken(model=ModelKind.SECOND_ORDER)),
    ("finite", lambda: _broken(values=np.array([np.nan, 0.5]))),
    ("tau_s must be positive", lambda: _broken(values=np.array([1.0, -0.5]))),
    ("indefinite", lambda: _broken(cov=np.array([[1.0, 2.0], [2.0, 1.0]]))),
    ("symmetric", lambda: _broken(cov=np.array([[1.0, 0.2], [0.1, 1.0]]))),
    ("negative", lambda: _broken(cov=np.diag([-1.0, 1.0]))),
    ("no uncertainty", lambda: _broken(cov=np.diag([0.0, 1.0]))),
    ("square", lambda: _broken(cov=np.full((2, 2), np.inf))),
    ("name", lambda: [*_line(), _calibration({"flow_m_per_s": 1.0}, 1.0, 1.0)]),
    ("finite", lambda: [*_line(), _calibration({"temperature_degc": np.nan}, 1.0, 1.0)]),
    ("negative", lambda: [*_line(), replace(_line()[0], u_condition={"temperature_degc": -1.0})]),
    ("every calibration", lambda: [_calibration({"temperature_degc": 1.0}, 1.0, 1.0)] * 3),
]  # fmt: skip


@pytest.mark.parametrize(("words", "made"), BAD, ids=range(len(BAD)))
def test_bad_calibrations_are_refused_by_name(words: str, made: Callable[[], list[CalibrationAt]]) -> None:
    with pytest.raises(InvalidData, match=words):
        fit_schedule([T], made())


def test_bad_requests_are_refused_by_name() -> None:
    schedule = fit_schedule([T], _line(), ScheduleSettings(degree=1))
    for condition, u in [
        ({}, None), ({"flow_m_per_s": 1.0}, None), ({"temperature_degc": np.inf}, None),
        ({"temperature_degc": 30.0}, {"temperature_degc": -1.0}), ({"temperature_degc": 30.0}, {"flow_m_per_s": 1.0}),
        ({"temperature_degc": 30.0}, {"temperature_degc": np.nan}),
    ]:  # fmt: skip
        with pytest.raises(InvalidData):
            schedule.at(condition, u)
    for settings in (ScheduleSettings(degree=6), ScheduleSettings(degree=-1), ScheduleSettings(common_cov=np.eye(3))):
        with pytest.raises(InvalidData):
            fit_schedule([T], _line(), settings)
    for axes in ([], [T, T]):
        with pytest.raises(InvalidData):
            fit_schedule(axes, _line())
    with pytest.raises(InvalidData, match="positive"):
        fit_schedule([V], [_calibration({"flow_m_per_s": v}, 1.0, 1.0) for v in (-1.0, 2.0)])


def test_monomials_and_their_gradients() -> None:
    x: FloatArray = np.random.default_rng(0).normal(size=(5, 2))
    exponents = powers(2, 3)
    assert exponents[:4] == [(0, 0), (1, 0), (0, 1), (2, 0)]
    assert len(exponents) == 10
    values, gradients = monomials(x, exponents)
    for k in range(2):
        step = np.zeros(2)
        step[k] = 1e-6
        numeric = (monomials(x + step, exponents)[0] - monomials(x - step, exponents)[0]) / 2e-6
        assert_allclose(gradients[:, :, k], numeric, atol=1e-8)
    assert_allclose(values[:, 4], x[:, 0] * x[:, 1])


def test_consistency_equals_scipy() -> None:
    for dof in (1, 2, 3, 8, 41, 300):
        for chi2 in (0.0, 1e-3, 0.5 * dof, dof, 2.0 * dof, 40.0 * dof):
            assert chi2_p_value(chi2, dof) == pytest.approx(chi2_distribution.sf(chi2, dof), rel=1e-10, abs=1e-300)
    assert np.isnan(chi2_p_value(1.0, 0))
    assert np.isnan(chi2_p_value(np.nan, 3))
    assert chi2_p_value(np.inf, 3) == 0.0
    for n in (1, 2, 5, 10, 11, 30, 1000):
        assert coverage_factor(n) == pytest.approx(student.ppf(0.975, n), rel=2e-4)
    assert aicc(3.0, 2, 5) == pytest.approx(3 + 4 + 12 / 2)
    assert aicc(3.0, 4, 5) == np.inf


def test_a_covariance_on_the_edge_is_made_usable() -> None:
    edge = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.linalg.cholesky(checked_covariance(edge, "cov", positive=("a", "b")))
    assert_allclose(checked_covariance(edge, "cov"), edge)
