from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import least_squares

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models.static_calibration import StaticCalibration, is_monotone
from dyncal.models.static_fit import Pairs, StaticSettings, fit_static

Y = np.linspace(4.0, 16.0, 9)


def _truth(y: FloatArray) -> FloatArray:
    return np.asarray(-2.0 + 0.7 * y + 0.02 * y**2)


def _noisy(seed: int = 1, u_y: float = 0.05, u_x: float = 0.03) -> Pairs:
    rng = np.random.default_rng(seed)
    return Pairs(Y + u_y * rng.normal(size=Y.size), _truth(Y) + u_x * rng.normal(size=Y.size), u_y, u_x)


def _direct(pairs: Pairs, cov_y: FloatArray, cov_x: FloatArray, degree: int) -> tuple[FloatArray, float]:
    """All unknowns at once: the coefficients in powers of y, and every true indication."""
    root_y, root_x = (np.linalg.inv(np.linalg.cholesky(cov)) for cov in (cov_y, cov_x))

    def residuals(unknown: FloatArray) -> FloatArray:
        c, eta = unknown[: degree + 1], unknown[degree + 1 :]
        return np.concatenate([root_x @ (pairs.x - np.polyval(c[::-1], eta)), root_y @ (pairs.y - eta)])

    start = np.concatenate([np.polyfit(pairs.y, pairs.x, degree)[::-1], pairs.y])
    found = least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale="jac")
    return np.asarray(found.x[: degree + 1]), 2 * float(found.cost)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_it_is_the_least_generalised_distance(degree: int) -> None:
    pairs = _noisy()
    found = fit_static(pairs, StaticSettings(degree=degree, consistency_level=0.0))
    expected, chi2 = _direct(pairs, np.eye(9) * 0.05**2, np.eye(9) * 0.03**2, degree)
    # Gauss and Newton leave out the curvature of p, as the distance does not: equal to a share of the errors
    assert_allclose(found.parameters().values, expected, atol=0.02 * found.parameters().u.max())
    assert found.chi2 == pytest.approx(chi2, rel=1e-3)


def test_with_covariances_too() -> None:
    pairs = _noisy()
    cov_x = np.eye(9) * 0.03**2 + 0.02**2
    cov_y = 0.05**2 * 0.5 ** np.abs(np.subtract.outer(np.arange(9), np.arange(9)))
    found = fit_static(Pairs(pairs.y, pairs.x, cov_y, cov_x), StaticSettings(degree=2))
    expected, _ = _direct(pairs, cov_y, cov_x, 2)
    assert_allclose(found.parameters().values, expected, atol=0.02 * found.parameters().u.max())
    same = fit_static(Pairs(pairs.y, pairs.x, np.eye(9) * 0.05**2, np.eye(9) * 0.03**2), StaticSettings(degree=2))
    assert_allclose(same.a, fit_static(pairs, StaticSettings(degree=2)).a, rtol=1e-9)


def test_a_shared_error_of_the_reference_does_not_average_out() -> None:
    pairs = _noisy()
    shared = fit_static(Pairs(pairs.y, pairs.x, 0.0, np.eye(9) * 1e-6 + 0.1**2), StaticSettings(degree=1))
    assert shared.measurand(np.array([10.0]))[1][0] == pytest.approx(0.1, rel=1e-3)


def test_exact_pairs_give_the_polynomial_and_back() -> None:
    found = fit_static(Pairs(Y, _truth(Y), 0.01, 0.02), StaticSettings(degree=2))
    y = np.linspace(4, 16, 33)
    x, u = found.measurand(y, 0.01)
    assert_allclose(x, _truth(y), rtol=1e-12)
    parameters = found.parameters()
    assert parameters.model is ModelKind.STATIC
    assert_allclose(parameters.values, [-2.0, 0.7, 0.02], rtol=1e-9)
    powers = y[:, None] ** np.arange(3)
    slope = 0.7 + 0.04 * y
    assert_allclose(u**2, np.einsum("ki,ij,kj->k", powers, parameters.cov, powers) + (slope * 0.01) ** 2, rtol=1e-7)
    assert_allclose(found.model.measurand(parameters.values, y), x, rtol=1e-9)
    again, u_again = found.indication(x, 0.02)
    assert_allclose(again, y, atol=1e-12)
    alone = found.measurand(y)[1]
    assert_allclose(u_again, np.sqrt(alone**2 + 0.02**2) / slope, rtol=1e-9)
    assert "better" in found.detail


def test_a_falling_characteristic_is_one_too() -> None:
    found = fit_static(Pairs(Y, -_truth(Y), 0.01, 0.02), StaticSettings(degree=2))
    assert_allclose(found.indication(-_truth(Y))[0], Y, atol=1e-12)


def test_a_stream_keeps_its_shape_and_says_nan_where_nothing_is_known() -> None:
    found = fit_static(_noisy(), StaticSettings(degree=2))
    y = np.array([np.nan, 3.0, 10.0, 17.0, np.inf, 12.0])
    for got in found.measurand(y, np.full(6, 0.1)):
        assert np.isnan(got).tolist() == [True, True, False, True, True, False]
    for got in found.indication(np.array([np.nan, -99.0, 5.0, 99.0])):
        assert np.isnan(got).tolist() == [True, True, False, True]
    assert found.measurand(np.empty(0))[0].shape == (0,)
    whole = found.measurand(Y[1:-1], 0.1)
    parts = [found.measurand(Y[k : k + 1], 0.1) for k in range(1, 8)]
    for i in range(2):
        assert_allclose(np.concatenate([part[i] for part in parts]), whole[i], rtol=1e-13)


