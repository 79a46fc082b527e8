"""The spool: what is written is there again, in order, within its limits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.contracts import samples as wire
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.samples import Gap, GapCause, GapRecord
from dyncal.domain.time import InstantNs
from edge_agent.spool import Spool
from tests.unit.edge_agent.helpers import DT, EDGE, SENSOR, T0, times
from tests.unit.edge_agent.spool.helpers import OTHER, block, covered, opened, put, sequences


def gaps(spool: Spool) -> list[tuple[GapCause, int, int]]:
    records = [wire.decode(entry.payload) for entry in spool.replayable()]
    return sorted((r.gap.cause, r.sequence, r.last_sequence) for r in records if isinstance(r, GapRecord))


def causes(spool: Spool) -> set[GapCause]:
    return {cause for cause, _, _ in gaps(spool)}


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


@pytest.mark.parametrize("segment_bytes", [2000, 1 << 22])
def test_the_instants_of_the_newest_blocks_are_known_after_a_death(tmp_path: Path, segment_bytes: int) -> None:
    spool = opened(tmp_path, segment_bytes=segment_bytes)
    assert not spool.newest
    put(spool, *(block(k) for k in range(100)), block(0, sensor=OTHER))
    spool.close()
    again = opened(tmp_path, segment_bytes=segment_bytes)
    again.close()
    newest = again.newest
    n = newest[SENSOR].size
    assert newest[SENSOR].tolist() == times(1000)[1000 - n :].tolist()
    assert n == 1000 if segment_bytes > 2000 else 50 <= n < 1000, "of files that are read at a start"
    assert newest[OTHER].tolist() == times(10).tolist()


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
    assert len(covered(again)) < 60, "what is damaged is found when it is read"
    assert again.damage
    again.flush()
    assert covered(again) == list(range(60))
    assert causes(again) == {GapCause.SPOOL_DAMAGED}
    again.close()
    once_more = opened(tmp_path, segment_bytes=2000)
    assert covered(once_more) == list(range(60))
    assert causes(once_more) == {GapCause.SPOOL_DAMAGED}, "also when it was read back"
    once_more.close()


def test_what_the_newest_file_had_and_lost_is_told_as_damaged(tmp_path: Path) -> None:
    """Found at the start, by the checkpoint of the file behind it."""
    spool = opened(tmp_path, segment_bytes=2000)
    put(spool, *(block(k) for k in range(60)))
    spool.close()
    before_last = sorted(tmp_path.glob("*.seg"))[-2]
    os.truncate(before_last, before_last.stat().st_size - 100)
    again = opened(tmp_path, segment_bytes=2000)
    again.flush()
    assert covered(again) == list(range(60))
    assert causes(again) == {GapCause.SPOOL_DAMAGED}
    again.close()


def test_what_is_damaged_and_what_there_is_no_room_for_are_told_apart(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"segment_bytes": 2000, "max_bytes": 12_000}
    spool = opened(tmp_path, **limits)
    put(spool, *(block(k) for k in range(30)))
    first = min(tmp_path.glob("*.seg"))
    content = bytearray(first.read_bytes())
    content[900] ^= 0xFF
    first.write_bytes(bytes(content))
    assert len(covered(spool)) < 30
    put(spool, *(block(k) for k in range(30, 90)))
    assert covered(spool) == list(range(90))
    assert causes(spool) == {GapCause.SPOOL_DAMAGED, GapCause.SPOOL_CAPPED}
    told = gaps(spool)
    spool.close()
    again = opened(tmp_path, **limits)
    assert gaps(again) == told
    again.close()


def test_what_was_refused_last_is_known_after_a_start(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    gap = Gap(T0, T0, GapCause.REJECTED, 2)
    put(spool, block(0), GapRecord(SENSOR, EDGE, 1, 1, 1, gap, refused=(5, 2**63 - 1)))
    spool.close()
    again = opened(tmp_path)
    assert again.refused == {SENSOR: {5: T0, 2**63 - 1: T0}}
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
