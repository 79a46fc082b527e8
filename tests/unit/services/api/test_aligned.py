"""The reference at a sensor's instants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyncal.domain.samples import SampleSeries
from services.api.aligned import reference_at

T0 = 1_700_000_000_000_000_000
MS = 1_000_000


def series(t_ms: Sequence[float], raw: Sequence[float]) -> SampleSeries:
    t_ns = T0 + np.array([int(t * MS) for t in t_ms], np.int64)
    n, nothing = len(t_ms), np.full(len(t_ms), np.nan)
    quality, index = np.zeros(n, np.uint32), np.full(n, -1, np.int32)
    return SampleSeries(t_ns, np.array(raw), nothing, nothing, quality, index)


def at(t_ms: Sequence[float], reference: SampleSeries) -> list[float]:
    found: list[float] = reference_at(T0 + np.array([int(t * MS) for t in t_ms], np.int64), reference).tolist()
    return found


def test_between_neighbours_it_is_a_straight_line_and_beyond_them_nothing() -> None:
    found = at([-1, 0, 5, 10, 25, 30, 31], series([0, 10, 20, 30], [0.0, 1.0, 2.0, 4.0]))
    assert np.array_equal(found, [np.nan, 0.0, 0.5, 1.0, 3.0, 4.0, np.nan], equal_nan=True)


def test_one_lost_sample_is_bridged_and_two_are_not() -> None:
    t, nan = [0, 10, 20, 30, 40], np.nan
    assert at([15], series(t, [0.0, 1.0, nan, 3.0, 4.0])) == [1.5]
    two = at([10, 15, 25, 40, 45], series([*t, 50], [0.0, 1.0, nan, nan, 4.0, 5.0]))
    assert np.array_equal(two, [1.0, nan, nan, 4.0, 4.5], equal_nan=True)


def test_a_reference_of_less_than_two_samples_says_nothing() -> None:
    assert np.isnan(at([0, 5], series([0], [1.0]))).all()
    assert np.isnan(at([0, 5], series([0, 10], [np.nan, 1.0]))).all()
