"""The blocking half of ingest: a batch into the store, its outcasts into quarantine, all of it into the ledger."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np

from dyncal.contracts.samples import BlockMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.accounts import Account, Entry
from dyncal.domain.errors import DyncalError, InvalidData, PoisonedWrite, StoreUnavailable
from dyncal.domain.samples import GapRecord
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.ledger import Ledger, StreamKey
from dyncal.ports.sample_store import SampleStore, Writable, WriteReport, unpacked
from dyncal.runtime.logging import Logger
from dyncal.runtime.quarantine import Quarantine
from services.ingest.intake import Accepted, Birth, Numbers, Rejected, numbers_of
from services.ingest.origins import Origins
from services.ingest.pipeline import Batch, Item

MAX_UNCOMMITTED: Final = 10_000

Store = TypeVar("Store", bound=SampleStore)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch."""

    report: WriteReport
    quarantined: tuple[Rejected, ...]
    watermarks: dict[tuple[EdgeAddress, int], dict[SensorId, int]]
    n_not_kept: int
    n_contested: int
    ledger_s: float = 0.0
    """Of the time, that which the ledger took [s]."""


class Persister(Generic[Store]):
    """Holds the store, the ledger and the quarantine; opened at first use, and closed, in the one thread that uses it.

    Parameters
    ----------
    open_store, open_ledger, open_quarantine : callable
        Make what is needed; may raise `StoreUnavailable`, then the next use tries again.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        open_ledger: Callable[[], Ledger],
        open_quarantine: Callable[[], Quarantine],
        log: Logger,
    ) -> None:
        self._open_store = open_store
        self._open_ledger = open_ledger
        self._open_quarantine = open_quarantine
        self._store: Store | None = None
        self._ledger: Ledger | None = None
        self._quarantine: Quarantine | None = None
        self._origins = Origins()
        self._kept: dict[bytes, None] = {}  # in quarantine already, oldest first, but not committed yet
        self._log = log

    def check(self) -> str:
        """Return the name of the store. Raises as `SampleStore.check` does."""
        self._opened_ledger()
        return self.opened_store().check()

    def persist(self, batch: Batch, now: InstantNs) -> Outcome:
        """Store a batch; all of it is stored, quarantined and committed, or an error says that it is to be tried again.

        Raises
        ------
        StoreUnavailable, StoreRefused
            As `SampleStore.write`; nothing may be acknowledged.
        """
        store, ledger = self.opened_store(), self._opened_ledger()
        accepted = [(item, item.content) for item in batch.items if isinstance(item.content, Accepted)]
        report, poisoned = write_contained(store, [content.record for _, content in accepted])
        outcasts = [(item, item.content) for item in batch.items if isinstance(item.content, Rejected)]
        for index, (reason, detail) in sorted(poisoned.items()):
            item, content = accepted[index]
            outcasts.append((item, Rejected(reason, detail, content.numbers, content.address)))
        n_not_kept = sum(not self._keep(item, why, now) for item, why in outcasts)
        stored = [content for k, (_, content) in enumerate(accepted) if k not in poisoned]
        begun_s = time.perf_counter()
        watermarks = self._commit(ledger, stored, [why for _, why in outcasts])
        ledger_s = time.perf_counter() - begun_s
        for item, _ in outcasts:
            self._kept.pop(_digest(item), None)
        n_contested = self._contested(stored)
        return Outcome(report, tuple(why for _, why in outcasts), watermarks, n_not_kept, n_contested, ledger_s)

    def _contested(self, stored: list[Accepted]) -> int:
        """Say which sensors two edges write; return how many are new."""
        found = self._origins.contested((content.record.sensor, content.record.edge) for content in stored)
        for sensor, edge, other in found:
            self._log.error("sensor_of_two_edges", sensor=sensor, edge=edge, other=other)
        return len(found)

    def look_up(self, birth: Birth) -> dict[SensorId, int]:
        """Return the watermarks of an edge's epoch. Raises `StoreUnavailable`.

        What the edge has released enters the ledger: where that was lost, the numbers would never be sent again, and
        its watermarks never rise.
        """
        ledger = self._opened_ledger()
        known = ledger.watermarks(birth.address.edge, birth.epoch)
        forgotten = [item for item in birth.released if item[2] > known.get(item[0].sensor, -1)]
        if not forgotten:
            return known
        self._log.warning("ledger_behind", edge=birth.address.edge, epoch=birth.epoch, sensors=len(forgotten))
        ledger.commit((key, Entry(first, last)) for key, first, last in forgotten)
        return ledger.watermarks(birth.address.edge, birth.epoch)

    def accounts(self) -> dict[tuple[EdgeId, SensorId], Account]:
        """Return what became of the records of each sensor. Raises `StoreUnavailable`."""
        return self._opened_ledger().accounts()

    def tidy(self, now: InstantNs) -> bool:
        """Let the store forget some of what is too old; return whether there is more. Raises as `SampleStore.write`."""
        return self.opened_store().tidy(now)

    def close(self) -> None:
        """Close what was opened."""
        for opened in (self._store, self._ledger):
            if opened is not None:
                opened.close()

    @staticmethod
    def _commit(
        ledger: Ledger, stored: list[Accepted], outcasts: list[Rejected]
    ) -> dict[tuple[EdgeAddress, int], dict[SensorId, int]]:
        entries = [entered(content.record) for content in stored]
        entries += [_set_aside(why.numbers) for why in outcasts if why.numbers is not None]
        ledger.commit(entries)
        epochs = {(content.address, content.record.epoch) for content in stored}
        epochs |= {
            (why.address, why.numbers[0].epoch)
            for why in outcasts
            if why.numbers is not None and why.address is not None
        }
        return {(address, epoch): ledger.watermarks(address.edge, epoch) for address, epoch in epochs}

    def _keep(self, item: Item, why: Rejected, now: InstantNs) -> bool:
        """Put a payload into quarantine, once however often its batch is tried; return whether it is there."""
        digest = _digest(item)
        if digest in self._kept:
            return True
        self._log.warning("quarantined", topic=item.delivery.topic[:300], reason=why.reason, detail=why.detail[:300])
        try:
            if self._quarantine is None:
                self._quarantine = self._open_quarantine()
            self._quarantine.add(item.delivery.topic, item.delivery.payload, why.reason, why.detail, now)
        except OSError as error:
            self._log.error("quarantine_failed", error=str(error))
            return False
        self._kept[digest] = None
        if len(self._kept) > MAX_UNCOMMITTED:
            del self._kept[next(iter(self._kept))]
        return True

    def opened_store(self) -> Store:
        """Return the store, in which nothing is half done. Raises as `SampleStore.write`."""
        if self._store is None:
            store = self._open_store()
            try:
                store.settle()
            except BaseException:
                store.close()
                raise
            self._store = store
        return self._store

    def _opened_ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = self._open_ledger()
        return self._ledger


def entered(record: BlockMessage | GapRecord) -> tuple[StreamKey, Entry]:
    """Return the stream of a record that is stored, and what it adds to the ledger."""
    key, first, last = numbers_of(record)
    if isinstance(record, GapRecord):
        return key, Entry(first, last, cause=record.gap.cause, n_lost=record.gap.n_lost)
    return key, Entry(first, last, n_samples=len(record))


def _set_aside(numbers: Numbers) -> tuple[StreamKey, Entry]:
    key, first, last = numbers
    return key, Entry(first, last, quarantined=True)


def _digest(item: Item) -> bytes:
    """Name a message by its content: it may be delivered anew between two attempts."""
    topic = item.delivery.topic.encode(errors="replace")
    return hashlib.sha256(b"%d:%b" % (len(topic), topic) + item.delivery.payload).digest()


def write_contained(store: SampleStore, records: Sequence[Writable]) -> tuple[WriteReport, dict[int, tuple[str, str]]]:
    """Write, and return besides the report which records cannot be written, by position, with reason and detail.

    A record that makes the store fail in a way that nobody foresaw is found by halving and treated as poisoned: one bad
    record must not stop all others for ever. What no record can bring about (no memory, no file descriptors, a module
    that is not installed) is the store's trouble: every record would be taken for poisoned, and committed.

    Raises
    ------
    StoreUnavailable, StoreUnauthorized
        As `SampleStore.write`.
    """
    if not records:
        return WriteReport(0, 0, 0), {}
    try:
        return store.write(records), {}
    except PoisonedWrite as error:
        rest = [record for k, record in enumerate(records) if k not in error.indices]
        return _count(rest), {k: ("poisoned", str(error)) for k in error.indices}
    except InvalidData as error:  # of this record, not of a setting
        if len(records) == 1:
            return WriteReport(0, 0, 0), {0: ("internal", str(error))}
    except DyncalError:
        raise
    except (OSError, MemoryError, ImportError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
    except Exception as error:  # noqa: BLE001  # a fault of the adapter: contain it to the record that brings it out
        if len(records) == 1:
            return WriteReport(0, 0, 0), {0: ("internal", f"{type(error).__name__}: {error}")}
    half = len(records) // 2
    first, bad_first = write_contained(store, records[:half])
    second, bad_second = write_contained(store, records[half:])
    report = WriteReport(*(a + b for a, b in zip(_counts(first), _counts(second), strict=True)))
    return report, bad_first | {half + k: why for k, why in bad_second.items()}


def _count(records: Sequence[Writable]) -> WriteReport:
    blocks = [record for record in unpacked(records) if not isinstance(record, GapRecord)]
    spans = [block.corrected for block in blocks if block.corrected is not None]
    n_corrected = sum(int(np.count_nonzero(~np.isnan(span.value))) for span in spans)
    return WriteReport(sum(map(len, blocks)), n_corrected, len(records) - len(blocks))


def _counts(report: WriteReport) -> tuple[int, int, int]:
    return report.n_raw, report.n_corrected, report.n_gaps
