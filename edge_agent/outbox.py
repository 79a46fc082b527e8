"""What is published next: live records first, the backlog beside them at a bounded rate. No I/O but reading the spool.

The spool is a row of places. Records written while the broker is there are live and wait in memory; everything else is
backlog, a range of places that is read again from the spool. Whatever goes wrong (connection lost, memory full, no word
from the store), the answer is the same: the range that begins at the first uncommitted record.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from dyncal.domain.sensors import SensorId
from edge_agent.segment import Entry
from edge_agent.spool import Position, Spool

MAX_LIVE_BYTES: Final = 16 << 20
_MAX_PATIENCE: Final = 16
_BURST_S: Final = 0.25
_CHECKS: Final = 0.1  # of the timeout, between two looks at the watermarks


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An entry to publish, and whether it is sent from the backlog."""

    entry: Entry
    replayed: bool


class Outbox:
    """Decides what goes out. Times are seconds of a monotonic clock."""

    def __init__(self, spool: Spool, *, replay_per_s: float, commit_timeout_s: float) -> None:
        self._spool = spool
        self._replay_per_s = replay_per_s
        self._commit_timeout_s = commit_timeout_s
        self._live: deque[Entry] = deque()
        self._live_bytes = 0
        self._backlog: deque[Entry] = deque()
        self._cursor = spool.end
        self._end = spool.end
        self._connected = False
        self._allowance = 0.0
        self._refilled_s = 0.0
        self._patience = 1
        self._waiting: dict[SensorId, tuple[int, float]] = {}  # watermark, and since when it has stood there
        self._resent: dict[SensorId, int] = {}
        self._next_check_s = 0.0
        self.n_resends = 0

    @property
    def backlogged(self) -> bool:
        """True while there is backlog to send."""
        return bool(self._backlog) or self._cursor < self._end

    @property
    def n_live(self) -> int:
        """Live records that wait."""
        return len(self._live)

    def connected(self, now_s: float) -> None:
        """Begin with everything that the store does not have; what is written from now on is live."""
        self._connected = True
        self._refilled_s = now_s
        self._resend(now_s)

    def disconnected(self) -> None:
        """Forget what waits: it is in the spool."""
        self._connected = False
        self._live.clear()
        self._live_bytes = 0
        self._backlog.clear()
        self._cursor = self._end = self._spool.end
        self._waiting.clear()
        self._resent.clear()

    def written(self, written: list[tuple[Entry, Position]], now_s: float) -> None:
        """Take what the spool has just written."""
        if not self._connected:
            return
        for entry, _ in written:
            self._live.append(entry)
            self._live_bytes += len(entry.payload)
        if self._live_bytes > MAX_LIVE_BYTES:
            self._resend(now_s)

    def next(self, now_s: float) -> Outgoing | None:
        """Return what to publish next, or None if nothing may go out now."""
        if self._live:
            entry = self._live.popleft()
            self._live_bytes -= len(entry.payload)
            return Outgoing(entry, replayed=False)
        self._check_patience(now_s)
        if not self.backlogged or not self._allowed(now_s):
            return None
        again = self._next_backlog()
        if again is None:
            return None
        self._allowance -= 1
        return Outgoing(again, replayed=True)

    def _next_backlog(self) -> Entry | None:
        while not self._backlog and self._cursor < self._end:
            found, self._cursor = self._spool.read(self._cursor, self._end)
            self._backlog.extend(entry for entry, _ in found)
        while self._backlog:
            entry = self._backlog.popleft()
            if entry.last > self._spool.watermark(entry.sensor):
                return entry
        return None

    def _allowed(self, now_s: float) -> bool:
        burst = max(1.0, self._replay_per_s * _BURST_S)
        self._allowance = min(burst, self._allowance + (now_s - self._refilled_s) * self._replay_per_s)
        self._refilled_s = now_s
        return self._allowance >= 1

    def _resend(self, now_s: float) -> None:
        self._live.clear()
        self._live_bytes = 0
        self._backlog.clear()
        self._cursor = self._spool.first_uncommitted()
        self._end = self._spool.end
        self._waiting.clear()
        self._next_check_s = now_s

    def _check_patience(self, now_s: float) -> None:
        """Send again what was sent long ago without a word from the store, less and less often.

        Each stream is watched on its own: a hole in one must not wait for as long as others get on.
        """
        if self.backlogged or now_s < self._next_check_s:
            return
        self._next_check_s = now_s + _CHECKS * self._commit_timeout_s
        self._watch(now_s)
        self._resent = {sensor: upto for sensor, upto in self._resent.items() if self._spool.watermark(sensor) == upto}
        if not self._resent:
            self._patience = 1
        limit_s = self._commit_timeout_s * self._patience
        stuck = {sensor: upto for sensor, (upto, since_s) in self._waiting.items() if now_s - since_s >= limit_s}
        if not stuck:
            return
        self._patience = min(2 * self._patience, _MAX_PATIENCE)
        self._resent = stuck
        self.n_resends += 1
        self._resend(now_s)

    def _watch(self, now_s: float) -> None:
        """Note for each stream that the store does not have in full since when its watermark has not risen."""
        waiting: dict[SensorId, tuple[int, float]] = {}
        for sensor, start in self._spool.starts.items():
            upto = self._spool.watermark(sensor)
            if upto < start.next_sequence - 1:
                known = self._waiting.get(sensor)
                waiting[sensor] = known if known is not None and known[0] == upto else (upto, now_s)
        self._waiting = waiting
