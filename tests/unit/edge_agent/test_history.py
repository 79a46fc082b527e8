"""What an edge remembers of a sensor, and what that takes: hundreds of sensors share a small machine."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.domain import quality
from edge_agent.history import History
from tests.unit.edge_agent.helpers import DT, T0, times


def test_it_remembers_the_newest_and_little_more_than_it_must() -> None:
    history = History(4096)
    for k in range(200):
        t_ns = times(100, 100 * k)
        history.extend(t_ns, np.arange(100.0) + 100 * k, np.zeros(100, np.uint32))
    assert 4096 <= len(history) <= 4096 * 17 // 16 + 100
    t_ns, raw, _ = history.newest(4096)
    assert t_ns[-1] == T0 + 19_999 * DT
    np.testing.assert_array_equal(raw, np.arange(20_000.0)[-4096:])
    assert taken(history) <= 1.1 * 16 * 4096


def taken(history: History) -> int:
    return sum(vars(history)[name].nbytes for name in ("_t", "_raw", "_codes") if vars(history)[name] is not None)


def test_what_was_not_good_is_remembered_from_its_first_sample_on() -> None:
    history = History(4096)
    codes = np.zeros(100, np.uint32)
    history.extend(times(100), np.zeros(100), codes)
    assert not history.newest(100)[2].any()
    assert not history.at(times(2, 98))[1].any()
    assert not history.at(times(4, 98)[::3])[1][0]
    codes[7] = 0x8000_0000
    history.extend(times(100, 100), np.zeros(100), codes)
    assert np.flatnonzero(history.newest(200)[2]).tolist() == [107]
    assert history.at(times(10, 100))[1].tolist() == codes[:10].tolist()
    for k in range(2, 100):
        history.extend(times(100, 100 * k), np.zeros(100), codes)
    assert np.count_nonzero(history.newest(4096)[2]) == 41
    assert taken(history) <= 1.1 * 20 * 4096


def test_what_is_larger_than_it_remembers_goes_in_whole() -> None:
    history = History(16)
    history.extend(times(1000), np.arange(1000.0), np.zeros(1000, np.uint32))
    history.extend(times(3, 1000), np.arange(3.0), np.zeros(3, np.uint32))
    np.testing.assert_array_equal(history.newest(5)[1], [998, 999, 0, 1, 2])


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 40), sizes=st.lists(st.integers(0, 60), max_size=30), seed=st.integers(0, 2**32 - 1))
def test_it_tells_what_a_list_would(n: int, sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    history, known = History(n), np.empty(0, np.int64)
    for m in sizes:
        if rng.random() < 0.05:
            history.clear()
            known = known[:0]
        t_ns = (known[-1] if known.size else 0) + np.cumsum(rng.integers(1, 4, m))
        history.extend(t_ns, 2 * t_ns.astype(np.float64), t_ns.astype(np.uint32))
        least = min(known.size, n) + m
        known = np.concatenate((known, t_ns))
        assert least <= len(history) <= max(known.size, 1)
        known = known[-len(history) :] if len(history) else known[:0]
        found = history.newest(len(history))
        for part, wanted in zip(found, (known, 2.0 * known, known), strict=True):
            np.testing.assert_array_equal(part, wanted)
        if not known.size:
            continue
        asked = np.unique(rng.integers(known[0] - 2, known[-1] + 3, 10))
        first = int(rng.integers(0, known.size))
        for instants in (asked, known[first:], known[first : first + 5]):
            there = np.isin(instants, known)
            np.testing.assert_array_equal(history.holds(instants), there)
            raw, codes = history.at(instants)
            np.testing.assert_array_equal(raw, np.where(there, 2.0 * instants, np.nan))
            assert [code for code, here in zip(codes.tolist(), there, strict=True) if here] == instants[there].tolist()
            assert all(code == quality.BAD for code, here in zip(codes.tolist(), there, strict=True) if not here)
        assert history.n_after(int(asked[0])) == np.count_nonzero(known > asked[0])
