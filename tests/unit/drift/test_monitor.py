from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.drift import DriftMonitor, DriftSettings, DriftState
from tests.unit.drift.blocks import NAMES, SECOND, Block, Source, watch


def test_it_learns_then_says_in_control() -> None:
    source, monitor = Source(1), DriftMonitor(NAMES)
    states = [status.state for status in watch(monitor, [source.block() for _ in range(400)])]
    assert states[:5] == [DriftState.LEARNING] * 5
    assert set(states[6:]) == {DriftState.IN_CONTROL}


def test_a_growing_tau_is_found_named_measured_and_dated() -> None:
    source, monitor = Source(2), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(30)])
    begin = source.block().to_ns
    taus = np.linspace(0.8, 0.8 * 1.3, 30)
    statuses = watch(monitor, [source.block((1.0, tau)) for tau in taus])
    raised = [i for i, status in enumerate(statuses) if status.state is DriftState.DRIFT]
    assert raised
    assert raised[0] <= 12
    assert statuses[-1].state is DriftState.DRIFT
    assert statuses[-1].parameter == "tau_s"
    assert statuses[-1].statistic > statuses[-1].limit
    assert 0.18 < statuses[-1].change < 0.31
    assert 0 < statuses[-1].u_change < 0.02
    # the chart may have left 0 by chance shortly before
    assert begin - 20 * SECOND <= statuses[-1].since_ns <= begin + 20 * SECOND


def test_one_wild_block_raises_nothing() -> None:
    source, monitor = Source(3), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(30)])
    assert monitor.update(source.block((1.0, 2.0))).state is DriftState.IN_CONTROL


def test_significant_but_small_is_no_drift() -> None:
    source, monitor = Source(4), DriftMonitor(NAMES, DriftSettings(minimum_change=0.05))
    watch(monitor, [source.block() for _ in range(60)])
    statuses = watch(monitor, [source.block((1.0, 0.82)) for _ in range(60)])
    assert max(status.statistic for status in statuses) > statuses[0].limit
    assert {status.state for status in statuses} == {DriftState.IN_CONTROL}


def test_without_excitation_it_cannot_tell_and_says_since_when() -> None:
    source, monitor = Source(5), DriftMonitor(NAMES)
    last = [source.block() for _ in range(30)]
    watch(monitor, last)
    assert monitor.update(source.idle(300)).state is DriftState.IN_CONTROL
    status = monitor.update(source.idle(301))
    assert status.state is DriftState.CANNOT_TELL
    assert status.since_ns == last[-1].to_ns
    assert monitor.update(source.block()).state is DriftState.IN_CONTROL


def test_a_new_baseline_ends_the_drift() -> None:
    source, monitor = Source(6), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(30)])
    assert watch(monitor, [source.block((1.0, 1.0)) for _ in range(20)])[-1].state is DriftState.DRIFT
    monitor.rebaseline(np.array([1.0, 1.0]), np.diag([1e-6, 4e-6]))
    states = {status.state for status in watch(monitor, [source.block((1.0, 1.0)) for _ in range(200)])}
    assert states == {DriftState.IN_CONTROL}
    monitor.rebaseline()
    assert monitor.update(source.block()).state is DriftState.LEARNING


@pytest.mark.parametrize("quiet", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("known", [True, False])
def test_a_leap_just_after_a_new_baseline_is_found_at_once(quiet: int, known: bool) -> None:
    source, monitor = Source(11), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(30)])
    monitor.rebaseline(*((np.array([1.0, 0.8]), source.cov / 30) if known else ()))
    watch(monitor, [source.block() for _ in range(quiet + (0 if known else 2))])
    last = watch(monitor, [source.block((1.0, 0.8 + 50 * 0.01)) for _ in range(2)])[-1]
    assert last.state is DriftState.DRIFT
    assert last.parameter == "tau_s"
    assert last.change == pytest.approx(0.5 / 0.8, abs=4 * last.u_change)


def test_claims_that_are_a_third_of_the_scatter_raise_nothing_after_a_new_baseline() -> None:
    for seed in range(200):
        source = Source(seed, scatter=3.0)
        monitor = DriftMonitor(NAMES, DriftSettings(minimum_change=0.0))
        monitor.rebaseline(np.array([1.0, 0.8]), source.cov / 30)
        states = {status.state for status in watch(monitor, [source.block() for _ in range(6)])}
        assert DriftState.DRIFT not in states


@pytest.mark.parametrize("was", [0.0, 1e-4, -1e-4])
def test_a_parameter_near_zero_has_no_relative_change(was: float) -> None:
    source, monitor = Source(13), DriftMonitor(NAMES)
    watch(monitor, [source.block((1.0, was)) for _ in range(40)])
    statuses = watch(monitor, [source.block((1.0, 0.5)) for _ in range(20)])
    assert statuses[-1].state is DriftState.DRIFT
    assert statuses[-1].parameter == "tau_s"
    assert np.isnan(statuses[-1].change)
    assert np.isnan(statuses[-1].u_change)
    assert statuses[-1].statistic > statuses[-1].limit


