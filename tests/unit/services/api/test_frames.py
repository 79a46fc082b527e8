"""Frames: nothing extreme is lost, holes stay holes, numbers are JSON."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dyncal.testing.records import block, span, uniform
from services.api.frames import Latest, Trend, extremes, sse


@given(
    hnp.arrays(np.float64, st.integers(1, 400), elements=st.floats(-1e9, 1e9) | st.just(float("nan"))),
    st.integers(4, 60),
)
def test_decimation_keeps_the_extremes_of_the_whole_record(values: np.ndarray, points: int) -> None:
    kept = extremes(values, points)
    assert kept.size <= max(1.5 * points + 2, 3)
    assert np.all(np.diff(kept) > 0)
    if not np.isnan(values).all():
        assert np.nanmax(values[kept]) == np.nanmax(values)
        assert np.nanmin(values[kept]) == np.nanmin(values)


def test_a_hole_longer_than_a_bucket_shows() -> None:
    values = np.ones(1000)
    values[400:500] = np.nan
    kept = extremes(values, 40)
    assert np.isnan(values[kept]).any()


def test_a_trend_carries_instants_exactly_and_names_each_set() -> None:
    first = block([1.0, float("nan")], corrected=span(uniform(2, -2), [5.0, 6.0], "a"))
    second = block([3.0], axis=uniform(1, 2), runs=((0x80000000, 1),), corrected=span(uniform(1), [7.0], "b"))
    body = json.loads(Trend([first, second]).encode("tc-1", 40))
    axis = uniform(3)
    assert [body["raw"]["t0_ns"] + k for k in body["raw"]["offset_ns"]] == axis.t_ns.tolist()
    assert body["raw"]["value"] == [1.0, None, 3.0]
    assert body["raw"]["quality"] == [0, 0, 0x80000000]
    assert [(run["set"], run["value"]) for run in body["corrected"]] == [("a", [5.0, 6.0]), ("b", [7.0])]
    assert body["corrected"][0]["t0_ns"] == uniform(2, -2).t0_ns


def test_the_latest_values_keep_their_own_instants() -> None:
    latest = Latest()
    latest.take(block([1.0, 2.0], corrected=span(uniform(1, -3), [9.0], "a")))
    latest.take(block([3.0], axis=uniform(1, 2)))
    body = json.loads(latest.encode("tc-1"))
    assert (body["raw"], body["t_ns"]) == (3.0, uniform(1, 2).t0_ns)
    assert (body["corrected"], body["corrected_t_ns"], body["set"]) == (9.0, uniform(1, -3).t0_ns, "a")


def test_an_event_is_one_line_of_data() -> None:
    assert sse("alarm", b"{}", 7) == b"id: 7\nevent: alarm\ndata: {}\n\n"
    assert sse("beat", b"{}", None) == b"event: beat\ndata: {}\n\n"
