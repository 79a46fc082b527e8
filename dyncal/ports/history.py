"""Samples that have become aggregates: what a store does besides keeping samples."""

from __future__ import annotations

from typing import Protocol

from dyncal.domain.aggregates import Aggregates
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.sample_store import SampleStore


class AggregateStore(Protocol):
    """Keeps aggregates, and takes them in the place of samples or of finer ones. Blocks; safe from several threads."""

    def aggregates(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> Aggregates:
        """Return those that begin at start <= t < end, of all widths.

        With `limit` about that many of the oldest, and of an instant all widths or none: go on behind the last one.
        """
        ...

    def first(self, sensor: SensorId, width_ns: int) -> InstantNs | None:
        """Return the instant of the oldest sample (width `SAMPLES`), or where the oldest bucket of a width begins."""
        ...

    def held(self) -> list[SensorId]:
        """Return the sensors that have samples or aggregates, in order of name."""
        ...

    def replace(
        self, sensor: SensorId, width_ns: int, start: InstantNs, end: InstantNs, by: Aggregates, n_rows: int
    ) -> None:
        """Put aggregates in the place of the samples (width `SAMPLES`) or aggregates of a width in start <= t < end.

        Either all of it comes about or nothing is lost: whatever happens on the way, aggregates that are there
        before are joined with those of `by` once, and nothing is removed before what stands for it was read back. What
        fails half way is ended before the next write, or by `settle`. Only one program may write meanwhile.

        Parameters
        ----------
        by : Aggregates
            Of a width that is a multiple of `width_ns`, in buckets that lie within the range; none to forget it.
        n_rows : int
            Rows (or aggregates) in the range as the caller has seen them.

        Raises
        ------
        Conflict
            If there are others by now: nothing was changed.
        StoreRefused
            If what was written is not what is read, or the server cannot remove anything: nothing was removed.
        StoreUnavailable, StoreUnauthorized
            As `SampleStore.write`: do the same again.
        """
        ...


class HistoryStore(SampleStore, AggregateStore, Protocol):
    """A sample store with a past that is kept in less detail."""
