from __future__ import annotations

import numpy as np
import pytest

from dyncal.drift.baseline import Baseline
from dyncal.drift.history import History, Learnt
from dyncal.drift.limit import FEWEST, SCALE, WINDOW
from dyncal.drift.scatter import Scatter


def follow(values: np.ndarray) -> tuple[History, Learnt]:
    """Take in numbers of variance 1, one parameter, the scatter taken for known."""
    learnt = Learnt.nothing(1)
    history = History(learnt, 0)
    for at, x in enumerate(values, start=1):
        weight, score = np.zeros(1), np.zeros(1)
        if learnt.baseline.n:
            p = 1.0 / learnt.baseline.n
            weight, score = np.array([p / np.sqrt(1 + p)]), (x - learnt.baseline.mean) / np.sqrt(1 + p)
        learnt = Learnt(learnt.baseline.with_block(np.array([x]), np.eye(1)), Scatter.empty(1))
        history.add(weight, score, learnt, at)
    return history, learnt


@pytest.mark.parametrize("n", [3, 40, 300, 1500])
def test_it_compares_all_blocks_after_each_instant_with_all_before(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    history, _ = follow(values)
    at = history.at_ns
    compared = 0
    for k, found in zip(at.tolist(), history.statistics[:, 0].tolist(), strict=True):
        if k < 2 or n - k < FEWEST:
            assert found == 0
            continue
        before, after = values[:k], values[k:]
        ratio = (after.mean() - before.mean()) ** 2 / (1 / after.size + 1 / before.size)
        asked = np.log1p(SCALE / after.size)
        expected = np.sqrt(max(ratio - asked, 0.0)) * np.sign(after.mean() - before.mean())
        assert found == pytest.approx(expected, abs=1e-7)
        if found:
            assert found**2 + history.leniency[at == k] == pytest.approx(ratio)
        compared += 1
    assert compared == len(at) - np.count_nonzero((at < 2) | (n - at < FEWEST))


def test_its_memory_is_bounded() -> None:
    history, _ = follow(np.zeros(3000))
    assert len(history) <= 128
    assert 3000 - WINDOW <= history.at_ns[0] <= 3000 - WINDOW / 2
    np.testing.assert_array_equal(history.at_ns[-32:], np.arange(2969, 3001))


def test_what_was_known_at_an_instant_is_there() -> None:
    values = np.random.default_rng(7).normal(size=50)
    history, learnt = follow(values)
    k = int(np.flatnonzero(history.at_ns == 30)[0])
    before = history.learnt(k).baseline
    assert before.n == 30
    assert before.mean[0] == pytest.approx(values[:30].mean())
    assert learnt.baseline.mean[0] == pytest.approx(values.mean())


def test_differences_stay_exact_after_very_many_blocks() -> None:
    n = 10**8
    learnt = Learnt(Baseline(np.eye(1) * n, np.zeros(1), n), Scatter.empty(1))
    history = History(learnt, 0)
    rng = np.random.default_rng(1)
    values, shift = rng.normal(size=2000), 5.0
    weight = np.array([1.0 / n])
    for at, x in enumerate(values, start=1):
        history.add(weight, np.array([x + shift]), learnt, at)
    newest = int(np.flatnonzero(history.at_ns == 1998)[0])
    ratio = history.statistics[newest, 0] ** 2 + np.log1p(SCALE / 2)
    assert ratio == pytest.approx((values[1998:].sum() + shift * 2) ** 2 / 2, rel=1e-9)
