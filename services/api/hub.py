"""The live hub: what arrives from the bus, in frames, to every client that listens.

Sans-I/O but for the wake-up of clients: records and alarms come in, `flush` makes frames of them at a steady rate, and
each client has a bounded queue. Trend frames of a slow client are dropped, oldest first, and the client is told how
many; alarms never are: a client too slow even for those is cut off, comes back and reloads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dyncal.domain.samples import GapRecord, Record
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from services.api.frames import Latest, Trend, now_body, sse
from services.api.metrics import ApiMetrics
from services.api.settings import ApiSection

MAX_SENSORS: Final = 50_000
MAX_RING_BYTES: Final = 32 << 20

FRAMES: Final = frozenset({"samples", "values"})
EVENTS: Final = FRAMES | {"alarm", "edge", "registry", "backfill", "health", "flood"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asked for. `sensors` limits everything, `trend` only the samples; None is no limit."""

    events: frozenset[str] = EVENTS - {"values"}
    sensors: frozenset[str] | None = None
    trend: frozenset[str] | None = None
    holder: str = ""
    reach: frozenset[str] | None = None
    """Sensors that the client may know of, where it is confined: it gets nothing that is about no sensor, but for the
    registry's revision."""

    def takes(self, event: str, sensor: str) -> bool:
        """Tell whether this client wants `event` about `sensor` ('' if it is about none)."""
        if self.reach is not None and event != "registry" and sensor not in self.reach:
            return False
        if self.sensors is not None and sensor and sensor not in self.sensors:
            return False
        return not (event == "samples" and self.trend is not None and sensor not in self.trend)


@dataclass(slots=True, eq=False)
class Event:
    """One event of the stream: for each sensor that it is about a fragment, encoded when first asked for."""

    id: int
    name: str
    at_ns: InstantNs
    fragments: dict[str, bytes] = field(default_factory=dict)
    trends: dict[str, Trend] = field(default_factory=dict)
    points: int = 0
    n_bytes: int = 0

    def render(self, wanted: Wanted) -> bytes | None:
        """Return the event as this client wants it, or None where nothing in it is for it."""
        if self.name not in wanted.events:
            return None
        if self.name not in FRAMES:
            for sensor, fragment in self.fragments.items():
                return sse(self.name, fragment, self.id) if wanted.takes(self.name, sensor) else None
            return None
        chosen = [self._fragment(s) for s in self._sensors(wanted) if wanted.takes(self.name, s)]
        if not chosen:
            return None
        data = b'{"now_ns":%d,"series":[' % self.at_ns + b",".join(chosen) + b"]}"
        return sse(self.name, data, self.id)

    def _sensors(self, wanted: Wanted) -> Iterator[str]:
        known = self.trends or self.fragments
        limit = wanted.trend if self.name == "samples" and wanted.trend is not None else wanted.sensors
        return iter(known) if limit is None else (sensor for sensor in sorted(limit) if sensor in known)

    def _fragment(self, sensor: str) -> bytes:
        if sensor not in self.fragments:
            self.fragments[sensor] = self.trends[sensor].encode(sensor, self.points)
        return self.fragments[sensor]


class Ring:
    """The last events, bounded in number and memory, for clients that come back."""

    def __init__(self, limit: int, first_id: int) -> None:
        self._limit = limit
        self._events: deque[Event] = deque()
        self._n_bytes = 0
        self.floor = first_id - 1
        self.last = first_id - 1

    def append(self, event: Event) -> None:
        """Add the next event; forget the oldest where there are too many."""
        self._events.append(event)
        self._n_bytes += event.n_bytes
        self.last = event.id
        while len(self._events) > self._limit or (self._n_bytes > MAX_RING_BYTES and len(self._events) > 1):
            gone = self._events.popleft()
            self._n_bytes -= gone.n_bytes
            self.floor = gone.id

    def after(self, last_id: int) -> list[Event] | None:
        """Return the events after `last_id`, or None if that cannot be done without a hole."""
        if not self.floor <= last_id <= self.last:
            return None
        return [event for event in self._events if event.id > last_id]


