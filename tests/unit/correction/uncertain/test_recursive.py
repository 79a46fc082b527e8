from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.correction.uncertain import UncertainIIR, prepare
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA
from tests.unit.correction.uncertain import naive as naive_uncertain

COMPILED = pytest.mark.parametrize("compiled", [True, False] if HAVE_NUMBA else [False])


def stable(rng: np.random.Generator, order: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return b, a and a covariance of a filter with random poles inside the radius 0.95."""
    roots: list[complex] = []
    while len(roots) < order:
        radius, angle = rng.uniform(0.2, 0.95), rng.uniform(0, np.pi)
        pair = [radius * np.exp(1j * angle), radius * np.exp(-1j * angle)]
        roots += pair if len(roots) + 2 <= order else [complex(radius)]
    a = np.real(np.poly(roots))
    root = 0.01 * rng.normal(size=(2 * order + 1, 2 * order + 1))
    return rng.normal(size=order + 1), a, root @ root.T


def walk(n: int, seed: int = 1) -> FloatArray:
    return np.cumsum(np.random.default_rng(seed).normal(size=n)) * 0.1


def in_pieces(
    made: UncertainIIR, x: FloatArray, cuts: list[int], u_x: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    u_parts = [None] * (len(cuts) + 1) if u_x is None else np.split(u_x, cuts)
    parts = [made.process(part, u_part) for part, u_part in zip(np.split(x, cuts), u_parts, strict=True)]
    return np.concatenate([y for y, _ in parts]), np.concatenate([u for _, u in parts])


@COMPILED
@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("varying", [False, True])
def test_equals_the_state_space_equations(compiled: bool, order: int, varying: bool) -> None:
    rng = np.random.default_rng(order)
    b, a, cov = stable(rng, order)
    x = walk(400)
    u_x = rng.uniform(0.01, 0.2, 400) if varying else np.full(400, 0.1)
    y, u = naive_uncertain.iir(b, a, cov, x, u_x)
    found = UncertainIIR(b, a, cov, u_x=0.1, past="constant", compiled=compiled)
    y_found, u_found = found.process(x, u_x if varying else None)
    np.testing.assert_allclose(y_found, y, rtol=0, atol=1e-12 * np.abs(y).max())
    np.testing.assert_allclose(u_found, u, rtol=1e-11)


@COMPILED
def test_coefficients_of_different_number_have_their_own_places(compiled: bool) -> None:
    rng = np.random.default_rng(3)
    root = 0.01 * rng.normal(size=(4, 4))
    short = np.insert(np.insert(root @ root.T, 3, 0, axis=0), 3, 0, axis=1)  # (a1, a2, b0, b1), then b2 = 0 exactly
    b, a, x = np.array([0.3, 0.1, 0.0]), np.array([1.0, -1.1, 0.4]), walk(200)
    y, u = naive_uncertain.iir(b, a, np.pad(root @ root.T, (0, 1)), x, np.zeros(200))
    assert short.shape == (5, 5)
    y_found, u_found = UncertainIIR(b[:2], a, root @ root.T, past="constant", compiled=compiled).process(x)
    np.testing.assert_allclose(y_found, y, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(u_found, u, rtol=1e-11)


@COMPILED
@pytest.mark.parametrize("order", [2, 3])
def test_cuts_do_not_matter(compiled: bool, order: int) -> None:
    rng = np.random.default_rng(7)
    b, a, cov = stable(rng, order)
    x, u_x = walk(1200), rng.uniform(0, 0.2, 1200)
    x[[5, 300, 301, 900]] = np.nan, np.inf, 1e200, -np.inf
    u_x[700] = np.nan
    for given_u in (None, u_x):
        whole = UncertainIIR(b, a, cov, u_x=0.1, compiled=compiled).process(x, given_u)
        cuts = [0, 1, 2, 3, 5, 6, 300, 301, 302, 600, 601, 1199]
        pieces = in_pieces(UncertainIIR(b, a, cov, u_x=0.1, compiled=compiled), x, cuts, given_u)
        assert np.isfinite(whole[0]).sum() > 500
        for one, other in zip(whole, pieces, strict=True):
            if compiled:
                np.testing.assert_array_equal(one, other)  # to the last bit
            else:
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 999),
    order=st.integers(1, 4),
    lost=st.lists(st.integers(0, 299), max_size=4),
    cuts=st.lists(st.integers(0, 300), max_size=6),
    past=st.sampled_from(["unknown", "constant"]),
)
def test_numpy_agrees_with_the_kernels(seed: int, order: int, lost: list[int], cuts: list[int], past: Any) -> None:
    rng = np.random.default_rng(seed)
    b, a, cov = stable(rng, order)
    x = rng.normal(size=300)
    x[lost] = rng.choice([np.nan, np.inf, -1e150], len(lost))
    runs = [
        in_pieces(UncertainIIR(b, a, cov, u_x=0.1, past=past, compiled=compiled), x, sorted(cuts))
        for compiled in (HAVE_NUMBA, False)
    ]
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        scale = np.nanmax(np.abs(one), initial=1.0)
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12 * scale)


@COMPILED
def test_what_cannot_be_said_is_nan(compiled: bool) -> None:
    b, a, cov = stable(np.random.default_rng(2), 2)
    x = np.ones(400)
    x[200] = np.nan
    found = UncertainIIR(b, a, cov, u_x=0.1, compiled=compiled)
    settle = found.filter.settle
    assert 2 <= settle < 150
    y, u = found.process(x)
    known = np.isfinite(y)
    np.testing.assert_array_equal(known, np.isfinite(u))
    assert not known[:settle].any()
    assert known[settle:200].all()
    assert not known[200 : 201 + settle].any()
    assert known[201 + settle :].all()
    np.testing.assert_allclose(y[known], b.sum() / a.sum(), rtol=1e-12)


def test_the_transient_has_gone_when_values_come() -> None:
    """What a wrong guess of the past leaves in y and in its derivatives is 1e-3 of it at most."""
    for seed in range(20):
        b, a, cov = stable(np.random.default_rng(seed), 2)
        x = walk(3000, seed)
        late = UncertainIIR(b, a, cov)
        y, u = late.process(x[1000:])
        y_known, u_known = UncertainIIR(b, a, cov, past="constant").process(x)
        settle = late.filter.settle
        scale = np.abs(x[1000] - x[:1000]).max()
        assert abs(y[settle] - y_known[1000 + settle]) <= 5e-3 * scale * np.abs(b).sum() / abs(a.sum())
        assert abs(u[settle] - u_known[1000 + settle]) <= 5e-3 * u_known.max()


@COMPILED
def test_white_and_coloured_noise_come_out_as_simulated(compiled: bool) -> None:
    """Monte Carlo: noise with r = (1, 0.6, 0.2) of a moving average, and coefficients drawn from their covariance."""
    rng = np.random.default_rng(5)
    b, a = np.array([0.2, 0.1, 0.05]), np.array([1.0, -1.2, 0.5])
    root = 0.002 * rng.normal(size=(5, 5))
    cov = root @ root.T
    moving = np.array([0.5, 0.4, 0.2])
    r = np.array([np.sum(moving[: 3 - k] * moving[k:]) for k in range(3)])
    x = np.sin(np.arange(150) / 7)
    trials = 4000
    drawn = rng.multivariate_normal(np.r_[a[1:], b], cov, trials)
    noise = rng.normal(size=(trials, 152))
    white = 0.1 * rng.normal(size=(trials, 150))
    x_drawn = x + white + moving[0] * noise[:, 2:] + moving[1] * noise[:, 1:-1] + moving[2] * noise[:, :-2]
    ys = np.zeros((trials, 152))
    xs = np.concatenate([np.zeros((trials, 2)), x_drawn], axis=1)
    for n in range(2, 152):
        ys[:, n] = (drawn[:, 2:] * xs[:, [n, n - 1, n - 2]]).sum(axis=1)
        ys[:, n] -= (drawn[:, :2] * ys[:, [n - 1, n - 2]]).sum(axis=1)
    _, u = UncertainIIR(b, a, cov, u_x=0.1, autocovariance=r, compiled=compiled).process(x)
    late = slice(100, None)
    spread = ys[:, 2:].std(axis=0)[late]
    assert abs(np.sqrt(np.mean(u[late] ** 2) / np.mean(spread**2)) - 1) < 0.02
    np.testing.assert_allclose(u[late], spread, rtol=5 / np.sqrt(2 * trials))


@COMPILED
def test_exact_coefficients_and_no_noise_leave_no_uncertainty(compiled: bool) -> None:
    _, u = UncertainIIR([0.5, 0.2], [1.0, -0.3], past="constant", compiled=compiled).process(walk(50))
    np.testing.assert_array_equal(u, np.zeros(50))


@COMPILED
def test_a_plain_gain_and_an_fir_are_filters_too(compiled: bool) -> None:
    x = walk(50)
    y, u = UncertainIIR([2.0], [1.0], [[0.01]], past="constant", compiled=compiled).process(x)
    np.testing.assert_allclose(y, 2 * x, rtol=1e-15)
    np.testing.assert_allclose(u, 0.1 * np.abs(x), rtol=1e-14)
    y, _ = UncertainIIR([1.0, -1.0], [1.0], past="constant", compiled=compiled).process(x)
    np.testing.assert_allclose(y[1:], np.diff(x), atol=1e-14)


@COMPILED
def test_blocks_of_none_and_of_any_memory(compiled: bool) -> None:
    b, a, cov = stable(np.random.default_rng(2), 2)
    x = walk(60)
    expected = UncertainIIR(b, a, cov, past="constant", compiled=compiled).process(x)
    made = UncertainIIR(b, a, cov, past="constant", compiled=compiled)
    y, u = made.process(np.empty(0))
    assert y.size == u.size == 0
    frozen = x[:20].copy()
    frozen.flags.writeable = False
    spaced = np.repeat(x[20:40], 2)[::2]
    parts = [made.process(frozen), made.process(spaced), made.process(x[40:].tolist())]
    for k in range(2):
        np.testing.assert_allclose(np.concatenate([part[k] for part in parts]), expected[k], rtol=1e-12)
    made.reset()
    out = np.empty(60), np.empty(60)
    assert made.process(x, out=out) is not None
    np.testing.assert_allclose(out[0], expected[0], rtol=1e-12)
    for wrong in ((np.empty(3), np.empty(60)), (out[0], out[0]), (x, out[1]), (np.empty((60, 2))[:, 0], out[1])):
        with pytest.raises(InvalidData):
            made.process(x, out=wrong)


@pytest.mark.parametrize(
    ("b", "a", "cov", "options", "told"),
    [
        ([1.0], [1.0, -1.0], None, {}, "pole at radius 1"),
        ([1.0], [1.0, -2.5, 1.2], None, {}, "not stable"),
        ([1.0], [2.0, -1.0], None, {}, "begin with 1"),
        ([], [1.0], None, {}, "at least 1"),
        ([1.0], [], None, {}, "at least 1"),
        ([np.nan], [1.0], None, {}, "NaN"),
        ([1.0], [1.0, np.inf], None, {}, "NaN"),
        ([[1.0]], [1.0], None, {}, "dimension"),
        (["x"], [1.0], None, {}, "numbers"),
        ([1.0], [1.0, -0.5], np.eye(3), {}, "shape"),
        ([1.0], [1.0, -0.5], [[1.0, 2.0], [2.0, 1.0]], {}, "indefinite"),
        ([1.0], [1.0, -0.5], [[1.0, 0.5], [0.4, 1.0]], {}, "symmetric"),
        ([1.0], [1.0, -0.5], [[-1.0, 0.0], [0.0, 1.0]], {}, "negative variance"),
        ([1.0], [1.0, -0.5], [[0.0, 0.1], [0.1, 1.0]], {}, "variance of zero"),
        ([1.0], [1.0, -0.5], [[np.nan, 0.0], [0.0, 1.0]], {}, "NaN"),
        ([1e60], [1.0, -0.5], None, {}, "amplifies"),
        ([1.0] * 70, [1.0], None, {}, "order"),
        ([1.0], [1.0], None, {"u_x": -1.0}, "u_x"),
        ([1.0], [1.0], None, {"u_x": np.nan}, "u_x"),
        ([1.0], [1.0], None, {"past": "zero"}, "past"),
        ([1.0], [1.0], None, {"autocovariance": [1.0, 2.0]}, "lag 0"),
        ([1.0, 1.0], [1.0], None, {"autocovariance": [1.0, -0.9, 0.9, -0.9]}, None),
        ([1.0, 1.0, 1.0], [1.0], None, {"autocovariance": [1.0, -0.9, -0.9]}, "indefinite"),
    ],
)
def test_bad_filters_are_refused_by_name(b: Any, a: Any, cov: Any, options: dict[str, Any], told: str | None) -> None:
    if told is None:
        assert UncertainIIR(b, a, cov, **options).filter.variance >= 0
        return
    with pytest.raises(InvalidData, match=told):
        UncertainIIR(b, a, cov, **options)


@COMPILED
def test_bad_blocks_are_refused_and_leave_the_state(compiled: bool) -> None:
    b, a, cov = stable(np.random.default_rng(2), 2)
    made = UncertainIIR(b, a, cov, past="constant", compiled=compiled)
    x = walk(40)
    expected = UncertainIIR(b, a, cov, past="constant", compiled=compiled).process(x)
    bad: list[tuple[Any, Any]] = [
        (np.ones((2, 2)), None),
        (np.ones(3, np.complex128), None),
        (["x"], None),
        (np.ones(3), np.ones(2)),
        (np.ones(3), np.array([0.1, -0.1, 0.1])),
    ]
    y1, u1 = made.process(x[:20])
    for values, u_x in bad:
        with pytest.raises(InvalidData):
            made.process(values, u_x)
    y2, u2 = made.process(x[20:])
    np.testing.assert_allclose(np.r_[y1, y2], expected[0], rtol=1e-12)
    np.testing.assert_allclose(np.r_[u1, u2], expected[1], rtol=1e-12)


@COMPILED
@pytest.mark.parametrize("radius", [0.999, 0.99999])
def test_poles_close_to_the_unit_circle(compiled: bool, radius: float) -> None:
    angle = 0.02
    a = np.array([1.0, -2 * radius * np.cos(angle), radius**2])
    made = prepare([1.0, 0.0, 0.0], a, u_x=1.0)
    # the variance of an autoregressive process of order 2 in closed form
    closed = (1 + a[2]) / ((1 - a[2]) * ((1 + a[2]) ** 2 - a[1] ** 2))
    assert made.variance == pytest.approx(closed, rel=1e-9)
    assert made.settle > 1000
    _, u = UncertainIIR([1.0], a, u_x=1.0, past="constant", compiled=compiled).process(np.zeros(10))
    np.testing.assert_allclose(u, np.sqrt(closed), rtol=1e-9)


def test_a_huge_sample_that_still_counts_does_not_overflow() -> None:
    for compiled in {HAVE_NUMBA, False}:
        b, a, cov = stable(np.random.default_rng(2), 2)
        y, u = UncertainIIR(b, a, cov, past="constant", compiled=compiled).process(np.array([9e99, -9e99, 9e99]))
        assert np.isfinite(y).all()
        assert np.isfinite(u).all()