def test_a_narrow_range_far_from_zero_keeps_its_digits() -> None:
    y = np.linspace(1e6, 1e6 + 1, 12)
    found = fit_static(Pairs(y, (y - 1e6) ** 3 + y - 1e6, 0.0, 1e-4), StaticSettings(degree=5))
    inner = y[3:8]
    assert_allclose(found.measurand(inner)[0], (inner - 1e6) ** 3 + inner - 1e6, atol=1e-8)


def test_the_degree_is_chosen_with_one_to_spare() -> None:
    assert [fit_static(_noisy(seed)).degree for seed in range(2, 6)].count(3) >= 3
    line = Pairs(Y, 2 * Y + 0.01 * np.random.default_rng(0).normal(size=9), 0.0, 0.01)
    assert fit_static(line).degree == 2
    assert fit_static(Pairs(Y[:3], 2 * Y[:3], 0.0, 0.01)).degree <= 2
    two = fit_static(Pairs(Y[[0, 8]], 2 * Y[[0, 8]], 0.0, 0.01))
    assert two.degree == 1
    assert "nothing speaks" in two.detail


def test_a_pair_that_is_off_is_named() -> None:
    pairs = _noisy()
    x = pairs.x.copy()
    x[5] += 1.5
    found = fit_static(Pairs(pairs.y, x, 0.05, 0.03), StaticSettings(degree=2))
    assert not found.consistent
    assert "pair 5" in found.detail
    assert int(np.argmax(np.abs(found.residuals))) == 5


def test_wrong_units_and_sign_are_named_where_the_slope_is_known() -> None:
    pairs = _noisy()
    fit_static(pairs, StaticSettings(slope_limits=(0.5, 2.0)))
    for factor, said in ((1e3, "1000 times"), (1e-3, "0.001 times"), (-1.0, "-1 times"), (7.0, "was expected")):
        with pytest.raises(InvalidData, match=said):
            fit_static(
                Pairs(pairs.y, factor * pairs.x, 0.0, abs(factor) * 0.1), StaticSettings(slope_limits=(0.5, 2.0))
            )


BAD: list[tuple[str, dict[str, Any], StaticSettings]] = [
    ("no pairs", {"x": Y[:4]}, StaticSettings()),
    ("no pairs", {"x": np.array(1.0), "y": np.array(1.0)}, StaticSettings()),
    ("2 to", {"x": Y[:1], "y": Y[:1]}, StaticSettings()),
    ("finite", {"x": np.where(Y > 9, np.nan, Y)}, StaticSettings()),
    ("finite", {"y": np.where(Y > 9, np.inf, Y)}, StaticSettings()),
    ("stuck, or saturated", {"y": np.full(9, 3.0)}, StaticSettings()),
    ("does not depend", {"x": np.full(9, 3.0)}, StaticSettings()),
    ("u_x must", {"u_x": -0.1}, StaticSettings()),
    ("u_y must", {"u_y": np.nan}, StaticSettings()),
    ("u_y must", {"u_y": np.full(4, 0.1)}, StaticSettings()),
    ("neither", {"u_y": 0.0, "u_x": np.where(Y > 9, 0.0, 0.1)}, StaticSettings()),
    ("shape", {"u_x": np.eye(3)}, StaticSettings()),
    ("indefinite", {"u_x": np.full((9, 9), 2.0) - np.eye(9)}, StaticSettings()),
    ("leave one", {"u_x": np.full((9, 9), 1.0), "u_y": 0.0}, StaticSettings()),
    ("determine degrees", {}, StaticSettings(degree=9)),
    ("determine degrees", {}, StaticSettings(degree=0)),
    ("monotone", {"x": (Y - 9) ** 2 + 0.2 * Y}, StaticSettings(degree=2)),
]


@pytest.mark.parametrize(("words", "change", "settings"), BAD, ids=range(len(BAD)))
def test_bad_pairs_are_refused_by_name(words: str, change: dict[str, Any], settings: StaticSettings) -> None:
    given: dict[str, Any] = {"y": Y, "x": _truth(Y), "u_y": 0.01, "u_x": 0.02} | change
    with pytest.raises(InvalidData, match=words):
        fit_static(Pairs(**given), settings)


def test_a_negative_uncertainty_of_a_sample_is_refused() -> None:
    found = fit_static(_noisy(), StaticSettings(degree=1))
    for ask in (found.measurand, found.indication):
        with pytest.raises(InvalidData, match="negative"):
            ask(np.array([5.0]), -0.1)


def test_monotone_or_not() -> None:
    assert is_monotone(np.array([1.0, 2.0]))
    assert is_monotone(np.array([0.0, -2.0, 0.4]))
    for a in ([1.0], [1.0, 0.0], [0.0, 1.0, 0.4], [0.0, 0.0, 1.0]):
        assert not is_monotone(np.array(a))


def test_a_calibration_without_curvature_is_its_own_line() -> None:
    line = StaticCalibration(0.0, 2.0, np.array([3.0, 1.0]), np.eye(2) * 1e-4, 0.0, 0, np.nan, True, np.empty(0))
    x, u = line.measurand(np.array([0.0, 1.0, 2.0]))
    assert_allclose(x, [2.0, 3.0, 4.0])
    assert_allclose(u, np.array([np.sqrt(2), 1.0, np.sqrt(2)]) * 0.01)
