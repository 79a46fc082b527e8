"""Whatever goes wrong between devices and InfluxDB: the short forms of ``python -m tests.outages``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.outages.counting import Count, compare
from tests.outages.disks import CannotMount
from tests.outages.soak import soak
from tests.outages.trials import TRIALS

N_SAMPLES = 64_000


@pytest.mark.mosquitto
@pytest.mark.influxdb
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("trial", "seed"), [("kills", 1), ("kills", 2), ("disorder", 1), ("clocks", 1), ("disks", 1)])
def test_nothing_is_missing_extra_or_altered(tmp_path: Path, trial: str, seed: int) -> None:
    try:
        delivered = TRIALS[trial](tmp_path, n_samples=N_SAMPLES, seed=seed)
    except CannotMount:
        pytest.skip("a file system of a given size can be had by the superuser only")
    assert delivered.count == Count(N_SAMPLES, N_SAMPLES)
    assert delivered.perfect
    # a disk that fails under an agent that dies has it number some samples twice
    assert delivered.ledger.samples == N_SAMPLES or trial == "disks"


@pytest.mark.mosquitto
@pytest.mark.influxdb
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_memory_stays_as_it_is_after_the_warm_up(tmp_path: Path) -> None:
    found = soak(tmp_path, rate_hz=8000.0, seconds=20.0)
    assert found.stored == found.sent == 160_000
    assert found.growth <= 1.05


def test_what_is_missing_extra_or_altered_is_told_apart() -> None:
    made_ns, made = np.arange(5, dtype=np.int64), np.arange(5.0)
    kept_ns, kept = np.array([0, 2, 3, 7], np.int64), np.array([0.0, 2.0, np.nextafter(3.0, 4), 7.0])
    found = compare(made_ns, made, kept_ns, kept)
    assert found == Count(made=5, kept=2, missing=2, extra=1, altered=1)
    assert not found.perfect
    assert compare(made_ns, made, made_ns, made).perfect
