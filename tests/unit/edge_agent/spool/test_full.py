"""A spool, and a disk, that is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from dyncal.contracts import samples as wire
from dyncal.domain.samples import GapCause, GapRecord
from tests.unit.edge_agent.helpers import DT, SENSOR, T0
from tests.unit.edge_agent.spool.helpers import OTHER, Machine, block, covered, opened, put, sequences


def test_a_full_spool_gives_up_the_oldest_and_says_so(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=20_000, segment_bytes=4000)
    for k in range(400):
        put(spool, block(k), block(k, sensor=OTHER))
    assert spool.n_bytes <= 20_000
    for sensor in (SENSOR, OTHER):
        assert covered(spool, sensor) == list(range(400))
    gaps = [wire.decode(entry.payload) for entry in spool.replayable() if entry.last > entry.first]
    first = next(gap for gap in gaps if isinstance(gap, GapRecord) and gap.sensor == SENSOR and gap.sequence == 0)
    n = first.last_sequence + 1
    assert first.gap.cause is GapCause.SPOOL_CAPPED
    assert (first.gap.after_ns, first.gap.before_ns) == (T0 - 1, T0 + (10 * n - 1) * DT + 1)
    assert first.gap.n_lost == 10 * n
    spool.close()


def test_the_gap_is_on_the_disk_before_the_file_that_it_stands_for_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, monkeypatch)
    spool = opened(tmp_path, max_bytes=20_000, segment_bytes=4000)
    real = Path.unlink
    n_removed = 0

    class Dead(BaseException):
        pass

    def last_deed(path: Path, *, missing_ok: bool = False) -> None:
        nonlocal n_removed
        real(path, missing_ok=missing_ok)
        n_removed += 1
        if n_removed == 2:
            raise Dead

    monkeypatch.setattr(Path, "unlink", last_deed)
    written = 0
    for k in range(400):
        try:
            put(spool, block(k))
        except Dead:
            break
        spool.sync()
        written = k + 1
    assert n_removed == 2
    monkeypatch.setattr(Path, "unlink", real)
    machine.lose_power(spool)
    again = opened(tmp_path, max_bytes=20_000, segment_bytes=4000)
    again.flush()
    assert covered(again)[:written] == list(range(written))
    again.close()


def test_a_full_spool_gives_up_the_newest_where_told(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=20_000, segment_bytes=4000, policy="newest")
    for k in range(400):
        put(spool, block(k))
    kept = sequences(spool)
    assert kept == list(range(len(kept)))
    assert len(kept) < 150
    spool.commit({SENSOR: kept[-10]})
    put(spool, block(400))
    assert covered(spool) == list(range(kept[-10] + 1, 401))
    spool.close()


def test_what_a_full_spool_refused_is_told_after_a_restart(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=20_000, segment_bytes=4000, policy="newest")
    for k in range(400):
        put(spool, block(k))
    n_kept = len(sequences(spool))
    n_bytes = spool.n_bytes
    spool.close()
    spool.close()
    again = opened(tmp_path, max_bytes=20_000, segment_bytes=4000, policy="newest")
    assert covered(again) == list(range(400))
    assert again.n_bytes <= n_bytes + 300
    *_, last = again.replayable()
    record = wire.decode(last.payload)
    assert isinstance(record, GapRecord)
    assert (record.sequence, record.last_sequence) == (n_kept, 399)
    assert record.gap.cause is GapCause.SPOOL_CAPPED
    assert record.gap.n_lost == 10 * (400 - n_kept)
    assert (record.gap.after_ns, record.gap.before_ns) == (T0 + 10 * n_kept * DT - 1, T0 + 3999 * DT + 1)
    assert again.starts[SENSOR].next_sequence == 400
    assert again.starts[SENSOR].last_t_ns == T0 + 3999 * DT
    again.close()
    assert covered(opened(tmp_path, max_bytes=20_000, segment_bytes=4000, policy="newest")) == list(range(400))


def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    real = os.write

    def full(descriptor: int, content: Any) -> int:
        if len(content) > 100:
            return real(descriptor, content[:100])  # the last bytes that fit
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        put(spool, block(1))
    with pytest.raises(OSError, match="No space left"):
        put(spool, block(2))
    monkeypatch.setattr(os, "write", real)
    spool.flush()
    assert sequences(spool) == [0, 1, 2]
    spool.close()
    assert sequences(opened(tmp_path)) == [0, 1, 2]
