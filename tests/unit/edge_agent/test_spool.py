from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.contracts import samples as wire
from dyncal.domain import quality
from dyncal.domain.samples import GapCause, GapRecord, Record, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import axis_of
from edge_agent.segment import entry_of
from edge_agent.spool import Spool, SpoolLimits
from tests.unit.edge_agent.helpers import DT, EDGE, SENSOR, T0, times

OTHER = SensorId("PT-7")


def block(sequence: int, n: int = 10, sensor: SensorId = SENSOR) -> SampleBlock:
    t_ns = times(n, sequence * n)
    return SampleBlock(
        sensor=sensor,
        edge=EDGE,
        epoch=1,
        sequence=sequence,
        axis=axis_of(t_ns),
        raw=np.arange(float(n)),
        quality=quality.good(n),
        arrival_ns=T0,
    )


def put(spool: Spool, *records: Record) -> None:
    for record in records:
        spool.append(entry_of(record, wire.encode(record)))
    spool.flush()


def opened(path: Path, **limits: Any) -> Spool:
    return Spool.open(path, EDGE, T0, SpoolLimits(**limits))


def sequences(spool: Spool, sensor: SensorId = SENSOR) -> list[int]:
    return [entry.first for entry in spool.replayable() if entry.sensor == sensor]


def covered(spool: Spool, sensor: SensorId = SENSOR) -> list[int]:
    """Every sequence that the spool answers for, gaps' included."""
    return sorted(
        number
        for entry in spool.replayable()
        if entry.sensor == sensor
        for number in range(entry.first, entry.last + 1)
    )


def test_what_was_written_is_there_again_and_numbering_goes_on(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    put(spool, *(block(k) for k in range(5)), block(0, sensor=OTHER))
    epoch = spool.epoch
    spool.close()
    again = opened(tmp_path)
    assert again.epoch == epoch
    assert sequences(again) == [0, 1, 2, 3, 4]
    assert again.starts[SENSOR].next_sequence == 5
    assert again.starts[SENSOR].last_t_ns == T0 + 49 * DT
    assert again.starts[OTHER].next_sequence == 1
    assert not again.damage
    again.close()


def test_committed_files_go_and_numbering_is_remembered(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=2000)
    put(spool, *(block(k) for k in range(100)))
    assert len(list(tmp_path.iterdir())) > 5
    assert spool.commit({SENSOR: 49})
    assert spool.n_uncommitted == 50
    assert sequences(spool) == list(range(50, 100))
    spool.commit({SENSOR: 10_000})
    assert len(list(tmp_path.iterdir())) == 1
    spool.close()
    again = opened(tmp_path, segment_bytes=2000)
    assert again.starts[SENSOR].next_sequence == 100
    put(again, block(100))
    again.commit({SENSOR: 100})
    again.close()


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 4000))
def test_any_torn_tail_costs_only_what_was_torn(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("spool")
    spool = opened(path)
    head = spool.end.offset
    ends = []
    for k in range(10):
        put(spool, block(k))
        ends.append(spool.end.offset)
    spool.close()
    file = next(path.iterdir())
    size = max(head, ends[-1] - cut)
    os.truncate(file, size)
    again = opened(path)
    whole = sum(end <= size for end in ends)
    assert sequences(again) == list(range(whole))
    assert bool(again.damage) == (size not in (head, *ends))
    put(again, block(whole))
    again.close()
    assert sequences(opened(path)) == list(range(whole + 1))


def test_a_rotten_byte_in_the_middle_becomes_a_gap(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=2000)
    put(spool, *(block(k) for k in range(60)))
    spool.close()
    file = sorted(tmp_path.iterdir())[1]
    content = bytearray(file.read_bytes())
    content[900] ^= 0xFF
    file.write_bytes(bytes(content))
    again = opened(tmp_path, segment_bytes=2000)
    again.flush()
    assert again.damage
    assert covered(again) == list(range(60))
    again.close()


def test_a_file_that_is_none_of_ours_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "000000000001.seg").write_bytes(b"\0" * 100)
    spool = opened(tmp_path)
    assert spool.damage
    assert (tmp_path / "000000000001.bad").exists()
    put(spool, block(0))
    spool.close()


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


WRITER = """
import sys
from pathlib import Path
from tests.unit.edge_agent.test_spool import block, opened, put
spool = opened(Path(sys.argv[1]), segment_bytes=65536)
sequence = spool.starts["TT-101"].next_sequence if spool.starts else 0
while True:
    put(spool, block(sequence, 500))
    sys.stdout.write(f"{sequence}\\n")
    sys.stdout.flush()
    sequence += 1
"""


def kill_after(command: Sequence[str], n_lines: int) -> int:
    """Run a writer, kill it the hard way after some lines, and return the last number that it printed."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    last = -1
    try:
        for _ in range(n_lines):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")[:-1]
        return int(rest[-1]) if rest else last
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_kill_9_at_any_instant_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    for _ in range(4):
        confirmed = kill_after([sys.executable, "-c", WRITER, str(tmp_path)], int(rng.integers(1, 200)))
        spool = opened(tmp_path, segment_bytes=65536)
        found = sequences(spool)
        assert found == list(range(len(found)))
        assert len(found) >= confirmed + 1
        assert spool.starts[SENSOR].next_sequence == len(found)
        spool.close()
