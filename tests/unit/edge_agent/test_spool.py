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
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.samples import GapCause, GapRecord, Record, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs, axis_of
from edge_agent import spool_marks
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
    assert len(list(tmp_path.glob("*.seg"))) > 5
    assert spool.commit({SENSOR: 49})
    assert spool.n_uncommitted == 50
    assert sequences(spool) == list(range(50, 100))
    spool.commit({SENSOR: 10_000})
    assert len(list(tmp_path.glob("*.seg"))) == 1
    spool.close()
    again = opened(tmp_path, segment_bytes=2000)
    assert again.starts[SENSOR].next_sequence == 100
    put(again, block(100))
    again.commit({SENSOR: 100})
    again.close()


@settings(max_examples=40)
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
    file = next(path.glob("*.seg"))
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
    file = sorted(tmp_path.glob("*.seg"))[1]
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


def test_files_of_another_spool_are_moved_aside_not_destroyed(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "a", EDGE, T0)
    put(spool, block(0))
    spool.close()
    later = Spool.open(tmp_path / "b", EDGE, InstantNs(T0 + 10**9))
    put(later, block(0))
    later.close()
    content = (tmp_path / "a" / "000000000001.seg").read_bytes()
    (tmp_path / "b" / "000000000000.seg").write_bytes(content)
    again = Spool.open(tmp_path / "b", EDGE, T0)
    assert again.epoch == later.epoch
    assert any("000000000000.seg" in text for text in again.damage)
    (aside,) = (tmp_path / "b").glob("*.bad")
    assert aside.read_bytes() == content
    again.close()


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


def test_two_cannot_have_one_spool(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    with pytest.raises(InvalidSetting, match=f"{tmp_path}.*another edge"):
        opened(tmp_path)
    put(spool, block(1))
    spool.close()
    again = opened(tmp_path)
    assert sequences(again) == [0, 1]
    again.close()


# Loss of power


def die(spool: Spool) -> None:
    """Let go of the files as the death of the process does."""
    assert spool._fd is not None
    os.close(spool._fd)
    spool._fd = None
    spool._lock.close()


class Machine:
    """A directory of which only what was forced to the disk is left after the power fails."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory = directory
        self._patch = monkeypatch
        self._synced: dict[int, int] = {}
        self._boots = 0
        real = os.fsync

        def fsync(descriptor: int) -> None:
            real(descriptor)
            status = os.fstat(descriptor)
            self._synced[status.st_ino] = status.st_size

        monkeypatch.setattr(os, "fsync", fsync)
        self.boot()

    def boot(self) -> None:
        self._boots += 1
        number = self._boots
        self._patch.setattr(spool_marks, "_boot_id", lambda: f"boot-{number}")

    def lose_power(self, spool: Spool) -> None:
        die(spool)
        for path in self._directory.glob("*.seg"):
            os.truncate(path, self._synced.get(path.stat().st_ino, 0))
        self.boot()


def test_no_number_is_used_twice_after_power_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path, monkeypatch)
    spool = opened(tmp_path)
    put(spool, *(block(k) for k in range(3)))
    spool.sync()
    put(spool, *(block(k) for k in range(3, 8)), block(0, sensor=OTHER))  # published, stored, not forced to the disk
    machine.lose_power(spool)
    again = opened(tmp_path)
    start = again.starts[SENSOR]
    assert start.next_sequence >= 8
    assert start.last_t_ns == T0 + 29 * DT, "what was lost may be read again"
    assert again.starts[OTHER].next_sequence >= 1
    assert again.starts[OTHER].last_t_ns is None
    assert len(again.damage) == 2
    put(again, block(start.next_sequence))
    # The retained watermark of the life before releases nothing that was written since.
    again.commit({SENSOR: 7, OTHER: 0})
    assert covered(again)[0] <= 8
    assert sequences(again)[-1] == start.next_sequence
    assert covered(again) == list(range(covered(again)[0], start.next_sequence + 1))
    again.commit({SENSOR: start.next_sequence})
    assert again.watermark(SENSOR) == start.next_sequence, "the hole does not hold the watermark up"
    # Power is lost again before anything is forced: the hole was, and numbers go up once more.
    machine.lose_power(again)
    third = opened(tmp_path)
    assert third.starts[SENSOR].next_sequence > start.next_sequence
    assert third.starts[SENSOR].last_t_ns == T0 + 29 * DT
    third.close()


def test_a_death_or_a_proper_end_costs_no_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path, monkeypatch)
    spool = opened(tmp_path)
    put(spool, *(block(k) for k in range(3)))
    die(spool)  # killed
    spool = opened(tmp_path)
    assert spool.starts[SENSOR].next_sequence == 3
    put(spool, block(3))
    spool.close()
    machine.boot()
    spool = opened(tmp_path)
    assert spool.starts[SENSOR].next_sequence == 4
    assert not spool.damage
    spool.close()


def test_power_lost_before_the_hole_is_written_leaves_the_numbers_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, monkeypatch)
    spool = opened(tmp_path)
    put(spool, *(block(k) for k in range(3)))
    machine.lose_power(spool)
    for _ in range(3):  # starts that come to nothing, in one boot and in the next
        spool = opened(tmp_path)
        assert spool.starts[SENSOR].next_sequence >= 3
        die(spool)
        spool = opened(tmp_path)
        assert spool.starts[SENSOR].next_sequence >= 3
        machine.lose_power(spool)


def test_marks_are_written_seldom_and_for_all_sensors_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    real = Path.replace

    def noted(path: Path, to: Path) -> Path:
        written.append(path)
        return real(path, to)

    monkeypatch.setattr(Path, "replace", noted)
    many = [SensorId(f"S-{k}") for k in range(50)]
    spool = Spool.open(tmp_path, EDGE, T0, None, many)
    for k in range(100):
        put(spool, *(block(k, 1, sensor) for sensor in many))
    assert len(written) == 1
    put(spool, block(100, 1, many[0]))
    for k in range(101, 101 + 2 * spool_marks.STRIDE):
        put(spool, block(k, 1, many[0]))
    assert len(written) <= 4
    spool.close()


@pytest.mark.parametrize("content", [b"", b"0", b"00000000 {}", b"\xff" * 50])
def test_unreadable_marks_are_told_and_numbers_go_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    machine = Machine(tmp_path, monkeypatch)
    spool = opened(tmp_path)
    put(spool, *(block(k) for k in range(3)))
    spool.sync()
    put(spool, block(3))
    machine.lose_power(spool)
    (tmp_path / "numbers").write_bytes(content)
    again = opened(tmp_path)
    assert any("numbers is unreadable" in text for text in again.damage)
    assert again.starts[SENSOR].next_sequence > 4
    again.close()


def test_a_torn_write_that_could_not_be_undone_is_undone_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    real_write, real_truncate = os.write, os.ftruncate

    def torn(descriptor: int, content: Any) -> int:
        if len(content) > 100:
            return real_write(descriptor, content[:100])
        raise OSError(errno.EIO, "Input/output error")

    def stuck(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", torn)
    monkeypatch.setattr(os, "ftruncate", stuck)
    with pytest.raises(OSError, match="Input/output"):
        put(spool, block(1))
    monkeypatch.setattr(os, "write", real_write)
    with pytest.raises(OSError, match="Input/output"):
        put(spool, block(2))
    monkeypatch.setattr(os, "ftruncate", real_truncate)
    spool.flush()
    assert sequences(spool) == [0, 1, 2]
    spool.close()
    again = opened(tmp_path)
    assert sequences(again) == [0, 1, 2]
    assert not again.damage
    again.close()


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