def test_a_scale_says_what_changes_of_a_parameter_near_zero_are_relative_to() -> None:
    source, monitor = Source(14), DriftMonitor(NAMES, DriftSettings(scales=(("tau_s", 1.0),)))
    watch(monitor, [source.block((1.0, 0.0)) for _ in range(40)])
    small = watch(monitor, [source.block((1.0, 0.03)) for _ in range(60)])
    assert {status.state for status in small} == {DriftState.IN_CONTROL}
    found = watch(monitor, [source.block((1.0, 0.2)) for _ in range(20)])[-1]
    assert found.state is DriftState.DRIFT
    assert found.change == pytest.approx(0.2, abs=0.05)


def test_a_parameter_that_stays_near_zero_raises_nothing() -> None:
    source, monitor = Source(15), DriftMonitor(NAMES)
    states = {status.state for status in watch(monitor, [source.block((1.0, 0.001)) for _ in range(300)])}
    assert DriftState.DRIFT not in states


def test_a_drift_whose_first_blocks_know_most_is_not_taken_for_a_small_one() -> None:
    source, monitor = Source(16), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(30)])
    statuses = []
    for k, tau in enumerate(np.linspace(0.8, 1.2, 20)):  # each block knows 40 % less than the one before
        exact = source.block((1.0, tau))
        factor = 1.0 + 0.4 * k
        value = np.array([1.0, tau]) + factor * (exact.value - [1.0, tau])
        statuses.append(monitor.update(Block(exact.to_ns, value, factor**2 * exact.cov)))
    raised = [k for k, status in enumerate(statuses) if status.state is DriftState.DRIFT]
    assert raised[0] <= 11
    assert statuses[raised[0]].change > 0.05


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidData, match="arl0"):
        DriftSettings(arl0_blocks=1.0)
    with pytest.raises(InvalidData, match="parameter"):
        DriftMonitor(())
    with pytest.raises(InvalidData, match="speak"):
        DriftMonitor(("gain",)).update(Source(1).block())
    with pytest.raises(InvalidData, match=r"no parameter 'tau'.*gain, tau_s"):
        DriftMonitor(NAMES, DriftSettings(minimum_changes=(("tau", 0.1),)))
    with pytest.raises(InvalidData, match=r"no parameter 'tau'.*gain, tau_s"):
        DriftMonitor(NAMES, DriftSettings(scales=(("tau", 0.1),)))
    with pytest.raises(InvalidData, match="scale of tau_s"):
        DriftSettings(scales=(("tau_s", 0.0),))
    with pytest.raises(InvalidData, match="learning_blocks"):
        DriftSettings(learning_blocks=float("nan"))  # type: ignore[arg-type]  # as a snapshot may say
    with pytest.raises(InvalidData, match="positive definite"):
        DriftMonitor(NAMES).rebaseline(np.ones(2), -np.eye(2))


def test_a_block_of_no_numbers_decides_nothing() -> None:
    source, monitor = Source(8), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(30)])
    before = monitor.snapshot()
    bad = Block(source.block().to_ns, np.array([np.nan, 1.0]), np.diag([1e-4, 1e-4]))
    assert monitor.update(bad).state is DriftState.IN_CONTROL
    assert len(monitor.snapshot()) == len(before)


@pytest.mark.parametrize("scatter", [0.3, 1.0, 3.0])
def test_how_estimates_scatter_is_learnt(scatter: float) -> None:
    alarms = 0
    for seed in range(4):
        source, monitor = Source(seed, scatter), DriftMonitor(NAMES, DriftSettings(minimum_change=0.0))
        statuses = watch(monitor, [source.block() for _ in range(200)])
        alarms += any(status.state is DriftState.DRIFT for status in statuses)
        tau = 0.8 + 4 * scatter * 0.01
        found = watch(monitor, [source.block((1.0, tau)) for _ in range(8)])[-1]
        assert found.state is DriftState.DRIFT
        assert found.parameter == "tau_s"
        assert found.change == pytest.approx(tau / 0.8 - 1, abs=4 * found.u_change)
        assert found.u_change == pytest.approx(scatter * 0.0125 / np.sqrt(7), rel=0.4)
    assert alarms == 0  # 0.008 are to be expected of 800 blocks


def test_a_drift_among_the_first_blocks_is_not_lost_to_the_baseline() -> None:
    delays = []
    for seed in range(10):
        source, monitor = Source(seed), DriftMonitor(NAMES)
        watch(monitor, [source.block() for _ in range(12)])
        statuses = watch(monitor, [source.block((1.0, tau)) for tau in np.linspace(0.8, 1.0, 60)])
        raised = [i for i, status in enumerate(statuses) if status.state is DriftState.DRIFT]
        delays.append(raised[0])
        assert statuses[-1].change == pytest.approx(0.25, abs=0.05)
        assert statuses[-1].early_ns <= statuses[-1].since_ns <= statuses[-1].late_ns
    assert max(delays) < 30


def test_a_slow_drift_from_the_very_beginning_is_found() -> None:
    source, monitor = Source(2), DriftMonitor(NAMES)
    statuses = watch(monitor, [source.block((1.0, tau)) for tau in np.linspace(0.8, 1.0, 400)])
    raised = [i for i, status in enumerate(statuses) if status.state is DriftState.DRIFT]
    assert raised[0] < 200  # 1.5 parts in a thousand of the way a block


