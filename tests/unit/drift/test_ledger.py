"""The ledger of blocks takes many at once as it takes them one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyncal.drift.following import Blocks
from dyncal.drift.ledger import CAPACITY, BlockLedger
from dyncal.identification.records import BlockOutcome


def block(k: int, rng: np.random.Generator) -> BlockOutcome:
    theta, score, information = rng.normal(size=2), rng.normal(size=2), rng.normal(size=(2, 2))
    return BlockOutcome(k, k + 1, 5, True, False, False, theta, np.eye(2), score, information, 0.1)


@pytest.mark.parametrize("damaged", [None, 150, 700])
@pytest.mark.parametrize("sizes", [[1000], [CAPACITY, 1], [300, 300, 300], [1, CAPACITY, 250]])
def test_many_at_once_are_kept_as_one_by_one(sizes: list[int], damaged: Any) -> None:
    """Also where it is full in their midst, and where one of them is not finite."""
    rng = np.random.default_rng(1)
    blocks = [block(k, rng) for k in range(sum(sizes))]
    found = rng.normal(size=(len(blocks), 2, 3))
    if damaged is not None and damaged < len(blocks):
        blocks[damaged].score[0] = np.nan
    one, other = BlockLedger(2), BlockLedger(2)
    for each, features in zip(blocks, found, strict=True):
        one.add(each, features)
    at = 0
    for size in sizes:
        other.extend(Blocks.of(blocks[at : at + size]), found[at : at + size])
        at += size
    assert one.snapshot() == other.snapshot()
    assert len(one) <= CAPACITY
