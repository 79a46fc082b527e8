from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dyncal.domain.samples import FloatArray
from dyncal.drift import kernels
from dyncal.drift.baseline import Baseline, invert
from dyncal.drift.history import History, Learnt
from dyncal.drift.limit import CLIP, WINDOW
from dyncal.drift.scatter import Scatter
from tests.unit.drift import reference


def covariance(rng: np.random.Generator, p: int, worst: float = 10.0) -> FloatArray:
    """A covariance of mixed units whose correlations have eigenvalues up to `worst` apart."""
    axes = np.linalg.qr(rng.normal(size=(p, p)))[0]
    scale = 10 ** rng.uniform(-6, 3, p)
    found: FloatArray = (axes * np.geomspace(1, 1 / worst, p)) @ axes.T * np.outer(scale, scale)
    return (found + found.T) / 2


def inverted(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


@pytest.mark.parametrize("p", [1, 2, 3, 7])
@pytest.mark.parametrize("worst", [1.0, 1e2, 1e8])
def test_an_inverse_is_what_numpy_says(p: int, worst: float) -> None:
    matrix = covariance(np.random.default_rng(p), p, worst)
    found, expected = invert(matrix), reference.inverse(matrix)
    assert found is not None
    assert expected is not None
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(found / np.outer(scale, scale), expected / np.outer(scale, scale), atol=1e-7)


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((2, 2)),
        np.array([[1.0, 1.0], [1.0, 1.0]]),
        np.array([[1.0, 2.0], [2.0, 1.0]]),
        np.diag([1.0, np.nan]),
        np.diag([np.inf, 1.0]),
        np.array([[1.0, np.nan], [np.nan, 1.0]]),
        -np.eye(3),
    ],
)
def test_what_has_no_inverse_has_none(matrix: FloatArray) -> None:
    assert invert(matrix) is None
    assert reference.inverse(matrix) is None


