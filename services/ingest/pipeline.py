"""What ingest decides: what is written together, when, what is tried again, and what edges are told.

Pure: events in, effects out, time comes with the events. One batch is under way at a time; what arrives meanwhile
gathers for the next, so batches grow with the load by themselves. Nothing is acknowledged before it is stored *and* in
the ledger, and all in the order of receipt (MQTT 5.0, 4.6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

import numpy as np

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.message_bus import Delivery
from services.ingest import intake
from services.ingest.announcer import Announcer
from services.ingest.intake import Accepted, Birth, Rejected

MAX_BIRTHS: Final = 10_000

AWAY_S: Final = 5.0
"""Time without a store after which a broker may have had to drop what waits for ingest [s]."""

Watermarks = Mapping[tuple[EdgeAddress, int], Mapping[SensorId, int]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes and times, as in `services.ingest.settings.IngestSection`."""

    batch_records: int = 2000
    batch_bytes: int = 8 << 20
    linger_s: float = 0.05
    quiet_s: float = 0.01
    pending_records: int = 20_000
    pending_bytes: int = 64 << 20
    committed_interval_s: float = 0.2
    retry_first_s: float = 0.25
    retry_longest_s: float = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A delivery and what it was read as; None is nothing to store, acknowledged in its turn."""

    delivery: Delivery
    content: Accepted | Rejected | None


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Items that are stored together, in order of arrival."""

    items: tuple[Item, ...]
    n_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """The bus delivered messages."""

    deliveries: Sequence[Delivery]
    at_s: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    at_s: float
    now: InstantNs


