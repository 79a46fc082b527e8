"""Streams on a grid and off it."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.time import Int64Array
from services.calibrate.rhythm import Rhythm

DT = 100_000_000
GRID = DT * np.arange(2000, dtype=np.int64)


def jittered(sigma: float) -> Int64Array:
    rng = np.random.default_rng(1)
    return np.sort(GRID + (sigma * DT * rng.standard_normal(GRID.size)).astype(np.int64))


def lossy() -> Int64Array:
    return GRID[np.random.default_rng(2).uniform(size=GRID.size) > 0.3]


def doubled() -> Int64Array:
    return np.sort(np.concatenate((GRID, GRID[::3] + DT // 50)))


def event_driven() -> Int64Array:
    return np.cumsum(np.random.default_rng(3).uniform(0.2 * DT, 2 * DT, 2000)).astype(np.int64)


@pytest.mark.parametrize(
    ("t_ns", "expected"),
    [
        (GRID, False),
        (jittered(0.05), False),
        (jittered(0.1), False),
        (jittered(0.4), True),
        (lossy(), False),
        (doubled(), False),
        (event_driven(), True),
    ],
    ids=["grid", "5 % jitter", "10 % jitter", "40 % jitter", "losses", "doubled samples", "events"],
)
def test_a_rhythm_is_told_however_the_stream_is_cut(t_ns: Int64Array, expected: bool) -> None:
    whole = Rhythm(DT)
    whole.add(t_ns)
    assert whole.irregular is expected
    pieces = Rhythm(DT)
    for a in range(0, t_ns.size, 7):
        pieces.add(t_ns[max(a - 3, 0) : a + 7])  # some of it again
    assert pieces.irregular is expected


def judged(*parts: Int64Array) -> bool:
    rhythm = Rhythm(DT)
    for part in parts:
        rhythm.add(part)
    return rhythm.irregular


def test_it_says_so_soon_and_takes_it_back_when_the_grid_returns() -> None:
    events = event_driven()
    assert not judged(events[:20])
    assert judged(events[:40])
    back = [events[40] + GRID[a : a + 100] for a in range(1, 1900, 100)]
    assert not judged(events[:41], *back)


def test_a_long_silence_says_nothing() -> None:
    rhythm = Rhythm(DT)
    rhythm.add(GRID[:40] * 33 + GRID[:40] // 3)
    assert not rhythm.irregular
