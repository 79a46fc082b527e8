"""Parameters that move steadily: an estimate that lags behind them finds no offset of zero."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dyncal.identification.online.courses import beside_courses, weigh_courses
from dyncal.identification.online.renewal import QUIET
from dyncal.identification.online.shifts import weigh_shifts
from tests.statistical.experiments.drift_causes import END_S, ONSET_S, RATE_HZ, TAUS, Follower, World, pairs


def test_evidence_beside_courses_is_that_of_all_blocks_solved_at_once() -> None:
    rng = np.random.default_rng(7)
    m, p, n_blocks, variance = 3, 2, 8, 0.7  # the last coordinate is of the noise: it keeps to no course
    offsets, slope, truth = np.array([0.4, -0.2]), np.array([0.05, -0.03]), rng.normal(size=m)
    ends_s = np.cumsum(rng.uniform(1.0, 9.0, n_blocks))
    blocks = []
    for end_s in ends_s:
        design = rng.normal(size=(30, m + 2)) + 1.0
        h = truth + np.append(slope * (end_s - ends_s[-1]), 0.0)
        blocks.append((design, design @ np.append(h, offsets) + np.sqrt(variance) * rng.normal(size=30)))
    information, considered, h = 1e-6 * np.eye(m)[None], np.zeros((1, m, 2)), np.zeros(m)
    weight, score, motion = np.zeros((1, 2, 2)), np.zeros((1, 2)), np.zeros((1, 3))
    course, course_weight, course_score = np.zeros((1, m, p)), np.zeros((1, p, p + 2)), np.zeros((1, p))
    until_s, shares = ends_s[0], np.empty((1, 2))
    for end_s, (design, y) in zip(ends_s, blocks, strict=True):
        psi, psi_u = design[:, :m], design[:, m:]
        a, cross, own = psi.T @ psi, psi.T @ psi_u, psi_u.T @ psi_u
        after = information[0] + a / variance
        h = h + np.linalg.solve(after, psi.T @ (y - psi @ h) / variance)
        e, before = y - psi @ h, considered.copy()
        considered = np.linalg.solve(after, information[0] @ before[0] - cross / variance)[None]
        information = after[None]
        given = a[None], (psi.T @ e)[None], cross[None]
        weigh_shifts(
            p, *given, own[None], (psi_u.T @ e)[None], np.array([variance]), np.array([variance]), np.ones(1),
            np.zeros(1), np.array([QUIET]), information, before, considered, np.ones((1, 3)), weight, score, motion,
            np.zeros(1, dtype=np.int64), shares,
        )  # fmt: skip
        weigh_courses(
            p, *given, np.array([variance]), shares, information, before, considered, np.array([end_s - until_s]),
            course, course_weight, course_score,
        )  # fmt: skip
        until_s = end_s
    rows = [
        np.hstack([design, design[:, :p] * (end_s - ends_s[-1])])
        for end_s, (design, _) in zip(ends_s, blocks, strict=True)
    ]
    whole, y = np.concatenate(rows), np.concatenate([y for _, y in blocks])
    normal = whole.T @ whole / variance + np.diag([1e-6] * m + [0.0] * (2 + p))
    solved, at = np.linalg.solve(normal, whole.T @ y / variance), slice(m, m + 2)
    beside_courses(weight, score, course_weight, course_score)
    assert_allclose(weight[0], np.linalg.inv(np.linalg.inv(normal)[at, at]), rtol=1e-6)
    assert_allclose(np.linalg.solve(weight[0], score[0]), solved[at], rtol=1e-5)


def test_nothing_is_taken_from_offsets_where_courses_are_not_known() -> None:
    weight, score = np.array([[[2.0, 0.5], [0.5, 1.0]]]), np.array([[0.3, -0.1]])
    beside_courses(weight, score, np.zeros((1, 2, 4)), np.zeros((1, 2)))
    assert_allclose(weight[0], [[2.0, 0.5], [0.5, 1.0]], rtol=0)
    assert_allclose(score[0], [0.3, -0.1], rtol=0)


def test_of_what_was_before_is_kept_what_offsets_keep_and_a_block_that_is_left_out_changes_nothing() -> None:
    one, none = np.ones((1, 1, 1)), np.zeros((1, 1, 2))
    course, weight, score = np.zeros((1, 1, 1)), np.full((1, 1, 3), 1e6), np.full((1, 1), 1e6)
    given = one, np.array([[0.5]]), none
    for variance, kept in ((np.inf, 1.0), (1.0, 0.0)):
        shares = np.array([[0.25, kept]])
        weigh_courses(
            1, *given, np.array([variance]), shares, 4 * one, none, none, np.array([2.0]), course, weight, score
        )
        if kept:
            assert_allclose((course[0, 0, 0], weight[0, 0, 2], score[0, 0]), (0.0, 1e6, 1e6), rtol=0)
    # of the block alone: D̄ = 2 s, and D = 3/4 D̄, for a quarter of L is of the block
    assert_allclose(course[0, 0, 0], 1.5)
    assert_allclose(score[0, 0], 0.25 * 2.0 * 0.5)
    assert_allclose(weight[0, 0, 2], 0.25 * (2.0**2 - 0.5**2 * 4.0))


@pytest.mark.parametrize("seed", [26, 36])  # followed by the innovations form, and by the full likelihood
def test_a_reference_that_drifts_while_the_level_moves_is_no_offset_of_zero(seed: int) -> None:
    follower = Follower(pairs(World.REFERENCE_GAIN, seed, 1)[0], TAUS[0])
    for end_s in range(1, round(END_S) + 1):
        follower.advance((end_s - 1) * RATE_HZ, end_s * RATE_HZ)
        if np.isfinite(follower.found_s):
            break
    assert ONSET_S < follower.found_s < END_S
