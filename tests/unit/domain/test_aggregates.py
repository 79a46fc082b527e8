"""Aggregates: what they say of the samples, and that it does not matter how these were cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.domain import aggregates, quality
from dyncal.domain.aggregates import Aggregates
from dyncal.domain.samples import SampleSeries
from dyncal.domain.time import NS_PER_S

SECOND, MINUTE = NS_PER_S, 60 * NS_PER_S

numbers = st.one_of(st.floats(-1e300, 1e300), st.sampled_from([np.nan, np.inf, -np.inf, -0.0, 1.7e308, -1.7e308]))
rows = st.lists(
    st.tuples(
        st.integers(1, 40 * SECOND),
        numbers,
        numbers,
        st.one_of(st.floats(0, 1e300), st.just(np.nan)),
        st.sampled_from([quality.GOOD, quality.UNCERTAIN, quality.BAD, quality.BAD_OUT_OF_RANGE]),
        st.integers(-1, 2),
    ),
    max_size=60,
)


def series_of(found: list[tuple[int, float, float, float, int, int]]) -> SampleSeries:
    steps, raw, corrected, u, codes, sets = zip(*found, strict=True) if found else ((),) * 6
    return SampleSeries(
        t_ns=np.cumsum(np.array(steps, np.int64)),
        raw=np.array(raw, np.float64),
        corrected=np.array(corrected, np.float64),
        u=np.array(u, np.float64),
        quality=np.array(codes, np.uint32),
        set_index=np.array(sets, np.int32),
        set_ids=("a", "b", "c"),
    )


def part_of(series: SampleSeries, rows: slice) -> SampleSeries:
    return SampleSeries(
        series.t_ns[rows],
        series.raw[rows],
        series.corrected[rows],
        series.u[rows],
        series.quality[rows],
        series.set_index[rows],
        series.set_ids,
    )


def assert_close(found: Aggregates, expected: Aggregates) -> None:
    """Assert equality, of means but for rounding: sums of parts are rounded otherwise."""
    for name in aggregates.COLUMNS:
        a, b = getattr(found, name), getattr(expected, name)
        if name in ("raw", "corrected", "u"):
            scale = np.maximum(np.abs(expected.raw_min), np.abs(expected.raw_max)) if name == "raw" else np.abs(b)
            if name == "corrected":
                scale = np.maximum(np.abs(expected.corrected_min), np.abs(expected.corrected_max))
            assert np.array_equal(np.isnan(a), np.isnan(b)), name
            assert np.all(np.isnan(a) | (np.abs(a - b) <= 1e-13 * scale)), name
        elif name != "set_index":
            np.testing.assert_array_equal(a, b, err_msg=name)
    assert found.set_names() == expected.set_names()


@given(rows)
def test_it_says_of_each_bucket_what_its_rows_are(found: list[tuple[int, float, float, float, int, int]]) -> None:
    series = series_of(found)
    made = aggregates.of_samples(series, SECOND)
    assert made.n_rows.sum() == len(series)
    assert (made.width_ns == SECOND).all()
    for k, t in enumerate(made.t_ns.tolist()):
        inside = (series.t_ns >= t) & (series.t_ns < t + SECOND)
        assert made.quality[k] == series.quality[inside].max()
        raw = series.raw[inside & np.isfinite(series.raw) & ~quality.is_bad(series.quality)]
        assert made.n_raw[k] == raw.size
        if raw.size:
            assert (made.raw_min[k], made.raw_max[k]) == (raw.min(), raw.max())
            assert raw.min() <= made.raw[k] <= raw.max()
        usable = inside & np.isfinite(series.corrected)
        assert made.n_corrected[k] == usable.sum()
        if usable.any():
            u = series.u[usable]
            np.testing.assert_allclose(made.u[k], np.mean(u / u.size * u.size), rtol=1e-12)


@given(rows, st.lists(st.integers(0, 60), max_size=4))
def test_parts_combine_to_the_whole_however_they_are_cut(
    found: list[tuple[int, float, float, float, int, int]], cuts: list[int]
) -> None:
    series = series_of(found)
    edges = [0, *sorted(cuts), len(series)]
    parts = [aggregates.of_samples(part_of(series, slice(a, b)), SECOND) for a, b in itertools.pairwise(edges)]
    whole = aggregates.of_samples(series, SECOND)
    assert_close(aggregates.merged(parts), whole)
    assert_close(aggregates.coarser(whole, MINUTE), aggregates.of_samples(series, MINUTE))


def test_the_mean_of_equal_values_is_that_value() -> None:
    series = series_of([(1000, 0.1, 0.1, 0.3, 0, 0)] * 3)
    made = aggregates.of_samples(series, SECOND)
    assert (made.raw[0], made.corrected[0], made.u[0]) == (0.1, 0.1, pytest.approx(0.3, rel=1e-15))


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95, 1.0])
def test_u_of_the_mean_is_a_bound_for_any_correlation(rho: float) -> None:
    """Errors of an AR(1) process of that correlation: their mean scatters by no more than u says."""
    rng = np.random.default_rng(7)
    n, trials, u = 100, 4000, 0.5
    steps = rng.normal(size=(trials, n)) * np.sqrt(1 - rho**2)
    errors = np.empty((trials, n))
    errors[:, 0] = rng.normal(size=trials)
    for k in range(1, n):
        errors[:, k] = rho * errors[:, k - 1] + steps[:, k]
    scatter = (u * errors).mean(axis=1).std()
    made = aggregates.of_samples(series_of([(1000, 0.0, 1.0, u, 0, 0)] * n), SECOND)
    assert scatter <= made.u[0] * (1 + 4 / np.sqrt(2 * trials))  # 4 standard deviations of the estimate
    assert rho < 1 or scatter >= 0.9 * made.u[0]  # and it is reached where they are fully correlated


def test_nothing_of_nothing() -> None:
    assert len(aggregates.of_samples(series_of([]), SECOND)) == 0
    assert len(aggregates.merged([])) == 0
    assert aggregates.same(aggregates.merged([aggregates.NONE, aggregates.NONE]), aggregates.NONE)
