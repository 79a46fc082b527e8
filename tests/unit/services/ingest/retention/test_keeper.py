"""The job beside the writing: holds of the registry, the audit trail, clocks that leap."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dyncal.adapters.registry import open_registry
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.holds import Hold
from dyncal.domain.retention import policy_of
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import LATEST, DurationNs, InstantNs
from dyncal.ports.registry import Registry
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.exclusive import Exclusive
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import S1, S2, act, make_alarm, make_pairing, make_sensor, put_alarm
from dyncal.testing.store import MemorySampleStore
from services.ingest.metrics import IngestMetrics
from services.ingest.retention.keeper import LOCK_FILE, Keeper, Reducing
from services.ingest.retention.protection import Guard
from services.ingest.worker import Worker
from tests.unit.services.ingest.retention.test_reducer import DAY, NOW, SECOND, counted, fill


class Leaping(SimulatedClock):
    """A clock that is set a year ahead after it was asked for the first time."""

    asked = 0

    def now(self) -> InstantNs:
        self.asked += 1
        return self.instant if self.asked == 1 else InstantNs(self.instant + 365 * DAY)


POLICY = policy_of(DurationNs(2 * DAY), [(SECOND, None)])


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = open_registry(RegistrySettings(), tmp_path)
    made.put_sensors([make_sensor(S1), make_sensor(S2)], [make_pairing()], act(1, "first"))
    return made


async def go(
    directory: Path, store: MemorySampleStore, until: Callable[[], bool], clock: SimulatedClock | None = None,
) -> None:  # fmt: skip
    """Let the job run until something holds."""
    clock = clock or SimulatedClock(NOW)
    worker = Worker("test")
    reducing = Reducing(lambda: open_registry(RegistrySettings(), directory), directory / LOCK_FILE)
    keeper = Keeper(
        worker, lambda: store, reducing, POLICY, IngestMetrics(), clock, logger("ingest"), again_s=0.01, share=1.0
    )
    task = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(10):
            while not until():
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await worker.finish(keeper.close)


async def test_it_works_and_says_so(registry: Registry, tmp_path: Path) -> None:
    store = MemorySampleStore()
    for sensor in (S1, S2):
        fill(store, sensor, 5)
    registry.put_hold(
        Hold("h", S2, InstantNs(0), InstantNs(LATEST), "claim", "key:a", InstantNs(0)), act(2, "claim"), most=9
    )
    await go(tmp_path, store, lambda: registry.audit()[-1].action == "samples.reduce")
    entry = registry.audit()[-1]
    assert (entry.actor, entry.reason) == ("ingest", "3000 samples of 1 sensors")
    assert counted(store, S1) == (0, 3000, 0)
    assert counted(store, S2) == (3000, 0, 0)
    assert registry.verify_audit() is None
    registry.close()


async def test_a_clock_that_leapt_removes_nothing(registry: Registry, tmp_path: Path) -> None:
    registry.close()
    store = MemorySampleStore()
    fill(store, S1, 1)
    looked = 0

    def twice() -> bool:
        nonlocal looked
        looked += 1
        return looked > 20

    await go(tmp_path, store, twice, Leaping(NOW))
    assert counted(store, S1) == (3000, 0, 0)


async def test_who_reduces_holds_a_lock(registry: Registry, tmp_path: Path) -> None:
    registry.close()
    store = MemorySampleStore()
    fill(store, S1, 5)
    other = Exclusive(tmp_path / LOCK_FILE, "test")
    looked = 0

    def some_times() -> bool:
        nonlocal looked
        looked += 1
        return looked > 20

    await go(tmp_path, store, some_times)
    assert store.first(S1, SAMPLES) is not None
    other.close()
    await go(tmp_path, store, lambda: store.first(S1, SAMPLES) is None)


def test_what_stands_as_an_alarm_is_kept_with_its_reference(registry: Registry) -> None:
    alarm = make_alarm()
    assert alarm.found.kind is AlarmKind.DRIFT
    put_alarm(registry, alarm, act(2))
    kept = Guard(lambda: registry).protection(NOW).kept
    assert {one.sensor for one in kept} == {S1, SensorId(make_pairing().reference)}
    assert all(one.span.to_ns == LATEST for one in kept)
    registry.close()
