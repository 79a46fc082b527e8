"""Time to out-of-tolerance: how often the stated 95 % interval holds it, for drifts that go on as they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.drift.forecast import forecast
from dyncal.drift.ledger import BlockLedger
from tests.evidence import Figure, coverage
from tests.statistical.harness import Experiment
from tests.unit.drift.blocks import SECOND, Block

NAMES: Final = ("gain", "tau_s")
TOLERANCE: Final = 0.05
COV: Final = np.diag([0.003**2, 0.01**2])
BLOCK_S: Final = 2
LASTS: Final = 240
"""Blocks that the drift takes to leave the tolerance."""


def foretold(passed: float, seed: int) -> FloatArray:
    """Return early, likely and late end and the truth, in blocks from now, and the width over the truth.

    τ begins to drift after 40 to 160 blocks, and a share `passed` of its way to the tolerance lies behind.
    """
    rng = np.random.default_rng(seed)
    onset = int(rng.integers(40, 160))
    sign = 1 if rng.random() < 0.5 else -1
    n, ledger = onset + round(passed * LASTS), BlockLedger(len(NAMES))
    for b in range(n):
        theta = np.array([1.0, 1 + sign * TOLERANCE * max(0, b - onset) / LASTS])
        value = rng.multivariate_normal(theta, COV)
        ledger.add(Block((b + 1) * BLOCK_S * SECOND, value, COV, theta=theta), np.zeros((2, 3)))
    known = np.diag(COV) / 1000
    baseline = np.ones(2) + np.sqrt(known) * rng.standard_normal(2)
    _, told = forecast(ledger, NAMES, baseline, np.diag(known), dict.fromkeys(NAMES, TOLERANCE))
    ends = [
        np.inf if at is None else (at / SECOND / BLOCK_S - n) for at in (told.early_ns, told.likely_ns, told.late_ns)
    ]
    return np.array([*ends, onset + LASTS + 1 - n])


def judge(lowest: float, highest: float, results: FloatArray) -> Sequence[Figure]:
    """Return the share of intervals that hold the truth, and how wide they are."""
    early, likely, late, truth = results.T
    n, free = len(results), float("inf")
    inside = (early <= truth) & (truth <= late)
    seen = np.isfinite(likely)
    middle = float(np.median(likely[seen] / truth[seen])) if seen.any() else 0.0
    return [
        coverage("95 % interval holds the time to out-of-tolerance", inside, lowest, highest),
        Figure("median foretold over truth, where one is", middle, 0.0, free, n),
        Figure("no median: never, on present evidence", float(np.mean(~seen)), 0.0, 1.0, n, unit="%"),
        Figure("open end: it may also never leave", float(np.mean(np.isinf(late))), 0.0, 1.0, n, unit="%"),
        Figure("too late (out before the interval begins)", float(np.mean(truth < early)), 0.0, 1.0, n, unit="%"),
    ]


EXPERIMENTS: tuple[Experiment, ...] = tuple(
    Experiment(
        f"drift: time to out-of-tolerance, {passed:.0%} of the way", partial(foretold, passed),
        partial(judge, *bar), 1000, 4,
    )
    for passed, bar in ((0.25, (0.0, 1.0)), (0.5, (0.935, 0.965)), (0.75, (0.935, 0.965)))
)  # fmt: skip
