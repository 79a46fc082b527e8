"""Blocks, and what a spool holds, for its tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyncal.contracts import samples as wire
from dyncal.domain import quality
from dyncal.domain.samples import Record, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import axis_of
from edge_agent.spool import Spool, SpoolLimits, entry_of, marks
from tests.unit.edge_agent.helpers import EDGE, SENSOR, T0, times

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
    if spool.trouble is not None:
        raise spool.trouble


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


def die(spool: Spool) -> None:
    """Let go of the files as the death of the process does."""
    assert spool._lock is not None
    spool._journal.writer.close()
    spool._lock.close()
    spool._lock = None


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
        self._patch.setattr(marks, "_boot_id", lambda: f"boot-{number}")

    def lose_power(self, spool: Spool) -> None:
        die(spool)
        for path in self._directory.glob("*.seg"):
            os.truncate(path, self._synced.get(path.stat().st_ino, 0))
        self.boot()


def note_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the name of each file of a spool is added that is read whole."""
    read: list[str] = []
    real = Path.read_bytes

    def noted(path: Path) -> bytes:
        if path.suffix == ".seg":
            read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    return read
