"""A disk that takes nothing for a while: what goes on, what is said, and what is numbered after."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.contracts import samples as wire
from edge_agent.spool import Spool, entry_of, recovery, waiting
from tests.unit.edge_agent.helpers import SENSOR
from tests.unit.edge_agent.spool.faulty import FaultyDisk
from tests.unit.edge_agent.spool.helpers import block, covered, die, note_reads, opened, put, sequences

ERRORS = (errno.EROFS, errno.EIO, errno.ENOSPC)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FaultyDisk]:
    with FaultyDisk(tmp_path) as disk:
        yield disk


def taken(spool: Spool, *numbers: int) -> list[int]:
    """Have records taken, and return the numbers of those that may be sent."""
    for number in numbers:
        record = block(number)
        spool.append(entry_of(record, wire.encode(record)))
    return [entry.first for entry in spool.flush()]


def silent(tmp_path: Path) -> None:
    """Let the disk have been silent for longer than records wait for it."""
    for path in tmp_path.glob("*.seg"):
        os.utime(path, (0, path.stat().st_mtime - 10))


@pytest.mark.parametrize("error", ERRORS)
def test_what_waits_for_the_disk_is_shown_once_and_written_later(tmp_path: Path, disk: FaultyDisk, error: int) -> None:
    spool = opened(tmp_path)
    assert taken(spool, 0) == [0]
    disk.error = error
    assert taken(spool, 1, 2) == []
    assert spool.trouble is not None
    assert spool.trouble.errno == error
    assert [entry.first for entry in spool.show()] == [1, 2]
    assert spool.show() == []
    assert (spool.n_taken, spool.n_safe) == (3, 1), "nothing is acknowledged to a source that the disk does not have"
    assert taken(spool, 3) == []
    disk.error = 0
    assert taken(spool) == [3], "only what was not shown before is sent"
    assert spool.n_safe == 4
    assert sequences(spool) == [0, 1, 2, 3]
    spool.close()
    assert covered(opened(tmp_path)) == [0, 1, 2, 3]


def test_what_the_store_has_need_not_be_written(tmp_path: Path, disk: FaultyDisk) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    disk.error = errno.EROFS
    taken(spool, 1, 2, 3)
    spool.show()
    spool.commit({SENSOR: 2})
    assert spool.n_safe == 3
    disk.error = 0
    spool.flush()
    assert sequences(spool) == [3]
    assert spool.starts[SENSOR].next_sequence == 4
    spool.close()


def test_a_watermark_releases_nothing_that_was_not_shown(tmp_path: Path, disk: FaultyDisk) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    disk.error = errno.EROFS
    taken(spool, 1)
    spool.commit({SENSOR: 5})
    assert spool.n_safe == 1
    disk.error = 0
    spool.flush()
    assert sequences(spool) == [1]
    spool.close()


def test_what_is_lost_on_its_way_is_shown_again(tmp_path: Path, disk: FaultyDisk) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    disk.error = errno.EIO
    taken(spool, 1)
    assert [entry.first for entry in spool.show()] == [1]
    spool.hide()
    assert [entry.first for entry in spool.show()] == [1]
    spool.hide()
    disk.error = 0
    assert taken(spool) == [1]
    spool.close()


@pytest.mark.parametrize("error", ERRORS)
def test_numbers_that_were_sent_without_the_disk_are_not_used_again(
    tmp_path: Path, disk: FaultyDisk, error: int
) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    disk.error = error
    taken(spool, 1, 2)
    assert len(spool.show()) == 2
    die(spool)
    disk.error = 0
    silent(tmp_path)
    again = opened(tmp_path)
    assert again.starts[SENSOR].next_sequence > 2
    again.flush()
    assert covered(again) == list(range(again.starts[SENSOR].next_sequence))
    again.close()


def test_numbers_are_safe_while_what_was_sent_is_being_written(tmp_path: Path, disk: FaultyDisk) -> None:
    """The disk works again, and the process dies before all is written: the disk was not silent, but was told."""
    spool = opened(tmp_path)
    put(spool, block(0))
    disk.error = errno.EROFS
    taken(spool, 1, 2)
    spool.show()
    disk.error = 0
    disk.room = 8192
    spool._marks.unsettle()
    die(spool)
    disk.room = None
    again = opened(tmp_path)
    assert again.starts[SENSOR].next_sequence > 2
    again.close()


def test_numbers_that_are_not_reserved_are_not_shown(tmp_path: Path, disk: FaultyDisk) -> None:
    spool = opened(tmp_path)
    disk.error = errno.ENOSPC
    assert taken(spool, 0) == []
    assert spool.show() == []
    disk.error = 0
    assert taken(spool) == [0]
    spool.close()


def test_what_memory_cannot_hold_becomes_a_gap(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MAX_BYTES", 2000)
    spool = opened(tmp_path)
    put(spool, block(0))
    disk.error = errno.ENOSPC
    taken(spool, *range(1, 100))
    disk.error = 0
    spool.flush()
    assert covered(spool) == list(range(100))
    assert max(sequences(spool)) == 99, "the oldest were given up"
    gap = next(entry for entry in spool.replayable() if entry.last > entry.first)
    assert (gap.first, gap.last, gap.n_samples) == (1, gap.last, 10 * gap.last)
    assert spool.n_dropped == gap.n_samples
    spool.close()


@pytest.mark.parametrize("error", [errno.EROFS, errno.EIO])
def test_files_that_cannot_be_removed_are_removed_later(tmp_path: Path, disk: FaultyDisk, error: int) -> None:
    spool = opened(tmp_path, segment_bytes=1000)
    put(spool, *(block(k) for k in range(50)))
    disk.error = error
    spool.commit({SENSOR: 45})
    assert len(list(tmp_path.glob("*.seg"))) > 5
    disk.error = 0
    spool.commit({SENSOR: 46})
    assert len(list(tmp_path.glob("*.seg"))) <= 2
    assert sequences(spool) == [47, 48, 49]
    spool.close()


def test_a_full_disk_makes_room_for_the_gap_in_the_oldest_file(tmp_path: Path, disk: FaultyDisk) -> None:
    spool = opened(tmp_path, max_bytes=30_000, segment_bytes=6000)
    n = 0
    while len(spool._index.files) < 4 or spool.n_bytes < 24_100:
        put(spool, block(n))
        n += 1
    disk.room = 0
    taken(spool, n)
    assert spool.trouble is None, "the spool had room to give"
    assert covered(spool) == list(range(n + 1))
    die(spool)
    disk.room = None
    assert covered(opened(tmp_path, max_bytes=30_000, segment_bytes=6000)) == list(range(n + 1))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_full_disk_is_relieved_of_the_one_file_on_it_once_the_store_has_it(
    tmp_path: Path, disk: FaultyDisk, restarted: bool
) -> None:
    spool = opened(tmp_path)
    put(spool, *(block(n) for n in range(20)))
    disk.room = 0
    if restarted:
        die(spool)
        spool = opened(tmp_path)
    taken(spool, 20)
    assert covered(spool) == list(range(20)), "the store has nothing of it yet"
    spool.commit({SENSOR: 19})
    spool.flush()
    assert spool.trouble is None
    assert covered(spool) == [20]
    die(spool)
    again = opened(tmp_path)
    assert covered(again) == [20]
    assert again.starts[SENSOR].next_sequence == 21
    again.close()


def test_a_disk_that_is_dead_at_the_end_is_told(tmp_path: Path, disk: FaultyDisk) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    disk.error = errno.EIO
    taken(spool, 1)
    spool.close()
    assert spool.trouble is not None
    disk.error = 0
    again = opened(tmp_path)
    assert again.starts[SENSOR].next_sequence == 1, "it was not sent"
    again.close()


def test_files_set_aside_are_bounded(tmp_path: Path) -> None:
    for k in range(recovery.MAX_ASIDE + 5):
        path = tmp_path / f"{k + 1:012d}.bad"
        path.write_bytes(b"x" * 100)
        os.utime(path, (k, k))
    (tmp_path / "000000000099.seg").write_bytes(b"y" * 100)
    spool = opened(tmp_path)
    left = sorted(path.name for path in tmp_path.glob("*.bad"))
    assert len(left) == recovery.MAX_ASIDE
    assert "000000000099.bad" in left
    assert "000000000001.bad" not in left
    assert sum("removed" in text for text in spool.damage) == 6
    spool.close()


def test_a_file_that_is_summed_up_is_not_read_at_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(tmp_path, segment_bytes=4000)
    put(spool, *(block(k) for k in range(200)))
    die(spool)
    read = note_reads(monkeypatch)
    again = opened(tmp_path, segment_bytes=4000)
    files = sorted(path.name for path in tmp_path.glob("*.seg"))
    assert len(files) > 10
    assert read == files[-2:], "the newest is short"
    monkeypatch.undo()
    assert sequences(again) == list(range(200))
    assert again.starts[SENSOR].next_sequence == 200
    again.close()


def test_what_is_written_to_a_removed_file_is_not_safe(tmp_path: Path) -> None:
    home = tmp_path / "spool"
    spool = opened(home)
    put(spool, block(0))
    shutil.rmtree(home)
    for number in (1, 2):  # found out by the first, said by every other
        assert taken(spool, number) == []
        assert spool.trouble is not None
        assert spool.trouble.errno == errno.ENOENT
    assert (spool.n_taken, spool.n_safe) == (3, 1)
    assert [entry.first for entry in spool.show()] == [1, 2], "it is sent without the disk"
    spool.commit({SENSOR: 2})
    assert spool.n_safe == 3
    spool.close()


def test_a_file_that_was_removed_alone_is_followed_by_another(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    put(spool, block(0))
    for path in tmp_path.glob("*.seg"):
        path.unlink()
    assert taken(spool, 1) == []
    assert taken(spool, 2) == [1, 2]
    assert sequences(spool) == [1, 2]
    assert taken(spool) == [0], "a gap that stands for what was in the file"
    assert covered(spool) == [0, 1, 2]
    assert spool.n_bytes >= sum(path.stat().st_size for path in tmp_path.glob("*.seg"))
    spool.close()
    assert covered(opened(tmp_path)) == [0, 1, 2]
