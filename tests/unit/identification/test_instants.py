"""Looks at instants, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.identification.instants import in_step, off_grid

DT_NS = 10_000_000


@pytest.mark.parametrize("seed", range(5))
def test_steps_off_the_grid_are_those_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t_ns = np.cumsum(rng.choice([DT_NS, DT_NS + 2_400_000, 2 * DT_NS + 2_600_000, 30 * DT_NS], size=200))
    steps = np.diff(t_ns) / DT_NS
    steps = steps[steps <= 20.0]
    assert off_grid(t_ns, DT_NS, 20.0, 0.25) == (
        steps.size,
        int(np.count_nonzero(np.abs(steps - np.rint(steps)) > 0.25)),
    )
    assert off_grid(t_ns[:1], DT_NS, 20.0, 0.25) == (0, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s, r: (s, r), True),
        (lambda s, r: (s, r[:-1]), False),  # the reference is behind
        (lambda s, r: (s, r[-5:]), False),  # and was not there before
        (lambda s, r: (s[1:], r), True),  # 2 intervals after the last
        (lambda s, r: (s[2:], r), False),  # 3 of them
        (lambda s, r: (np.delete(s, 7), r), False),
        (lambda s, r: (np.delete(s, [7, 8]), np.delete(r, [9, 10])), False),  # a hole in both
        (lambda s, r: (np.delete(s, 7), np.delete(r, 9)), True),
        (lambda s, r: (np.insert(s, 8, s[7] + 1), np.insert(r, 10, s[7] + 1)), False),  # too close
        (lambda s, r: (s[:0], r), False),
    ],
)
def test_streams_are_in_step_where_both_go_on_at_the_same_instants(change: object, said: bool) -> None:
    assert callable(change)
    r = DT_NS * np.arange(1, 40, dtype=np.int64)
    s, r = change(r[2:], r)
    assert in_step(s, r, 2 * DT_NS, 0.4 * DT_NS, 2.5 * DT_NS) is said
