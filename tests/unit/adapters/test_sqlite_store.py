"""What the embedded store adds to the contract: packing, merging, retention, and a kill at any instant."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.adapters.sqlite import SqliteSampleStore, columns, segments
from dyncal.adapters.sqlite import store as sqlite_store
from dyncal.adapters.sqlite.merging import FULL_ROWS, TAIL_SEGMENTS
from dyncal.adapters.sqlite.ranges import PIECE_SEGMENTS
from dyncal.adapters.stores import open_store
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.samples import Record, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.runtime.settings import StoreSettings
from dyncal.testing.records import DT, T0, TC, assert_same, block, gap, span, uniform
from dyncal.testing.store import MemorySampleStore

ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=0, max_size=400))
def test_columns_come_back_bit_for_bit(values: list[int]) -> None:
    column = np.array(values, np.int64)
    np.testing.assert_array_equal(columns.unpack(columns.pack(column), column.size, "i8"), column)
    floats = column.view(np.float64)
    unpacked = columns.unpack(columns.pack(floats), floats.size, "f8")
    np.testing.assert_array_equal(unpacked.view(np.int64), column)


def test_quantised_and_constant_columns_are_packed_well() -> None:
    rng = np.random.default_rng(1)
    adc = np.round(rng.normal(100, 0.5, FULL_ROWS) * 64) / 64
    assert len(columns.pack(adc)) < 0.35 * adc.nbytes
    assert len(columns.pack(np.full(FULL_ROWS, 0.1))) < 16


@pytest.mark.parametrize("varied", range(8))
def test_columns_that_differ_in_some_bytes_only_come_back(varied: int) -> None:
    rng = np.random.default_rng(varied)
    bits = rng.integers(0, 2**63, FULL_ROWS).view(np.uint8).reshape(-1, 8)
    bits[:, varied:] = bits[0, varied:]
    column = bits.reshape(-1).view(np.float64)
    unpacked = columns.unpack(columns.pack(column), column.size, "f8")
    np.testing.assert_array_equal(unpacked.view(np.int64), column.view(np.int64))


@pytest.mark.parametrize("seed", range(6))
def test_any_history_reads_like_the_reference(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    store = SqliteSampleStore(tmp_path / "samples.sqlite")
    reference = MemorySampleStore()
    for k in range(4 + seed):
        records = []
        for _ in range(int(rng.integers(1, 40))):
            n, first = int(rng.integers(1, 900)), int(rng.integers(0, 30_000))
            values = rng.normal(size=n)
            values[rng.random(n) < 0.02] = np.nan
            corrected = (
                span(uniform(n, max(first - 50, 0)), values[::-1], f"set-{k % 3}") if rng.random() < 0.5 else None
            )
            records.append(block(values, axis=uniform(n, first), corrected=corrected))
        store.write(records)
        reference.write(records)
    assert_same(store.read(TC, *ALL), reference.read(TC, *ALL))
    start, end = InstantNs(T0 + 7_000 * DT), InstantNs(T0 + 21_000 * DT)
    assert_same(store.read(TC, start, end), reference.read(TC, start, end))
    for bounds in (ALL, (start, end)):
        assert_same(store.read(TC, *bounds, max_points=300), reference.read(TC, *bounds, max_points=300))
    assert_same(store.latest(TC), reference.latest(TC))
    store.close()


def peak_bytes(function: Callable[[], object]) -> int:
    """Return the most memory that `function` holds at once."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_history_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    store = SqliteSampleStore(tmp_path / "samples.sqlite")
    values = np.random.default_rng(3).normal(size=FULL_ROWS)
    for k in range(80):
        axis = uniform(FULL_ROWS, FULL_ROWS * k)
        store.write([block(values, sequence=k, axis=axis, corrected=span(axis, values))])
    bound = 16 * PIECE_SEGMENTS * FULL_ROWS * 8
    assert peak_bytes(lambda: store.read(TC, *ALL, max_points=1000)) < bound < 80 * FULL_ROWS * 36
    store.write([block([1.0], sensor="other"), block([1.0], sequence=99, axis=uniform(1, 80 * FULL_ROWS))])
    assert peak_bytes(lambda: store.latest(TC)) < bound
    store.close()


