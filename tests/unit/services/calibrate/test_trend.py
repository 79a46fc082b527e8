from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.time import NS_PER_S
from services.calibrate.trend import Trend

COV = np.diag([1e-8, 1e-6])
AHEAD = 4 * NS_PER_S


def trend(rate: float, seconds: int, cov: np.ndarray[tuple[int, int], np.dtype[np.float64]] = COV) -> Trend:
    made = Trend()
    for k in range(seconds + 1):
        made.add(k * NS_PER_S, np.array([1.0, 0.8 + rate * k]), cov)
    return made


def test_a_ramp_goes_on() -> None:
    assert trend(0.02, 10).expected_change(AHEAD) == pytest.approx([0.0, 0.08])


def test_what_is_steady_stays() -> None:
    assert trend(0.0, 10).expected_change(AHEAD).tolist() == [0.0, 0.0]


def test_a_change_within_its_uncertainty_is_none() -> None:
    assert trend(0.0002, 10).expected_change(AHEAD).tolist() == [0.0, 0.0]


def test_too_short_or_too_old_a_past_says_nothing() -> None:
    assert trend(0.02, 2).expected_change(AHEAD).tolist() == [0.0, 0.0]
    late = trend(0.02, 3)
    late.add(100 * NS_PER_S, np.array([1.0, 2.0]), COV)
    assert late.expected_change(AHEAD).tolist() == [0.0, 0.0]
    assert Trend().expected_change(AHEAD).size == 0
