from __future__ import annotations

import numpy as np
import pytest

from dyncal.drift import DriftMonitor
from dyncal.drift.limit import decision_limit
from dyncal.drift.spread import Spread
from tests.unit.drift.blocks import NAMES, Block, Source


def test_it_is_the_variance_of_the_logarithm() -> None:
    rng, spread = np.random.default_rng(1), Spread.unknown(2)
    for _ in range(3000):
        spread.add(rng.normal(5.0, [0.8, 1.0]))
    assert spread.variance == pytest.approx((0.64 + 1.0) / 2, rel=0.1)
    assert spread.rounded == pytest.approx(spread.variance, abs=0.07)


def test_what_changes_slowly_is_not_uneven() -> None:
    spread = Spread.unknown(1)
    for x in np.linspace(0.0, 20.0, 2000):
        spread.add(np.array([x]))
    assert spread.rounded == 0.0


def test_it_is_bounded_and_not_believed_at_once() -> None:
    spread = Spread.unknown(1)
    for k in range(8):
        spread.add(np.array([100.0 * k]))
    assert spread.rounded == 0.0
    spread.add(np.array([-1e3]))
    assert spread.rounded == 3.0


def test_a_monitor_lowers_its_limit_and_keeps_it_in_its_snapshot() -> None:
    source, monitor = Source(3), DriftMonitor(NAMES)
    rng = np.random.default_rng(2)
    for _ in range(60):
        one, factor = source.block(), np.exp(rng.normal(0.0, 0.5))  # of the standard deviation
        value = np.array([1.0, 0.8]) + factor * (one.value - [1.0, 0.8])
        status = monitor.update(Block(one.to_ns, value, factor**2 * one.cov))
    arl0 = monitor.settings.arl0_blocks
    assert decision_limit(arl0, 2, 2.0) < status.limit < decision_limit(arl0, 2, 0.5)
    again = DriftMonitor.restore(monitor.snapshot())
    block = source.block()
    assert again.update(block).limit == monitor.update(block).limit
