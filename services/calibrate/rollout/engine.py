"""The rollout engine: all rollouts that go on. Events in, what is to be kept and done out; no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from dyncal.domain.rollouts import MAX_MEMBERS, Rollout, RolloutState
from dyncal.domain.sensors import SensorId
from dyncal.ports.records import Act
from services.calibrate.events import ACTOR
from services.calibrate.rollout.arrange import arranged
from services.calibrate.rollout.edges import Edges
from services.calibrate.rollout.events import (
    Begin,
    Changes,
    Commanded,
    EdgeSeen,
    Event,
    Moved,
    NotPublished,
    Renewed,
    Reported,
    ResidualFound,
    Restored,
    RevertMade,
    Tick,
    Verb,
)
from services.calibrate.rollout.judge import ResidualBook
from services.calibrate.rollout.run import RolloutRun

_OfASensor = Reported | ResidualFound | NotPublished | RevertMade | Renewed | Moved


class RolloutEngine:
    """Carries rollouts on. `handle` is to be called from one thread at a time."""

    def __init__(self) -> None:
        self._edges = Edges()
        self._residuals = ResidualBook()
        self._runs: dict[str, RolloutRun] = {}
        self._by_sensor: dict[SensorId, list[RolloutRun]] = {}

    @property
    def runs(self) -> Mapping[str, RolloutRun]:
        """The rollouts that go on, or revert, by id."""
        return self._runs

    def handle(self, event: Event) -> list[Changes]:
        """Take in what happened; return what is to be kept, and then done, for each rollout that it concerns."""
        found = [changes for changes in self._handle(event) if changes.kept or changes.acts or changes.refusal]
        for run in [run for run in self._runs.values() if run.finished]:
            self._forget(run)
        return found

    def _handle(self, event: Event) -> Iterator[Changes]:
        match event:
            case Restored():
                for rollout, members in event.rollouts:
                    run = RolloutRun(rollout, members, self._edges, self._residuals)
                    self._know(run)
                    run.repeat(event.now_ns)
                    yield _emptied(run)
            case Begin():
                yield self._begin(event)
            case Commanded():
                yield self._command(event)
            case EdgeSeen():
                self._edges.see(event.edge, event.now_ns, online=event.online)
            case Tick():
                for run in list(self._runs.values()):
                    run.tick(event.now_ns)
                    yield _emptied(run)
            case Reported() | ResidualFound() | NotPublished() | RevertMade() | Renewed() | Moved():
                yield from self._of_a_sensor(event)
            case _:
                assert_never(event)

    def _of_a_sensor(self, event: _OfASensor) -> Iterator[Changes]:
        if isinstance(event, ResidualFound):
            known = self._residuals.add(event.sensor, event.set_id, event.found)
            for run in self._of(event.sensor):
                run.residual(event.edge, event.sensor, event.set_id, known, event.now_ns)
                yield _emptied(run)
            return
        for run in self._of(event.report.sensor if isinstance(event, Reported) else event.sensor):
            _tell(run, event)
            yield _emptied(run)

    def _begin(self, event: Begin) -> Changes:
        if event.rollout in self._runs:
            return Changes(refusal=f"there is a rollout {event.rollout} already")
        if not 1 <= len(event.members) <= MAX_MEMBERS:
            return Changes(refusal=f"a rollout is of 1 to {MAX_MEMBERS} sensors, not of {len(event.members)}")
        taken = [m.sensor for m in event.members if any(run.wants(m.sensor) for run in self._of(m.sensor))]
        if taken:
            return Changes(refusal=f"in another rollout: {', '.join(taken[:5])}{' …' if len(taken) > 5 else ''}")
        members = arranged(event.members, event.plan.arrangement, event.rollout)
        rollout = Rollout(
            id=event.rollout,
            title=event.title,
            plan=event.plan,
            actor=event.actor,
            state=RolloutState.RUNNING,
            reason=event.reason,
            n_members=len(members),
            begun_ns=event.now_ns,
            changed_ns=event.now_ns,
            stage_ns=event.now_ns,
        )
        run = RolloutRun(rollout, members, self._edges, self._residuals)
        self._know(run)
        run.begin(event.reason, event.now_ns)
        return _emptied(run)

    def _command(self, event: Commanded) -> Changes:
        run = self._runs.get(event.rollout)
        if run is None:
            return Changes(refusal=f"no rollout {event.rollout} goes on")
        act = Act(event.actor, event.now_ns, event.reason)
        match event.verb:
            case Verb.PAUSE:
                refusal = run.pause(act)
            case Verb.RESUME:
                refusal = run.resume(act, accept=event.accept)
            case Verb.ABORT:
                refusal = run.abort(act)
        changes = _emptied(run)
        changes.refusal = refusal
        return changes

    def holds(self, sensor: SensorId) -> bool:
        """Tell whether a sensor is in the hands of a rollout: nobody else is to give it sets."""
        return any(run.wants(sensor) for run in self._of(sensor))

    def _of(self, sensor: SensorId) -> list[RolloutRun]:
        return self._by_sensor.get(sensor, [])

    def _know(self, run: RolloutRun) -> None:
        self._runs[run.rollout.id] = run
        for sensor in run.members:
            self._by_sensor.setdefault(sensor, []).append(run)

    def _forget(self, run: RolloutRun) -> None:
        del self._runs[run.rollout.id]
        for sensor in run.members:
            rest = [other for other in self._by_sensor[sensor] if other is not run]
            if rest:
                self._by_sensor[sensor] = rest
            else:
                del self._by_sensor[sensor]


def _tell(run: RolloutRun, event: Reported | NotPublished | RevertMade | Renewed | Moved) -> None:
    match event:
        case Reported():
            run.reported(event.edge, event.report, event.now_ns)
        case NotPublished():
            run.not_published(event.sensor, event.set_id, Act(ACTOR, event.now_ns, event.why))
        case RevertMade():
            run.reverted(event.sensor, event.set_id, event.back_id, Act(ACTOR, event.now_ns, event.why))
        case Renewed():
            run.renewed(event.sensor, event.old_id, event.set_id, event.sequence, event.now_ns)
        case Moved():
            run.moved(event.sensor, event.edge, event.now_ns)


def _emptied(run: RolloutRun) -> Changes:
    changes, run.changes = run.changes, Changes(run.rollout.id)
    return changes
