"""Blocks in one compiled call against the same one by one."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.drift import DriftMonitor, DriftState, DriftStatus
from dyncal.drift.following import Blocks
from tests.unit.drift.blocks import NAMES, SECOND, Block, Source, watch


def alone(monitor: DriftMonitor, blocks: list[Block]) -> list[DriftStatus]:
    """What `update` says after each."""
    return watch(monitor, blocks)


def together(monitor: DriftMonitor, blocks: list[Block], size: int) -> dict[int, DriftStatus]:
    """What `advance` says, by the number of the block after which it does."""
    said = {}
    for first in range(0, len(blocks), size):
        rest, at = Blocks.of(blocks[first : first + size]), first
        while len(rest):
            n, status = monitor.advance(rest)
            assert n >= 1
            rest, at = rest.beyond(n), at + n
            said[at - 1] = status
    return said


def compared(one: DriftStatus, other: DriftStatus) -> None:
    numbers = ("statistic", "limit", "change", "u_change")
    for name in ("state", "parameter", "since_ns", "early_ns", "late_ns"):
        assert getattr(one, name) == getattr(other, name)
    for name in numbers:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-9, nan_ok=True)


def uneven(source: Source) -> list[Block]:
    """Blocks that say a hundred times more or less than others: the limit moves with each of the first."""
    rng = np.random.default_rng(3)
    covs = [source.cov * factor for factor in 10 ** rng.uniform(-1, 1, size=400)]
    return [Block((k + 1) * SECOND, rng.multivariate_normal((1.0, 0.8), cov), cov) for k, cov in enumerate(covs)]


def course(kind: str, source: Source) -> list[Block]:
    quiet = [source.block() for _ in range(300)]
    if kind == "quiet":
        return [*quiet, *(source.block() for _ in range(900))]
    if kind == "wild":
        return [b for k in range(200) for b in [source.block((1.0, 0.8 if k % 17 else 1.6))]]
    if kind == "uneven":
        return uneven(source)
    if kind == "twice":
        return [b for block in quiet for b in (block, block)]
    return [
        *quiet,
        *(source.block((1.0, tau)) for tau in np.linspace(0.8, 1.1, 40)),
        *(source.block() for _ in range(60)),
    ]


@pytest.mark.parametrize("kind", ["quiet", "wild", "uneven", "twice", "drift"])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_it_says_what_is_said_block_by_block(kind: str, size: int) -> None:
    blocks = course(kind, Source(5))
    one, other = DriftMonitor(NAMES), DriftMonitor(NAMES)
    wanted, found = alone(one, blocks), together(other, blocks, size)
    for k, status in found.items():
        compared(status, wanted[k])
    silent = [status.state for k, status in enumerate(wanted) if k not in found]
    assert set(silent) <= {DriftState.IN_CONTROL}
    assert kind != "drift" or any(status.state is DriftState.DRIFT for status in found.values())
    if kind == "quiet" and size > 1:
        assert len(found) < len(blocks) / 3


def test_it_goes_on_from_a_snapshot_to_the_last_bit() -> None:
    source = Source(8)
    blocks, more = [source.block() for _ in range(101)], [source.block() for _ in range(50)]
    monitor = DriftMonitor(NAMES)
    together(monitor, blocks, 7)
    again = DriftMonitor.restore(monitor.snapshot())
    assert together(monitor, more, 7) == together(again, more, 7)
    assert monitor.snapshot() == again.snapshot()


def test_a_block_that_is_no_number_is_left_to_be_looked_at_alone() -> None:
    source, monitor = Source(9), DriftMonitor(NAMES)
    together(monitor, [source.block() for _ in range(50)], 10)
    blocks = [source.block() for _ in range(5)]
    informed = blocks[1].to_ns
    blocks[2] = Block(blocks[2].to_ns, np.array([np.nan, 0.8]), source.cov)
    found = together(monitor, blocks[:3], 3)
    assert sorted(found) == [1, 2]
    assert monitor.informed_ns == informed


def test_blocks_of_other_parameters_are_refused() -> None:
    monitor = DriftMonitor(("gain",))
    with pytest.raises(InvalidData, match="do not speak"):
        monitor.advance(Blocks.of([Source(1).block()]))


def test_a_clock_that_was_put_back_is_no_repetition() -> None:
    source, monitor = Source(10), DriftMonitor(NAMES)
    together(monitor, [source.block() for _ in range(50)], 10)
    early = Block(5 * SECOND, np.array([1.0, 0.8]), source.cov)
    n, _ = monitor.advance(Blocks.of([early, early]))
    assert n == 1
    assert monitor.informed_ns == 5 * SECOND
