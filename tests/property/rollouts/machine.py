"""The rollout engine against a plant of edges that come and go, refuse, go back, fail, and a program that is killed.

In full: ``python -m tests.property.rollouts.machine --steps 100000``; a short form runs with the tests.
"""

from __future__ import annotations

import argparse
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.rollouts import Arrangement, Member, MemberState, Residual, Rollout, RolloutPlan, RolloutState, Stage
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from services.calibrate.rollout.arrange import group_of
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
    Reported,
    ResidualFound,
    Restored,
    RevertMade,
    Tick,
    Verb,
)

N_EDGES, PER_EDGE = 6, 3
OURS = (MemberState.PUBLISHED, MemberState.APPLIED, MemberState.NORMAL)
LIMIT, GOOD, BAD = 1.0, 0.1, 1.5


class Edge:
    """An edge by its own rules: takes rising sequences, keeps the last but one, says what it did."""

    def __init__(self, name: EdgeId) -> None:
        self.name, self.online = name, True
        self.sets: dict[SensorId, list[tuple[int, str]]] = {}
        self.desired: dict[SensorId, tuple[int, str]] = {}
        self.told: dict[SensorId, Report] = {}

    def runs(self, sensor: SensorId) -> str:
        return self.sets[sensor][-1][1]

    def tell(self, sensor: SensorId, set_id: str, sequence: int, outcome: Outcome) -> None:
        running = self.runs(sensor)
        self.told[sensor] = Report(sensor, set_id, sequence, outcome, InstantNs(0), "said so", running)