class Client:
    """One live stream: a bounded queue, and what became of it."""

    def __init__(self, wanted: Wanted, n_frames: int, n_alarms: int) -> None:
        self.wanted = wanted
        self.cut = False
        self.closed = False
        self.dropped = 0
        self.sent_s = 0.0
        self._n_frames, self._n_alarms = n_frames, n_alarms
        self._backlog: deque[Event] = deque()
        self._frames: deque[Event] = deque()
        self._alarms: deque[Event] = deque()
        self._wake = asyncio.Event()

    def resume(self, events: list[Event]) -> None:
        """Put what was missed before everything else; as bounded as the ring."""
        self._backlog.extend(events)
        self._wake.set()

    def offer(self, event: Event) -> int:
        """Queue an event; return how many frames had to be dropped for it."""
        lost = 0
        if event.name in FRAMES:
            self._frames.append(event)
            if len(self._frames) > self._n_frames:
                self._frames.popleft()
                self.dropped += 1
                lost = 1
        elif len(self._alarms) >= self._n_alarms:
            self.cut = True
        else:
            self._alarms.append(event)
        self._wake.set()
        return lost

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._wake.set()

    def due(self, now_s: float, heartbeat_s: float) -> bool:
        """Tell whether nothing was sent for `heartbeat_s` and a beat is due; if so, count it as sent."""
        if now_s - self.sent_s < heartbeat_s:
            return False
        self.sent_s = now_s
        return True

    async def wait(self, timeout_s: float) -> None:
        """Return when there is something to send, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def take(self, limit: int = 200) -> bytes:
        """Return what waits, in order of id, as server-sent events; at most `limit` of them."""
        parts: list[bytes] = []
        if self.dropped:
            parts.append(sse("lagged", b'{"dropped":%d}' % self.dropped, None))
            self.dropped = 0
        for _ in range(limit):
            queue = self._next_queue()
            if queue is None:
                self._wake.clear()
                break
            rendered = queue.popleft().render(self.wanted)
            if rendered is not None:
                parts.append(rendered)
        return b"".join(parts)

    def _next_queue(self) -> deque[Event] | None:
        if self._backlog:
            return self._backlog
        if self._frames and self._alarms:
            return self._frames if self._frames[0].id < self._alarms[0].id else self._alarms
        return self._frames or self._alarms or None


class LiveHub:
    """Takes what happens and hands it to the clients. Not thread-safe: for the event loop only."""

    def __init__(self, clock: Clock, settings: ApiSection, metrics: ApiMetrics) -> None:
        self._clock, self._settings, self._metrics = clock, settings, metrics
        # Ids go on rising over restarts of the service, so that an id of an earlier life is known to be old.
        self._next_id = clock.now() // 1000
        self._ring = Ring(settings.ring_events, self._next_id)
        self._latest: dict[SensorId, Latest] = {}
        self._trends: dict[str, Trend] = {}
        self._changed: set[SensorId] = set()
        self._backfilled: set[str] = set()
        self._clients: set[Client] = set()
        self._values_due_s = 0.0
        self._backfill_due_s = 0.0
        self.closed = False

    @property
    def last_id(self) -> int:
        """Id of the newest event."""
        return self._ring.last

    @property
    def n_clients(self) -> int:
        """Count of open streams."""
        return len(self._clients)

    def n_clients_of(self, holder: str) -> int:
        """Count of open streams of one holder."""
        return sum(client.wanted.holder == holder for client in self._clients)

    def latest(self, sensor: SensorId) -> Latest | None:
        """Return the newest values that came by, if any did."""
        return self._latest.get(sensor)

    def remember(self, sensor: SensorId, latest: Latest) -> None:
        """Take values from the store for a sensor of which nothing came by yet."""
        if len(self._latest) < MAX_SENSORS:
            self._latest.setdefault(sensor, latest)  # called from worker threads: what came live meanwhile stays

    def record(self, record: Record) -> bool:
        """Take a block or a gap; return False where there are too many sensors and this one is new."""
        latest = self._latest.get(record.sensor)
        if latest is None:
            if len(self._latest) >= MAX_SENSORS:
                return False
            latest = self._latest[record.sensor] = Latest()
        if isinstance(record, GapRecord):
            self._trends.setdefault(record.sensor, Trend()).gaps.append(record.gap)
        elif record.replayed or int(record.axis.t_ns[0]) <= latest.raw_t_ns:
            self._backfilled.add(record.sensor)
        else:
            self._latest[record.sensor] = latest.after(record)
            self._changed.add(record.sensor)
            self._trends.setdefault(record.sensor, Trend()).blocks.append(record)
        return True

    def announce(self, event: str, data: bytes, about: str = "") -> None:
        """Tell all clients something: `edge`, `registry`, `flood`; or about a sensor: `alarm`, `health`."""
        self._emit(event, {about: data})

    def flush(self) -> None:
        """Make frames of what came since the last call; call it every `frame_interval_s`."""
        now_s = self._clock.monotonic_s()
        if self._trends:
            trends, self._trends = self._trends, {}
            n_bytes = sum(trend.n_bytes for trend in trends.values())
            self._put("samples", trends=trends, n_bytes=n_bytes)
        if self._changed and now_s >= self._values_due_s:
            self._values_due_s = now_s + self._settings.values_interval_s
            changed, self._changed = self._changed, set()
            self._emit("values", {sensor: self._latest[sensor].encode(sensor) for sensor in sorted(changed)})
        if self._backfilled and now_s >= self._backfill_due_s:
            self._backfill_due_s = now_s + 5.0
            backfilled, self._backfilled = sorted(self._backfilled), set()
            self._emit("backfill", {"": now_body(self._clock.now(), sensors=backfilled)})

    def _emit(self, name: str, fragments: dict[str, bytes]) -> None:
        n_bytes = 200 + sum(map(len, fragments.values()))
        self._put(name, fragments=fragments, n_bytes=n_bytes)

    def _put(
        self,
        name: str,
        *,
        fragments: dict[str, bytes] | None = None,
        trends: dict[str, Trend] | None = None,
        n_bytes: int,
    ) -> None:
        event = Event(
            self._next_id, name, self._clock.now(), fragments or {}, trends or {}, self._settings.frame_points, n_bytes
        )
        self._next_id += 1
        self._ring.append(event)
        self._metrics.frames.labels(name).inc()
        for client in self._clients:
            if name in client.wanted.events:
                self._metrics.dropped.inc(client.offer(event))

    def subscribe(self, wanted: Wanted, last_id: int | None = None) -> tuple[Client, bytes]:
        """Open a stream; return it with its first event.

        That is `hello`, or, where the client cannot resume after `last_id` without a hole, `reset`: it must load anew.
        """
        client = Client(wanted, self._settings.client_frames, self._settings.client_alarms)
        missed = self._ring.after(last_id) if last_id is not None else []
        if missed is None:
            first = sse("reset", now_body(self._clock.now(), reason="events were lost"), self.last_id)
        else:
            # The id of a resumed stream moves on with what it missed, not before.
            first = sse("hello", now_body(self._clock.now()), last_id if last_id is not None else self.last_id)
            client.resume([event for event in missed if event.name in wanted.events])
        self._clients.add(client)
        self._metrics.clients.set(len(self._clients))
        return client, first

    def unsubscribe(self, client: Client) -> None:
        """Forget a stream; idempotent."""
        self._clients.discard(client)
        self._metrics.clients.set(len(self._clients))
        if client.cut:
            self._metrics.cut.inc()

    def beat(self) -> bytes:
        """Return the event that says: still here, nothing new."""
        return sse("beat", now_body(self._clock.now()), self.last_id)

    def close(self) -> None:
        """End all streams, and those that are still to come."""
        self.closed = True
        for client in self._clients:
            client.close()
