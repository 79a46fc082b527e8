"""Ranges that may be replaced: never too young, never kept, whole buckets, and all of them in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.errors import InvalidData
from dyncal.domain.retention import Span, Stage, next_range, policy_of
from dyncal.domain.time import DurationNs, InstantNs

spans = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)).map(lambda p: Span(p[0], p[0] + p[1])), max_size=6)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 100), st.integers(1, 12), spans)
def test_every_old_bucket_is_taken_once_and_nothing_kept_is(
    first: int, now: int, longest: int, align: int, kept: list[Span]
) -> None:
    stage = Stage(SAMPLES, DurationNs(20), align)
    taken: list[int] = []
    at = first
    while (found := next_range(stage, InstantNs(at), InstantNs(now), longest, kept)) is not None:
        start, end = found
        assert start % align == end % align == 0
        assert end <= max(now - 20, 0)
        assert end - start <= max(longest, align)
        assert not any(start < span.to_ns and span.from_ns < end for span in kept)
        taken += range(start, end)
        at = end
    assert len(set(taken)) == len(taken)
    for bucket in range(first - first % align, max(now - 20, 0) // align * align, align):
        free = not any(bucket < span.to_ns and span.from_ns < bucket + align for span in kept)
        assert (bucket in taken) == free


def test_policies_that_make_no_sense_are_refused() -> None:
    day = 86_400
    assert policy_of(None, [(1, None)]).stages == ()
    assert [s.by_ns for s in policy_of(DurationNs(day), [(1, DurationNs(2 * day)), (60, None)]).stages] == [1, 60]
    assert [s.by_ns for s in policy_of(DurationNs(day), [(1, DurationNs(2 * day))]).stages] == [1, None]
    assert policy_of(DurationNs(day), []).stages == (Stage(SAMPLES, DurationNs(day), None),)
    for widths in (
        [(1, None), (60, None)],
        [(7, DurationNs(2 * day)), (60, None)],
        [(60, DurationNs(2 * day)), (1, None)],
        [(1, DurationNs(day)), (60, None)],
    ):
        with pytest.raises(InvalidData):
            policy_of(DurationNs(day), widths)