class RolloutMachine(RuleBasedStateMachine):
    n_steps: ClassVar[int] = 0

    @initialize(
        shares=st.sampled_from([(1.0,), (0.1, 1.0), (0.06, 0.2, 0.5, 1.0)]),
        abort_share=st.sampled_from([0.0, 0.2, 1.0]),
        arrangement=st.sampled_from(Arrangement),
        needs_residual=st.booleans(),
    )
    def begin(
        self, shares: tuple[float, ...], abort_share: float, arrangement: Arrangement, needs_residual: bool
    ) -> None:
        self.now = 1_000
        self.engine = RolloutEngine()
        self.edges = {name: Edge(name) for name in (EdgeId(f"e{k}") for k in range(N_EDGES))}
        self.gone: set[SensorId] = set()  # sets that do not wait any more
        self.backs: dict[SensorId, str] = {}
        self.place: dict[SensorId, EdgeId] = {}  # of those that have moved
        self.later: set[SensorId] = set()  # left the set once the rollout was over
        self.sequence = dict.fromkeys((SensorId(f"s{e}-{k}") for e in range(N_EDGES) for k in range(PER_EDGE)), 2)
        self.rollout: Rollout | None = None
        self.kept: dict[SensorId, Member] = {}
        self.plan = RolloutPlan(
            tuple(Stage(share, 20.0) for share in shares),
            0.9,
            abort_share,
            2.0,
            10.0,
            100.0,
            arrangement,
            needs_residual,
        )
        members = []
        for k, sensor in enumerate(self.sequence):
            edge = EdgeId(f"e{k // PER_EDGE}")
            self.edges[edge].sets[sensor] = [(1, f"{sensor}.1")]
            members.append(
                Member(
                    sensor, edge, SensorId(f"r{k % 4}"), ModelKind.FIRST_ORDER, 0, f"{sensor}.2", 2, f"{sensor}.1",
                    InstantNs(0),
                )
            )  # fmt: skip
        for edge in self.edges:
            self.tell(EdgeSeen(edge, online=True, now_ns=self.at()))
        self.tell(Begin("r", "t", self.plan, tuple(members), "who", "because", self.at()))

    def at(self) -> InstantNs:
        return InstantNs(self.now * NS_PER_S)

    def tell(self, event: Event, *, die: bool = False) -> str:
        """Tell the engine; keep what is to be kept, then do what is to be done, as the service does."""
        RolloutMachine.n_steps += 1
        refusal = ""
        for changes in self.engine.handle(event):
            self.keep(changes)
            refusal = refusal or changes.refusal
            if not die:
                self.do(changes)
        if die:
            self.restart()
        return refusal

    def keep(self, changes: Changes) -> None:
        if changes.rollout is not None:
            self.rollout = changes.rollout
        self.kept.update(changes.members)
        state = self.rollout.state if self.rollout else RolloutState.RUNNING
        for act in changes.acts:
            if isinstance(act, Publish) and not self.restoring:
                assert state is RolloutState.RUNNING

    restoring = False

    def do(self, changes: Changes) -> None:
        for act in changes.acts:
            member = self.kept[act.sensor]
            edge = self.edge_of(act.sensor)
            if isinstance(act, Publish):
                assert member.state in OURS or self.restoring
                if act.sensor in self.gone:
                    self.tell(NotPublished(act.sensor, act.set_id, "gone", self.at()))
                elif edge.desired.get(act.sensor, (0, ""))[0] < 2:
                    edge.desired[act.sensor] = (2, act.set_id)
            else:
                assert act.to_id == f"{act.sensor}.1"
                if act.sensor not in self.backs:
                    self.sequence[act.sensor] += 1
                    self.backs[act.sensor] = f"{act.sensor}.back"
                    edge.desired[act.sensor] = (self.sequence[act.sensor], self.backs[act.sensor])
                self.tell(RevertMade(act.sensor, act.set_id, self.backs[act.sensor], self.at()))

    def restart(self) -> None:
        """Be killed: go on from what was kept."""
        self.engine = RolloutEngine()
        unfinished = self.rollout is not None and (
            not self.rollout.over or any(m.state is MemberState.REVERTING for m in self.kept.values())
        )
        if unfinished and self.rollout is not None:
            self.restoring = True
            self.tell(Restored(((self.rollout, tuple(self.kept.values())),), self.at()))
            for sensor, place in self.place.items():
                self.tell(Moved(sensor, place, self.at()))
            self.restoring = False
        for edge in self.edges.values():
            self.tell(EdgeSeen(edge.name, edge.online, self.at()))
            if edge.online:
                for report in list(edge.told.values()):  # retained
                    self.tell(Reported(edge.name, report, self.at()))

    # What happens ------------------------------------------------------------------------------------------------

    sensors = st.sampled_from([f"s{e}-{k}" for e in range(N_EDGES) for k in range(PER_EDGE)]).map(SensorId)

    edge_names = st.sampled_from([f"e{k}" for k in range(N_EDGES)]).map(EdgeId)
    deaths = st.sampled_from([False] * 5 + [True])

    def edge_of(self, sensor: SensorId) -> Edge:
        return self.edges[self.place.get(sensor, EdgeId("e" + sensor[1]))]

    @rule(sensor=sensors, to=edge_names, die=deaths)
    def move(self, sensor: SensorId, to: EdgeId, die: bool) -> None:
        """Let a sensor belong to another edge, which runs the set of before and is offered what is in force."""
        before, edge = self.edge_of(sensor), self.edges[to]
        if edge is before or self.plan.arrangement is not Arrangement.SPREAD:
            return
        edge.sets[sensor] = [(1, f"{sensor}.1")]
        if sensor in before.desired:
            edge.desired[sensor] = before.desired.pop(sensor)
        for kept in (before.sets, before.told, edge.told):
            kept.pop(sensor, None)
        self.place[sensor] = to
        self.tell(Moved(sensor, to, self.at()), die=die)

    @rule(span=st.sampled_from([0, 1, 3, 11, 21, 40, 120]), die=deaths)
    def tick(self, span: int, die: bool) -> None:
        self.now += span
        self.tell(Tick(self.at()), die=die)

    @rule(back=st.sampled_from([1, 50]))
    def clock_back(self, back: int) -> None:
        self.now = max(self.now - back, 1)

    @rule(
        edge=st.sampled_from([f"e{k}" for k in range(N_EDGES)]).map(EdgeId), online=st.sampled_from([True, True, False])
    )
    def come_or_go(self, edge: EdgeId, online: bool) -> None:
        self.edges[edge].online = online
        self.tell(EdgeSeen(edge, online, self.at()))

    @rule(
        sensor=sensors,
        how=st.sampled_from(["apply"] * 6 + ["reject", "foreign"]),
        die=st.sampled_from([False] * 5 + [True]),
    )
    def answer(self, sensor: SensorId, how: str, die: bool) -> None:
        edge = self.edge_of(sensor)
        if not edge.online:
            return
        if how == "foreign":
            wrong = Report(sensor, f"{sensor}.2", 2, Outcome.REJECTED, InstantNs(0))
            before = self.kept[sensor]
            self.tell(Reported(EdgeId("e9"), wrong, self.at()))
            assert self.kept[sensor] == before
            return
        self.take_up(edge, sensor, refuse=how == "reject")
        if sensor in edge.told:
            self.tell(Reported(edge.name, edge.told[sensor], self.at()), die=die)

    def take_up(self, edge: Edge, sensor: SensorId, *, refuse: bool = False) -> None:
        number, name = edge.desired.get(sensor, (0, ""))
        if number <= edge.sets[sensor][-1][0] or (edge.told.get(sensor, None) and edge.told[sensor].sequence >= number):
            return
        if refuse and number == 2:
            edge.tell(sensor, name, number, Outcome.REJECTED)
        else:
            edge.sets[sensor].append((number, name))
            edge.tell(sensor, name, number, Outcome.APPLIED)

    @rule(sensor=sensors)
    def go_back(self, sensor: SensorId) -> None:
        """Let an edge go back by itself from the set of the rollout."""
        edge = self.edge_of(sensor)
        if edge.online and edge.runs(sensor) == f"{sensor}.2":
            edge.sets[sensor].pop()
            if self.rollout is None or self.rollout.over:
                self.later.add(sensor)
            edge.tell(sensor, f"{sensor}.2", 2, Outcome.REVERTED)
            self.tell(Reported(edge.name, edge.told[sensor], self.at()))

    @rule(sensor=sensors, rms=st.sampled_from([GOOD] * 6 + [BAD, 0.5]), n=st.sampled_from([1.0, 20.0]))
    def residual(self, sensor: SensorId, rms: float, n: float) -> None:
        edge = self.edge_of(sensor)
        if edge.online:
            running = edge.runs(sensor)
            found = Residual(rms if running.endswith(".2") else GOOD, LIMIT, n)
            self.tell(ResidualFound(edge.name, sensor, running, found, self.at()))

    @rule(which=st.integers(0, 20), rms=st.sampled_from([BAD, 0.5, GOOD]))
    def trouble(self, which: int, rms: float) -> None:
        """Let a sensor that has got its set, where there is one, report so."""
        there = [s for s, m in self.kept.items() if m.state in OURS and self.edge_of(s).runs(s) == m.set_id]
        if there:
            self.residual(there[which % len(there)], rms, 20.0)

    @rule(n=st.integers(1, 6))
    def all_well(self, n: int) -> None:
        """Let every edge that is there answer, and find nothing wrong."""
        for sensor in list(self.sequence):
            self.answer(sensor, "apply", die=False)
            for _ in range(n):
                self.residual(sensor, GOOD, 5.0)

    @rule(sensor=sensors)
    def replaced(self, sensor: SensorId) -> None:
        """Let a set wait no longer."""
        if self.kept[sensor].state is MemberState.WAITING:
            self.gone.add(sensor)

    @rule(verb=st.sampled_from(Verb), accept=st.booleans(), really=st.integers(0, 3))
    def command(self, verb: Verb, accept: bool, really: int) -> None:
        if verb is Verb.ABORT and really:
            return
        assert self.rollout is not None
        before = self.rollout.state
        refusal = self.tell(Commanded("r", verb, "who", "because", self.at(), accept))
        wanted = {
            Verb.PAUSE: (RolloutState.RUNNING,),
            Verb.RESUME: (RolloutState.PAUSED,),
            Verb.ABORT: (RolloutState.RUNNING, RolloutState.PAUSED),
        }[verb]
        assert (refusal == "") == (before in wanted)

    # What must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def what_is_kept_is_what_goes_on(self) -> None:
        if self.rollout is None:
            return
        run = self.engine.runs.get("r")
        if run is None:
            assert self.rollout.over
            return
        assert run.rollout == self.rollout
        kept = sorted(self.kept.values(), key=lambda m: m.position)
        assert [_essence(m) for m in run.members.values()] == [_essence(m) for m in kept]

    @invariant()
    def no_more_than_the_stage_allows_are_touched(self) -> None:
        if self.rollout is None:
            return
        touched = [m for m in self.kept.values() if m.stage is not None]
        target = self.plan.target(self.rollout.stage, self.rollout.n_members)
        if self.plan.arrangement is Arrangement.SPREAD:
            assert len(touched) <= target
        else:
            groups = {group_of(m, self.plan.arrangement) for m in touched}
            assert len(touched) <= target or len(groups) == 1

    @invariant()
    def what_was_not_touched_is_as_it_was(self) -> None:
        for sensor, member in self.kept.items():
            if member.stage is None:
                assert self.edge_of(sensor).runs(sensor) == f"{sensor}.1"

    @invariant()
    def too_many_failures_abort(self) -> None:
        if self.rollout is None or self.rollout.state in (RolloutState.ABORTING, RolloutState.ABORTED):
            return
        touched = [m for m in self.kept.values() if m.stage is not None]
        failed = sum(m.failure is not None for m in touched)
        assert failed <= self.plan.abort_share * len(touched)

    def teardown(self) -> None:
        """With all edges back and well it comes to an end, or to people; aborted, all run what they ran before."""
        if self.rollout is None:
            return
        for edge in self.edges.values():
            self.come_or_go(edge.name, online=True)
        for _ in range(60):
            self.tick(12, die=False)
            self.all_well(1)
            if self.rollout.over and not any(m.state is MemberState.REVERTING for m in self.kept.values()):
                break
        assert self.rollout.over or self.rollout.state is RolloutState.PAUSED
        for sensor, member in self.kept.items():
            runs = self.edge_of(sensor).runs(sensor)
            if self.rollout.state is RolloutState.ABORTED or member.failure is not None:
                assert runs in (f"{sensor}.1", f"{sensor}.back"), (member, runs)
            if self.rollout.state is RolloutState.ABORTED:
                assert member.state in (MemberState.WAITING, MemberState.REVERTED, MemberState.LEFT_OUT)
            if (
                self.rollout.state is RolloutState.COMPLETED
                and member.state is MemberState.NORMAL
                and sensor not in self.later
            ):
                assert runs == f"{sensor}.2"


def _essence(m: Member) -> tuple[object, ...]:
    return m.sensor, m.state, m.stage, m.failure, m.back_id


def run(n_steps: int) -> int:
    """Run about `n_steps` rules; return how many events the engine was told."""
    RolloutMachine.n_steps = 0
    chosen = settings(
        max_examples=max(n_steps // 50, 1), stateful_step_count=50, deadline=None, derandomize=n_steps <= 5000,
        suppress_health_check=list(HealthCheck), database=None,
    )  # fmt: skip
    run_state_machine_as_test(RolloutMachine, settings=chosen)
    return RolloutMachine.n_steps


def main() -> None:
    """Run in full."""
    parser = argparse.ArgumentParser(prog="python -m tests.property.rollouts.machine", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    print(f"{run(parser.parse_args().steps)} events")  # noqa: T201


if __name__ == "__main__":
    main()
