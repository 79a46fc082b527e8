"""Features and ledgers of several blocks at once against those of one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.drift.following import Blocks
from dyncal.drift.ledger import CAPACITY, BlockLedger
from dyncal.drift.process import block_features, features
from tests.unit.drift.blocks import SECOND, Block, Source

RNG = np.random.default_rng(4)


def test_features_of_blocks_are_those_of_each_to_the_last_bit() -> None:
    t_ns = np.cumsum(RNG.integers(1, 9, size=3000))
    reference, indication = RNG.normal(5.0, 2.0, size=(2, 3000))
    reference[1000:1500], indication[2000] = 3.0, np.nan
    from_ns = np.concatenate((t_ns[[0, 300, 1000, 1600, 1990, 2500]], [t_ns[-1] + 5]))
    to_ns = np.concatenate((t_ns[[299, 900, 1400, 1606, 2400, 2999]], [t_ns[-1] + 9]))
    found = block_features(t_ns, reference, indication, from_ns, to_ns)
    for k, (begin, end) in enumerate(zip(from_ns, to_ns, strict=True)):
        within = (t_ns >= begin) & (t_ns <= end)
        for signal, values in enumerate((reference, indication)):
            assert found[k, signal] == pytest.approx(features(values[within]), rel=1e-14, nan_ok=True)
    assert np.isnan(found).any(axis=(1, 2)).tolist() == [False, False, True, True, True, False, True]


def ledgers(blocks: list[Block], size: int) -> tuple[BlockLedger, BlockLedger]:
    one, other = BlockLedger(2), BlockLedger(2)
    found = RNG.normal(size=(len(blocks), 2, 3))
    for block, each in zip(blocks, found, strict=True):
        one.add(block, each)
    for first in range(0, len(blocks), size):
        other.extend(Blocks.of(blocks[first : first + size]), found[first : first + size])
    return one, other


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_ledger_keeps_what_it_is_given_at_once(size: int) -> None:
    source = Source(2)
    one, other = ledgers([source.block() for _ in range(CAPACITY + 150)], size)
    assert len(one) == len(other)
    assert one.at_ns.tolist() == other.at_ns.tolist()
    assert other.features.tobytes() == one.features.tobytes()
    assert other.information.tobytes() == one.information.tobytes()
    assert other.vectors == pytest.approx(one.vectors, rel=1e-12)


def test_a_ledger_leaves_out_what_is_no_number() -> None:
    source = Source(3)
    blocks = [source.block() for _ in range(9)]
    blocks[4] = Block(blocks[4].to_ns, np.array([np.nan, 0.8]), source.cov)
    one, other = ledgers(blocks, 9)
    assert len(one) == len(other) == 8
    assert other.at_ns.tolist() == [(k + 1) * 2 * SECOND for k in range(9) if k != 4]
