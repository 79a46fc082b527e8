"""Where the samples of a replay go: a store that keeps digests and nothing else, and a ledger in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import xxhash

from dyncal.adapters.ledger import Progress
from dyncal.contracts.samples import BlockMessage, instants
from dyncal.domain import quality
from dyncal.domain.accounts import Account, Entry
from dyncal.domain.samples import FloatArray, Gap, GapRecord, SampleBlock, SampleSeries
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs, Int64Array
from dyncal.ports.ledger import StreamKey
from dyncal.ports.sample_store import PackedBlock, SampleStore, Writable, WriteReport

DIGEST_BYTES = 16

OnCorrected = Callable[[SensorId, Int64Array, FloatArray, FloatArray], None]


def new_hash() -> hashlib.blake2b:
    """Return a fresh hash, of the kind that digests of what was said have."""
    return hashlib.blake2b(digest_size=DIGEST_BYTES)


class Column:
    """The digest of a column of numbers, in order, however it is cut."""

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_128()  # a tenth of the time of a cryptographic one; nobody forges them (ADR 0075)
        self.n = 0

    def add(self, values: np.ndarray[tuple[int], np.dtype[np.generic]]) -> None:
        """Take values, little-endian, of eight bytes each."""
        self._hash.update(np.ascontiguousarray(values).data)
        self.n += values.size

    def hexdigest(self) -> str:
        """Return the digest so far."""
        return self._hash.hexdigest()


@dataclass(slots=True)
class Kept:
    """What is kept of one sensor: columns of instants, raw values, codes that are not good, and corrected values."""

    t: Column = field(default_factory=Column)
    raw: Column = field(default_factory=Column)
    codes: Column = field(default_factory=Column)
    corrected_t: Column = field(default_factory=Column)
    value: Column = field(default_factory=Column)
    u: Column = field(default_factory=Column)
    gaps: list[Gap] = field(default_factory=list)
    set_ids: dict[str, None] = field(default_factory=dict)
    first_ns: int | None = None
    last_ns: int | None = None

    def stored(self) -> str:
        """Return the digest of what was stored as it was read."""
        return _joined(self.t, self.raw, self.codes)

    def corrected(self) -> str:
        """Return the digest of what was stored as corrected."""
        return _joined(self.corrected_t, self.value, self.u)


def _joined(*columns: Column) -> str:
    return hashlib.blake2b("".join(c.hexdigest() for c in columns).encode(), digest_size=DIGEST_BYTES).hexdigest()


class DigestStore:
    """A `SampleStore` that keeps a digest of all that is written, in bounded memory; a store behind it gets it, too.

    Reading gives nothing unless there is a store behind it.

    Parameters
    ----------
    behind : SampleStore, optional
    on_corrected : callable, optional
        Gets (sensor, instants, values, uncertainties) of corrected samples, NaN left out, as they are written.
    """

    def __init__(self, behind: SampleStore | None = None, on_corrected: OnCorrected | None = None) -> None:
        self._behind, self._on_corrected = behind, on_corrected
        self.kept: dict[SensorId, Kept] = {}
        self.n_samples = 0

    def write(self, records: Sequence[Writable]) -> WriteReport:
        """Write; see the port."""
        if self._behind is not None:
            self._behind.write(records)
        n_raw, n_corrected, n_gaps = self.n_samples, 0, 0
        for record in records:
            if isinstance(record, GapRecord):
                self._of(record.sensor).gaps.append(record.gap)
                n_gaps += 1
            else:
                n_corrected += self._block(record)
        return WriteReport(self.n_samples - n_raw, n_corrected, n_gaps)

    def _of(self, sensor: SensorId) -> Kept:
        kept = self.kept.get(sensor)
        if kept is None:
            kept = self.kept[sensor] = Kept()
        return kept

    def _block(self, record: SampleBlock | PackedBlock) -> int:
        if isinstance(record, BlockMessage):
            t_ns, raw, runs = instants(record.axis), np.frombuffer(record.raw, "<f8"), record.quality
            sensor = SensorId(record.sensor)
        else:
            block = record if isinstance(record, SampleBlock) else record.unpacked()
            t_ns, raw, runs, sensor = block.axis.t_ns, block.raw, block.quality, block.sensor
        kept = self._of(sensor)
        kept.t.add(t_ns)
        kept.raw.add(raw)
        if len(runs) != 1 or runs[0][0] != quality.GOOD:
            codes = quality.expand(runs)
            bad = codes != quality.GOOD
            kept.codes.add(t_ns[bad])
            kept.codes.add(codes[bad].astype("<i8"))
        first, last = int(t_ns[0]), int(t_ns[-1])
        kept.first_ns = first if kept.first_ns is None else min(first, kept.first_ns)
        kept.last_ns = last if kept.last_ns is None else max(last, kept.last_ns)
        self.n_samples += t_ns.size
        return self._corrected(kept, sensor, record)

    def _corrected(self, kept: Kept, sensor: SensorId, record: SampleBlock | PackedBlock) -> int:
        if isinstance(record, BlockMessage):
            if record.corrected is None:
                return 0
            packed = record.corrected
            t_ns, value, u = instants(packed.axis), np.frombuffer(packed.value, "<f8"), np.frombuffer(packed.u, "<f8")
            set_id = packed.set
        else:
            span = (record if isinstance(record, SampleBlock) else record.unpacked()).corrected
            if span is None:
                return 0
            t_ns, value, u, set_id = span.axis.t_ns, span.value, span.u, span.set_id
        given = ~np.isnan(value)
        if np.count_nonzero(given) < given.size:
            t_ns, value, u = t_ns[given], value[given], u[given]
        kept.corrected_t.add(t_ns)
        kept.value.add(value)
        kept.u.add(u)
        kept.set_ids[set_id] = None
        if self._on_corrected is not None and t_ns.size:
            self._on_corrected(sensor, t_ns, value, u)
        return int(t_ns.size)

    def read(
        self, sensor: SensorId, start: InstantNs, end: InstantNs, *, max_points: int | None = None
    ) -> SampleSeries:
        """Read from the store behind; see the port."""
        return _nothing() if self._behind is None else self._behind.read(sensor, start, end, max_points=max_points)

    def latest(self, sensor: SensorId) -> SampleSeries:
        """Read from the store behind; see the port."""
        return _nothing() if self._behind is None else self._behind.latest(sensor)

    def gaps(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> list[Gap]:
        """Return the gaps; see the port."""
        gaps = self.kept[sensor].gaps if sensor in self.kept else []
        found = sorted((g for g in gaps if g.after_ns < end and g.before_ns >= start), key=lambda g: g.after_ns)
        return found if limit is None else found[-limit:]

    def sensors(self) -> list[SensorId]:
        """Return the sensors that were written; see the port."""
        return sorted(self.kept)

    def check(self) -> str:
        """Return a line that names the store."""
        return "replay" if self._behind is None else f"replay, and {self._behind.check()}"

    def settle(self) -> None:
        """Let the store behind it end what it left half done."""
        if self._behind is not None:
            self._behind.settle()

    def tidy(self, now: InstantNs) -> bool:
        """Forget nothing: what was recorded long ago is not old in a replay."""
        del now
        return False

    def close(self) -> None:
        """Close the store behind."""
        if self._behind is not None:
            self._behind.close()


def _nothing() -> SampleSeries:
    empty = np.empty(0)
    return SampleSeries(np.empty(0, np.int64), empty, empty, empty, np.empty(0, np.uint32), np.empty(0, np.int32))


class MemoryLedger:
    """A `Ledger` in memory; it keeps watermarks, and no accounts."""

    def __init__(self) -> None:
        self._progress: dict[StreamKey, Progress] = {}

    def commit(self, entries: Iterable[tuple[StreamKey, Entry]]) -> dict[StreamKey, int]:
        """Enter records; see the port."""
        touched: dict[StreamKey, int] = {}
        for key, entry in entries:
            progress = self._progress.get(key, Progress()).with_span(entry.first, entry.last)
            self._progress[key] = progress
            touched[key] = progress.upto
        return touched

    def watermarks(self, edge: EdgeId, epoch: int) -> dict[SensorId, int]:
        """Return the watermarks of an edge's epoch."""
        return {k.sensor: p.upto for k, p in self._progress.items() if (k.edge, k.epoch) == (edge, epoch)}

    def accounts(self) -> dict[tuple[EdgeId, SensorId], Account]:
        """Return no accounts: nobody asks for them in a replay."""
        return {}

    def close(self) -> None:
        """Do nothing."""
