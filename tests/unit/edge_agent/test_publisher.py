"""Marks of records that are sent again, and what becomes of those that the broker does not take."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dyncal.contracts import samples as wire
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain import quality
from dyncal.domain.errors import BusUnavailable, PublishRefused
from dyncal.domain.samples import CorrectedSpan, Gap, GapCause, GapRecord, Record, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId, site_id
from dyncal.domain.time import DurationNs, ExplicitAxis, InstantNs, UniformAxis
from dyncal.runtime.clocks import SystemClock
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher, replayed
from edge_agent.spool import Spool, entry_of
from edge_agent.suspects import ALONE_AFTER, REFUSED_AFTER

FULL = SampleBlock(
    sensor=SensorId("TT-101"),
    edge=EdgeId("edge1"),
    epoch=2**62,
    sequence=7,
    axis=UniformAxis(InstantNs(10), DurationNs(5), 3),
    raw=np.array([1.0, np.nan, -2.0]),
    quality=((0, 2), (quality.BAD, 1)),
    arrival_ns=InstantNs(100),
    u_t_ns=DurationNs(3),
    server_ns=InstantNs(99),
    corrected=CorrectedSpan(UniformAxis(InstantNs(5), DurationNs(5), 2), np.ones(2), np.ones(2), "a-set"),
)


@pytest.mark.parametrize(
    "record",
    [
        FULL,
        replace(FULL, server_ns=None, corrected=None, u_t_ns=DurationNs(0)),
        replace(FULL, axis=ExplicitAxis(np.array([1, 2, 9], np.int64))),
        GapRecord(FULL.sensor, FULL.edge, 1, 5, 9, Gap(InstantNs(1), InstantNs(2), GapCause.SPOOL_CAPPED, 12)),
        GapRecord(FULL.sensor, FULL.edge, 1, 5, 5, Gap(InstantNs(1), InstantNs(2), GapCause.CLOCK_STEP)),
    ],
)
def test_a_record_is_marked_as_its_encoder_would(record: Record) -> None:
    marked = replayed(wire.encode(record))
    assert marked == wire.encode(replace(record, replayed=True))
    assert wire.decode(marked).replayed
    assert replayed(marked) == marked


@pytest.mark.parametrize("payload", [b"", b"\xc0", b"\xde\x00\x01\xa1a\x01", b"\x8f", b"nonsense"])
def test_what_is_no_record_of_ours_goes_as_it_is(payload: bytes) -> None:
    assert replayed(payload) == payload


class Choosy:
    """A bus that is there, and takes no message on some topics."""

    connected = True

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.taken: list[str] = []

    async def wait_connected(self) -> None:
        self.connected = True

    def post(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        del payload, retain
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if topic in self.refused:
            answer.set_exception(PublishRefused(f"{topic}: too large"))
        else:
            self.taken.append(topic)
            answer.set_result(None)
        return answer


async def test_a_message_that_the_broker_refuses_stops_no_other(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, FULL.edge, InstantNs(0))
    address = EdgeAddress(site_id("plant"), FULL.edge)
    outbox = Outbox(spool, replay_per_s=1000.0, commit_timeout_s=30.0, rng=np.random.default_rng(1))
    first, other = (replace(FULL, sensor=SensorId(name), sequence=0, epoch=spool.epoch) for name in ("A", "B"))
    bus = Choosy(address.samples(first.sensor), address.status)
    publisher = Publisher(bus, address, outbox, SystemClock())  # type: ignore[arg-type]  # as much of a bus as it needs
    publisher.keep_said(address.status, b"{}")
    for record in (first, other):
        spool.append(entry_of(record, wire.encode(record)))
    spool.flush()
    task = asyncio.create_task(publisher.run())
    async with asyncio.timeout(5):
        while address.samples(other.sensor) not in bus.taken:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert set(publisher.refused) == set(bus.refused)
    assert bus.taken == [address.samples(other.sensor)]
    assert spool.n_uncommitted == 2
    spool.close()


class Set:
    """A clock that stands where it is put."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns, self._true = now_ns, SystemClock()

    def now(self) -> InstantNs:
        return InstantNs(self.now_ns)

    def monotonic_s(self) -> float:
        return self._true.monotonic_s()


