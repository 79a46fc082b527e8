"""Realised false-alarm interval of the drift monitor; trials are stated, bounds are of the exponential run length."""

from __future__ import annotations

import numpy as np

from dyncal.drift import DriftMonitor, DriftSettings, DriftState
from tests.unit.drift.test_drift import NAMES, Source

TRIALS = 60
ARL0 = 100.0


def _run_length(seed: int) -> int:
    settings = DriftSettings(arl0_blocks=ARL0, minimum_change=0.0, training_blocks=100_000)
    source, monitor = Source(seed), DriftMonitor(NAMES, settings)
    for n in range(1, 2000):
        if monitor.update(source.block()).state is DriftState.DRIFT:
            return n
    return 2000


def test_the_false_alarm_interval_is_the_setting() -> None:
    lengths = np.array([_run_length(seed) for seed in range(TRIALS)])
    # the mean of n nearly exponential run lengths has a relative standard deviation of 1/√n: 3.3 of them
    tolerance = 3.3 / np.sqrt(TRIALS)
    assert (1 - tolerance) * ARL0 < lengths.mean() < (1 + tolerance) * (ARL0 + 10)