def test_segments_stay_few_and_disjoint(tmp_path: Path) -> None:
    store = SqliteSampleStore(tmp_path / "samples.sqlite")
    for k in np.random.default_rng(2).permutation(3000).tolist():
        store.write([block(np.full(10, float(k)), sequence=k, axis=uniform(10, 10 * k))])
    db = sqlite3.connect(tmp_path / "samples.sqlite")
    full = np.array(db.execute("SELECT t_first_ns, t_last_ns, n FROM segment WHERE tail = 0 ORDER BY 1").fetchall())
    (n_tail,) = db.execute("SELECT count(*) FROM segment WHERE tail = 1").fetchone()
    origins = [o for (p,) in db.execute("SELECT origins FROM segment") for o in segments.unpack_origins(p)]
    db.close()
    assert bool(np.all(full[1:, 0] > full[:-1, 1]))
    assert n_tail <= TAIL_SEGMENTS
    assert sorted(origin.sequence for origin in origins) == list(range(3000))
    assert {(origin.u_t_ns, origin.server_ns) for origin in origins} == {(1_000, T0 + 5)}
    np.testing.assert_array_equal(store.read(TC, *ALL).raw, np.repeat(np.arange(3000.0), 10))
    store.close()


def following(k: int, n: int = 10, *, sensor: str = TC, set_id: str = "set-1") -> SampleBlock:
    """Return block `k` of many that follow each other, its corrected values some samples late."""
    values = np.full(n, float(k))
    values[0] = np.nan if k % 3 == 0 else values[0]
    late = None if k % 5 == 0 else span(uniform(n, k * n - 4), -values, set_id)
    return block(values, sensor=sensor, sequence=k, axis=uniform(n, k * n), corrected=late)


def test_blocks_that_follow_each_other_are_one_segment(tmp_path: Path) -> None:
    store, reference = SqliteSampleStore(tmp_path / "samples.sqlite"), MemorySampleStore()
    records: list[Record] = []
    for k in range(50):
        records += [following(k, set_id=f"set-{k // 20}"), following(k, sensor="other")]
    records.insert(41, gap(0, 1, sequence=1000))
    assert store.write(records) == reference.write(records)
    for sensor in (TC, SensorId("other")):
        assert_same(store.read(sensor, *ALL), reference.read(sensor, *ALL))
        assert_same(store.latest(sensor), reference.latest(sensor))
    with sqlite3.connect(tmp_path / "samples.sqlite") as db:
        assert db.execute("SELECT count(*) FROM segment").fetchone() == (4,)
        packed = [p for (p,) in db.execute("SELECT origins FROM segment WHERE origins IS NOT NULL")]
    db.close()
    alone = SqliteSampleStore(tmp_path / "alone.sqlite")
    for record in records:
        alone.write([record])
    with sqlite3.connect(tmp_path / "alone.sqlite") as db:
        one_by_one = [p for (p,) in db.execute("SELECT origins FROM segment WHERE origins IS NOT NULL")]
    db.close()
    alone.close()
    store.close()
    found, expected = ([o for p in parts for o in segments.unpack_origins(p)] for parts in (packed, one_by_one))
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_corrected_values_that_reach_back_are_the_newest(tmp_path: Path) -> None:
    store, reference = SqliteSampleStore(tmp_path / "samples.sqlite"), MemorySampleStore()
    for one in (store, reference):
        one.write([following(k) for k in range(1, 4)])
        one.write([following(1), replace(following(2), corrected=span(uniform(10, 12), np.ones(10)))])
        one.write([replace(following(k), corrected=span(uniform(10, 17), np.full(10, 1.0 * k))) for k in range(2, 5)])
    assert_same(store.read(TC, *ALL), reference.read(TC, *ALL))
    store.close()


@pytest.mark.parametrize(
    "second",
    [
        following(2),  # a number is missing
        replace(following(1), replayed=True),
        replace(following(1), epoch=2),
        replace(following(1), axis=uniform(10, 9)),  # it reaches back
    ],
)
def test_blocks_that_do_not_follow_are_segments_of_their_own(tmp_path: Path, second: SampleBlock) -> None:
    store, reference = SqliteSampleStore(tmp_path / "samples.sqlite"), MemorySampleStore()
    for one in (store, reference):
        one.write([following(0), second])
    assert_same(store.read(TC, *ALL), reference.read(TC, *ALL))
    with sqlite3.connect(tmp_path / "samples.sqlite") as db:
        n_segments = db.execute("SELECT count(*) FROM segment WHERE kind = 0").fetchone()
    db.close()
    store.close()
    assert n_segments == (2,)