async def test_how_long_live_blocks_take_is_counted_and_nothing_else_is(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, FULL.edge, InstantNs(0))
    clock, bus = Set(FULL.arrival_ns + 7_000_000), Choosy()
    outbox = Outbox(spool, replay_per_s=1000.0, commit_timeout_s=30.0, rng=np.random.default_rng(1))
    address = EdgeAddress(site_id("plant"), FULL.edge)
    publisher = Publisher(bus, address, outbox, clock)  # type: ignore[arg-type]  # as much of both as it needs

    def write(record: Record) -> None:
        spool.append(entry_of(record, wire.encode(record)))
        outbox.written(spool.flush(), 0.0)
        publisher.wake()

    async def published(n: int) -> None:
        async with asyncio.timeout(5):
            while len(bus.taken) < n:
                await asyncio.sleep(0.001)

    write(replace(FULL, sequence=0, epoch=spool.epoch))  # before there is a broker: backlog
    task = asyncio.create_task(publisher.run())
    await published(1)
    write(replace(FULL, sequence=1, epoch=spool.epoch))
    write(GapRecord(FULL.sensor, FULL.edge, spool.epoch, 2, 2, Gap(InstantNs(1), InstantNs(2), GapCause.CLOCK_STEP)))
    await published(3)
    clock.now_ns = FULL.arrival_ns - 1  # set back
    write(replace(FULL, sequence=3, epoch=spool.epoch))
    await published(4)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert publisher.n_replayed == 1
    assert publisher.through.sum_s == pytest.approx(0.007)
    assert [n for _, n in publisher.through.buckets] == [0.0] * 4 + [1.0] * 11
    spool.close()


class Curt(Choosy):
    """A bus whose broker ends the connection over a message on some topics, and all that is under way is lost."""

    def __init__(self, *refused: str) -> None:
        super().__init__(*refused)
        self.n_lost = 0
        self.under_way: list[tuple[str, asyncio.Future[None]]] = []

    def post(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        del payload, retain
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.under_way.append((topic, answer))
        if len(self.under_way) == 1:
            asyncio.get_running_loop().call_soon(self._go_on)
        return answer

    def _go_on(self) -> None:
        under_way, self.under_way = self.under_way, []
        if any(topic in self.refused for topic, _ in under_way):
            self.connected = False
            self.n_lost += 1
            for _, answer in under_way:
                answer.set_exception(BusUnavailable("connection lost before the answer"))
            return
        for topic, answer in under_way:
            self.taken.append(topic)
            answer.set_result(None)


async def test_a_record_over_which_the_broker_ends_the_connection_stops_no_other(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, FULL.edge, InstantNs(0))
    address = EdgeAddress(site_id("plant"), FULL.edge)
    outbox = Outbox(spool, replay_per_s=10_000.0, commit_timeout_s=300.0, rng=np.random.default_rng(1))
    bus = Curt(address.samples(SensorId("A")))
    publisher = Publisher(bus, address, outbox, SystemClock())  # type: ignore[arg-type]  # as much of a bus as it needs
    for name in ("A", "B", "C"):
        record = replace(FULL, sensor=SensorId(name), sequence=0, epoch=spool.epoch)
        spool.append(entry_of(record, wire.encode(record)))
    spool.flush()
    task = asyncio.create_task(publisher.run())
    async with asyncio.timeout(10):
        while not publisher.refused or not {address.samples(SensorId(name)) for name in ("B", "C")} <= set(bus.taken):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert set(publisher.refused) == set(bus.refused)
    assert bus.n_lost == ALONE_AFTER + REFUSED_AFTER
    assert spool.n_uncommitted == 3
    spool.close()
