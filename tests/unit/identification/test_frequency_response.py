from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response import (
    Birge,
    Criterion,
    FrequencyFitSettings,
    FrequencyPoints,
    Magnitude,
    PhaseSign,
    PhaseUnit,
    fit_frequency_response,
)
from dyncal.identification.frequency_response.problem import Problem
from dyncal.models import Delayed, Rational, ResponseModel, model_of
from tests.unit.identification.laboratory import ACCELEROMETER, SECOND, Laboratory

FIRST = model_of(ModelKind.FIRST_ORDER)
LEAD_LAG = model_of(ModelKind.LEAD_LAG)
RATIONAL = Rational(1, 3)
W = 2 * np.pi * 4000.0
CASES: list[tuple[ResponseModel, FloatArray]] = [
    (Rational(0, 0), np.array([2.0])),
    (FIRST, np.array([0.97, 1e-4])),
    (SECOND, ACCELEROMETER),
    (SECOND, np.array([1.0, 0.7, 900.0])),
    (SECOND, np.array([1.0, 0.003, 3000.0])),
    (LEAD_LAG, np.array([1.02, 3e-3, 4e-5, 4e-4])),
    (RATIONAL, np.array([1.3, 0.3 / W, 2.0 / W, 2.1 / W**2, 1.0 / W**3])),
    (Delayed(FIRST), np.array([0.97, 1e-4, 4.4e-5])),
    (Delayed(SECOND), np.array([1.0, 0.5, 3000.0, 2.7e-4])),
]
IDS = [f"{model.label} {theta[-1]:.3g}" for model, theta in CASES]


@pytest.mark.parametrize("n", [17, 49])
@pytest.mark.parametrize(("model", "theta"), CASES, ids=IDS)
def test_points_without_errors_give_the_parameters_back(model: ResponseModel, theta: FloatArray, n: int) -> None:
    fit = fit_frequency_response(Laboratory(n_points=n).points(None, model, theta), [model])
    assert fit.accepted, fit.detail
    assert fit.parameters is not None
    assert_allclose(fit.parameters.values, theta, rtol=1e-6)
    assert fit.chi2 < 1e-6
    assert "far less" in fit.detail


@pytest.mark.parametrize(("model", "theta"), CASES, ids=IDS)
@pytest.mark.parametrize("complex_form", [False, True])
def test_jacobian_of_the_residuals(model: ResponseModel, theta: FloatArray, complex_form: bool) -> None:
    lab = dataclasses.replace(Laboratory(n_points=17), u_common=0.01, u_delay_s=1e-6)
    points = lab.points(np.random.default_rng(1), model, theta)
    if complex_form:
        scale = np.abs(points.response)[:, None, None] ** 2
        points = FrequencyPoints(points.f_hz, points.response, points.cov * scale, "A", u_magnitude=0.01)
    problem = Problem(model, [points])
    x = problem.coordinates(theta) + 0.0
    x[theta.size :] = 0.3
    found = problem.evaluate(x)
    assert found is not None
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = 1e-6 * max(abs(x[i]), 1e-12)
        up, down = problem.evaluate(x + step), problem.evaluate(x - step)
        assert up is not None
        assert down is not None
        numeric = (up[0] - down[0]) / (2 * step[i])
        assert_allclose(found[1][:, i], numeric, rtol=1e-5, atol=1e-6 * np.abs(numeric).max())


def test_every_convention_tells_the_same() -> None:
    reference = fit_frequency_response(Laboratory().points(np.random.default_rng(2)), [SECOND])
    assert reference.parameters is not None
    for magnitude in Magnitude:
        for unit in PhaseUnit:
            for sign in PhaseSign:
                lab = Laboratory(magnitude_as=magnitude, phase_unit=unit, phase_sign=sign)
                fit = fit_frequency_response(lab.points(np.random.default_rng(2)), [SECOND])
                assert fit.parameters is not None
                assert_allclose(fit.parameters.values, reference.parameters.values, rtol=1e-9)
                assert_allclose(fit.parameters.cov, reference.parameters.cov, rtol=1e-6)


