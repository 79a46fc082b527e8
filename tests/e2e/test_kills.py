"""Agent, broker, ingest and InfluxDB killed at random: the short form of ``python -m tests.outages kills``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.outages import kills
from tests.outages.counting import Count, compare
from tests.outages.plant import VICTIMS


@pytest.mark.mosquitto
@pytest.mark.influxdb
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_missing_extra_or_altered_whatever_is_killed(tmp_path: Path, seed: int) -> None:
    outcome = kills.run(tmp_path, seed=seed, n_samples=60_000, n_kills=4, rate_hz=6000.0)
    assert set(outcome.kills) == set(VICTIMS)
    assert outcome.count == Count(60_000, 60_000)


def test_what_is_missing_extra_or_altered_is_told_apart() -> None:
    made_ns, made = np.arange(5, dtype=np.int64), np.arange(5.0)
    kept_ns, kept = np.array([0, 2, 3, 7], np.int64), np.array([0.0, 2.0, np.nextafter(3.0, 4), 7.0])
    found = compare(made_ns, made, kept_ns, kept)
    assert found == Count(made=5, kept=2, missing=2, extra=1, altered=1)
    assert not found.perfect
    assert compare(made_ns, made, made_ns, made).perfect
