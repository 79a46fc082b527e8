"""What is published next: live records first, the backlog beside them at a bounded pace. No I/O but reading the spool.

The spool is a row of places. Records written while the broker is there are live and wait in memory; everything else is
backlog, a range of places that is read again from the spool. Whatever goes wrong (connection lost, memory full, no word
from the store), the answer is the same: the range that begins at the first uncommitted record.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dyncal.domain.sensors import SensorId
from dyncal.ports.chance import Chance
from edge_agent.pacing import Pacing
from edge_agent.spool import Entry, Position, Spool

MAX_LIVE_BYTES: Final = 16 << 20
_MAX_PATIENCE: Final = 16
_CHECKS: Final = 0.1  # of the timeout, between two looks at the watermarks
_AFTER_WORD_S: Final = (1.0, 5.0)
"""Wait after the word that ingest listens anew [s], left to chance: what the broker has kept for it comes first, and
not all edges come at once."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An entry to publish, and whether it is sent from the backlog."""

    entry: Entry
    replayed: bool


@dataclass(slots=True)
class _Waiting:
    """A watermark that does not rise: since when [s], and for how many timeouts it is waited for."""

    upto: int
    since_s: float
    patience: int = 1


class Outbox:
    """Decides what goes out. Times are seconds of a monotonic clock; `rng` spreads repetitions in time."""

    def __init__(self, spool: Spool, *, replay_per_s: float, commit_timeout_s: float, rng: Chance) -> None:
        self._spool = spool
        self._rng = rng
        self._pacing = Pacing(replay_per_s, spool.watermark)
        self._commit_timeout_s = commit_timeout_s
        self._live: deque[Entry] = deque()
        self._live_bytes = 0
        self._backlog: deque[Entry] = deque()
        self._cursor = spool.end
        self._end = spool.end
        self._connected = False
        self._waiting: dict[SensorId, _Waiting] = {}
        self._only: frozenset[SensorId] | None = None  # whose backlog is sent; None is everybody's
        self._next_check_s = 0.0
        self._sent: dict[SensorId, int] = {}  # the highest number, on this connection
        self._since_ns = 0
        self._doubted: dict[SensorId, int] = {}  # sent before ingest listened anew: these must be committed until
        self._doubted_until_s: float | None = None
        self.missed: list[SensorId] = []  # whose records were sent again; to be told
        self.n_resends = 0
        self.n_read_errors = 0

    def follow(self, *, replay_per_s: float, commit_timeout_s: float) -> None:
        """Go on with other numbers."""
        self._pacing.limit(replay_per_s)
        self._commit_timeout_s = commit_timeout_s

    @property
    def live(self) -> bool:
        """True while what is written goes out at once."""
        return self._connected

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
        self._pacing.begin(now_s)
        self._resend(now_s)

    def disconnected(self) -> None:
        """Forget what waits: it is in the spool."""
        self._connected = False
        self._live.clear()
        self._live_bytes = 0
        self._backlog.clear()
        self._cursor = self._end = self._spool.end
        self._waiting.clear()
        self._sent.clear()
        self._doubted_until_s = None
        self._spool.hide()

    def listened_to(self, since_ns: int, now_s: float) -> None:
        """Take the word that ingest has listened without a break since an instant; 0 is no word.

        What was sent before may never have reached it, and would be waited for in vain. Should it listen anew once more
        while that is waited for, the wait goes on, for whatever was sent until then.
        """
        if since_ns in (0, self._since_ns):
            return
        self._since_ns = since_ns
        self._doubted = {sensor: n for sensor, n in self._sent.items() if n > self._spool.watermark(sensor)}
        if self._doubted and self._doubted_until_s is None:
            self._doubted_until_s = now_s + self._rng.uniform(*_AFTER_WORD_S)

    def written(self, written: Iterable[Entry], now_s: float) -> None:
        """Take what the spool has just written, or shown because the disk does not take it."""
        if not self._connected:
            return
        for entry in written:
            self._live.append(entry)
            self._live_bytes += len(entry.payload)
        if self._live_bytes > MAX_LIVE_BYTES:
            self._resend(now_s)

    def next(self, now_s: float) -> Outgoing | None:
        """Return what to publish next, or None if nothing may go out now."""
        if self._live:
            entry = self._live.popleft()
            self._live_bytes -= len(entry.payload)
            self._note_sent(entry)
            return Outgoing(entry, replayed=False)
        self._check_doubts(now_s)
        self._check_patience(now_s)
        if not self.backlogged or not self._pacing.allows(now_s):
            return None
        again = self._next_backlog()
        if again is None:
            return None
        self._pacing.sent(again.sensor, again.last, now_s)
        self._note_sent(again)
        return Outgoing(again, replayed=True)

    def _note_sent(self, entry: Entry) -> None:
        self._sent[entry.sensor] = max(entry.last, self._sent.get(entry.sensor, -1))

    def _next_backlog(self) -> Entry | None:
        while not self._backlog and self._cursor < self._end:
            self._read_on()
        while self._backlog:
            entry = self._backlog.popleft()
            if self._only is not None and entry.sensor not in self._only:
                continue
            if entry.last > self._spool.watermark(entry.sensor):
                return entry
        return None

    def _read_on(self) -> None:
        try:
            found, self._cursor = self._spool.read(self._cursor, self._end)
        except OSError:  # a file that cannot be read now: others may, and it is tried again when it is missed
            self.n_read_errors += 1
            self._cursor = Position(self._cursor.number + 1, 0)
        else:
            self._backlog.extend(found)

    def _resend(self, now_s: float) -> None:
        """Send everything that the store does not have."""
        self._live.clear()
        self._live_bytes = 0
        self._rewind(None)
        self._waiting.clear()
        self._next_check_s = now_s

    def _rewind(self, sensors: frozenset[SensorId] | None) -> None:
        self._only = sensors
        self._backlog.clear()
        self._spool.hide()
        self._cursor = self._spool.first_uncommitted(sensors)
        self._end = self._spool.end

    def _check_doubts(self, now_s: float) -> None:
        """Send again what ingest has not been given, by what it said since it listens anew."""
        if self._doubted_until_s is None or now_s < self._doubted_until_s:
            return
        self._doubted_until_s = None
        stuck = [sensor for sensor, n in self._doubted.items() if n > self._spool.watermark(sensor)]
        if not stuck:
            return
        for sensor in stuck:  # how long it was waited for in vain tells nothing of an ingest that is there
            self._waiting.pop(sensor, None)
        self._pacing.begin(now_s)
        # Of a backlog that is on its way none may be left out.
        self._miss(stuck, None if self.backlogged else frozenset(stuck))

    def _miss(self, stuck: list[SensorId], sensors: frozenset[SensorId] | None) -> None:
        self.n_resends += 1
        self.missed = stuck
        self._rewind(sensors)

    def _check_patience(self, now_s: float) -> None:
        """Send again what was sent long ago without a word from the store, less and less often.

        Each stream is watched, and sent again, on its own: a hole in one must not wait for as long as others get on,
        and one that the store never takes must not have the others repeated.
        """
        if self.backlogged or now_s < self._next_check_s:
            return
        self._next_check_s = now_s + _CHECKS * self._commit_timeout_s
        self._watch(now_s)
        stuck = [
            sensor
            for sensor, waiting in self._waiting.items()
            if now_s - waiting.since_s >= self._commit_timeout_s * waiting.patience
        ]
        if not stuck:
            return
        for sensor in stuck:
            waiting = self._waiting[sensor]
            waiting.since_s = math.inf
            waiting.patience = min(2 * waiting.patience, _MAX_PATIENCE)
        self._miss(stuck, frozenset(stuck))

    def _watch(self, now_s: float) -> None:
        """Note for each stream that the store does not have in full since when its watermark has not risen.

        A stream that was sent again is watched anew once all of its backlog is out.
        """
        waiting: dict[SensorId, _Waiting] = {}
        for sensor, start in self._spool.starts.items():
            upto = self._spool.watermark(sensor)
            if upto >= start.next_sequence - 1:
                continue
            known = self._waiting.get(sensor)
            if known is None or known.upto != upto:
                known = _Waiting(upto, now_s)
            elif known.since_s == math.inf:
                known.since_s = now_s
            waiting[sensor] = known
        self._waiting = waiting
