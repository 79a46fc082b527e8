"""What an edge remembers of a sensor, and what that takes: hundreds of sensors share a small machine."""

from __future__ import annotations

import numpy as np

from edge_agent.history import History
from tests.unit.edge_agent.helpers import DT, T0, times


def test_it_remembers_the_newest_and_little_more_than_it_must() -> None:
    history = History(4096)
    for k in range(200):
        t_ns = times(100, 100 * k)
        history.extend(t_ns, np.arange(100.0) + 100 * k, np.zeros(100, np.uint32))
    assert 4096 <= len(history) <= 4096 * 9 // 8 + 100
    t_ns, raw, _ = history.newest(4096)
    assert t_ns[-1] == T0 + 19_999 * DT
    np.testing.assert_array_equal(raw, np.arange(20_000.0)[-4096:])
    assert sum(vars(history)[name].nbytes for name in ("_t", "_raw", "_codes")) <= 1.15 * 20 * 4096


def test_what_is_larger_than_it_remembers_goes_in_whole() -> None:
    history = History(16)
    history.extend(times(1000), np.arange(1000.0), np.zeros(1000, np.uint32))
    history.extend(times(3, 1000), np.arange(3.0), np.zeros(3, np.uint32))
    np.testing.assert_array_equal(history.newest(5)[1], [998, 999, 0, 1, 2])
