"""A spool whose process dies, whose power is lost, whose writes are torn."""

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

from dyncal.domain.sensors import SensorId
from edge_agent.spool import Spool, marks
from tests.unit.edge_agent.helpers import DT, EDGE, SENSOR, T0
from tests.unit.edge_agent.spool.helpers import OTHER, Machine, block, covered, die, opened, put, sequences


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
    monkeypatch.setattr(marks, "STRIDE", 4096)
    written: list[Path] = []
    real = Path.replace

    def noted(path: Path, to: Path) -> Path:
        if to.name == "numbers":
            written.append(path)
        return real(path, to)

    monkeypatch.setattr(Path, "replace", noted)
    many = [SensorId(f"S-{k}") for k in range(50)]
    spool = Spool.open(tmp_path, EDGE, T0, None, many)
    for k in range(100):
        put(spool, *(block(k, 1, sensor) for sensor in many))
    assert len(written) == 1
    put(spool, block(100, 1, many[0]))
    for k in range(101, 101 + 2 * marks.STRIDE):
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
from tests.unit.edge_agent.spool.helpers import block, opened, put
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
