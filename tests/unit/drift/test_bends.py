"""Courses of any shape, against sums done at length."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.drift.bends import KNOTS, MOST, Bends, begins
from dyncal.drift.evidence import evidence
from tests.unit.drift.blocks import SECOND


def test_sums_are_those_of_courses_that_are_straight_between_knots_and_stay() -> None:
    rng = np.random.default_rng(3)
    n, p, k = 30, 2, len(KNOTS)
    roots = rng.normal(size=(n, p, p))
    units = roots @ np.swapaxes(roots, -1, -2)
    weighted = rng.normal(size=(n, p))
    at_ns = np.cumsum(rng.integers(1, 9, size=n)).astype(np.int64) * SECOND
    begin_ns, end_ns = at_ns[[0, 11]] + SECOND // 3, int(at_ns[-4])  # of another pair, which has said nothing since
    first, told, second = Bends(at_ns, begin_ns, end_ns).sums(units, weighted)
    for m, begin in enumerate(begin_ns.tolist()):
        places = begin + np.array([0.0, *KNOTS]) * (end_ns - begin)
        for stays in range(k):
            heights = rng.normal(size=(k, p))
            at_knots = np.concatenate([np.zeros((1, p)), heights[np.minimum(np.arange(k), stays)]])
            course = np.stack([np.interp(at_ns, places, at_knots[:, i]) for i in range(p)], axis=1)
            d = heights.ravel()
            assert d @ told[m, stays] == pytest.approx(np.sum(course * weighted))
            assert d @ first[m, stays] == pytest.approx(np.einsum("nij,ni->j", units, course))
            assert d @ second[m, stays] @ d == pytest.approx(np.einsum("ni,nij,nj->", course, units, course))


def test_a_course_of_any_shape_is_told_where_no_step_or_line_fits() -> None:
    rng = np.random.default_rng(4)
    n, u = 100, 0.01
    at_ns = np.arange(1, n + 1, dtype=np.int64) * SECOND
    course = 0.1 * np.sin(np.clip((np.arange(n) - 40) / 40, 0, 1) * np.pi)  # it comes and goes
    theta = np.array([1.0]) + course[:, None] + u * rng.normal(size=(n, 1))
    information = np.full((n, 1, 1), u**-2)
    data = (at_ns, information, theta * u**-2, np.zeros((n, 1)), np.array([0.1]))
    bent = evidence(*data, Bends(at_ns, begins(at_ns), int(at_ns[-1])).sums).change()
    assert bent.max() > evidence(*data).change().max() + 20
    flat = (at_ns, information, (theta - course[:, None]) * u**-2, *data[3:])
    assert evidence(*flat, Bends(at_ns, begins(at_ns), int(at_ns[-1])).sums).change().max() < 1


@pytest.mark.parametrize(("n", "m"), [(2, 1), (MOST + 1, MOST), (MOST + 2, MOST // 2 + 1), (384, MOST)])
def test_of_many_instants_some_are_tried(n: int, m: int) -> None:
    at_ns = np.arange(n, dtype=np.int64)
    found = begins(at_ns)
    assert found.size == m
    assert found[0] == 0
    assert found[-1] < at_ns[-1]
