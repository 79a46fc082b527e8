"""Members of rollouts, and an engine that is told the time."""

from __future__ import annotations

from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.rollouts import Member, Residual, RolloutPlan, Stage
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from services.calibrate.rollout.engine import RolloutEngine
from services.calibrate.rollout.events import (
    Begin,
    Changes,
    Commanded,
    EdgeSeen,
    Event,
    Publish,
    Reported,
    ResidualFound,
    Revert,
    Tick,
    Verb,
)

PLAN = RolloutPlan((Stage(0.1, 20.0), Stage(1.0, 20.0)), answer_s=10.0, offline_s=100.0)


def member(k: int, *, edge: str = "", reference: str = "r", model: ModelKind = ModelKind.FIRST_ORDER) -> Member:
    name = SensorId(f"s{k:03}")
    at = InstantNs(0)
    return Member(name, EdgeId(edge or f"e{k:03}"), SensorId(reference), model, 0, f"{name}.2", 2, f"{name}.1", at)


class Story:
    """An engine with one rollout ``r`` of `n` sensors, `per_edge` of them on an edge, all online."""

    def __init__(self, n: int = 20, plan: RolloutPlan = PLAN, *, per_edge: int = 1) -> None:
        self.now_s = 1000.0
        self.engine = RolloutEngine()
        self.members = [member(k, edge=f"e{k // per_edge:03}") for k in range(n)]
        for m in self.members:
            self.tell(EdgeSeen(m.edge, online=True, now_ns=self.at))
        self.plan = plan
        self.published: list[SensorId] = []
        self.reverts: list[Revert] = []
        self.tell(Begin("r", "title", plan, tuple(self.members), "ann", "new filters", self.at))

    @property
    def at(self) -> InstantNs:
        return InstantNs(round(self.now_s * NS_PER_S))

    def tell(self, event: Event) -> list[Changes]:
        told = self.engine.handle(event)
        for changes in told:
            self.published += [act.sensor for act in changes.acts if isinstance(act, Publish)]
            self.reverts += [act for act in changes.acts if isinstance(act, Revert)]
        return told

    def wait(self, span_s: float) -> list[Changes]:
        self.now_s += span_s
        return self.tell(Tick(self.at))

    def report(self, sensor: SensorId, outcome: Outcome = Outcome.APPLIED, reason: str = "") -> list[Changes]:
        found = self.of(sensor)
        return self.tell(Reported(found.edge, Report(sensor, found.set_id, 2, outcome, self.at, reason), self.at))

    def residual(self, sensor: SensorId, rms: float, n: float = 20, *, before: bool = False) -> list[Changes]:
        found = self.of(sensor)
        set_id = found.before_id if before else found.set_id
        return self.tell(ResidualFound(found.edge, sensor, set_id, Residual(rms, 1.0, n), self.at))

    def well(self) -> None:
        """Let all that were published be applied, and be found normal."""
        for sensor in self.published:
            self.report(sensor)
            self.residual(sensor, 0.1)

    def command(self, verb: Verb, *, accept: bool = False) -> str:
        return self.tell(Commanded("r", verb, "ben", "said so", self.at, accept))[0].refusal

    def of(self, sensor: SensorId) -> Member:
        run = self.engine.runs.get("r")
        return next(m for m in (run.members.values() if run else self.members) if m.sensor == sensor)

    @property
    def state(self) -> str:
        return self.engine.runs["r"].rollout.state if "r" in self.engine.runs else "over"
