"""The ledger of what is committed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from dyncal.domain.accounts import Account, Entry
from dyncal.domain.sensors import EdgeId, SensorId


class StreamKey(NamedTuple):
    """One sensor's numbered records in one life of its edge's spool."""

    edge: EdgeId
    epoch: int
    sensor: SensorId


class Ledger(Protocol):
    """Remembers which records are in the store, so that edges may forget them. Blocks; one user at a time."""

    def commit(self, entries: Iterable[tuple[StreamKey, Entry]]) -> dict[StreamKey, int]:
        """Enter records that are stored or set aside, all or none; return the watermarks of their streams.

        The watermark is the largest N such that 0 … N are all entered, or -1. An entry of whose numbers none is new
        counts as repeated. Of one that is new in part, the new numbers count, and all that it is.
        """
        ...

    def watermarks(self, edge: EdgeId, epoch: int) -> dict[SensorId, int]:
        """Return the watermark of every stream of an edge's epoch."""
        ...

    def accounts(self) -> dict[tuple[EdgeId, SensorId], Account]:
        """Return the account of each sensor of each edge, over all epochs."""
        ...

    def close(self) -> None:
        """Let go of files; idempotent."""
        ...
