"""The service on a fake broker, the reference store and a ledger on disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from dyncal.adapters.ledger import SqliteLedger
from dyncal.contracts import codec, ledgers, samples
from dyncal.contracts.edges import CommittedMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.accounts import Account, Entry
from dyncal.domain.errors import InvalidData, PoisonedWrite, StoreUnauthorized, StoreUnavailable
from dyncal.domain.samples import Record
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.ledger import StreamKey
from dyncal.ports.sample_store import Writable, WriteReport, unpacked
from dyncal.runtime.clocks import SystemClock
from dyncal.testing.bus import FakeBroker
from dyncal.testing.records import TC, block, uniform
from dyncal.testing.store import MemorySampleStore
from services.ingest import shell
from services.ingest.service import IngestService
from services.ingest.settings import IngestSection

EDGE = EdgeAddress(SiteId("plant"), EdgeId("edge-1"))
ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))
SECTION = IngestSection(
    retry_first_s=0.02, retry_longest_s=0.05, committed_interval_s=0.02, linger_s=0.01, ledger_interval_s=0.1
)


class TroubledStore(MemorySampleStore):
    """The reference store, with trouble on demand."""

    trouble: Exception | None = None
    poison: float | None = None
    crash: float | None = None
    crash_with: Exception = ZeroDivisionError("nobody thought of this")
    attempts = 0
    too_old = 0
    n_tidied = 0

    def write(self, records: Sequence[Writable]) -> WriteReport:
        self.attempts += 1
        records = unpacked(records)
        if self.trouble is not None:
            raise self.trouble
        if any(self._has(record, self.crash) for record in records):
            raise self.crash_with
        bad = tuple(k for k, record in enumerate(records) if self._has(record, self.poison))
        report = super().write([record for k, record in enumerate(records) if k not in bad])
        if bad:
            raise PoisonedWrite("not with me", bad)
        return report

    def tidy(self, now: InstantNs) -> bool:
        if self.trouble is not None:
            raise self.trouble
        assert abs(now - SystemClock().now()) < 10**9
        self.too_old = max(0, self.too_old - 1)
        self.n_tidied += 1
        return self.too_old > 0

    @staticmethod
    def _has(record: Record, value: float | None) -> bool:
        return value is not None and value in getattr(record, "raw", ())


class Plant:
    """A running service and what is around it."""

    def __init__(self, directory: Path) -> None:
        self.broker = FakeBroker()
        self.store = TroubledStore()
        self.directory = directory
        self.service = self.new_service()

    def new_service(self) -> IngestService:
        return IngestService(
            SECTION,
            open_bus=lambda: self.broker.bus("ingest"),
            open_store=lambda: self.store,
            open_ledger=lambda: SqliteLedger(self.directory / "ledger.sqlite"),
            quarantine_dir=self.directory / "quarantine",
            clock=SystemClock(),
            rng=np.random.default_rng(1),
        )

    def send(self, *sequences: int, value: float = 1.0, sensor: SensorId = TC) -> None:
        for k in sequences:
            record = block([value, value], sensor=sensor, sequence=k, axis=uniform(2, 2 * k))
            self.broker.publish(EDGE.samples(sensor), samples.encode(record))

    def committed(self) -> dict[str, int]:
        said = self.broker.published(EDGE.committed)
        return codec.from_json(said[-1], CommittedMessage).upto if said else {}

    def reasons(self) -> list[str]:
        found = sorted((self.directory / "quarantine").glob("*.json"))
        return [msgspec.json.decode(path.read_bytes())["reason"] for path in found]

    def rows(self, sensor: SensorId = TC) -> int:
        return len(self.store.read(sensor, *ALL))

    @property
    def unacknowledged(self) -> int:
        return self.broker.unacknowledged("ingest")


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 5) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"not so after {timeout_s} s: {what}")


@contextlib.asynccontextmanager
async def running(service: IngestService) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(service.run(stop))
    try:
        await until(lambda: service.health().parts["broker"] == "" or task.done(), "connected")
        await asyncio.sleep(0.02)
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    plant = Plant(tmp_path)
    async with running(plant.service):
        yield plant


async def test_records_are_stored_committed_and_acknowledged(plant: Plant) -> None:
    plant.send(*range(20))
    await until(lambda: plant.committed() == {TC: 19}, "committed")
    assert plant.rows() == 40
    await until(lambda: plant.unacknowledged == 0, "acknowledged")
    assert plant.service.health().ready


async def test_nothing_is_acknowledged_while_the_store_is_down_and_all_comes_after(plant: Plant) -> None:
    plant.store.trouble = StoreUnavailable("down for the test", retry_after_s=0.01)
    plant.send(*range(10))
    await until(lambda: plant.store.attempts > 3, "several attempts")
    assert plant.unacknowledged == 10
    assert plant.committed() == {}
    assert "down for the test" in plant.service.health().parts["store"]
    plant.store.trouble = None
    await until(lambda: plant.committed() == {TC: 9} and plant.unacknowledged == 0, "all stored")
    assert plant.rows() == 20
    assert plant.service.health().ready


async def test_refused_credentials_are_said_and_outlived(plant: Plant) -> None:
    plant.store.trouble = StoreUnauthorized("token refused")
    plant.send(0)
    await until(lambda: plant.service.health().parts["store"] == "token refused", "health says so")
    assert not plant.service.health().ready
    assert plant.unacknowledged == 1
    plant.store.trouble = None
    await until(lambda: plant.committed() == {TC: 0}, "stored")


async def test_what_became_of_all_records_is_said_and_counted(plant: Plant) -> None:
    plant.store.poison = 13.0
    plant.send(*range(20))
    plant.send(20, value=13.0)
    await until(lambda: plant.committed() == {TC: 20}, "committed")
    plant.send(*range(5))

    def said() -> Account:
        payloads = plant.broker.published(EDGE.ledger)
        return ledgers.decode(payloads[-1])[1].get(TC, Account()) if payloads else Account()

    expected = Account(numbers=21, blocks=20, samples=40, quarantined=1, repeated_records=5, repeated_samples=10)
    await until(lambda: said() == expected, "the ledger is said")
    sample = plant.service.metrics.registry.get_sample_value
    assert sample("dyncal_ingest_ledger", {"what": "samples"}) == 40
    assert sample("dyncal_ingest_ledger", {"what": "quarantined"}) == 1


async def test_a_poisoned_record_is_set_aside_and_committed(plant: Plant) -> None:
    plant.store.poison = 666.0
    plant.send(0, 2)
    plant.send(1, value=666.0)
    await until(lambda: plant.committed() == {TC: 2}, "committed, the poisoned one too")
    assert plant.rows() == 4
    assert plant.reasons() == ["poisoned"]
    assert plant.unacknowledged == 0


@pytest.mark.parametrize("error", [ZeroDivisionError("nobody thought of this"), InvalidData("an axis of nothing")])
async def test_a_record_that_crashes_the_store_is_set_aside(plant: Plant, error: Exception) -> None:
    plant.store.crash_with = error
    plant.store.crash = 13.0
    plant.send(*range(7))
    plant.send(7, value=13.0)
    plant.send(8, 9)
    await until(lambda: plant.committed() == {TC: 9}, "committed")
    assert plant.rows() == 18
    assert plant.reasons() == ["internal"]


@pytest.mark.parametrize("trouble", [ModuleNotFoundError("no client"), MemoryError(), OSError(24, "too many files")])
async def test_trouble_of_the_machine_is_no_fault_of_the_records(plant: Plant, trouble: Exception) -> None:
    plant.store.trouble = trouble
    plant.send(*range(5))
    await until(lambda: plant.store.attempts > 2, "tried again")
    assert (plant.unacknowledged, plant.committed(), plant.reasons()) == (5, {}, [])
    assert not plant.service.health().ready
    plant.store.trouble = None
    await until(lambda: plant.committed() == {TC: 4} and plant.unacknowledged == 0, "all stored")
    assert plant.rows() == 10


async def test_an_edge_that_starts_is_told_at_once(plant: Plant) -> None:
    plant.send(0, 1)
    await until(lambda: plant.committed() == {TC: 1}, "committed")
    n = len(plant.broker.published(EDGE.committed))
    plant.broker.publish(EDGE.status, codec.to_json(StatusMessage(1, "online", epoch=1)), retain=True)
    await until(lambda: len(plant.broker.published(EDGE.committed)) > n, "told again")
    assert plant.committed() == {TC: 1}
    plant.broker.publish(EDGE.status, codec.to_json(StatusMessage(1, "online", epoch=2)), retain=True)
    await until(lambda: plant.committed() == {}, "told that nothing is known of the new spool")


async def test_what_is_tried_again_is_quarantined_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = 0
    commit = SqliteLedger.commit

    def failing(self: SqliteLedger, entries: Iterable[tuple[StreamKey, Entry]]) -> dict[StreamKey, int]:
        nonlocal commits
        commits += 1
        if commits <= 5:
            raise StoreUnavailable("the disk is full")
        return commit(self, entries)

    monkeypatch.setattr(SqliteLedger, "commit", failing)
    plant = Plant(tmp_path)
    plant.store.poison = 13.0
    async with running(plant.service):
        plant.broker.publish(EDGE.samples(TC), b"nonsense")
        plant.send(0, value=13.0)
        plant.send(1)
        await until(lambda: plant.committed() == {TC: 1}, "committed")
        assert commits > 5
        assert sorted(plant.reasons()) == ["malformed", "poisoned"]
        plant.broker.publish(EDGE.samples(TC), b"nonsense")
        await until(lambda: len(plant.reasons()) == 3, "the same again, later, is kept again")


async def test_what_an_edge_has_released_is_no_hole_in_a_ledger_that_was_lost(plant: Plant) -> None:
    plant.send(100, 101)
    await until(lambda: plant.rows() == 4 and plant.unacknowledged == 0, "stored, beyond a hole")
    assert plant.committed() == {}
    birth = StatusMessage(1, "online", epoch=1, released={TC: 99, "tc-9": -1})
    plant.broker.publish(EDGE.status, codec.to_json(birth), retain=True)
    await until(lambda: plant.committed() == {TC: 101}, "the edge may release more")
    plant.broker.publish(EDGE.status, codec.to_json(StatusMessage(1, "online", epoch=1)), retain=True)
    plant.send(102)
    await until(lambda: plant.committed() == {TC: 102}, "it goes on")


async def test_watermark_waits_for_the_hole(plant: Plant) -> None:
    plant.send(0, 1, 3, 4)
    await until(lambda: plant.rows() == 8 and plant.unacknowledged == 0, "stored")
    await until(lambda: plant.committed() == {TC: 1}, "watermark before the hole")
    plant.send(2)
    await until(lambda: plant.committed() == {TC: 4}, "hole filled")


async def test_a_cut_connection_brings_everything_again_and_nothing_twice(plant: Plant) -> None:
    plant.send(0, 1)
    await until(lambda: plant.committed() == {TC: 1}, "committed")
    plant.store.trouble = StoreUnavailable("down")
    plant.send(2, 3)
    await until(lambda: plant.store.attempts > 2, "tried")
    plant.broker.cut("ingest")
    await until(lambda: not plant.service.health().ready, "health says so")
    plant.broker.restore("ingest")
    plant.store.trouble = None
    plant.send(4)
    await until(lambda: plant.committed() == {TC: 4} and plant.unacknowledged == 0, "all")
    assert plant.rows() == 10


async def test_stop_finishes_what_is_there_and_a_new_run_goes_on(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    async with running(plant.service):
        plant.send(*range(50))
        await asyncio.sleep(0.005)
    assert plant.unacknowledged == 0
    assert plant.committed() == {TC: 49}
    plant.send(50)
    async with running(plant.new_service()):
        await until(lambda: plant.committed() == {TC: 50}, "went on")


async def test_stop_while_the_store_is_down_leaves_all_with_the_broker(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.store.trouble = StoreUnavailable("down", retry_after_s=60)
    started = asyncio.get_running_loop().time()
    async with running(plant.service):
        plant.send(0, 1)
        await until(lambda: plant.store.attempts > 0, "tried")
    assert asyncio.get_running_loop().time() - started < 3
    assert plant.unacknowledged == 2
    plant.store.trouble = None
    async with running(plant.new_service()):
        await until(lambda: plant.committed() == {TC: 1}, "stored by the next run")


async def test_hostile_payloads_are_contained(plant: Plant) -> None:
    good = samples.encode(block([1.0], sequence=0, axis=uniform(1)))
    fields = msgspec.msgpack.decode(good)
    changes: list[dict[str, object]] = [
        {"v": 2},
        {"kind": "bomb"},
        {"raw": b"1234567"},
        {"raw": b""},
        {"quality": [[0, 10**12]]},
        {"quality": [[-1, 1]]},
        {"axis": {"t0_ns": 0, "dt_ns": 0, "n": 1}},
        {"axis": {"t0_ns": 0, "dt_ns": 1, "n": 2**40}},
        {"axis": {"t_ns": b"\xff" * 8}},
        {"axis": {}},
        {"sensor": "../../etc/passwd"},
        {"sensor": "other"},
        {"edge": "other"},
        {"sequence": -1},
        {"sequence": 2**64 - 1},
        {"epoch": 2**63},
        {"arrival_ns": 2**64 - 1},
        {"u_t_ns": -5},
        {"corrected": {"axis": fields["axis"], "value": b"", "u": b"", "set": "x"}},
        {"corrected": {"axis": fields["axis"], "value": fields["raw"], "u": b"\xff" * 7, "set": "x"}},
    ]
    hostile = [
        b"",
        b"\xc1",
        b"{}",
        os_noise(200),
        good[:-3],
        b"\x91" * 50_000,
        b"\x00" * 300_000,
        *(msgspec.msgpack.encode(fields | change) for change in changes),
    ]
    for payload in hostile:
        plant.broker.publish(EDGE.samples(TC), payload)
    for topic in ("dyncal/v1/plant/ed ge/samples/x", "dyncal/v1/plant/edge-1/samples/..", EDGE.status):
        plant.broker.publish(topic, b"\xff{")
    plant.send(0, 1, 2, sensor=SensorId("tc-2"))
    await until(lambda: plant.committed().get("tc-2") == 2, "the service goes on")
    await until(lambda: plant.unacknowledged == 0, "all acknowledged")
    assert len(plant.reasons()) == len(hostile) + 3
    assert plant.rows() == 0
    assert {"malformed", "misaddressed", "topic", "status"} == set(plant.reasons())


def os_noise(n: int) -> bytes:
    return np.random.default_rng(9).bytes(n)


async def test_what_is_too_old_is_forgotten_a_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "TIDY_INTERVAL_S", 0.02)
    plant = Plant(tmp_path)
    plant.store.too_old = 30
    async with running(plant.service):
        plant.send(0, 1, 2)
        await until(lambda: plant.store.too_old == 0 and plant.rows() == 6, "all forgotten, and stored in between")
        plant.store.trouble = StoreUnavailable("away")
        await asyncio.sleep(0.1)
        plant.store.trouble, plant.store.too_old = None, 2
        await until(lambda: plant.store.too_old == 0, "forgotten after the store has come back")
    assert plant.store.n_tidied >= 32
