"""The compiled run against its readable reference, and the matrix functions against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import expm, expm_frechet

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.models.phi_functions import phi_functions
from dyncal.models.running import states, states_kernel, states_plain

Parts = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _parts(n: int, p: int, seed: int = 0) -> tuple[Parts, Int64Array, FloatArray]:
    rng = np.random.default_rng(seed)
    phi = 0.9 * np.linalg.qr(rng.normal(size=(3, n, n)))[0]
    parts = (phi, rng.normal(size=(3, n, 2)), rng.normal(size=(3, p, n, n)), rng.normal(size=(3, p, n, 2)))
    return parts, rng.integers(0, 3, 199), rng.normal(size=200)


@pytest.mark.parametrize(("n", "p"), [(2, 0), (2, 3), (3, 5), (6, 13)])
def test_kernel_equals_the_plain_loop(n: int, p: int) -> None:
    parts, index, u = _parts(n, p)
    results = []
    for run in (states_kernel, states_plain):
        x, s = np.empty((200, n)), np.empty((200, p, n))
        x[0], s[0] = 1.0, 0.5
        run(*parts, index, u, x, s)
        results.append((x, s))
    assert_allclose(results[0][0], results[1][0], rtol=1e-11, atol=1e-12)
    assert_allclose(results[0][1], results[1][1], rtol=1e-10, atol=1e-10)


def test_a_cut_record_goes_on_to_the_last_bit() -> None:
    parts, index, u = _parts(4, 3)
    x, s = states(*parts, index, u, np.ones(4), np.zeros((3, 4)))
    first = states(*parts, index[:70], u[:71], np.ones(4), np.zeros((3, 4)))
    second = states(*parts, index[70:], u[70:], first[0][-1], first[1][-1])
    assert_array_equal(np.concatenate([first[0], second[0][1:]]), x)
    assert_array_equal(np.concatenate([first[1], second[1][1:]]), s)


def test_nan_spoils_what_comes_after_and_nothing_before() -> None:
    parts, index, u = _parts(2, 2)
    clean = states(*parts, index, u, np.ones(2), np.zeros((2, 2)))
    u[50] = np.nan
    spoilt = states(*parts, index, u, np.ones(2), np.zeros((2, 2)))
    for before, after in zip(clean, spoilt, strict=True):
        assert_array_equal(before[:50], after[:50])
        assert np.isnan(after[50:]).all()


@pytest.mark.parametrize("n", [1, 3, 6])
@pytest.mark.parametrize("size", [1e-12, 1e-3, 0.4, 3.0, 40.0])
def test_phi_functions_are_blocks_of_a_larger_exponential(n: int, size: float) -> None:
    rng = np.random.default_rng(n)
    z, dz = size * rng.normal(size=(2, n, n)), rng.normal(size=(2, 3, n, n))
    z -= 1.2 * size * np.sqrt(n) * np.eye(n)  # stable, as sensors are
    got = phi_functions(z, dz)
    for k in range(2):
        whole = np.zeros((3 * n, 3 * n))
        whole[:n, :n], whole[:n, n : 2 * n], whole[n : 2 * n, 2 * n :] = z[k], np.eye(n), np.eye(n)
        exact = expm(whole)
        for i, found in enumerate((got.exp, got.phi1, got.phi2)):
            assert_allclose(found[k, 0], exact[:n, i * n : (i + 1) * n], atol=1e-13)
        for r in range(3):
            direction = np.zeros_like(whole)
            direction[:n, :n] = dz[k, r]
            slope = np.asarray(expm_frechet(whole, direction, compute_expm=False))
            for i, found in enumerate((got.exp, got.phi1, got.phi2)):
                assert_allclose(
                    found[k, 1 + r], slope[:n, i * n : (i + 1) * n], atol=3e-12 * max(1.0, np.abs(slope).max())
                )


def test_generators_beyond_reason_give_nan_alone() -> None:
    z = np.array([[[-1.0]], [[-1e300]], [[np.nan]]])
    got = phi_functions(z, np.zeros((3, 0, 1, 1)))
    assert np.isnan(got.exp[:, 0, 0, 0]).tolist() == [False, True, True]
    assert got.exp[0, 0, 0, 0] == pytest.approx(np.exp(-1))