@pytest.mark.parametrize("p", [1, 2, 3, 6])
def test_a_block_is_judged_as_numpy_says(p: int) -> None:
    rng = np.random.default_rng(10 + p)
    for _ in range(20):
        cov, known = covariance(rng, p), covariance(rng, p)
        u = np.sqrt(np.diag(cov + known))
        truth, n = 3 * u * rng.choice([0.1, 1.0, 10.0], p), rng.choice([0.0, 5.0, 40.0], p)
        block = np.vstack([truth, rng.normal(size=p) / u, inverted(cov)])
        squares, scales, out = n * rng.uniform(0.5, 2), np.where(rng.random(p) < 0.3, 100 * u, 0), np.empty((6, p))
        found = kernels.judge(block, np.linalg.solve(known, truth), inverted(known), squares, n, scales, out)

        theta = truth + cov @ block[1]
        residuals = reference.whitened(theta - truth, cov + known)
        used = np.sqrt(np.diag(cov)) <= np.maximum(np.abs(truth), scales) / 2
        scores = np.where(used, reference.scores(residuals, squares, n), 0.0)
        weights = np.diag(known) / np.sqrt(np.diag(cov + known))
        counts = used & ((n >= kernels.ENOUGH) | (scores != 0))
        np.testing.assert_allclose(out[0], theta, rtol=1e-9, atol=1e-9 * u.max())
        np.testing.assert_allclose(out[1], residuals, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(out[2], used)
        np.testing.assert_allclose(out[5], -np.log(np.diag(cov)), rtol=1e-6)
        np.testing.assert_allclose(out[3], scores, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(out[4], np.where(counts, weights, 0.0), rtol=1e-9)
        assert found == (kernels.WILD if np.any(np.abs(scores) >= CLIP) else kernels.JUDGED)


def test_without_a_baseline_only_the_estimate_is_there() -> None:
    out = np.full((6, 2), np.nan)
    block = np.vstack([np.ones(2), np.full(2, 3.0), np.eye(2)])
    none = np.zeros(2)
    assert kernels.judge(block, none, np.zeros((2, 2)), none, none, none, out) == kernels.ALONE
    np.testing.assert_array_equal(out[0], [4.0, 4.0])
    block[1, 0] = np.nan
    assert kernels.judge(block, none, np.eye(2), none, none, none, out) == kernels.NOTHING


@pytest.mark.parametrize("n", [5, 10, 50, 1000])
def test_scores_have_the_probability_of_students_t(n: int) -> None:
    t = np.linspace(-3.0, 3.0, 25)
    found = [kernels.normal_score(2.0 * x, 4.0 * n, float(n)) for x in t]
    exact = stats.norm.ppf(stats.t.cdf(t, n))
    np.testing.assert_allclose(found, exact, atol=0.006 if n < 10 else 0.0025)


def test_before_the_scatter_is_known_only_what_is_gross_counts() -> None:
    assert kernels.normal_score(11.0, 27.0, 3.0) == 0
    assert kernels.normal_score(-12.0, 27.0, 3.0) == -CLIP
    assert kernels.normal_score(3.0, 36.0, 4.0) > 0


def test_scores_are_bounded_and_finite() -> None:
    assert [kernels.normal_score(x, 0.0, 10.0) for x in (1e300, -1e300, 0.0)] == [CLIP, -CLIP, 0.0]


def test_instants_and_their_statistics_are_what_numpy_says() -> None:
    rng, p, n = np.random.default_rng(3), 2, 2300
    weights, scores = rng.uniform(0, 1, (n, p)), rng.normal(0.1, 1, (n, p))
    history, numbers = History(Learnt.nothing(p), 0), np.zeros(1, dtype=np.int64)
    sums = np.concatenate((np.zeros((1, 2, p)), np.cumsum(np.stack((weights * scores, weights**2), axis=1), axis=0)))
    for index in range(1, n + 1):
        learnt = Learnt(Baseline(np.eye(p), np.zeros(p), index), Scatter.empty(p))
        history.add(weights[index - 1], scores[index - 1], learnt, index)
        numbers = np.append(numbers[reference.kept(numbers, index)], index)
        if index in {1, 2, 31, 32, 33, 70, 500, WINDOW, n}:
            np.testing.assert_array_equal(history.at_ns, numbers)
            expected = reference.statistics(sums[index] - sums[numbers], index - numbers, numbers)
            np.testing.assert_allclose(history.statistics, expected, atol=1e-6)


def test_levels_are_the_means_of_the_blocks_since() -> None:
    rng, p, n = np.random.default_rng(4), 2, 30
    learnt, history = Learnt.nothing(p), History(Learnt.nothing(p), 0)
    values, information = rng.normal(5, 1, (n, p)), [inverted(covariance(rng, p)) for _ in range(n)]
    for at in range(n):
        learnt = Learnt(learnt.baseline.with_block(values[at], information[at]), Scatter.empty(p))
        history.add(np.zeros(p), np.zeros(p), learnt, at)
    means, variances = history.levels(learnt.baseline, 20)
    assert means.shape == variances.shape == (11, p)
    for k in range(10):
        cov = reference.inverse(np.sum(information[20 + k :], axis=0))
        assert cov is not None
        total = np.sum([information[j] @ values[j] for j in range(20 + k, n)], axis=0)
        np.testing.assert_allclose(means[k], cov @ total, rtol=1e-5)
        np.testing.assert_allclose(variances[k], np.diag(cov), rtol=1e-5)
    assert np.all(np.isnan(means[10]))


def test_moments_are_those_of_numpy_to_the_last_bit() -> None:
    rng = np.random.default_rng(5)
    for n in (2, 3, *range(7, 300, 3), 1000, 1024, 2049, 12345):
        x = rng.normal(size=n) * 10 ** rng.uniform(-6, 6) + 100 * rng.normal()
        found = np.empty(3)
        kernels.moments(x, found)
        assert found.tobytes() == np.array([x.mean(), x.std(), np.diff(x).std()]).tobytes(), n


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_moments_of_what_is_not_finite_are_not(wrong: float) -> None:
    x, found = np.arange(20.0), np.zeros(3)
    x[7] = wrong
    kernels.moments(x, found)
    assert not np.isfinite(found).any()
