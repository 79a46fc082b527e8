from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.drift import DriftMonitor, DriftSettings, DriftState, DriftStatus
from dyncal.drift.arl import decision_interval, run_length
from dyncal.drift.chart import Chart

NAMES = ("gain", "tau_s")
SECOND = 1_000_000_000


@dataclass
class Block:
    """A block that measured `value` with covariance `cov`."""

    to_ns: int
    value: FloatArray
    cov: FloatArray
    excited: bool = True
    rejected: bool = False
    theta: FloatArray = field(default_factory=lambda: np.array([1.0, 1.0]))

    @property
    def information(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.cov) if self.excited else np.zeros((2, 2)), dtype=np.float64)

    @property
    def score(self) -> FloatArray:
        return self.information @ (self.value - self.theta)


class Source:
    """Blocks around a true θ with correlated errors of 0.5 % and 1 %."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._cov = np.array([[2.5e-5, 1.5e-5], [1.5e-5, 1e-4]])
        self._at = 0

    def block(self, theta: tuple[float, float] = (1.0, 0.8)) -> Block:
        self._at += 2 * SECOND
        return Block(self._at, self._rng.multivariate_normal(theta, self._cov), self._cov)

    def idle(self, seconds: int) -> Block:
        self._at += seconds * SECOND
        return Block(self._at, np.zeros(2), self._cov, excited=False)


def watch(monitor: DriftMonitor, blocks: list[Block]) -> list[DriftStatus]:
    return [monitor.update(block) for block in blocks]


def test_run_lengths_are_the_tabulated_ones() -> None:
    # two-sided, k = 0.5: h = 4 gives 168, h = 5 gives 465 (Montgomery, Statistical Quality Control, table 9.3)
    assert run_length(4.0, 0.5) / 2 == pytest.approx(168, rel=0.005)
    assert run_length(5.0, 0.5) / 2 == pytest.approx(465, rel=0.005)
    # a shift of one standard deviation: 8.38 and 10.4
    assert run_length(4.0, 0.5, shift=1.0) == pytest.approx(8.38, rel=0.01)
    assert run_length(5.0, 0.5, shift=1.0) == pytest.approx(10.4, rel=0.01)


@pytest.mark.parametrize("arl0", [50.0, 1e3, 4e5])
def test_the_decision_interval_gives_the_run_length_asked_for(arl0: float) -> None:
    assert run_length(decision_interval(arl0, 0.5), 0.5) == pytest.approx(arl0, rel=1e-6)


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


def test_a_restored_monitor_goes_on_the_same() -> None:
    source, monitor = Source(7), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(25)])
    restored = DriftMonitor.restore(monitor.snapshot())
    blocks = [source.block((1.0, 0.9)) for _ in range(25)]
    assert [s.state for s in watch(monitor, blocks)] == [s.state for s in watch(restored, blocks)]
    assert restored.snapshot() == monitor.snapshot()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidData, match="snapshot"):
        DriftMonitor.restore(b"\x80")
    with pytest.raises(InvalidData, match="arl0"):
        DriftSettings(arl0_blocks=1.0)
    with pytest.raises(InvalidData, match="parameter"):
        DriftMonitor(())
    with pytest.raises(InvalidData, match="speak"):
        DriftMonitor(("gain",)).update(Source(1).block())
    with pytest.raises(InvalidData, match="positive definite"):
        DriftMonitor(NAMES).rebaseline(np.ones(2), -np.eye(2))


def test_a_block_of_no_numbers_decides_nothing() -> None:
    source, monitor = Source(8), DriftMonitor(NAMES)
    watch(monitor, [source.block() for _ in range(30)])
    before = monitor.snapshot()
    bad = Block(source.block().to_ns, np.array([np.nan, 1.0]), np.diag([1e-4, 1e-4]))
    assert monitor.update(bad).state is DriftState.IN_CONTROL
    assert len(monitor.snapshot()) == len(before)


def test_scatter_is_learnt_from_scores_and_drift_is_not_taken_for_it() -> None:
    rng = np.random.default_rng(11)
    wide = still = Chart()
    for k in range(400):
        wide, still = wide.learnt(1.5 * rng.normal()), still.learnt(rng.normal() + 0.05 * k)
    assert wide.scale == pytest.approx(1.5, rel=0.1)
    assert still.scale == pytest.approx(1.0, rel=0.1)
    assert Chart().scale == 1.0