def test_covariance_of_each_point_and_of_all_are_one() -> None:
    points = Laboratory(n_points=17).points(np.random.default_rng(3))
    n = len(points)
    rho = np.array([[1.0, 0.4], [0.4, 1.0]])
    cov = points.cov * 0 + np.sqrt(points.cov.sum(axis=1)[:, :, None] * points.cov.sum(axis=1)[:, None, :]) * rho
    full = np.zeros((2 * n, 2 * n))
    for a in range(2):
        for b in range(2):
            full[a * n : (a + 1) * n, b * n : (b + 1) * n] = np.diag(cov[:, a, b])
    fits = [
        fit_frequency_response(FrequencyPoints(points.f_hz, points.response, c, "A", points.form), [SECOND])
        for c in (cov, full)
    ]
    assert fits[0].parameters is not None
    assert fits[1].parameters is not None
    assert_allclose(fits[0].parameters.values, fits[1].parameters.values, rtol=1e-8)
    assert_allclose(fits[0].parameters.cov, fits[1].parameters.cov, rtol=1e-6)


def test_a_common_factor_as_parameter_is_a_correlated_covariance() -> None:
    """Two ways to write one likelihood: the nuisance parameters integrate to a full covariance."""
    lab = Laboratory(n_points=17, u_common=0.01, u_delay_s=2e-7)
    points = lab.points(np.random.default_rng(4))
    n = len(points)
    full = np.zeros((2 * n, 2 * n))
    full[:n, :n] = np.diag(points.cov[:, 0, 0]) + 0.01**2
    omega = 2 * np.pi * points.f_hz
    full[n:, n:] = np.diag(points.cov[:, 1, 1]) + 2e-7**2 * np.outer(omega, omega)
    correlated = FrequencyPoints(points.f_hz, points.response, full, "A", points.form)
    one, other = (fit_frequency_response(each, [SECOND]) for each in (points, correlated))
    assert one.parameters is not None
    assert other.parameters is not None
    assert_allclose(one.parameters.values, other.parameters.values, rtol=1e-7)
    assert_allclose(one.parameters.cov, other.parameters.cov, rtol=1e-5, atol=1e-12)
    assert_allclose(one.chi2, other.chi2, rtol=1e-6)
    assert one.dof == other.dof
    assert one.parameters.u[0] > 0.1


def test_laboratories_of_other_conventions_are_combined() -> None:
    rng = np.random.default_rng(5)
    labs = [
        Laboratory("A", 49, u_common=0.003, u_delay_s=1e-7),
        Laboratory("B", 17, u_common=0.01, phase_sign=PhaseSign.LAG_POSITIVE, magnitude_as=Magnitude.DB),
        Laboratory("C", 17, u_low=0.002, u_high=0.01, phase_unit=PhaseUnit.RADIANS),
    ]
    points = [lab.points(rng) for lab in labs]
    fit = fit_frequency_response(points, [FIRST, SECOND])
    assert fit.accepted, fit.detail
    assert fit.parameters is not None
    assert fit.model is SECOND
    assert np.all(np.abs(fit.parameters.values - ACCELEROMETER) < 3.5 * fit.parameters.u)
    assert [each.name for each in fit.laboratories] == ["A", "B", "C"]
    assert fit.laboratories[2].u_magnitude_factor == 0
    assert 0 < fit.laboratories[1].u_magnitude_factor < 0.005
    assert sum(each.chi2 for each in fit.laboratories) <= fit.chi2
    alone = fit_frequency_response(points[0], [SECOND])
    assert alone.parameters is not None
    assert np.all(fit.parameters.u < alone.parameters.u)


