"""The ledger of what is committed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from dyncal.domain.sensors import EdgeId, SensorId


class StreamKey(NamedTuple):
    """One sensor's numbered records in one life of its edge's spool."""

    edge: EdgeId
    epoch: int
    sensor: SensorId


class Ledger(Protocol):
    """Remembers which records are in the store, so that edges may forget them. Blocks; one user at a time."""

    def commit(self, spans: Iterable[tuple[StreamKey, int, int]]) -> dict[StreamKey, int]:
        """Record that sequences first to last (both inclusive) are stored; return the watermarks of those streams.

        The watermark is the largest N such that 0 … N are all stored, or -1.
        """
        ...

    def watermarks(self, edge: EdgeId, epoch: int) -> dict[SensorId, int]:
        """Return the watermark of every stream of an edge's epoch."""
        ...

    def close(self) -> None:
        """Let go of files; idempotent."""
        ...
