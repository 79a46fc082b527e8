"""The shell of the rollout engine: between orders, the calibration engine, and the registry. For one thread.

What becomes of a rollout is written before anything of it is done, and what is done looks first whether it was done
already: so a program that is killed between the two, at whatever point, goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, assert_never

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import CoefficientSet, Outcome
from dyncal.domain.errors import Conflict, InvalidData, NotFound
from dyncal.domain.orders import Answer, Order, OrderKind, OrderState
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.rollouts import Residual
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from dyncal.ports.registry import Registry
from dyncal.ports.rollouts import RolloutWrite
from dyncal.runtime.logging import Logger
from services.calibrate import events as calibration
from services.calibrate.engine import CalibrateEngine
from services.calibrate.rollout import asked
from services.calibrate.rollout.engine import RolloutEngine
from services.calibrate.rollout.events import (
    Begin,
    Changes,
    Commanded,
    EdgeSeen,
    Event,
    Moved,
    NotPublished,
    Publish,
    Renewed,
    Reported,
    ResidualFound,
    Restored,
    Revert,
    RevertMade,
    Tick,
    Verb,
)
from services.calibrate.tracker import Tracker

ORDERS: Final = frozenset({
    OrderKind.ROLLOUT_START, OrderKind.ROLLOUT_PAUSE, OrderKind.ROLLOUT_RESUME, OrderKind.ROLLOUT_ABORT
})  # fmt: skip
"""The kinds that are about rollouts."""

_VERBS: Final = {
    OrderKind.ROLLOUT_PAUSE: Verb.PAUSE,
    OrderKind.ROLLOUT_RESUME: Verb.RESUME,
    OrderKind.ROLLOUT_ABORT: Verb.ABORT,
}

RolloutEffect = RolloutWrite | Publish | Revert
"""What is to be carried out, in order."""

Following = list[calibration.Effect | RolloutEffect]


class RolloutDesk:
    """Tells the rollout engine what the calibration engine is told, and does for it what it wants.

    Every method but `carry_out` touches nothing but memory; `restore` reads the registry.
    """

    def __init__(self, registry: Registry, engine: CalibrateEngine, clock: Clock, log: Logger) -> None:
        self._registry, self._calibrate, self._clock, self._log = registry, engine, clock, log
        self.engine = RolloutEngine()
        self._put_off: dict[str, RolloutWrite] = {}

    def restore(self) -> list[RolloutEffect]:
        """Go on with the rollouts that the registry knows. Raises `StoreUnavailable`."""
        found = self._registry.unfinished_rollouts()
        now = self._clock.now()
        effects = [*self._tell(Restored(tuple(found), now)), *self._moved(now)] if found else []
        self._hold()
        return effects

    def told(self, event: calibration.Event) -> list[RolloutEffect]:
        """Take in what the calibration engine was told, where it is about rollouts; that engine comes first."""
        match event:
            case calibration.RecordArrived() | calibration.Proceed() | calibration.SeriesRead():
                return []  # nearly all events
            case calibration.SetReported():
                return self._reported(event)
            case calibration.ResidualsFound():
                return [effect for each in event.found for effect in self._residual(event, each)]
            case calibration.PairingsChanged():
                effects = self._moved(event.now_ns)
                self._hold()  # also what was begun anew
                return effects
            case calibration.EdgeSeen():
                return self._tell(EdgeSeen(event.edge, event.online, event.now_ns))
            case calibration.Tick():
                effects = self._tell(Tick(event.now_ns))
                self._hold()
                return effects
            case _:
                return []

    def _moved(self, now_ns: InstantNs) -> list[RolloutEffect]:
        """Follow the sensors of rollouts that belong to another edge now."""
        members = [member for run in self.engine.runs.values() for member in run.members.values()]
        found = [(m, self._calibrate.trackers.get(m.sensor)) for m in members]
        moved = [Moved(m.sensor, t.sensor.edge, now_ns) for m, t in found if t is not None and t.sensor.edge != m.edge]
        return [effect for each in moved for effect in self._tell(each)]

    def _reported(self, event: calibration.SetReported) -> list[RolloutEffect]:
        report = event.report
        tracker = self._calibrate.trackers.get(report.sensor)
        if tracker is None or EdgeAddress(tracker.sensor.site, tracker.sensor.edge) != event.address:
            return []
        if report.outcome is Outcome.REJECTED and report.running == report.set_id != "":
            return []  # what it runs was not rejected: another bore its name
        now = tracker.releases.in_force
        late = report.outcome is Outcome.REJECTED and report.reason.startswith("expired")
        if late and now is not None and now.coefficients.parent == report.set_id:  # it was offered anew
            made = now.coefficients
            return self._tell(Renewed(report.sensor, report.set_id, made.id, made.sequence, event.now_ns))
        return self._tell(Reported(event.address.edge, report, event.now_ns))

    def _residual(self, event: calibration.ResidualsFound, each: ResidualReport) -> list[RolloutEffect]:
        tracker = self._calibrate.trackers.get(each.sensor)
        if each.shadow or not each.n or tracker is None:
            return []
        if EdgeAddress(tracker.sensor.site, tracker.sensor.edge) != event.address:  # no edge speaks for another
            return []
        found = Residual(each.rms, each.limit, each.n)
        return self._tell(ResidualFound(event.address.edge, each.sensor, each.set_id, found, event.now_ns))

    def ordered(self, order: Order) -> Following:
        """Take in what somebody ordered; return what is to be carried out, if only the answer."""
        now = self._clock.now()
        if order.kind is OrderKind.ROLLOUT_START:
            try:
                wanted = asked.read(order.body)
                members, left_out = asked.members_of(wanted, self._calibrate.trackers, now)
            except InvalidData as error:
                return [_refused(order, str(error))]
            event: Event = Begin(
                order.subject, wanted.title, wanted.plan, tuple(members), order.actor, order.reason, now
            )
            done = f"begun with {len(members)} sensors{left_out}"
        else:
            accept = order.body.get("accept") is True
            event = Commanded(order.subject, _VERBS[order.kind], order.actor, order.reason, now, accept)
            done = "done"
        (changes,) = self.engine.handle(event)
        if changes.refusal:
            return [_refused(order, changes.refusal)]
        self._hold()
        answer = Answer(order.id, OrderState.DONE, done, now, order.subject)
        return list(self._effects(order.subject, changes, answer))

    def carry_out(self, effect: RolloutEffect) -> Following:
        """Do one thing; return what is to be carried out then, by the calibration engine too.

        Raises
        ------
        StoreUnavailable
            If the registry is not there; call again to go on.
        """
        match effect:
            case RolloutWrite():
                self._write(effect)
                return []
            case Publish():
                return self._publish(effect)
            case Revert():
                return self._revert(effect)
            case _:
                assert_never(effect)

    def _write(self, write: RolloutWrite) -> None:
        try:
            self._registry.write_rollout(write)
        except Conflict as error:  # the answer to an earlier try was lost, not what it wrote
            self._log.warning("rollout_written_before", rollout=write.id, error=str(error))
        for move in write.moves:
            if not move.subject:
                self._log.info("rollout", id=write.id, action=move.action, actor=move.actor, reason=move.reason)

    def _publish(self, effect: Publish) -> Following:
        tracker = self._calibrate.trackers.get(effect.sensor)
        if tracker is not None and _in_force(tracker) == effect.set_id:
            return [_again(tracker)]
        wanted = self._calibrate.handle(calibration.Release(effect.sensor, effect.set_id, effect.act))
        refused = [each.why for each in wanted if isinstance(each, calibration.Refused)]
        if not refused:
            return [*wanted]
        return [*self._tell(NotPublished(effect.sensor, effect.set_id, refused[0], self._clock.now()))]

    def _revert(self, effect: Revert) -> Following:
        tracker = self._calibrate.trackers.get(effect.sensor)
        if tracker is None:
            return [*self._not_reverted(effect, "the sensor is not calibrated any more")]
        try:
            to = self._registry.coefficient_set(effect.to_id).coefficients
        except NotFound as error:
            return [*self._not_reverted(effect, str(error))]
        now = tracker.releases.in_force
        if now is not None and _is(now.coefficients, to):  # its edge went back by itself, or it was done before a kill
            made = RevertMade(effect.sensor, effect.set_id, now.coefficients.id, self._clock.now())
            return [_again(tracker), *self._tell(made)]
        wanted = self._calibrate.handle(calibration.Restore(effect.sensor, to, effect.act, instead_of=effect.set_id))
        for each in wanted:
            if isinstance(each, calibration.Refused):
                return [*self._not_reverted(effect, each.why)]
        back = next(each.coefficients.id for each in wanted if isinstance(each, calibration.AddSet))
        return [*wanted, *self._tell(RevertMade(effect.sensor, effect.set_id, back, self._clock.now()))]

    def _not_reverted(self, effect: Revert, why: str) -> list[RolloutEffect]:
        return self._tell(RevertMade(effect.sensor, effect.set_id, "", self._clock.now(), why))

    def _tell(self, event: Event) -> list[RolloutEffect]:
        return [effect for changes in self.engine.handle(event) for effect in self._effects(changes.of, changes)]

    def flush(self) -> list[RolloutWrite]:
        """Return what is still to be written, before messages are acknowledged that it came from."""
        writes = list(self._put_off.values())
        self._put_off.clear()
        return writes

    def _effects(self, rollout: str, changes: Changes, answer: Answer | None = None) -> Iterator[RolloutEffect]:
        if changes.kept or answer is not None:
            write = RolloutWrite(
                rollout, changes.rollout, tuple(changes.members.values()), tuple(changes.moves), answer
            )
            write = _both(self._put_off.pop(rollout, None), write)
            if changes.acts or answer is not None:
                yield write
            else:  # edges answer in crowds: one transaction for many
                self._put_off[rollout] = write
        yield from changes.acts

    def _hold(self) -> None:
        """Keep the calibration engine from replacing sets that are in the hands of a rollout."""
        held = {sensor for run in self.engine.runs.values() for sensor in run.members if run.wants(sensor)}
        for sensor, tracker in self._calibrate.trackers.items():
            tracker.adjuster.held = sensor in held


def _both(first: RolloutWrite | None, then: RolloutWrite) -> RolloutWrite:
    if first is None:
        return then
    members = {member.sensor: member for member in (*first.members, *then.members)}
    moves = (*first.moves, *then.moves)
    return RolloutWrite(then.id, then.rollout or first.rollout, tuple(members.values()), moves, then.answer)


def _refused(order: Order, why: str) -> calibration.Refused:
    return calibration.Refused(order.id, SensorId(""), order.subject, why)


def _in_force(tracker: Tracker) -> str:
    now = tracker.releases.in_force
    return "" if now is None else now.coefficients.id


def _is(now: CoefficientSet, to: CoefficientSet) -> bool:
    return to.id in (now.id, now.restores) or (to.restores is not None and to.restores in (now.id, now.restores))


def _again(tracker: Tracker) -> calibration.SendDesired:
    return calibration.SendDesired(EdgeAddress(tracker.sensor.site, tracker.sensor.edge), tracker.sensor.id)
