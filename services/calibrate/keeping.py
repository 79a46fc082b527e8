"""What the engine wants of sets and orders, carried out on the registry: each in one transaction, and once."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from dyncal.contracts.coefficients import read_envelope, seal
from dyncal.domain.coefficients import CoefficientSet, Outcome, Report, SetState
from dyncal.domain.errors import Conflict, IllegalMove, MalformedMessage, NotFound
from dyncal.domain.orders import Answer, OrderState
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from dyncal.ports.records import Act, SetRecord
from dyncal.ports.registry import Registry
from dyncal.ports.signing import Signer
from dyncal.runtime.logging import Logger
from services.calibrate.events import ACTOR, AddSet, MoveSet, Refused, SendShadow
from services.calibrate.metrics import CalibrateMetrics


class Message(NamedTuple):
    """What is to be published, retained."""

    topic: str
    payload: bytes


class Contradicted(Exception):
    """The registry contradicts what the engine thinks of a sensor."""

    def __init__(self, sensor: SensorId) -> None:
        super().__init__(sensor)
        self.sensor = sensor


class Keeping:
    """Signs what is published, keeps sets and their moves, and answers the orders that led to them."""

    def __init__(
        self, registry: Registry, signer: Signer, clock: Clock, metrics: CalibrateMetrics, log: Logger
    ) -> None:
        self._registry, self._signer, self._clock = registry, signer, clock
        self._metrics, self._log = metrics, log

    def carry_out(self, effect: AddSet | MoveSet | SendShadow | Refused) -> Iterator[Message]:
        """Do what the engine wants; return what is to be published. Raises `Contradicted`."""
        match effect:
            case AddSet():
                yield from self.add(effect)
            case MoveSet():
                yield from self.move(effect)
            case SendShadow():
                yield Message(effect.address.shadow(effect.sensor), self._shadow(effect.set_id))
            case Refused():
                self.refuse(effect)

    def _shadow(self, set_id: str) -> bytes:
        """Return the signed edition of a set that can run beside another one only; nothing for none."""
        if not set_id:
            return b""
        return seal(self._registry.coefficient_set(set_id).coefficients, self._signer, shadow=True)

    def add(self, effect: AddSet) -> Iterator[Message]:
        """Keep a new set. Raises `Contradicted` where its place is taken by another."""
        made = effect.coefficients
        published = effect.state is SetState.PUBLISHED
        # What is not meant for an edge is not signed: a signature would make it acceptable.
        envelope = seal(made, self._signer) if published else b""
        answer = self._answer(effect.order, made.id, effect.state, effect.act.at_ns)
        try:
            self._registry.add_set(made, envelope, effect.state, effect.act, earlier=effect.earlier, answer=answer)
        except IllegalMove:
            raise
        except Conflict as error:
            if self._is_kept(made.id, envelope):  # the answer to an earlier try was lost, not the set
                if published:
                    yield Message(effect.address.desired(made.sensor), envelope)
                return
            self._log.warning("set_conflict", sensor=made.sensor, error=str(error))
            self.refuse(Refused(effect.order, made.sensor, made.id, str(error)))
            raise Contradicted(made.sensor) from error
        self._metrics.sets.labels(effect.state).inc()
        self._log.info("set", sensor=made.sensor, id=made.id, state=effect.state, reason=effect.act.reason)
        if published:
            yield Message(effect.address.desired(made.sensor), envelope)

    def _is_kept(self, set_id: str, envelope: bytes) -> bool:
        try:
            return self._registry.coefficient_set(set_id).envelope == envelope
        except NotFound:
            return False

    def move(self, effect: MoveSet) -> Iterator[Message]:
        """Move a set that is there; what an edge says of sets that are not its own, or cannot be, moves nothing."""
        try:
            record = self._registry.coefficient_set(effect.set_id)
        except NotFound:
            self._metrics.notes.labels("unknown_set").inc()
            return
        if record.coefficients.sensor != effect.sensor:
            self._metrics.notes.labels("foreign_set").inc()
            return
        publish = effect.state is SetState.PUBLISHED
        envelope = seal(record.coefficients, self._signer) if publish else None
        if record.state is not effect.state:
            self._moved(record, effect, envelope)
        elif publish:  # the answer to an earlier try was lost
            envelope = record.envelope
        if envelope is not None and effect.address is not None:
            yield Message(effect.address.desired(effect.sensor), envelope)

    def foreign(self, report: Report) -> bool:
        """Tell whether an edge has rejected something that only bore the name of one of our sets."""
        if report.outcome is not Outcome.REJECTED or not report.digest:
            return False
        try:
            envelope = self._registry.coefficient_set(report.set_id).envelope
            return not envelope or sha256(read_envelope(envelope).set.encode()).hexdigest() != report.digest
        except (NotFound, MalformedMessage):
            return False

    def runs(self, report: Report) -> CoefficientSet | None:
        """Return the other set that an edge runs after it left or refused one; None where it can be none of ours."""
        if report.outcome is Outcome.APPLIED or report.running in ("", report.set_id):
            return None
        try:
            record = self._registry.coefficient_set(report.running)
        except NotFound:
            return None
        # What was never signed cannot run anywhere.
        return record.coefficients if record.envelope and record.coefficients.sensor == report.sensor else None

    def _moved(self, record: SetRecord, effect: MoveSet, envelope: bytes | None) -> None:
        answer = self._answer(effect.order, effect.set_id, effect.state, effect.act.at_ns)
        try:
            self._registry.set_state(effect.set_id, effect.state, effect.act, envelope=envelope, answer=answer)
        except IllegalMove as error:
            if effect.state is SetState.PUBLISHED or effect.order:
                self.refuse(Refused(effect.order, effect.sensor, effect.set_id, str(error)))
                raise Contradicted(effect.sensor) from error
            # An edge speaks of a set that it was not to run, or not any more: a fact, and none that changes the set.
            self._metrics.notes.labels("illegal_move").inc()
            self._log.warning("illegal_move", id=effect.set_id, state=record.state, to=effect.state)
            return
        if envelope is not None:
            self._metrics.sets.labels(effect.state).inc()
        self._log.info("set_moved", id=effect.set_id, state=effect.state, reason=effect.act.reason)

    def refuse(self, refused: Refused) -> None:
        """Answer an order with the reason why it cannot be carried out; nothing where there was no order."""
        self._metrics.notes.labels("refused").inc()
        self._log.info("refused", sensor=refused.sensor, id=refused.set_id, why=refused.why)
        if not refused.order:
            return
        now = InstantNs(self._clock.now())
        try:
            answer = Answer(refused.order, OrderState.REFUSED, refused.why, now)
            self._registry.answer_order(answer, Act(ACTOR, now, refused.why))
        except Conflict as error:  # answered by an earlier try
            self._log.info("answered_before", order=refused.order, error=str(error))

    def _answer(self, order: str, set_id: str, state: SetState, at_ns: InstantNs) -> Answer | None:
        if not order:
            return None
        return Answer(order, OrderState.DONE, state.value, at_ns, set_id)


def order_of(effect: object) -> str:
    """Return the order that an effect carries out; '' where none."""
    return effect.order if isinstance(effect, AddSet | MoveSet) else ""
