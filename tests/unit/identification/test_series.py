"""Blocks of a sensor as arrays say what they say one by one."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from dyncal.identification.records import BlockOutcome
from dyncal.identification.series import BlockSeries


def block(k: int, *, excited: bool = True, reset: bool = False, rejected: bool = False) -> BlockOutcome:
    rng = np.random.default_rng(k)
    theta, cov, score, information = rng.normal(size=2), rng.normal(size=(2, 2)), rng.normal(size=2), np.eye(2) * k
    return BlockOutcome(10 * k, 10 * k + 9, 5 + k, excited, reset, rejected, theta, cov, score, information, 0.1 * k)


def test_each_is_what_it_was() -> None:
    blocks = [block(1), block(2, excited=False), block(3, reset=True)]
    series = BlockSeries.of(blocks)
    assert len(series) == 3
    for was, found in zip(blocks, series, strict=True):
        for name in (field.name for field in fields(BlockOutcome)):
            assert type(getattr(found, name)) is type(getattr(was, name)), name
            np.testing.assert_array_equal(getattr(found, name), getattr(was, name))
    assert series[-1].to_ns == 39
    assert [each.n for each in series[1:]] == [7, 8]
    with pytest.raises(IndexError):
        series[3]


def test_a_block_that_is_kept_keeps_no_others() -> None:
    kept = BlockSeries.of([block(k) for k in range(100)])[50]
    assert kept.theta.base is None
    assert kept.information.base is None


def test_evidence_is_theta_score_and_information() -> None:
    (one,) = series = BlockSeries.of([block(4)])
    np.testing.assert_array_equal(series.evidence[0], np.vstack((one.theta, one.score, one.information)))
    assert series.evidence.flags.c_contiguous


def test_stretches_are_in_order_and_whole() -> None:
    kinds = [{}, {}, {"excited": False}, {"rejected": True}, {}, {"reset": True}]
    series = BlockSeries.of([block(k, **kind) for k, kind in enumerate(kinds)])
    found = [(informs, several.n.tolist()) for informs, several in series.stretches()]
    assert found == [(True, [5, 6]), (False, [7, 8]), (True, [9]), (False, [10])]
    assert list(series[:0].stretches()) == []
