from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.drift.limit import FEWEST, SCALE, WINDOW, decision_limit, rates, run_length, strides
from tests.unit.drift import cusum


def test_run_lengths_of_the_yardstick_are_the_tabulated_ones() -> None:
    # two-sided, k = 0.5: h = 4 gives 168, h = 5 gives 465 (Montgomery, Statistical Quality Control, table 9.3)
    assert cusum.run_length(4.0, 0.5) / 2 == pytest.approx(168, rel=0.005)
    assert cusum.run_length(5.0, 0.5) / 2 == pytest.approx(465, rel=0.005)
    # a shift of one standard deviation: 8.38 and 10.4
    assert cusum.run_length(4.0, 0.5, shift=1.0) == pytest.approx(8.38, rel=0.01)
    assert cusum.run_length(5.0, 0.5, shift=1.0) == pytest.approx(10.4, rel=0.01)


@pytest.mark.parametrize("arl0", [50.0, 4e3])
def test_the_decision_interval_of_the_yardstick_gives_the_run_length_asked_for(arl0: float) -> None:
    assert cusum.run_length(cusum.decision_interval(arl0, 0.5), 0.5) == pytest.approx(arl0, rel=1e-6)


def simulated(limit: float, n: int, seed: int) -> float:
    """Mean blocks between alarms over n of them: every instant compared, on scores of known mean and scatter."""
    scores = np.random.default_rng(seed).normal(size=n)
    sums = np.concatenate([[0.0], np.cumsum(scores)])
    begin, alarms = 0, 0
    for t in range(FEWEST, n + 1):
        k = np.arange(max(begin, t - WINDOW), t - FEWEST + 1)
        age = t - k
        k, age = k[k % strides(age) == 0], age[k % strides(age) == 0]
        if k.size and ((sums[t] - sums[k]) ** 2 / age - np.log1p(SCALE / age)).max() > limit**2:
            begin, alarms = t, alarms + 1
    return n / alarms


def test_the_formula_is_what_simulation_gives() -> None:
    # 2.6 gives 98 blocks: 150 alarms, so 8 % is one standard deviation
    assert simulated(2.6, 15_000, seed=1) == pytest.approx(run_length(2.6), rel=0.2)


def test_instants_are_at_most_a_sixteenth_of_their_age_apart() -> None:
    ages = np.arange(1, WINDOW + 1)
    assert np.all(strides(ages) == 2 ** np.maximum(np.floor(np.log2(ages)) - 4, 0))
    assert np.all(strides(ages) <= np.maximum(ages / 16, 1))


@pytest.mark.parametrize("arl0", [100.0, 1e5, 1e9])
def test_more_parameters_and_longer_intervals_need_a_higher_limit(arl0: float) -> None:
    limits = [decision_limit(arl0, p) for p in (1, 2, 4)]
    assert limits[0] < limits[1] < limits[2] < decision_limit(100 * arl0, 1)
    assert run_length(limits[0]) == pytest.approx(arl0, rel=1e-9)
    assert run_length(limits[2], n_parameters=4) == pytest.approx(arl0, rel=1e-9)


@pytest.mark.parametrize(("arl0", "p"), [(1.0, 1), (float("nan"), 1), (1e13, 1), (100.0, 0)])
def test_there_is_not_always_a_limit(arl0: float, p: int) -> None:
    with pytest.raises(InvalidData, match="no limit"):
        decision_limit(arl0, p)


def test_uneven_information_asks_for_a_lower_limit() -> None:
    even, uneven = decision_limit(370.0, 2), decision_limit(370.0, 2, 1.0)
    assert even - 0.1 < uneven < even
    assert run_length(uneven, 1.0, 2) == pytest.approx(run_length(even, n_parameters=2), rel=1e-6)
    assert run_length(even, 1.0) == pytest.approx(1.13 * run_length(even), rel=0.02)


# simulated to 1 % (1.6 % above 1 000 blocks): independent standard normal scores, each run from its beginning
@pytest.mark.parametrize(
    ("limit", "p", "blocks"),
    [
        (2.6, 1, 113), (3.0, 1, 277), (3.2, 1, 461), (3.4, 1, 802), (3.67, 1, 1767), (4.0, 1, 5398),
        (2.6, 2, 62), (2.8, 2, 93), (3.0, 2, 144), (3.2, 2, 236), (3.4, 2, 401), (3.71, 2, 1024),
        (2.8, 3, 65.4), (3.0, 3, 102), (3.2, 3, 166), (3.4, 3, 282), (3.5, 3, 373),
    ],
)  # fmt: skip
def test_run_lengths_from_a_beginning_are_those_simulated(limit: float, p: int, blocks: float) -> None:
    assert run_length(limit, n_parameters=p) == pytest.approx(blocks, rel=0.035)


def test_a_monitor_has_fewer_alarms_while_its_past_is_short() -> None:
    per_block = rates(3.35)
    assert np.all(np.diff(per_block) >= 0)
    assert per_block[99] < 0.95 * per_block[-1]
    assert run_length(3.35, n_parameters=2) > 1.08 / (2 * per_block[-1])
