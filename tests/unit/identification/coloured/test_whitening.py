from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_triangular

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.identification.coloured import Autoregression, Noise, Relaxation, Through, Whitener
from dyncal.models import model_of

_DT_NS = 10_000_000
_SECOND = model_of(ModelKind.SECOND_ORDER)
NOISES = {
    "autoregression": Autoregression(np.array([1.2, -0.5, 0.1]), 0.01),
    "relaxation": Relaxation(8.0, 0.3),
    "through": Through(_SECOND, _SECOND.to_internal(np.array([1.0, 0.3, 5.0])), 0.02),
}


def _instants(noise: Noise, rng: np.random.Generator, n: int = 60) -> Int64Array:
    """With holes; off the grid where the noise can be."""
    t = np.delete(np.arange(n, dtype=np.int64), [7, 8, 30]) * _DT_NS
    if not isinstance(noise, Autoregression):
        t += rng.integers(-_DT_NS // 3, _DT_NS // 3, t.size)
    return t


def _covariance(noise: Noise, t_ns: Int64Array) -> FloatArray:
    """cov(v_i, v_k) = c Φ(t_i, t_k) P c for i >= k, from the definition."""
    n, c, p = t_ns.size, noise.row, noise.cov
    whole = np.empty((n, n))
    for k in range(n):
        state = p @ c
        whole[k, k] = c @ state + noise.white
        for i in range(k + 1, n):
            phi = noise.steps(np.array([float(t_ns[i] - t_ns[i - 1]) * 1e-9]))[0][0]
            state = phi @ state
            whole[i, k] = whole[k, i] = c @ state
    return whole


@pytest.mark.parametrize("name", NOISES)
def test_whitening_is_what_cholesky_of_the_covariance_does(name: str) -> None:
    rng, noise = np.random.default_rng(1), NOISES[name]
    t_ns = _instants(noise, rng)
    values = rng.normal(size=(t_ns.size, 3))
    root = np.linalg.cholesky(_covariance(noise, t_ns))
    expected = solve_triangular(root, values, lower=True)
    mean_log = float(np.mean(np.log(np.diag(root))))
    done = Whitener(noise, [t_ns]).white(0, values)
    np.testing.assert_allclose(done, expected * np.exp(mean_log), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NOISES)
def test_steps_follow_one_another(name: str) -> None:
    noise = NOISES[name]
    phi, q = noise.steps(np.array([0.01, 0.02]))
    np.testing.assert_allclose(phi[0] @ phi[0], phi[1], rtol=1e-9, atol=1e-12)
    p = noise.cov
    np.testing.assert_allclose(phi[0] @ q[0] @ phi[0].T + q[0], q[1], rtol=1e-9, atol=1e-12 * np.abs(p).max())
    np.testing.assert_allclose(phi[0] @ p @ phi[0].T + q[0], p, rtol=1e-9, atol=1e-12 * np.abs(p).max())


def test_runs_are_independent_and_share_one_factor() -> None:
    rng, noise = np.random.default_rng(2), NOISES["autoregression"]
    first, second = _instants(noise, rng), _instants(noise, rng, 40)
    values = rng.normal(size=(second.size, 2))
    both, alone = Whitener(noise, [first, second]), Whitener(noise, [second])
    ratio = both.white(1, values) / alone.white(0, values)
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-12)


def test_the_likelihood_is_that_of_the_data() -> None:
    """n ln(Σe²/n) of what is left is -2 ln L, the variance at its best, but for what all models share."""
    rng, noise = np.random.default_rng(3), NOISES["relaxation"]
    t_ns = _instants(noise, rng)
    v = rng.normal(size=t_ns.size)
    cov = _covariance(noise, t_ns)
    n = v.size
    expected = n * np.log(v @ np.linalg.solve(cov, v) / n) + np.linalg.slogdet(cov)[1]
    e = Whitener(noise, [t_ns]).white(0, v[:, None])
    assert n * np.log(float(np.sum(e**2)) / n) == pytest.approx(expected, rel=1e-9)


def test_nan_stays_in_its_column() -> None:
    values = np.ones((50, 2))
    values[20, 1] = np.nan
    done = Whitener(NOISES["autoregression"], [np.arange(50) * _DT_NS]).white(0, values)
    assert np.isfinite(done[:, 0]).all()
    assert np.isfinite(done[:20, 1]).all()
    assert np.isnan(done[20:23, 1]).all()


def test_one_sample_is_a_run() -> None:
    assert np.isfinite(Whitener(NOISES["relaxation"], [np.array([5])]).white(0, np.ones((1, 1)))).all()