def test_the_model_chosen_is_the_simplest_of_the_good_ones() -> None:
    points = Laboratory().points(np.random.default_rng(6))
    kinds: list[ModelKind | ResponseModel] = [Rational(0, 0), ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER]
    kinds += [Rational(0, 2), Rational(2, 4)]
    for criterion in Criterion:
        fit = fit_frequency_response(points, kinds, FrequencyFitSettings(criterion=criterion))
        assert fit.model is SECOND
        assert fit.accepted
        assert str(criterion) in fit.rule
    by = {row.model: row for row in fit.candidates}
    assert by["rational 0/2"].chi2 == pytest.approx(by["second_order"].chi2, rel=1e-6)
    assert by["first_order"].verdict is Verdict.INCONSISTENT
    assert len(fit.table().splitlines()) == 6
    assert "second_order" in fit.table()


def test_response_carries_its_covariance() -> None:
    fit = fit_frequency_response(Laboratory().points(np.random.default_rng(7)), [SECOND])
    assert fit.parameters is not None
    h, cov = fit.response(np.array([0.0, 1000.0]))
    assert_allclose(h[0], fit.parameters.values[0])
    assert_allclose(np.sqrt(cov[0, 0, 0]), fit.parameters.u[0], rtol=1e-9)
    assert cov.shape == (2, 2, 2)


def test_too_much_scatter_is_flagged_and_enlarges_only_when_asked() -> None:
    points = Laboratory().points(np.random.default_rng(8))
    modest = FrequencyPoints(points.f_hz, points.response, points.cov / 4, "A", points.form)
    plain = fit_frequency_response(modest, [SECOND])
    assert plain.verdict is Verdict.INCONSISTENT
    assert not plain.consistent
    assert not plain.birge_applied
    assert "not enlarged" in plain.detail
    scaled = fit_frequency_response(modest, [SECOND], FrequencyFitSettings(birge=Birge.SCALE))
    assert scaled.accepted
    assert scaled.birge_applied
    assert "Birge" in scaled.detail
    assert plain.parameters is not None
    assert scaled.parameters is not None
    assert_allclose(scaled.parameters.u, plain.parameters.u * scaled.birge_ratio, rtol=1e-9)
    wild = FrequencyPoints(points.f_hz, points.response, points.cov / 25, "A", points.form)
    assert fit_frequency_response(wild, [SECOND], FrequencyFitSettings(birge=Birge.SCALE)).verdict is (
        Verdict.INCONSISTENT
    )


def test_what_points_cannot_tell_is_named() -> None:
    far_below = Laboratory(n_points=17)
    high = np.array([1.0, 0.01, 900_000.0])
    fit = fit_frequency_response(far_below.points(np.random.default_rng(9), SECOND, high), [SECOND])
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE
    assert "damping" in fit.unobservable
    assert "gain" not in fit.unobservable
    assert "damping" in fit.detail
    f = np.array([0.0])
    only_dc = FrequencyPoints(f, np.array([1.0 + 0j]), np.eye(2)[None] * 1e-6)
    for kind in (FIRST, SECOND, Delayed(FIRST)):
        fit = fit_frequency_response(only_dc, [kind])
        assert fit.verdict is Verdict.NOT_IDENTIFIABLE
        assert fit.parameters is None


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_points_are_refused_without_numbers(n: int) -> None:
    points = Laboratory(n_points=n).points(None)
    fit = fit_frequency_response(points, [SECOND, LEAD_LAG])
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE
    assert fit.parameters is None
    assert "too few" in fit.detail
    with pytest.raises(InvalidData, match="too few"):
        fit.response(np.array([1.0]))


def test_one_kind_may_be_given_by_itself() -> None:
    points = Laboratory().points(np.random.default_rng(3))
    alone, listed = fit_frequency_response(points, ModelKind.SECOND_ORDER), fit_frequency_response(points, [SECOND])
    assert alone.parameters is not None
    assert listed.parameters is not None
    assert_allclose(alone.parameters.values, listed.parameters.values, rtol=0)