@dataclass(frozen=True, slots=True)
class Persisted:
    """The batch under way is stored, quarantined where it had to be, and in the ledger; watermarks of its epochs."""

    watermarks: Watermarks
    at_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The batch under way could not be stored now; `patient` where only a person can help."""

    at_s: float
    retry_after_s: float | None = None
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker has accepted a connection; what was sent meanwhile may have got lost."""

    at_s: float


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The answer to `LookUp`."""

    birth: Birth
    upto: Mapping[SensorId, int]
    at_s: float


@dataclass(frozen=True, slots=True)
class NotAnnounced:
    """The bus did not take an announcement."""

    address: EdgeAddress
    at_s: float


@dataclass(frozen=True, slots=True)
class Stopping:
    """Finish what is there; wait for nothing."""


Event = Arrived | Tick | Connected | Persisted | Failed | LookedUp | NotAnnounced | Stopping


@dataclass(frozen=True, slots=True, eq=False)
class Persist:
    """Store the batch, then enter it into the ledger, then say `Persisted` or `Failed`."""

    batch: Batch


@dataclass(frozen=True, slots=True, eq=False)
class Ack:
    """Acknowledge to the broker."""

    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class LookUp:
    """Read the watermarks of an edge from the ledger."""

    birth: Birth


@dataclass(frozen=True, slots=True)
class Announce:
    """Publish, retained, what is committed of an edge."""

    address: EdgeAddress
    payload: bytes


Effect = Persist | Ack | LookUp | Announce


@dataclass(slots=True)
class _Pending:
    items: list[Item] = field(default_factory=list)
    n_bytes: int = 0
    since_s: float = 0.0
    newest_s: float = 0.0


class IngestPipeline:
    """The decisions of ingest; `rng` spreads repetitions in time."""

    def __init__(self, limits: Limits, rng: np.random.Generator) -> None:
        self._limits = limits
        self._rng = rng
        self._announcer = Announcer(limits.committed_interval_s)
        self._births: dict[EdgeAddress, Birth] = {}  # that wait for their look-up, one an edge
        self._looking_up = False
        self._pending = _Pending()
        self._under_way: Batch | None = None
        self._retry_s: float | None = None
        self._attempts = 0
        self._failing_s: float | None = None
        self._stopping = False

    @property
    def room(self) -> int:
        """How many more messages may be taken from the bus now."""
        p, limits = self._pending, self._limits
        return 0 if p.n_bytes >= limits.pending_bytes else max(0, limits.pending_records - len(p.items))

    @property
    def full(self) -> bool:
        """True while no more may be taken from the bus."""
        return self.room == 0

    @property
    def idle(self) -> bool:
        """True while nothing waits for the store."""
        return self._under_way is None and not self._pending.items

    @property
    def n_pending(self) -> int:
        """How many messages are held, unacknowledged."""
        return len(self._pending.items) + (0 if self._under_way is None else len(self._under_way.items))

    @property
    def settled(self) -> bool:
        """True when nothing more can be done before the end: all is stored, or the store fails; and all is said."""
        stuck = self._under_way is not None and self._retry_s is not None
        return self._stopping and (self.idle or stuck) and self._announcer.next_s() is None

    def next_s(self) -> float | None:
        """Return when the next `Tick` has something to do."""
        times = [self._announcer.next_s(), self._retry_s]
        if self._under_way is None and self._pending.items:
            times.append(self._due_s())
        return min((t for t in times if t is not None), default=None)

    def handle(self, event: Event) -> list[Effect]:
        """Return what is to be done now."""
        match event:
            case Arrived():
                return self._arrived(event)
            case Tick():
                return self._tick(event)
            case Persisted():
                return self._persisted(event)
            case Failed():
                self._failed(event)
                return []
            case Connected(at_s):
                self._announcer.began(at_s)
                return []
            case LookedUp(birth, upto, at_s):
                self._announcer.born(birth.address, birth.epoch, upto, at_s)
                self._looking_up = False
                return self._next_look_up()
            case NotAnnounced(address, at_s):
                self._announcer.failed(address, at_s)
                return []
            case Stopping():
                self._stopping = True
                return []
            case other:
                assert_never(other)

    def _arrived(self, event: Arrived) -> list[Effect]:
        effects: list[Effect] = []
        pending = self._pending
        for delivery in event.deliveries:
            content = intake.read(delivery.topic, delivery.payload)
            if isinstance(content, Birth):
                effects += self._born(content)
            stored = content if isinstance(content, (Accepted, Rejected)) else None
            if stored is None and self.idle:
                effects.append(Ack((delivery,)))
                continue
            if not pending.items:
                pending.since_s = event.at_s
            pending.items.append(Item(delivery, stored))
            pending.n_bytes += len(delivery.payload)
            pending.newest_s = event.at_s
        return effects + self._next_batch(event.at_s)

    def _born(self, birth: Birth) -> list[Effect]:
        self._births.pop(birth.address, None)
        self._births[birth.address] = birth
        if len(self._births) > MAX_BIRTHS:  # whoever is forgotten is told with the next commit
            del self._births[next(iter(self._births))]
        return self._next_look_up()

    def _next_look_up(self) -> list[Effect]:
        if self._looking_up or not self._births:
            return []
        self._looking_up = True
        return [LookUp(self._births.pop(next(iter(self._births))))]

    def follow(self, limits: Limits) -> None:
        """Go on with other sizes and times."""
        self._limits = limits
        self._announcer.follow(limits.committed_interval_s)

    def _tick(self, event: Tick) -> list[Effect]:
        effects: list[Effect] = [
            Announce(address, payload)
            for address, payload in self._announcer.due(event.at_s, event.now, hurry=self._stopping)
        ]
        if self._under_way is not None and self._retry_s is not None and self._retry_s <= event.at_s:
            self._retry_s = None
            effects.append(Persist(self._under_way))
        return effects + self._next_batch(event.at_s)

    def _persisted(self, event: Persisted) -> list[Effect]:
        batch, self._under_way = self._under_way, None
        self._attempts = 0
        self._retry_s = None
        if self._failing_s is not None and event.at_s - self._failing_s >= AWAY_S:
            self._announcer.began(event.at_s)
        self._failing_s = None
        for (address, epoch), upto in event.watermarks.items():
            self._announcer.moved(address, epoch, upto, event.at_s)
        done: list[Effect] = [] if batch is None else [Ack(tuple(item.delivery for item in batch.items))]
        return done + self._next_batch(event.at_s)

    def _failed(self, event: Failed) -> None:
        limits = self._limits
        self._failing_s = event.at_s if self._failing_s is None else self._failing_s
        longest = limits.retry_longest_s
        wait = longest if event.patient else min(longest, limits.retry_first_s * 2.0 ** min(self._attempts, 30))
        self._attempts += 1
        # Half of the wait is left to chance, so that many clients of one store do not come back all at once.
        wait *= 0.5 + 0.5 * float(self._rng.random())
        spread = 1 + 0.25 * float(self._rng.random())
        self._retry_s = event.at_s + max(wait, spread * (event.retry_after_s or 0.0))

    def _next_batch(self, at_s: float) -> list[Effect]:
        if self._under_way is not None or not self._pending.items or at_s < self._due_s():
            return []
        items = self._pending.items
        n_bytes = n = 0
        for item in items[: self._limits.batch_records]:
            size = len(item.delivery.payload)
            if n and n_bytes + size > self._limits.batch_bytes:
                break
            n, n_bytes = n + 1, n_bytes + size
        batch = Batch(tuple(items[:n]), n_bytes)
        del items[:n]
        self._pending.n_bytes -= n_bytes
        self._pending.since_s = at_s
        self._under_way = batch
        return [Persist(batch)]

    def _due_s(self) -> float:
        p, limits = self._pending, self._limits
        if self._stopping or len(p.items) >= limits.batch_records or p.n_bytes >= limits.batch_bytes:
            return float("-inf")
        return min(p.since_s + limits.linger_s, p.newest_s + limits.quiet_s)
