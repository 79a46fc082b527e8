from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.calibrate.alignment import Aligned, Aligner

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
DT = 100 * MS


def line(t: np.ndarray) -> np.ndarray:
    return (t - T0) / 1e9


def aligner(reference_dt: int | None = DT, capacity: int = 4096) -> Aligner:
    return Aligner(DT, reference_dt, 2_000 * MS, capacity, capacity)


def axis(a: int, b: int, step: int = DT, shift: int = 0) -> np.ndarray:
    return T0 + shift + step * np.arange(a, b, dtype=np.int64)


def flat(runs: list[Aligned]) -> np.ndarray:
    return np.concatenate([r.record.t_ns for r in runs]) if runs else np.empty(0, np.int64)


def test_a_reference_of_another_rate_is_interpolated_at_the_sensors_instants() -> None:
    a = aligner(70 * MS)
    s, r = axis(0, 50, shift=13 * MS), axis(0, 100, 70 * MS)
    a.sensor.add(s, np.zeros(s.size))
    a.reference.add(r, line(r))
    (run,) = a.pull()
    assert run.new_segment
    assert np.array_equal(run.record.t_ns, s)
    np.testing.assert_allclose(run.record.reference, line(s), atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), jitter=st.floats(0, 0.2))
@settings(max_examples=60)
def test_however_blocks_are_cut_and_mixed_the_result_is_the_same(seed: int, jitter: float) -> None:
    rng = np.random.default_rng(seed)
    s = axis(0, 120) + np.round(jitter * DT * rng.uniform(-1, 1, 120)).astype(np.int64)
    r = axis(0, 121, shift=-DT // 3)
    whole, parts = aligner(), aligner()
    whole.sensor.add(s, line(s))
    whole.reference.add(r, line(r))
    (expected,) = whole.pull()
    runs: list[Aligned] = []
    i = j = 0
    while i < s.size or j < r.size:
        # neither gets further ahead than the patience allows
        ahead = (i - j) * DT
        if j >= r.size or (i < s.size and ahead < 1_500 * MS and (ahead < -1_500 * MS or rng.random() < 0.5)):
            k = min(s.size, i + int(rng.integers(1, 6)))
            parts.sensor.add(s[i:k], line(s[i:k]))
            i = k
        else:
            k = min(r.size, j + int(rng.integers(1, 6)))
            parts.reference.add(r[j:k], line(r[j:k]))
            j = k
        runs.extend(parts.pull())
    assert np.array_equal(flat(runs), expected.record.t_ns)
    assert [run.new_segment for run in runs] == [True] + [False] * (len(runs) - 1)
    reference = np.concatenate([run.record.reference for run in runs])
    np.testing.assert_allclose(reference, expected.record.reference, atol=1e-9)


def test_a_block_that_comes_late_is_waited_for() -> None:
    a = aligner()
    r, s = axis(0, 40), axis(0, 40)
    a.reference.add(r, line(r))
    a.sensor.add(s[:10], line(s[:10]))
    a.sensor.add(s[20:30], line(s[20:30]))
    first = a.pull()
    assert flat(first)[-1] == s[9]
    a.sensor.add(s[10:20], line(s[10:20]))
    second = a.pull()
    assert np.array_equal(flat(second), s[10:30])
    assert not second[0].new_segment


def test_a_block_that_does_not_come_cuts_the_record() -> None:
    a = aligner()
    r, s = axis(0, 80), axis(0, 80)
    a.reference.add(r, line(r))
    a.sensor.add(s[:10], line(s[:10]))
    a.sensor.add(s[20:60], line(s[20:60]))
    runs = a.pull()
    assert [run.new_segment for run in runs] == [True, True]
    assert runs[1].record.t_ns[0] == s[20]
    a.sensor.add(s[10:20], line(s[10:20]))
    assert a.pull() == []
    assert a.sensor.n_late == 10


def test_a_gap_in_the_reference_cuts_the_record_and_the_sensor_goes_on() -> None:
    a = aligner()
    r, s = axis(0, 120), axis(0, 120)
    a.sensor.add(s, line(s))
    a.reference.add(r[:30], line(r[:30]))
    assert flat(a.pull())[-1] == s[29]
    a.reference.add(r[90:], line(r[90:]))
    runs = a.pull()
    assert runs[0].new_segment
    assert runs[0].record.t_ns[0] == s[90]
    assert runs[-1].record.t_ns[-1] == s[119]


def test_one_lost_reference_sample_is_bridged() -> None:
    a = aligner()
    r, s = np.delete(axis(0, 60), 30), axis(0, 60)
    a.sensor.add(s, line(s))
    a.reference.add(r, line(r))
    runs = a.pull()
    assert np.array_equal(flat(runs), s)
    assert len(runs) == 1


def test_blocks_longer_than_the_buffer_are_aligned_whole() -> None:
    a = aligner(capacity=256)
    for k in range(3):
        s = axis(1000 * k, 1000 * k + 1000)
        a.sensor.add(s, line(s))
        a.reference.add(s, line(s))
        assert np.array_equal(flat(a.pull()), s)
    assert a.sensor.n_overflow == a.reference.n_overflow == 0


def test_without_a_reference_the_buffer_stays_bounded_and_it_recovers() -> None:
    a = aligner(capacity=256)
    for k in range(100):
        s = axis(10 * k, 10 * k + 10)
        a.sensor.add(s, line(s))
        assert a.pull() == []
    assert a.sensor.t_ns.size == 256
    assert a.sensor.n_overflow == 1000 - 256
    r = axis(900, 1010)
    a.reference.add(r, line(r))
    runs = a.pull()
    assert flat(runs)[-1] == axis(999, 1000)[0]
    assert flat(runs)[0] == axis(900, 901)[0]


def test_duplicates_change_nothing() -> None:
    a = aligner()
    s = axis(0, 20)
    for _ in range(3):
        a.sensor.add(s, line(s))
        a.reference.add(s, line(s))
    assert np.array_equal(flat(a.pull()), s)
    a.sensor.add(s, line(s))
    assert a.pull() == []


def test_samples_out_of_the_sensors_rhythm_are_left_out() -> None:
    a = aligner()
    s, dense = axis(0, 40), axis(100, 150, 1, shift=5 * DT)
    a.sensor.add(s[:10], line(s[:10]))
    a.sensor.add(dense, line(dense))
    a.sensor.add(s[10:], line(s[10:]))
    a.reference.add(s, line(s))
    assert np.array_equal(flat(a.pull()), s)
    assert a.n_too_close == 50


@pytest.mark.parametrize("shift_s", [-3600, 3600])
def test_instants_that_never_meet_give_nothing(shift_s: int) -> None:
    a = aligner()
    s, r = axis(0, 50), axis(0, 50, shift=shift_s * 1_000 * MS)
    a.sensor.add(s, line(s))
    a.reference.add(r, line(r))
    assert a.pull() == []
