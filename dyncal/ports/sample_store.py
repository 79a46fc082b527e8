"""The time-series store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dyncal.domain.samples import Gap, GapRecord, Record, SampleBlock, SampleSeries
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What a write did: rows of raw samples and of corrected values, and gaps, now durable."""

    n_raw: int
    n_corrected: int
    n_gaps: int


class PackedBlock(Protocol):
    """A block as it came over the wire, known to be right: a store that knows its form need not unpack it first."""

    def unpacked(self) -> SampleBlock:
        """Return the block."""
        ...


Writable = Record | PackedBlock


def unpacked(records: Sequence[Writable]) -> list[Record]:
    """Return records, unpacked where they are packed."""
    return [record if isinstance(record, (SampleBlock, GapRecord)) else record.unpacked() for record in records]


class SampleStore(Protocol):
    """Keeps records. (sensor, instant) is the identity of a row: writing again replaces, never doubles.

    Raw and corrected values of one instant may come in different records and are merged on reading. Methods block and
    are safe to call from several threads.
    """

    def write(self, records: Sequence[Writable]) -> WriteReport:
        """Write, and return when it is durable: all of it, or an error and possibly part of it (writing is idempotent).

        Raises
        ------
        StoreUnavailable
            Nobody answers, or the store asks to be left alone (`retry_after_s`): try the same again.
        StoreUnauthorized
            Credentials are refused.
        PoisonedWrite
            `indices` of the records can never be written; all others are durable.
        """
        ...

    def read(
        self, sensor: SensorId, start: InstantNs, end: InstantNs, *, max_points: int | None = None
    ) -> SampleSeries:
        """Return the rows with start <= t < end.

        With `max_points`, at most about that many rows: the interval is cut into equal buckets and of each the rows
        with the smallest and the largest raw and corrected value are kept, whole and in order: no extreme is lost.
        """
        ...

    def latest(self, sensor: SensorId) -> SampleSeries:
        """Return the newest row that has a raw value, and the newest that has a corrected one: at most two rows."""
        ...

    def gaps(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> list[Gap]:
        """Return the gaps that touch start <= t < end, oldest first; with `limit` only so many of the newest."""
        ...

    def sensors(self) -> list[SensorId]:
        """Return the sensors that have rows, in order of name."""
        ...

    def check(self) -> str:
        """Return a line that names the store and its version. Raises as `write` does."""
        ...

    def tidy(self, now: InstantNs) -> bool:
        """Forget some of what is older than the store is to keep; return whether there is more of it.

        A server that does so by itself has nothing to do. Raises as `write` does.
        """
        ...

    def settle(self) -> None:
        """End what a program that was killed has left half done; to be called by the one that writes, before it does.

        Raises as `write` does.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; idempotent."""
        ...
