from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.correction.uncertain import UncertainFIR
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA
from tests.unit.correction.uncertain import naive as naive_uncertain

COMPILED = pytest.mark.parametrize("compiled", [True, False] if HAVE_NUMBA else [False])


def taps_of(n: int, rank: int, seed: int = 1) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    root = 0.05 * rng.normal(size=(rank, n))
    return rng.normal(size=n), root.T @ root


def in_pieces(
    made: UncertainFIR, x: FloatArray, cuts: list[int], u_x: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    u_parts = [None] * (len(cuts) + 1) if u_x is None else np.split(u_x, cuts)
    parts = [made.process(part, u_part) for part, u_part in zip(np.split(x, cuts), u_parts, strict=True)]
    return np.concatenate([y for y, _ in parts]), np.concatenate([u for _, u in parts])


@COMPILED
@pytest.mark.parametrize(("n_taps", "rank"), [(1, 1), (5, 5), (12, 3), (64, 64), (64, 0)])
@pytest.mark.parametrize("varying", [False, True])
def test_equals_the_equation(compiled: bool, n_taps: int, rank: int, varying: bool) -> None:
    rng = np.random.default_rng(3)
    taps, cov = taps_of(n_taps, rank)
    x = rng.normal(size=150)
    u_x = rng.uniform(0.01, 0.3, 150) if varying else np.full(150, 0.2)
    y, u = naive_uncertain.fir(taps, cov, x, u_x)
    made = UncertainFIR(taps, cov, u_x=0.2, compiled=compiled)
    assert made.factor.shape == (rank, n_taps)
    y_found, u_found = made.process(x, u_x if varying else None)
    np.testing.assert_allclose(y_found, y, rtol=0, atol=1e-12 * np.abs(taps).sum())
    np.testing.assert_allclose(u_found, u, rtol=1e-12)


@COMPILED
def test_a_constant_past(compiled: bool) -> None:
    rng = np.random.default_rng(3)
    taps, cov = taps_of(9, 4)
    x, u_x = rng.normal(size=60), rng.uniform(0.01, 0.3, 60)
    longer, u_longer = np.r_[np.full(8, x[0]), x], np.r_[np.full(8, u_x[0]), u_x]
    y, u = naive_uncertain.fir(taps, cov, longer, u_longer)
    y_found, u_found = UncertainFIR(taps, cov, past="constant", compiled=compiled).process(x, u_x)
    np.testing.assert_allclose(y_found, y[8:], rtol=0, atol=1e-13 * np.abs(taps).sum())
    np.testing.assert_allclose(u_found, u[8:], rtol=1e-12)
    worthless = np.r_[np.nan, x]  # a past like a sample that is worth nothing is not known
    y_found, _ = UncertainFIR(taps, cov, past="constant", compiled=compiled).process(worthless)
    np.testing.assert_array_equal(np.isnan(y_found), np.arange(61) < 9)


@settings(max_examples=40)
@given(
    n_taps=st.integers(1, 30),
    seed=st.integers(0, 99),
    lost=st.lists(st.integers(0, 249), max_size=4),
    cuts=st.lists(st.integers(0, 250), max_size=6),
    varying=st.booleans(),
)
def test_cuts_do_not_matter_and_numpy_agrees(
    n_taps: int, seed: int, lost: list[int], cuts: list[int], varying: bool
) -> None:
    rng = np.random.default_rng(seed)
    taps, cov = taps_of(n_taps, min(n_taps, 4), seed)
    x = rng.normal(size=250)
    x[lost] = rng.choice([np.nan, np.inf, 1e150], len(lost))
    u_x = rng.uniform(0, 0.3, 250) if varying else None
    runs = []
    for compiled in (HAVE_NUMBA, False):
        whole = UncertainFIR(taps, cov, u_x=0.1, compiled=compiled).process(x, u_x)
        cut = in_pieces(UncertainFIR(taps, cov, u_x=0.1, compiled=compiled), x, sorted(cuts), u_x)
        for one, other in zip(whole, cut, strict=True):
            if compiled:
                np.testing.assert_array_equal(one, other)
            else:
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
        runs.append(whole)
    known = np.convolve(~np.isin(np.arange(250), lost), np.ones(n_taps), "valid") > n_taps - 0.5
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(np.isfinite(one), np.r_[np.zeros(n_taps - 1, bool), known])
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_coloured_noise_by_the_whole_matrices() -> None:
    taps, cov = taps_of(12, 12)
    moving = np.array([0.5, 0.4, 0.2])
    r = np.array([np.sum(moving[: 3 - k] * moving[k:]) for k in range(3)])
    sigma = np.sum([np.diag(np.full(12 - k, r[k]), k) + np.diag(np.full(12 - k, r[k]), -k) for k in (1, 2)], axis=0)
    sigma += np.diag(np.full(12, r[0] + 0.3**2))
    x = np.random.default_rng(3).normal(size=12)
    _, u = UncertainFIR(taps, cov, u_x=0.3, autocovariance=r).process(x)
    expected = taps @ sigma @ taps + x[::-1] @ cov @ x[::-1] + np.trace(cov @ sigma)
    assert u[-1] == pytest.approx(np.sqrt(expected), rel=1e-12)
    longer = UncertainFIR(taps[:2], cov[:2, :2], autocovariance=r).process(x)[1][-1]
    window = x[:-3:-1]
    two = taps[:2] @ (sigma[:2, :2] - np.eye(2) * 0.09) @ taps[:2] + window @ cov[:2, :2] @ window
    assert longer == pytest.approx(np.sqrt(two + np.trace(cov[:2, :2] @ (sigma[:2, :2] - np.eye(2) * 0.09))), rel=1e-12)


def test_the_variance_is_exact_not_of_first_order() -> None:
    """Monte Carlo with taps and noise both uncertain by half: the product term counts."""
    rng = np.random.default_rng(5)
    taps, trials = np.array([1.0, 0.5, -0.3]), 200_000
    cov = np.diag([0.25, 0.1, 0.05])
    x = np.array([0.4, -0.2, 1.0])
    drawn = rng.multivariate_normal(taps, cov, trials)
    values = (drawn * (x[::-1] + 0.5 * rng.normal(size=(trials, 3)))).sum(axis=1)
    _, u = UncertainFIR(taps, cov, u_x=0.5).process(x)
    assert u[-1] == pytest.approx(values.std(), rel=0.01)
    first_order = np.sqrt(0.25 * np.sum(taps**2) + x[::-1] @ cov @ x[::-1])
    assert first_order < 0.95 * u[-1]


@COMPILED
def test_blocks_of_none_and_outputs_of_the_caller(compiled: bool) -> None:
    taps, cov = taps_of(3, 2)
    made = UncertainFIR(taps, cov, past="constant", compiled=compiled)
    assert made.process(np.empty(0))[0].size == 0
    x = np.arange(8.0)
    first = made.process(x)
    made.reset()
    out = np.empty(8), np.empty(8)
    made.process(x, out=out)
    np.testing.assert_array_equal(first[0], out[0])
    np.testing.assert_array_equal(first[1], out[1])
    with pytest.raises(InvalidData, match="input"):
        made.process(x, out=(x, out[1]))


@pytest.mark.parametrize(
    ("taps", "cov", "options", "told"),
    [
        ([], None, {}, "at least 1"),
        ([np.inf], None, {}, "NaN"),
        (np.ones(5000), None, {}, "at most"),
        ([1.0, 2.0], np.eye(3), {}, "shape"),
        ([1.0, 2.0], [[1.0, 2.0], [2.0, 1.0]], {}, "indefinite"),
        ([1e80], None, {}, "amplifies"),
        ([1.0], [[1e130]], {}, "amplifies"),
        ([1.0], None, {"u_x": -0.1}, "u_x"),
        ([1.0], None, {"u_x": np.inf}, "u_x"),
        ([1.0], None, {"autocovariance": [-1.0]}, "lag 0"),
        ([1.0], None, {"past": "periodic"}, "past"),
    ],
)
def test_bad_filters_are_refused_by_name(taps: Any, cov: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidData, match=told):
        UncertainFIR(taps, cov, **options)


@COMPILED
def test_bad_blocks_are_refused(compiled: bool) -> None:
    made = UncertainFIR([1.0, 0.5], compiled=compiled)
    blocks: list[tuple[Any, Any]] = [(np.ones((2, 2)), None), (np.ones(2), np.ones(3)), (np.ones(1), np.array([-1.0]))]
    for x, u_x in blocks:
        with pytest.raises(InvalidData):
            made.process(x, u_x)
