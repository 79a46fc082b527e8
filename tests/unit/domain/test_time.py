from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import (
    LATEST,
    DurationNs,
    ExplicitAxis,
    InstantNs,
    UniformAxis,
    axis_of,
    duration,
    from_datetime,
    iso,
    parse_iso,
    seconds,
)


@given(st.integers(0, LATEST))
def test_iso_comes_back_to_the_nanosecond(instant: int) -> None:
    assert parse_iso(iso(InstantNs(instant))) == instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-31T13:00:00.5+01:00", 1_769_860_800_500_000_000),
        (" 2026-01-31T12:00:00.000000001Z ", 1_769_860_800_000_000_001),
        ("2026-01-31 12:00Z", 1_769_860_800_000_000_000),
    ],
)
def test_parses(text: str, expected: int) -> None:
    assert parse_iso(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-01-31T12:00:00", "2026-02-30T00:00:00Z", "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00.1234567890Z",
        "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1.5.2026", "2026-01-31T25:00:00Z",
    ],
)  # fmt: skip
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidData):
        parse_iso(text)


def test_a_naive_datetime_is_utc() -> None:
    naive = datetime.datetime(2026, 1, 31, 12, 0, 0, 1)  # noqa: DTZ001
    assert from_datetime(naive) == from_datetime(naive.replace(tzinfo=datetime.UTC)) == 1_769_860_800_000_001_000


def test_durations() -> None:
    assert duration(0.1) == 100_000_000
    assert seconds(DurationNs(1_500_000_000)) == 1.5


def test_uniform_axis() -> None:
    axis = UniformAxis(InstantNs(5), DurationNs(10), 3)
    assert axis.t_ns.tolist() == [5, 15, 25]
    assert axis.t_ns.dtype == np.int64
    assert len(axis) == 3
    assert len(UniformAxis(InstantNs(5), DurationNs(10), 0)) == 0


@pytest.mark.parametrize(
    ("t0", "dt", "n"), [(0, 0, 1), (0, -1, 1), (0, 1, -1), (-1, 1, 1), (LATEST, 1, 2), (0, LATEST, 3)]
)
def test_uniform_axis_refuses(t0: int, dt: int, n: int) -> None:
    with pytest.raises(InvalidData):
        UniformAxis(InstantNs(t0), DurationNs(dt), n)


@pytest.mark.parametrize("instants", [[2, 1], [1, 1], [-1, 1], [1, LATEST + 1]])
def test_explicit_axis_refuses_order_and_range(instants: list[int]) -> None:
    with pytest.raises(InvalidData):
        ExplicitAxis(np.array(instants, np.int64))


def test_explicit_axis_refuses_shape_and_type() -> None:
    with pytest.raises(InvalidData):
        ExplicitAxis(np.zeros((1, 1), np.int64))
    with pytest.raises(InvalidData):
        ExplicitAxis(np.array([1.0]))


@given(st.lists(st.integers(0, 2**60), unique=True, max_size=20))
def test_axis_of_holds_exactly_the_instants(instants: list[int]) -> None:
    t_ns = np.array(sorted(instants), np.int64)
    assert axis_of(t_ns).t_ns.tolist() == t_ns.tolist()
    assert not t_ns.size or (axis_of(t_ns).first_ns, axis_of(t_ns).last_ns) == (t_ns[0], t_ns[-1])


def test_axis_of_is_compact_where_it_can_be() -> None:
    assert axis_of(np.arange(10, dtype=np.int64)) == UniformAxis(InstantNs(0), DurationNs(1), 10)
    assert isinstance(axis_of(np.array([7], np.int64)), ExplicitAxis)
    with pytest.raises(InvalidData):
        axis_of(np.array([3, 2, 1], np.int64))
