"""Where events become deeds: the engine's effects carried out on spool, disk, outbox and publisher. No waiting."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable
from typing import Final, Protocol

import msgspec

from dyncal.contracts import samples as wire
from dyncal.contracts.codec import to_json
from dyncal.contracts.coefficients import encode_report
from dyncal.contracts.edges import VERSION, EventMessage
from dyncal.contracts.residuals import encode as encode_residuals
from dyncal.contracts.topics import EdgeAddress, parse
from dyncal.domain.coefficients import Outcome
from dyncal.domain.samples import Record, SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from dyncal.runtime.following import SPOOLED, Follower
from dyncal.runtime.logging import logger
from edge_agent.agent import AgentEngine
from edge_agent.aside import Aside, Unreadable
from edge_agent.events import (
    GOOD_NEWS,
    Append,
    Committed,
    Effect,
    Event,
    Keep,
    Kind,
    Notice,
    Refuse,
    Release,
    Tell,
    TellResiduals,
)
from edge_agent.keeper import SetKeeper
from edge_agent.keeping import Keeping
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.spool import SHOW_AFTER_S, Spool, entry_of

_REPEAT_NS: Final = 10_000_000_000
# Changes of state, which come once each.
_ALWAYS: Final = (
    Kind.SET_APPLIED,
    Kind.SET_REJECTED,
    Kind.SET_REVERTED,
    Kind.SOURCE_CONNECTED,
    Kind.SOURCE_LOST,
)
_MAX_DETAIL: Final = 500
_SHOWN: Final = 200
_SHOWN_BYTES: Final = 60


class Receipt(Protocol):
    """What a reader wants done once the samples of an input are in the spool."""

    def settle(self) -> None:
        """Acknowledge; never raises."""
        ...


class Station:
    """Handles events, one after the other, in the event loop."""

    def __init__(
        self,
        engine: AgentEngine,
        spool: Spool,
        outbox: Outbox,
        publisher: Publisher,
        keeper: SetKeeper,
        aside: Aside,
        address: EdgeAddress,
        clock: Clock,
        follower: Follower | None = None,
    ) -> None:
        self._follower = follower
        self._engine = engine
        self._spool = spool
        self._outbox = outbox
        self._publisher = publisher
        self.keeping = Keeping(keeper, self._tell, self._not_kept)
        self._address = address
        self._clock = clock
        self._log = logger("edge")
        self._held: deque[tuple[int, tuple[Hashable, ...]]] = deque()
        self._said: dict[tuple[Kind, str], int] = {}
        self.sync_each_write = False
        self.spool_trouble = ""
        self._failing_s: float | None = None
        self.aside = aside
        self.n_notices: Counter[Kind] = Counter()
        self.n_outcomes: Counter[Outcome] = Counter()
        self.n_handled, self.handled_s = 0, 0.0
        self.n_flushed, self.flushed_s = 0, 0.0

    def take(self, events: Iterable[Event]) -> None:
        """Have the engine handle events, and do what it says."""
        effects: list[Effect] = []
        begun_s = self._clock.monotonic_s()
        for event in events:
            if isinstance(event, Committed):
                self._committed(event)
            effects += self._engine.handle(event)
        self.n_handled += 1
        self.handled_s += self._clock.monotonic_s() - begun_s
        self.perform(effects)

    def newest(self, sensor: SensorId) -> InstantNs | None:
        """Return the newest source instant taken of a sensor, also by a former life."""
        stream = self._engine.streams.get(sensor)
        return None if stream is None else stream.newest_ns

    def perform(self, effects: Iterable[Effect]) -> None:
        """Do what the engine says: the spool first, everything else after."""
        later: list[Effect] = []
        followed: list[SampleBlock] = []
        for effect in effects:
            if isinstance(effect, Append):
                self._spool.append(entry_of(effect.record, wire.encode(effect.record)))
                followed += self._followed(effect.record)
            elif isinstance(effect, Release):
                self._held.append((self._spool.n_taken, effect.receipts))
            else:
                later.append(effect)
        self._flush()
        for block in followed:
            self._follow(block)
        for effect in later:
            if isinstance(effect, (Keep, Tell)):
                self.keeping.put(effect)
            elif isinstance(effect, TellResiduals):
                for payload in encode_residuals(effect.found, effect.at_ns):
                    self._publisher.say(payload, self._address.residuals)
            elif isinstance(effect, Notice):
                self.notice(effect)
            elif isinstance(effect, Refuse):
                self._refuse(effect)

    def _followed(self, record: Record) -> list[SampleBlock]:
        if self._follower is None or not self._follower.follows(record.sequence):
            return []
        return [record] if isinstance(record, SampleBlock) else []

    def _follow(self, block: SampleBlock) -> None:
        if self._follower is not None:
            first_ns, now = block.axis.first_ns, self._clock.now()
            self._follower.step(SPOOLED, block.sensor, block.sequence, first_ns, len(block), block.arrival_ns, now)

    def _refuse(self, refused: Refuse) -> None:
        content = {"t_ns": refused.t_ns.tolist(), "raw": refused.raw.tolist(), "quality": refused.codes.tolist()}
        payload = msgspec.json.encode(content)
        self.aside.add(Unreadable(self._address.samples(refused.sensor), payload, refused.why, refused.at_ns))

    def notice(self, notice: Notice) -> None:
        """Count, log and publish; floods thinned to one of a kind and sensor in ten seconds."""
        self.n_notices[notice.kind] += 1
        key = (notice.kind, notice.sensor or "")
        last = self._said.get(key)
        if notice.kind not in _ALWAYS and last is not None and 0 <= notice.at_ns - last < _REPEAT_NS:
            return
        self._said[key] = notice.at_ns
        detail = notice.detail[:_MAX_DETAIL]
        say = self._log.info if notice.kind in GOOD_NEWS else self._log.warning
        say(notice.kind.value, sensor=notice.sensor, detail=detail)
        message = EventMessage(VERSION, notice.at_ns, notice.kind.value, notice.sensor or "", detail)
        self._publisher.say(to_json(message))

    def tell_of_delivery(self) -> None:
        """Give notice of records that the broker does not take, or the store does not confirm."""
        now = self._clock.now()
        refused, self._publisher.refused = self._publisher.refused, {}
        for topic, why in refused.items():
            self.notice(Notice(Kind.PUBLISH_REFUSED, now, parse(topic).sensor, why))
        missed, self._outbox.missed = self._outbox.missed, []
        if missed:
            upto = self._spool.watermark(missed[0])
            detail = f"no word from the store of {len(missed)} sensors, such as {missed[0]} after number {upto}"
            self.notice(Notice(Kind.NOT_COMMITTED, now, None, f"{detail}: sent again"))

    def set_aside(self, message: Unreadable, sensor: SensorId | None = None) -> None:
        """Keep a message that cannot be read for the quarantine, and give notice."""
        self.aside.add(message)
        detail = f"{message.topic[:_SHOWN]}: {message.why}; begins {message.payload[:_SHOWN_BYTES]!r}"
        self.notice(Notice(Kind.INPUT_QUARANTINED, message.at_ns, sensor, detail))

    def _flush(self) -> None:
        now_s = self._clock.monotonic_s()
        fresh = self._spool.flush()
        trouble = self._spool.trouble or self._sync()
        self.n_flushed += 1
        self.flushed_s += self._clock.monotonic_s() - now_s
        self._note(trouble, now_s)
        if self._outbox.live and self._failing_s is not None and now_s - self._failing_s >= SHOW_AFTER_S:
            fresh += self._spool.show()
        if fresh:
            self._outbox.written(fresh, now_s)
            self._publisher.wake()
        if trouble is None or not self.sync_each_write:
            self._settle()
        if self._spool.damage:  # all in one: of many at once, the others would be held back as a flood
            detail = "; ".join(self._spool.damage)
            self._spool.damage.clear()
            self.notice(Notice(Kind.SPOOL_DAMAGED, self._clock.now(), None, detail))

    def _sync(self) -> OSError | None:
        if self.sync_each_write:
            try:
                self._spool.sync()
            except OSError as error:
                return error
        return None

    def _note(self, trouble: OSError | None, now_s: float) -> None:
        """Tell when the disk begins to fail, fails in another way, and works again."""
        text = "" if trouble is None else str(trouble)
        if text and text != self.spool_trouble:
            self.notice(Notice(Kind.SPOOL_FAILED, self._clock.now(), None, text))
        elif self._failing_s is not None and not text:
            detail = f"after {now_s - self._failing_s:.3g} s"
            self.notice(Notice(Kind.SPOOL_RECOVERED, self._clock.now(), None, detail))
        self.spool_trouble = text
        if not text:
            self._failing_s = None
        elif self._failing_s is None:
            self._failing_s = now_s

    def _settle(self) -> None:
        """Acknowledge inputs whose records are on the disk, or with the store."""
        while self._held and self._held[0][0] <= self._spool.n_safe:
            for receipt in self._held.popleft()[1]:
                receipt.settle()  # type: ignore[attr-defined]  # a `Receipt`: the engine hands back what readers gave it

    def _committed(self, event: Committed) -> None:
        if event.epoch == self._spool.epoch:
            self._spool.commit(event.upto)
            self._outbox.listened_to(event.since_ns, self._clock.monotonic_s())

    def _tell(self, effect: Tell) -> None:
        self.n_outcomes[effect.report.outcome] += 1
        self._publisher.keep_said(self._address.reported(effect.report.sensor), encode_report(effect.report))

    def _not_kept(self, effect: Keep, error: OSError) -> None:
        detail = f"the set in use is not on disk, a restart will not know it: {error}"
        self.notice(Notice(Kind.SPOOL_FAILED, self._clock.now(), effect.sensor, detail))