def test_retention_forgets_and_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "samples.sqlite"
    store = SqliteSampleStore(path)
    rng = np.random.default_rng(3)
    for k in range(100):
        store.write([block(rng.normal(size=4096), sequence=k, axis=uniform(4096, 4096 * k))])
    store.write([gap(0, 10)])
    border = InstantNs(T0 + 300_000 * DT)
    removed = store.forget_before(border)
    rows = store.read(TC, *ALL)
    assert removed + len(rows) == 409_600
    assert removed > 300_000 - 2 * FULL_ROWS
    assert rows.t_ns[0] <= border
    assert store.gaps(TC, *ALL) == []
    assert store.latest(TC).t_ns.tolist() == [T0 + 409_599 * DT]
    store.close()
    assert path.stat().st_size < 0.5 * 8 * 409_600


def test_a_store_forgets_what_it_is_not_to_keep_in_small_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_FORGET_SEGMENTS", 3)
    store = open_store(StoreSettings(retention_days=1.0), tmp_path)
    day = 86_400 * 10**9
    hours = [InstantNs(T0 + k * day // 24) for k in range(48)]
    for sensor in (TC, SensorId("other")):
        for k, hour in enumerate(hours):  # segments of their own: they are merged when there are many
            axis, values = UniformAxis(hour, DurationNs(DT), 10), np.full(10, float(k))
            store.write([block(values, sensor=sensor, sequence=k, axis=axis, corrected=span(axis, values))])
    store.write([gap(0, 10)])
    now = InstantNs(hours[-1] + day // 48)
    steps = 1
    while store.tidy(now):
        steps += 1
    assert steps > 2
    for sensor in (TC, SensorId("other")):
        left = store.read(sensor, *ALL)
        oldest = int(left.t_ns[0])
        assert oldest > now - 2 * day
        assert np.count_nonzero(left.t_ns >= now - day) == 240
        assert np.all(np.isfinite(left.corrected))
    assert store.gaps(TC, *ALL) == []
    assert not store.tidy(now)
    store.close()


def test_a_store_keeps_everything_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    store = open_store(StoreSettings(), tmp_path)
    store.write([block(np.zeros(10))])
    assert not store.tidy(InstantNs(T0 + 10**18))
    assert len(store.read(TC, *ALL)) == 10


WRITER = """
import sys
from pathlib import Path
import numpy as np
from dyncal.adapters.sqlite import SqliteSampleStore
from dyncal.testing.records import block, span, uniform
store = SqliteSampleStore(Path(sys.argv[1]))
for k in range(int(sys.argv[2]), 10**6):
    axis = uniform(50, 50 * k)
    store.write([block(np.full(50, float(k)), sequence=k, axis=axis, corrected=span(axis, np.full(50, k + 0.5)))])
    print(k, flush=True)
"""


def test_what_was_answered_survives_a_kill_at_any_instant(tmp_path: Path) -> None:
    path = tmp_path / "samples.sqlite"
    answered = -1
    rng = np.random.default_rng(4)
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(answered + 1)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(float(rng.uniform(0.05, 0.4)))
        writer.send_signal(signal.SIGKILL)
        lines = writer.stdout.read().split()
        writer.stdout.close()
        writer.wait()
        answered = int(lines[-1]) if lines else answered + 1
        store = SqliteSampleStore(path)
        rows = store.read(TC, *ALL)
        store.close()
        n_blocks = len(rows) // 50
        assert n_blocks >= answered + 1
        np.testing.assert_array_equal(rows.raw, np.repeat(np.arange(float(n_blocks)), 50))
        np.testing.assert_array_equal(rows.corrected, rows.raw + 0.5)


def test_a_full_disk_is_said_and_harms_nothing(tmp_path: Path) -> None:
    store = SqliteSampleStore(tmp_path / "samples.sqlite")
    store.write([block(np.arange(100.0))])
    store._file._writer.execute("PRAGMA max_page_count = 20")
    noise = np.random.default_rng(5).normal(size=60_000)
    with pytest.raises(StoreUnavailable, match="full"):
        store.write([block(noise, axis=uniform(60_000, 1000))])
    assert len(store.read(TC, *ALL)) == 100
    store._file._writer.execute("PRAGMA max_page_count = 1000000")
    store.write([block(noise, axis=uniform(60_000, 1000))])
    assert len(store.read(TC, *ALL)) == 60_100
    store.close()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "samples.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreUnavailable, match="schema version 99"):
        SqliteSampleStore(tmp_path / "samples.sqlite")