def test_the_instant_of_a_change_lies_in_its_interval() -> None:
    inside, n = 0, 40
    for seed in range(n):
        source, monitor = Source(seed), DriftMonitor(NAMES, DriftSettings(minimum_change=0.0))
        steady = [source.block() for _ in range(60)]
        watch(monitor, steady)
        status = monitor.update(source.block((1.0, 0.82)))
        while status.state is not DriftState.DRIFT:
            status = monitor.update(source.block((1.0, 0.82)))
        assert status.parameter == "tau_s"
        inside += status.early_ns <= steady[-1].to_ns <= status.late_ns
    assert inside >= 0.8 * n  # 95 % are claimed; an alarm comes when chance helps


def test_a_drift_ends_where_the_sensor_comes_back() -> None:
    source, monitor = Source(4), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(50)])
    assert watch(monitor, [source.block((1.0, 0.9)) for _ in range(40)])[-1].state is DriftState.DRIFT
    statuses = watch(monitor, [source.block() for _ in range(60)])
    assert statuses[-1].state is DriftState.IN_CONTROL
    assert statuses[30].state is DriftState.IN_CONTROL
    assert watch(monitor, [source.block((1.0, 0.9)) for _ in range(20)])[-1].state is DriftState.DRIFT


def test_a_leap_is_found_in_two_blocks_with_its_size() -> None:
    source, monitor = Source(5), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(100)])
    first, second = watch(monitor, [source.block((2.0, 0.8)) for _ in range(2)])
    assert first.state is DriftState.IN_CONTROL
    assert second.state is DriftState.DRIFT
    assert second.parameter == "gain"
    assert second.change == pytest.approx(1.0, abs=0.02)


def test_a_block_twice_counts_once() -> None:
    source, monitor = Source(6), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(20)])
    block = source.block()
    monitor.update(block)
    before = monitor.snapshot()
    for _ in range(50):
        monitor.update(block)
    assert monitor.snapshot() == before


@pytest.mark.parametrize(
    ("value", "cov"),
    [
        ((np.nan, 1.0), np.eye(2) * 1e-4),
        ((1e300, 1.0), np.eye(2) * 1e-4),
        ((1.0, 1.0), np.array([[1e-4, 2e-4], [2e-4, 1e-4]])),
        ((1.0, 1.0), np.array([[1e-4, 1e-4], [1e-4, 1e-4 * (1 + 1e-14)]])),
        ((1.0, 1.0), np.diag([np.nan, 1e-4])),
        ((1.0, 1.0), np.diag([1e-320, 1e-4])),
        ((1.0, 1.0), -np.eye(2)),
        ((1.0, 1.0), np.diag([1e6, 1e6])),
    ],
)
@pytest.mark.parametrize("age", [0, 3, 30])
def test_blocks_that_say_nothing_decide_nothing(value: tuple[float, float], cov: np.ndarray, age: int) -> None:
    source, monitor = Source(8), DriftMonitor(NAMES)
    for _ in range(age):
        monitor.update(source.block())
    for _ in range(20):
        status = monitor.update(Block(source.block().to_ns, np.array(value), cov))
        assert status.state is not DriftState.DRIFT
    statuses = watch(monitor, [source.block() for _ in range(100)])
    assert {status.state for status in statuses[10:]} == {DriftState.IN_CONTROL}
    assert np.isfinite(statuses[-1].statistic)


def test_blocks_of_zero_scatter_or_immense_size_leave_finite_numbers() -> None:
    source, monitor = Source(9), DriftMonitor(NAMES)
    same = source.block()
    for k in range(100):
        assert np.isfinite(monitor.update(Block(k * SECOND, same.value, same.cov)).statistic)
    for k in range(100, 110):
        status = monitor.update(Block(k * SECOND, np.array([1e200, -1e200]), same.cov))
    assert np.isfinite(status.statistic)
    DriftMonitor.restore(monitor.snapshot())


def test_memory_and_a_snapshot_are_bounded() -> None:
    source, monitor = Source(10), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(300)])
    assert len(monitor.snapshot()) < 160 * (9 + 4 + 3) * 8


def test_a_clock_that_was_put_back_does_not_silence_it() -> None:
    source, monitor = Source(12), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(40)])
    ahead = source.block()
    ahead.to_ns += 10**18
    monitor.update(ahead)
    status = watch(monitor, [source.block((1.0, 0.9)) for _ in range(20)])[-1]
    assert status.state is DriftState.DRIFT


def test_the_interval_of_an_instant_is_in_order_when_the_clock_was_put_back() -> None:
    source, monitor = Source(17), DriftMonitor(NAMES)
    for k in range(60):
        block = source.block((1.0, 0.8 if k < 30 else 0.86))
        if k >= 29:
            block.to_ns -= 10**17
        status = monitor.update(block)
    assert status.state is DriftState.DRIFT
    assert status.early_ns <= status.since_ns <= status.late_ns
