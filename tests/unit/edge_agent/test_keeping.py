"""Sets go to the disk beside the event loop; what is said of them waits for it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.sensors import SensorId
from edge_agent.events import Keep, Tell
from edge_agent.keeper import SetKeeper
from edge_agent.keeping import Keeping
from edge_agent.spool import disk
from tests.unit.edge_agent.helpers import T0

A, B = SensorId("A"), SensorId("B")


def told(sensor: SensorId, outcome: Outcome = Outcome.APPLIED) -> Tell:
    return Tell(Report(sensor, f"set-{sensor}", 1, outcome, T0))


class Row:
    """A row of sets, with what was told and what the disk did not take."""

    def __init__(self, directory: Path) -> None:
        self.told: list[Tell] = []
        self.failed: list[Keep] = []
        self.keeper = SetKeeper(directory)
        self.keeping = Keeping(self.keeper, self.told.append, lambda effect, _: self.failed.append(effect))

    def put(self, *effects: Keep | Tell) -> None:
        for effect in effects:
            self.keeping.put(effect)


def kept(directory: Path) -> dict[SensorId, bytes]:
    return SetKeeper(directory).load()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk that waits for a word."""
    go_on = threading.Event()
    replace = disk.replace

    def waiting(path: Path, content: bytes, *, sync_name: bool = True) -> None:
        assert go_on.wait(5)
        replace(path, content, sync_name=sync_name)

    monkeypatch.setattr(disk, "replace", waiting)
    return go_on


async def test_a_slow_disk_keeps_reports_and_nobody_else(tmp_path: Path, slow: threading.Event) -> None:
    row = Row(tmp_path)
    task = asyncio.create_task(row.keeping.run())
    await asyncio.sleep(0)
    row.put(Keep(A, b"one", 1), told(A))
    await asyncio.sleep(0)
    row.put(told(B, Outcome.REJECTED), Keep(A, b"two", 2), told(A))
    assert not row.told  # in their order: of two reports the newer one counts
    slow.set()
    async with asyncio.timeout(5):
        while len(row.told) < 3:
            await asyncio.sleep(0.001)
    assert row.told == [told(A), told(B, Outcome.REJECTED), told(A)]
    assert kept(tmp_path) == {A: b"two"}
    row.put(told(B))  # nothing waits
    assert row.told[-1] == told(B)
    task.cancel()


async def test_what_is_left_at_the_end_is_kept_and_told(tmp_path: Path, slow: threading.Event) -> None:
    row = Row(tmp_path)
    task = asyncio.create_task(row.keeping.run())
    await asyncio.sleep(0)
    row.put(Keep(A, b"one", 1), told(A))
    await asyncio.sleep(0.01)  # under way
    row.put(Keep(B, b"two", 1), told(B))
    slow.set()
    row.keeping.finish()
    assert row.told == [told(A), told(B)]
    assert kept(tmp_path) == {A: b"one", B: b"two"}
    await asyncio.sleep(0.01)
    assert len(row.told) == 2
    task.cancel()


def test_a_disk_that_fails_is_told_of_and_the_report_goes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = disk.replace

    def failing(path: Path, content: bytes, *, sync_name: bool = True) -> None:
        if path.name.startswith(A):
            raise OSError(5, "Input/output error")
        replace(path, content, sync_name=sync_name)

    monkeypatch.setattr(disk, "replace", failing)
    row = Row(tmp_path)
    assert row.keeper.keep_all([Keep(A, b"one", 1), Keep(B, b"two", 1)])[0][0].sensor == A
    row.put(Keep(A, b"one", 1), told(A))
    assert [effect.sensor for effect in row.failed] == [A]
    assert row.told == [told(A)]
    assert kept(tmp_path) == {B: b"two"}
    assert row.keeper.highest == {B: 1}
