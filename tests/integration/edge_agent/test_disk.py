"""An edge whose disk is full, read-only or broken for a while, or while it is started again."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.domain.samples import GapRecord, SampleBlock
from dyncal.testing.bus import FakeBroker
from edge_agent import service as service_module
from edge_agent import station as station_module
from edge_agent.events import Kind
from edge_agent.service import EdgeService
from tests.integration.edge_agent.plant import now_ns, running, sent, settings_of, until
from tests.integration.edge_agent.test_delivery import DT, committed, edge, feed, listening
from tests.unit.edge_agent.spool.faulty import FaultyDisk

PATIENCE_S = 0.3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FaultyDisk]:
    with FaultyDisk(tmp_path / "var" / "edge") as disk:
        yield disk


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_module, "SHOW_AFTER_S", PATIENCE_S)


def instants(broker: FakeBroker, start: int) -> list[int]:
    """Steps of all samples that the broker has, in order."""
    blocks = [record for record in sent(broker) if isinstance(record, SampleBlock)]
    return sorted(round((int(t) - start) / DT) for block in blocks for t in block.axis.t_ns)


def unspooled(service: EdgeService) -> bool:
    return bool(service.health().parts["spool"])


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_live_samples_go_out_while_the_disk_takes_nothing(
    tmp_path: Path, broker: FakeBroker, disk: FaultyDisk, error: int
) -> None:
    start = now_ns()
    async with running(settings_of(tmp_path, edge()), broker) as service:
        await listening(broker)
        await feed(broker, start, 0, 50)
        await until(lambda: len(instants(broker, start)) == 50)
        disk.error = error
        await feed(broker, start, 50, 10)
        await until(lambda: unspooled(service))
        assert os.strerror(error) in service.health().parts["spool"]
        assert not service.health().ready
        await until(lambda: len(instants(broker, start)) == 60)
        committed(broker, max(record.sequence for record in sent(broker)))
        await feed(broker, start, 60, 10)  # a broker holds back what is not acknowledged: the store's word does it too
        await until(lambda: len(instants(broker, start)) == 70)
        disk.error = 0
        await until(lambda: not unspooled(service))
        await feed(broker, start, 70, 30)
        await until(lambda: len(instants(broker, start)) == 100)
        assert service.operation is not None
        station = service.operation.station
        assert station.n_notices[Kind.SPOOL_FAILED] >= 1
        assert station.n_notices[Kind.SPOOL_RECOVERED] == 1
    assert instants(broker, start) == list(range(100)), "each once"
    numbers = [record.sequence for record in sent(broker)]
    assert sorted(numbers) == list(range(len(numbers)))
    assert not any(isinstance(record, GapRecord) for record in sent(broker))


async def test_what_the_disk_did_not_take_is_sent_again_after_a_cut(
    tmp_path: Path, broker: FakeBroker, disk: FaultyDisk
) -> None:
    start = now_ns()
    async with running(settings_of(tmp_path, edge()), broker) as service:
        await listening(broker)
        await feed(broker, start, 0, 20)
        await until(lambda: len(instants(broker, start)) == 20)
        committed(broker, max(record.sequence for record in sent(broker)))
        disk.error = errno.ENOSPC
        await feed(broker, start, 20, 10)
        await until(lambda: len(instants(broker, start)) == 30)
        broker.cut("dyncal-edge-plant-edge1")
        n_before = len(instants(broker, start))
        await asyncio.sleep(0.5)
        broker.restore("dyncal-edge-plant-edge1")
        await until(lambda: len(instants(broker, start)) > n_before)
        disk.error = 0
        await until(lambda: not unspooled(service))
    assert set(instants(broker, start)) == set(range(30))


async def test_no_number_is_used_twice_after_a_death_without_the_disk(
    tmp_path: Path, broker: FakeBroker, disk: FaultyDisk
) -> None:
    start = now_ns()
    async with running(settings_of(tmp_path, edge()), broker):
        await listening(broker)
        await feed(broker, start, 0, 20)
        await until(lambda: len(instants(broker, start)) == 20)
        disk.error = errno.EROFS
        await feed(broker, start, 20, 10)
        await until(lambda: len(instants(broker, start)) == 30)
    used = max(record.sequence for record in sent(broker))
    disk.error = 0
    for path in (tmp_path / "var" / "edge").rglob("*.seg"):  # as much time as the real patience takes
        os.utime(path, (0, path.stat().st_mtime - 10))
    async with running(settings_of(tmp_path, edge()), broker):
        await feed(broker, start, 30, 10)
        await until(lambda: set(instants(broker, start)) == set(range(40)))
    fresh = [record for record in sent(broker) if isinstance(record, SampleBlock)][-1]
    assert fresh.sequence > used


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_a_start_waits_for_the_disk(tmp_path: Path, broker: FakeBroker, disk: FaultyDisk, error: int) -> None:
    start = now_ns()
    disk.error = error
    async with running(settings_of(tmp_path, edge()), broker) as service:
        await until(lambda: os.strerror(error) in service.health().parts["spool"])
        assert not service.health().ready
        await asyncio.sleep(1.2 * service_module._SPOOL_AGAIN_S)  # it has tried again
        disk.error = 0
        await listening(broker)
        await feed(broker, start, 0, 20)
        await until(lambda: len(instants(broker, start)) == 20)
        assert service.health().ready


async def test_a_start_that_waits_for_the_disk_can_be_ended(
    tmp_path: Path, broker: FakeBroker, disk: FaultyDisk
) -> None:
    disk.error = errno.EROFS
    async with running(settings_of(tmp_path, edge()), broker) as service:
        await until(lambda: "Read-only" in service.health().parts["spool"])
