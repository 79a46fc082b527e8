"""The blocking half of the service: the engine and the registry, used from one thread."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, assert_never

from dyncal.contracts import conditions as condition_contract
from dyncal.contracts import health as health_contract
from dyncal.contracts import topics
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.errors import DyncalError, Unavailable
from dyncal.domain.orders import Order
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import SensorId, SiteId
from dyncal.domain.time import NS_PER_S, InstantNs, duration
from dyncal.ports.clock import Clock
from dyncal.ports.registry import Registry
from dyncal.ports.rollouts import RolloutWrite
from dyncal.ports.sample_store import SampleStore
from dyncal.ports.signing import Signer
from dyncal.runtime.following import Follower
from dyncal.runtime.logging import Logger
from services.calibrate import intake, known, orders
from services.calibrate.engine import CalibrateEngine
from services.calibrate.events import (
    ACTOR,
    AddCalibration,
    AddSet,
    Connected,
    Effect,
    Event,
    Forget,
    MoveSet,
    Note,
    PairingsChanged,
    PassedOver,
    Proceed,
    PutCondition,
    PutHealth,
    PutHolding,
    RecordArrived,
    Refused,
    SaveSnapshot,
    SendDesired,
    SendShadow,
    SeriesRead,
    SetReported,
    Stopping,
    Tick,
)
from services.calibrate.keeping import Contradicted, Keeping, Message, order_of
from services.calibrate.metrics import CalibrateMetrics
from services.calibrate.rollout.desk import ORDERS as ROLLOUTS
from services.calibrate.rollout.desk import Following, RolloutDesk, RolloutEffect
from services.calibrate.rollout.events import Publish, Revert
from services.calibrate.settings import CalibrateSection
from services.calibrate.stages import observed_by
from services.calibrate.tracing import Tracing

DEFAULT_SITE: Final = SiteId("plant")
KINDS: Final = frozenset({
    AlarmKind.DRIFT, AlarmKind.OUT_OF_TOLERANCE, AlarmKind.REFERENCE_LOST, AlarmKind.CORRECTION_REVERTED
})  # fmt: skip
"""What this service reports."""

_SLICE_SAMPLES: Final = 8192
_SLICE_S: Final = (1.0, 10.0)  # a tracker keeps 20 s
_TOGETHER: Final = 256
_LOOK_AGAIN_S: Final = 0.2
_FAULT: Final = "a fault in the calibration service: its log says which"


class Arrived(NamedTuple):
    """A message from the broker."""

    topic: str
    payload: bytes


class Orders(NamedTuple):
    """Look whether people gave orders."""


Job = Arrived | Event | Orders | None
"""What the worker is asked to do; None: look whether the registry changed."""


class Worker:
    """Runs the engine and carries out its effects on the registry; every method blocks and is for one thread.

    Effects that the registry could not take yet wait, in order, and nothing further is handled before them. Samples
    that wait behind each other are handled together, those of a sensor in one go, so that the cost of a sample falls
    as they pile up.
    """

    def __init__(
        self,
        rules: CalibrateSection,
        registry: Registry,
        store: SampleStore,
        signer: Signer,
        clock: Clock,
        metrics: CalibrateMetrics,
        log: Logger,
        site: SiteId = DEFAULT_SITE,
        follower: Follower | None = None,
    ) -> None:
        self._tracing = Tracing(follower)
        self._rules, self._registry, self._store = rules, registry, store
        self._keeping = Keeping(registry, signer, clock, metrics, log)
        self._clock, self._metrics, self._log, self._site = clock, metrics, log, site
        self.engine = CalibrateEngine(rules)
        self._jobs: deque[Job] = deque()
        self._effects: deque[Effect | RolloutEffect] = deque()
        self._rollouts = RolloutDesk(registry, self.engine, clock, log)
        self._resumed = False
        self._messages: list[Message] = []
        self._revision: int | None = None
        self._orders: int | None = None  # revision up to which they were taken up
        self._looked_ns = 0
        self._passing = False
        self.lag_s = 0.0

    @property
    def n_waiting(self) -> int:
        """How many jobs and effects were taken in and are not dealt with."""
        return len(self._jobs) + len(self._effects)

    def drop(self) -> int:
        """Forget the jobs that were not begun, and return how many those are."""
        dropped = len(self._jobs)
        self._jobs.clear()
        return dropped

    def process(
        self, jobs: Iterable[Job], until: Callable[[], bool] = lambda: False, *, passing: bool = False
    ) -> list[Message]:
        """Take in jobs and deal with all that wait; return what is to be published.

        Once `until` says True no further job is begun: those left wait for the next call. With `passing`, samples that
        come from their source, not from an edge's spool, are passed over.

        Raises
        ------
        StoreUnavailable
            If the registry is not there; call again, without jobs, to go on.
        """
        if self._passing and not passing:
            self._jobs.append(PassedOver(self._clock.now()))
        self._passing = passing
        self._jobs.extend(jobs)
        with observed_by(self._metrics.stage):
            self._finish()
            while self._jobs and not until():
                together = min(self._n_samples(), _TOGETHER)
                if together > 1:
                    self._do_together(together)
                else:
                    self._do(self._jobs[0])
                    self._jobs.popleft()
                self._finish()
            self._effects.extend(self._rollouts.flush())
            self._finish()
        messages, self._messages = self._messages, []
        return messages

    def _finish(self) -> None:
        """Carry out all effects that wait."""
        while self._effects:
            self._messages.extend(self._carry_out(self._effects[0]))
            self._effects.popleft()

    def catch_up(self) -> Iterator[list[Message]]:
        """Read from the store what was missed since the snapshots, slice by slice; the engine takes it in.

        Raises
        ------
        Unavailable
            If store or registry are not there.
        """
        trackers = self.engine.trackers
        resumed = [t.resumed_ns for t in trackers.values() if t.resumed_ns is not None]
        if not resumed:
            return
        now = self._clock.now()
        begin = max(min(resumed), now - duration(self._rules.max_catch_up_s))
        streams = sorted({t.sensor.id for t in trackers.values()} | {t.pairing.reference for t in trackers.values()})
        fastest_s = min(t.sensor.dt_ns for t in trackers.values()) / NS_PER_S
        step = duration(min(max(_SLICE_SAMPLES * fastest_s, _SLICE_S[0]), _SLICE_S[1]))
        for start in range(begin, now, step):
            jobs = [self._series(sensor, start, min(start + step, now)) for sensor in streams]
            yield self.process(job for job in jobs if len(job.t_ns))
        self._log.info("caught_up", sensors=len(streams), seconds=(now - begin) / NS_PER_S)

    def _series(self, sensor: SensorId, start: int, end: int) -> SeriesRead:
        series = self._store.read(sensor, InstantNs(start), InstantNs(end))
        return SeriesRead(sensor, series.t_ns, series.raw, series.quality, self._clock.now())

    def _n_samples(self) -> int:
        """Return how many of the next jobs are samples, one behind the other."""
        return sum(1 for _ in itertools.takewhile(_of_samples, itertools.islice(self._jobs, _TOGETHER)))

    def _do_together(self, n: int) -> None:
        for _ in range(n):
            job = self._jobs[0]
            event = None if job is None or isinstance(job, Orders) else self._event(job)
            if isinstance(event, RecordArrived):
                event = RecordArrived(event.record, event.now_ns, held=True)
            elif isinstance(event, SeriesRead):
                event = dataclasses.replace(event, held=True)
            if event is not None:
                self._handle(event)
            self._jobs.popleft()
        while self.engine.holds:
            self._handle(Proceed(self._clock.now()))

    def _do(self, job: Job) -> None:
        if job is None:
            for event in self._look():
                self._handle(event)
            if not self._resumed:  # rollouts; once the sensors that they are about are known
                self._effects.extend(self._rollouts.restore())
                self._resumed = True
        elif isinstance(job, Orders):
            self._take_orders()
        else:
            said = self._event(job)
            if said is not None:
                self._handle(said)

    def _event(self, job: Arrived | Event) -> Event | None:
        """Return what a job says; None where it says nothing, or nothing that can be read."""
        if not isinstance(job, Arrived):
            return job
        self._metrics.deliveries.inc()
        found = intake.read(job.topic, job.payload, self._clock.now())
        if isinstance(found, RecordArrived) and isinstance(found.record, SampleBlock):
            if not found.record.replayed:
                self.lag_s = (found.now_ns - found.record.arrival_ns) / NS_PER_S
                self._metrics.lag_s.set(self.lag_s)
            if self._passing and not found.record.replayed:
                self._metrics.passed_over.inc(len(found.record.raw))
                return None
            self._tracing.saw(found.record, found.now_ns, self._clock.now())
        if isinstance(found, SetReported):
            if self._keeping.foreign(found.report):
                found = Note("foreign_offer", found.report.sensor, found.report.reason)
            else:
                found = dataclasses.replace(found, running=self._keeping.runs(found.report))
        if isinstance(found, Note):
            self._effects.append(found)
            return None
        return found

    def _take_orders(self) -> None:
        """Carry out what people ordered and nobody has answered; each before the next, which may depend on it."""
        revision = self._registry.orders_revision()
        if revision == self._orders:
            return
        for order in self._registry.waiting_orders():
            if order.kind in orders.SETS:
                said = orders.event_of(order, self._registry, InstantNs(self._clock.now()))
                if isinstance(said, str):
                    self._effects.append(Refused(order.id, SensorId(""), order.subject, said))
                elif not self._handle(said):
                    self._effects.append(Refused(order.id, said.sensor, order.subject, _FAULT))
                self._finish()
            elif order.kind in ROLLOUTS:
                self._effects.extend(self._begun(order))
                self._finish()
        self._orders = revision

    def _begun(self, order: Order) -> Following:
        try:
            return self._rollouts.ordered(order)
        except Exception:  # noqa: BLE001 - one order must not have the service begin anew for ever
            self._fault(order.kind)
            return [Refused(order.id, SensorId(""), order.subject, _FAULT)]

    def _handle(self, event: Event) -> bool:
        """Tell both engines; return False, and nothing is to be done, where they could not deal with it."""
        try:
            self._effects.extend(self.engine.handle(event))
            self._effects.extend(self._rollouts.told(event))
        except Exception:  # noqa: BLE001 - the service goes on without one message, whatever it was
            self._fault(type(event).__name__)
            return False
        return True

    def _fault(self, kind: str) -> None:
        self._log.exception("engine_fault", event_kind=kind)
        self._metrics.notes.labels("engine_fault").inc()

    def _look(self) -> Iterator[Event]:
        self._looked_ns = self._clock.now()
        revision = self._registry.revision()
        if revision != self._revision:
            pairings = tuple(self._registry.pairings())
            new = [p.sensor for p in pairings if p.sensor not in self.engine.trackers]
            standing = self._standing() if new else {}
            begin = known.of(self._registry, new, standing)
            sensors, policies = tuple(self._registry.sensors()), known.governed(self._registry)
            yield PairingsChanged(sensors, pairings, self._clock.now(), begin, policies)
            self._revision = revision
            self._metrics.pairings.set(len(self.engine.trackers))

    def _standing(self) -> dict[SensorId, tuple[Condition, ...]]:
        """Return by sensor the conditions that hold as far as the registry's alarms say."""
        found: dict[SensorId, tuple[Condition, ...]] = {}
        for alarm in self._registry.alarms(active_only=True):
            if alarm.sensor is not None and alarm.kind in KINDS and alarm.holds:
                found[alarm.sensor] = (*found.get(alarm.sensor, ()), alarm.found)
        return found

    def _carry_out(self, effect: Effect | RolloutEffect) -> Iterator[Message]:
        try:
            yield from self._effect(effect)
        except Unavailable:
            raise
        except Contradicted as contradicted:
            self._jobs.appendleft(Forget(contradicted.sensor, self._clock.now()))
            self._revision = None
        except DyncalError as error:
            if order_of(effect):
                self._keeping.refuse(Refused(order_of(effect), SensorId(""), "", str(error)))
            self._log.error("effect_refused", effect=type(effect).__name__, error=str(error))
            self._metrics.notes.labels("effect_refused").inc()

    def _effect(self, effect: Effect | RolloutEffect) -> Iterator[Message]:
        match effect:
            case AddCalibration():
                self._registry.add_calibration(effect.calibration, effect.act)
            case AddSet() | MoveSet() | SendShadow() | Refused():
                yield from self._keeping.carry_out(effect)
            case SendDesired():
                record = self._registry.desired_set(effect.sensor)
                if record is not None:
                    yield Message(effect.address.desired(effect.sensor), record.envelope)
            case PutCondition():
                yield self._condition(effect)
            case PutHolding():
                said = condition_contract.encode_list(ACTOR, KINDS, effect.holding, effect.said_ns)
                yield Message(topics.reporter(self._site, ACTOR), said)
            case PutHealth():
                said = b"" if effect.health is None else health_contract.encode(effect.health)
                yield Message(topics.health(effect.site, effect.sensor), said)
            case SaveSnapshot():
                self._registry.save_snapshot(effect.key, effect.content, effect.at_ns)
            case RolloutWrite() | Publish() | Revert():
                self._effects.extend(self._rollouts.carry_out(effect))
            case Note():
                if effect.kind == "unknown_sensor" and self._clock.now() - self._looked_ns > duration(_LOOK_AGAIN_S):
                    self._jobs.append(None)  # it may have been registered since
                self._metrics.notes.labels(effect.kind).inc()
                self._log.debug("note", kind=effect.kind, sensor=effect.sensor, detail=effect.detail)
            case _:
                assert_never(effect)

    def _condition(self, effect: PutCondition) -> Message:
        condition = self._tracing.traced(effect.condition)
        if not effect.again:
            self._metrics.conditions.labels(condition.kind, str(condition.holds).lower()).inc()
            self._log.info(
                "condition", id=condition.id, holds=condition.holds, cause=condition.cause, trace=condition.trace
            )
        topic = topics.condition(condition.site, condition.source, condition.kind)
        return Message(topic, condition_contract.encode(condition, ACTOR, self._clock.now()))

    def connected(self) -> Event:
        """Return the event of a new connection to the broker."""
        return Connected(self._clock.now())

    def tick(self) -> Event:
        """Return the event of passing time."""
        return Tick(self._clock.now())

    def stopping(self) -> Event:
        """Return the event of the program's end."""
        return Stopping(self._clock.now())


def _of_samples(job: Job) -> bool:
    return isinstance(job, SeriesRead) or (isinstance(job, Arrived) and intake.is_samples(job.topic))
