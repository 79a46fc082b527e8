from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.filters import stable
from dyncal.uncertainty.kernels import filter_lanes, locate, tally
from tests.unit.uncertainty import naive

RNG = np.random.default_rng


def counted(values: FloatArray, parts: int = 1) -> tuple[FloatArray, FloatArray]:
    n, bins = values.shape[0], 32
    counts, sums = np.zeros((n, bins + 2), np.int32), np.zeros((n, 4))
    sums[:, 2], sums[:, 3] = np.inf, -np.inf
    centre, low, per_width = np.full(n, 0.3), np.full(n, -2.0), np.full(n, bins / 4)
    for part in np.array_split(values, parts, axis=1):
        tally(np.ascontiguousarray(part), centre, low, per_width, counts, sums)
    return counts.astype(float), sums


def test_tally_equals_its_reference_however_the_draws_are_cut() -> None:
    values = RNG(1).normal(size=(5, 4000)) * np.array([0.1, 1.0, 3.0, 1e-9, 1e150])[:, None]
    counts, sums = counted(values)
    expected, expected_sums = naive.tally(values, np.full(5, 0.3), np.full(5, -2.0), np.full(5, 8.0), 32)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-12)
    again, again_sums = counted(values, parts=7)
    np.testing.assert_array_equal(again, counts)
    np.testing.assert_allclose(again_sums, sums, rtol=1e-12)


@pytest.mark.parametrize("short", [True, False])
def test_locate_equals_its_reference(short: bool) -> None:
    drawn = RNG(2).integers(0, 4, size=(6, 20))
    counts = drawn.astype(np.int32) if short else drawn.astype(np.int64)
    counts[0] = 0
    counts[1, 5:] = 0
    targets = np.array([0.0, 1.0, 7.5, 20.0, 500.0])
    places, below = np.empty((6, 5), np.int64), np.empty((6, 5))
    locate(counts, targets, places, below)
    expected, expected_below = naive.locate(counts.astype(float), targets)
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_array_equal(below, expected_below)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5])
def test_lanes_equal_one_filter_after_the_other(order: int) -> None:
    rng, lanes, n = RNG(order), 7, 60
    b = rng.normal(size=(order + 1, lanes))
    a = np.stack([np.atleast_1d(np.poly(0.8 * rng.uniform(-1, 1, order))) for _ in range(lanes)], axis=1)[1:]
    x, noise = rng.normal(size=n), rng.normal(size=(n, lanes))
    expected = [naive.filter_one(b[:, j], a[:, j], x + noise[:, j]) for j in range(lanes)]
    out, state = noise.copy(), np.zeros((order, lanes))
    filter_lanes(x[:23], out[:23], b, np.ascontiguousarray(a), state)
    filter_lanes(x[23:], out[23:], b, np.ascontiguousarray(a), state)
    np.testing.assert_allclose(out.T, expected, rtol=1e-11, atol=1e-11)


def test_a_number_that_is_none_stays_in_its_lane() -> None:
    noise = np.zeros((4, 2))
    noise[1, 0] = np.nan
    filter_lanes(np.ones(4), noise, np.ones((1, 2)), np.zeros((0, 2)), np.zeros((0, 2)))
    assert np.isnan(noise[1, 0])
    np.testing.assert_array_equal(noise[:, 1], 1.0)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_stability_by_reflection_coefficients_is_that_of_the_roots(order: int) -> None:
    rng = RNG(order)
    a = rng.normal(size=(order, 500)) * rng.uniform(0.1, 1.5, size=500)
    radius = [np.abs(np.roots(np.append(1.0, column))).max() for column in a.T]
    np.testing.assert_array_equal(stable(a), np.array(radius) < 1)
    assert 20 < np.count_nonzero(stable(a)) < 480


def test_a_pole_on_the_circle_is_not_stable() -> None:
    assert not stable(np.array([[-2.0], [1.0]]))[0]
    assert not stable(np.array([[-1.0]]))[0]
    assert not stable(np.array([[np.nan]]))[0]
    assert stable(np.zeros((0, 1)))[0]
