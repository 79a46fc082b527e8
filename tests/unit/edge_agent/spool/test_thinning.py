"""A full spool that keeps a part of everything."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.contracts import samples as wire
from dyncal.domain.samples import Gap, GapCause, GapRecord, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from edge_agent.spool import Entry, EntryKind, Position, Spool, entry_of
from edge_agent.spool.thinning import KEPT_ONE_OF, thin
from tests.unit.edge_agent.helpers import DT, EDGE, SENSOR, T0
from tests.unit.edge_agent.spool.helpers import OTHER, block, covered, die, note_reads, opened, put, sequences

SIZES = {"max_bytes": 20_000, "segment_bytes": 4000, "policy": "thin"}


def entry(sequence: int, sensor: SensorId = SENSOR) -> Entry:
    record = block(sequence, sensor=sensor)
    return entry_of(record, wire.encode(record))


def gap(first: int, last: int, cause: GapCause) -> Entry:
    record = GapRecord(SENSOR, EDGE, 1, first, last, Gap(T0, InstantNs(T0 + DT), cause, 7))
    return entry_of(record, wire.encode(record))


def nothing_stored(_: SensorId) -> int:
    return -1


def told(entries: list[Entry], sensor: SensorId = SENSOR) -> list[tuple[int, int, int]]:
    return [(e.first, e.last, e.n_samples) for e in entries if e.kind is EntryKind.GAP and e.sensor == sensor]


def test_of_four_blocks_the_last_is_kept_and_a_gap_stands_for_the_others() -> None:
    found = thin([entry(k) for k in range(10)], nothing_stored, EDGE, 1)
    assert [(e.kind, e.first, e.last) for e in found.entries] == [
        (EntryKind.GAP, 0, 2),
        (EntryKind.BLOCK, 3, 3),
        (EntryKind.GAP, 4, 6),
        (EntryKind.BLOCK, 7, 7),
        (EntryKind.GAP, 8, 8),
        (EntryKind.BLOCK, 9, 9),
    ]
    assert found.n_dropped == 70
    assert found.entries[3] == entry(7), "as it was"
    record = wire.decode(found.entries[2].payload)
    assert isinstance(record, GapRecord)
    assert record.gap.cause is GapCause.SPOOL_CAPPED
    assert record.gap.n_lost == 30
    assert (record.gap.after_ns, record.gap.before_ns) == (T0 + 40 * DT - 1, T0 + 69 * DT + 1)


def test_thinned_again_its_gaps_grow() -> None:
    once = thin([entry(k) for k in range(32)], nothing_stored, EDGE, 1)
    twice = thin(once.entries, nothing_stored, EDGE, 1)
    assert told(twice.entries) == [(0, 14, 150), (16, 30, 150)]
    assert once.n_dropped + twice.n_dropped == 300
    record = wire.decode(twice.entries[2].payload)
    assert isinstance(record, GapRecord)
    assert (record.gap.after_ns, record.gap.before_ns) == (T0 + 160 * DT - 1, T0 + 309 * DT + 1)


def test_gaps_of_other_causes_stay_and_part_groups() -> None:
    entries = [entry(0), entry(1), gap(2, 2, GapCause.SERVER_OVERFLOW), entry(3), gap(4, 5, GapCause.SPOOL_CAPPED)]
    found = thin(entries, nothing_stored, EDGE, 1)
    assert [(e.kind, e.first, e.last) for e in found.entries] == [
        (EntryKind.GAP, 0, 0),
        (EntryKind.BLOCK, 1, 1),
        (EntryKind.GAP, 2, 2),
        (EntryKind.GAP, 3, 5),
    ]
    assert found.entries[2] == entries[2]
    assert found.entries[3].n_samples == 17


def test_what_the_store_has_goes_without_a_word_but_the_last_number_is_known() -> None:
    marks = {SENSOR: 5, OTHER: 9}
    entries = [entry(k, sensor) for k in range(10) for sensor in (SENSOR, OTHER)]
    found = thin(entries, marks.__getitem__, EDGE, 1)
    assert [(e.sensor, e.first, e.last) for e in found.entries] == [(SENSOR, 6, 8), (SENSOR, 9, 9), (OTHER, 9, 9)]
    assert found.n_dropped == 30


@given(
    runs=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12)), max_size=30),
    stored=st.integers(-1, 60),
    times=st.integers(1, 4),
)
def test_every_number_and_every_sample_is_accounted_for(runs: list[tuple[int, int]], stored: int, times: int) -> None:
    sensors = [SensorId("A"), SensorId("B"), SensorId("C")]
    numbers = dict.fromkeys(sensors, 0)
    entries = []
    for which, n in runs:
        for _ in range(n):
            entries.append(entry(numbers[sensors[which]], sensors[which]))
            numbers[sensors[which]] += 1
    left = entries
    for _ in range(times):
        left = thin(left, lambda _: stored, EDGE, 1).entries
    for sensor, n in numbers.items():
        mine = [e for e in left if e.sensor == sensor and e.last > stored]
        assert [k for e in mine for k in range(e.first, e.last + 1)] == list(range(stored + 1, n))
        assert sum(e.n_samples for e in mine) == 10 * max(0, n - stored - 1)
        n_blocks = sum(e.kind is EntryKind.BLOCK for e in mine)
        assert n_blocks >= (n - stored - 1) / KEPT_ONE_OF**times, "no more goes than is said"
    assert all(e in entries for e in left if e.kind is EntryKind.BLOCK)


def test_a_full_spool_keeps_a_part_of_everything(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=200_000, segment_bytes=20_000, policy="thin")
    for k in range(0, 3000, 10):
        put(spool, *(block(n, sensor=sensor) for n in range(k, k + 10) for sensor in (SENSOR, OTHER)))
    assert spool.n_bytes <= 200_000
    for sensor in (SENSOR, OTHER):
        assert covered(spool, sensor) == list(range(3000))
        kept = [e.first for e in spool.replayable() if e.sensor == sensor and e.kind is EntryKind.BLOCK]
        assert kept[0] < 64, "the beginning is there too"
        assert np.diff(kept).max() <= 64
        n_told = sum(n for _, _, n in told(list(spool.replayable()), sensor))
        assert 10 * len(kept) + n_told == 30_000
    assert spool.n_dropped == 60_000 - sum(e.n_samples for e in spool.replayable() if e.kind is EntryKind.BLOCK)
    spool.close()


def test_once_thinning_is_not_enough_the_oldest_goes(tmp_path: Path) -> None:
    spool = opened(tmp_path, **SIZES)
    for k in range(6000):
        put(spool, block(k))
    assert spool.n_bytes <= 20_000
    assert covered(spool) == list(range(6000))
    assert any(e.kind is EntryKind.DROPPED for e in spool.replayable())
    assert spool.n_dropped == 60_000 - sum(e.n_samples for e in spool.replayable() if e.kind is EntryKind.BLOCK)
    spool.close()


def test_a_reader_in_the_midst_of_a_file_goes_on_when_it_is_thinned(tmp_path: Path) -> None:
    spool = opened(tmp_path, **SIZES)
    put(spool, *(block(k) for k in range(40)))
    sent: list[Entry] = []
    place = spool.first_uncommitted()
    found, place = spool.read(place, Position(place.number, 2000))
    assert 0 < len(found) < 15
    sent += found
    k = 40
    while spool.n_dropped == 0:
        put(spool, block(k))
        k += 1
    while place < spool.end:
        found, place = spool.read(place, spool.end)
        sent += found
    assert not spool.damage
    assert {n for e in sent for n in range(e.first, e.last + 1)} == set(range(k))
    spool.close()


@pytest.mark.parametrize("end", [Spool.close, die])
def test_thinned_files_are_known_after_a_restart_without_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[Spool], None]
) -> None:
    spool = opened(tmp_path, **SIZES)
    for k in range(200):
        put(spool, block(k), block(k, sensor=OTHER))
    before = list(spool.replayable())
    levels = [(item.level, item.n_gone) for item in spool._index.files]
    assert max(levels) > (0, 0)
    end(spool)
    (tmp_path / "000000000001.seg.new").write_bytes(b"a draft that was not finished")
    read = note_reads(monkeypatch)
    again = opened(tmp_path, **SIZES)
    monkeypatch.undo()
    assert len(read) == 2
    assert list(again.replayable()) == before
    assert [(item.level, item.n_gone) for item in again._index.files] == levels
    assert not again.damage
    assert not list(tmp_path.glob("*.new"))
    again.close()


def test_a_damaged_file_is_not_thinned(tmp_path: Path) -> None:
    spool = opened(tmp_path, **SIZES)
    put(spool, *(block(k) for k in range(30)))
    first = min(tmp_path.glob("*.seg"))
    content = bytearray(first.read_bytes())
    content[-300] ^= 1
    first.write_bytes(content)
    for k in range(30, 200):
        put(spool, block(k))
    assert spool.n_bytes <= 20_000
    list(spool.replayable())
    spool.flush()
    assert covered(spool) == list(range(200))
    spool.close()


def test_a_disk_without_room_to_thin_gives_up_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(tmp_path, **SIZES)
    real = Path.replace

    def full(path: Path, target: Any) -> Path:
        if Path(target).exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", full)
    for k in range(300):
        put(spool, block(k))
    monkeypatch.undo()
    assert spool.n_bytes <= 20_000
    assert covered(spool) == list(range(300))
    assert sequences(spool)[-1] == 299
    assert not told(list(spool.replayable()))
    spool.close()


def test_what_is_kept_decodes_as_it_was_read(tmp_path: Path) -> None:
    spool = opened(tmp_path, **SIZES)
    for k in range(300):
        put(spool, block(k))
    for e in spool.replayable():
        if e.kind is EntryKind.BLOCK:
            record = wire.decode(e.payload)
            assert isinstance(record, SampleBlock)
            assert record.sequence == e.first
            assert np.array_equal(record.axis.t_ns, block(e.first).axis.t_ns)
            assert np.array_equal(record.raw, block(e.first).raw)
    spool.close()
