"""The alarm engine against the model, step by step.

In full: ``python -m tests.property.alarms.machine --steps 100000``; a short form runs with the tests.
"""

from __future__ import annotations

import argparse
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.alarms.engine import AlarmEngine
from dyncal.alarms.events import (
    Answered,
    Changed,
    Command,
    Completed,
    Defined,
    Effect,
    Event,
    FloodEnded,
    Ordered,
    Reported,
    Tick,
    Verb,
)
from dyncal.alarms.flood import Flood, FloodSettings
from dyncal.alarms.stored import dump, load_state
from dyncal.domain.alarms import AlarmKind, Annunciation, Condition, Priority
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import DurationNs, InstantNs
from tests.property.alarms.model import Def, Model

RANKS = (Priority.LOW, Priority.MEDIUM, Priority.HIGH)
FLOODS = FloodSettings(n_operators=1.5, begin=2, end=1, keeps=Priority.HIGH, window_ns=DurationNs(60))
OFFLINE = AlarmKind.EDGE_OFFLINE.value
DEFS = {
    AlarmKind.DRIFT: Def(1, off=7, latching=True, dead_band=0.25),
    AlarmKind.OUT_OF_TOLERANCE: Def(2, re_alarm=20),
    AlarmKind.REFERENCE_LOST: Def(0, on=5, off=3, by=(OFFLINE,)),
    AlarmKind.SOURCE_SILENT: Def(1, re_alarm=11, latching=True, longest=0, by=(OFFLINE, AlarmKind.SPOOL_FILLING.value)),
    AlarmKind.EDGE_OFFLINE: Def(2, on=2, off=4),
    AlarmKind.SPOOL_FILLING: Def(0),
}
SOURCES = [(f"s{k}", kind, f"e{k % 2}") for k in range(3) for kind in list(DEFS)[:4]] + [
    (f"e{k}", kind, f"e{k}") for k in range(2) for kind in list(DEFS)[4:]
]
IDS = [f"{source}:{kind}" for source, kind, _ in SOURCES]
SPANS = st.sampled_from([0, 0, 1, 2, 3, 5, 8, 13, 30, 61])
values = st.one_of(st.none(), st.sampled_from([0.0, 0.7, 0.75, 0.76, 1.0, -0.9, 2.0]))


def definition(d: Def) -> Definition:
    return Definition(
        RANKS[d.rank], on_delay_ns=DurationNs(d.on), off_delay_ns=DurationNs(d.off), dead_band=d.dead_band,
        latching=d.latching, re_alarm_ns=DurationNs(d.re_alarm), max_shelving_ns=DurationNs(d.longest),
        suppressed_by=tuple(AlarmKind(name) for name in d.by),
    )  # fmt: skip


class AlarmMachine(RuleBasedStateMachine):
    """One engine is told the time and is restored now and then, a second one is neither; the model knows both."""

    n_steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.engine, self.seldom = AlarmEngine(FLOODS), AlarmEngine(FLOODS)
        self.model = Model(
            {kind.value: d for kind, d in DEFS.items()}, begin=3, end=2, window=60, keeps=Priority.HIGH.rank
        )
        self.told: list[tuple[int, str, bool]] = []
        self.ended: list[Flood] = []
        self.stream: list[Effect] = []
        self.stream_seldom: list[Effect] = []
        for kind, d in DEFS.items():
            self.both(Defined(kind, definition(d), "test", "", InstantNs(0)))

    def both(self, event: Event) -> list[Effect]:
        AlarmMachine.n_steps += 1
        effects = self.engine.handle(event)
        self.stream += effects
        if not isinstance(event, Tick):
            self.stream_seldom += self.seldom.handle(event)
        for effect in effects:
            if isinstance(effect, Changed) and effect.annunciated is not Annunciation.NONE:
                held = effect.annunciated is Annunciation.HELD_BACK
                self.told.append((effect.at_ns, effect.alarm.id, held))
            elif isinstance(effect, FloodEnded):
                self.ended.append(effect.flood)
        return effects

    def wait(self, span: int) -> InstantNs:
        self.now += span
        self.model.go(self.now)
        return InstantNs(self.now)

    @rule(which=st.sampled_from(SOURCES), holds=st.booleans(), span=SPANS, late=SPANS, value=values)
    def report(self, which: tuple[str, AlarmKind, str], holds: bool, span: int, late: int, value: float | None) -> None:
        source, kind, edge = which
        now, limit = self.wait(span), 1.0
        since = InstantNs(now - late)
        condition = Condition(SiteId("p"), source, kind, holds, since, edge, value=value, limit=limit)
        self.both(Reported(condition, "test", now))
        self.model.report(condition.id, kind.value, edge, holds, since, value, limit)

    @rule(kinds=st.sets(st.sampled_from(list(DEFS))), holding=st.sets(st.sampled_from(IDS)), span=SPANS, late=SPANS)
    def complete(self, kinds: set[AlarmKind], holding: set[str], span: int, late: int) -> None:
        now = self.wait(span)
        said = InstantNs(now - late)
        self.both(Completed("test", kinds, holding, said, now))
        self.model.complete({kind.value for kind in kinds}, holding, said)

    @rule(
        verb=st.sampled_from(Verb), name=st.sampled_from(IDS), span=SPANS, length=st.sampled_from([0, 1, 10, 100, 101]),
        reason=st.sampled_from(["", "because", "because"]), rule=st.sampled_from(["manual", "cleaning"]),
    )  # fmt: skip
    def order(self, verb: Verb, name: str, span: int, length: int, reason: str, rule: str) -> None:
        now = self.wait(span)
        effects = self.both(Ordered(Command(verb, name, "who", reason, DurationNs(length), rule), now))
        (answer,) = [effect for effect in effects if isinstance(effect, Answered)]
        assert (answer.refusal or "") == self.model.command(verb.value, name, reason, length, rule)

    @rule(names=st.lists(st.sampled_from(IDS), min_size=3, max_size=12))
    def storm(self, names: list[str]) -> None:
        """Let many conditions begin, and what is open be acknowledged, at one instant."""
        for source, kind, edge in SOURCES:
            if f"{source}:{kind}" in names:
                self.report((source, kind, edge), holds=True, span=0, late=60, value=None)
        for name in names:
            self.order(Verb.ACKNOWLEDGE, name, 0, 0, "", "manual")

    @rule(span=SPANS)
    def tick(self, span: int) -> None:
        self.both(Tick(self.wait(span)))

    @rule()
    def restart(self) -> None:
        self.engine = AlarmEngine(FLOODS, load_state(dump(self.engine.state())))

    @invariant()
    def they_agree(self) -> None:
        engine, model = self.engine, self.model
        assert self.told == [entry for entry in model.log if entry[0] <= engine.now_ns][: len(model.log)]
        if engine.now_ns != model.now:
            return  # only the model has been told the time so far
        assert {alarm.id for alarm in engine.alarms} == set(model.cases)
        for alarm in engine.alarms:
            case = model.cases[alarm.id]
            assert _seen(alarm) == (
                case.shown, case.active, not case.open, case.latch, case.told if case.open else None, case.shelf,
                tuple(sorted(case.rules)), case.out, case.again, case.due,
            ), alarm.id  # fmt: skip
        over = [f for f in model.floods if f["to"] is not None]
        assert [(f.began_ns, f.ended_ns, f.n_alarms, list(f.n_held)) for f in self.ended] == [
            (f["from"], f["to"], f["n"], f["held"]) for f in over
        ]
        flood = None if engine.flood is None else (engine.flood.began_ns, engine.flood.n_alarms, [*engine.flood.n_held])
        assert flood == (None if model.flood is None else (model.flood["from"], model.flood["n"], model.flood["held"]))

    def teardown(self) -> None:
        """Whatever it was told of time, the second engine has come to the same."""
        self.both(Tick(InstantNs(self.now)))
        self.stream_seldom += self.seldom.handle(Tick(InstantNs(self.now)))
        assert self.stream == self.stream_seldom
        assert self.seldom.state() == self.engine.state()


def _seen(alarm: Alarm) -> tuple[object, ...]:
    told = None if alarm.acknowledged else alarm.annunciation is not Annunciation.NONE
    return (
        alarm.state.value, alarm.active, alarm.acknowledged, alarm.latched, told, alarm.shelved_until_ns,
        alarm.suppressed_by, alarm.out_of_service, alarm.re_alarm_ns, alarm.due_ns,
    )  # fmt: skip


def run(n_steps: int) -> int:
    """Run about `n_steps` steps; return how many events the engine was told."""
    AlarmMachine.n_steps = 0
    chosen = settings(
        max_examples=max(n_steps // 50, 1), stateful_step_count=50, deadline=None, derandomize=n_steps <= 5000,
        suppress_health_check=list(HealthCheck), database=None,
    )  # fmt: skip
    run_state_machine_as_test(AlarmMachine, settings=chosen)
    return AlarmMachine.n_steps


def main() -> None:
    """Run in full."""
    parser = argparse.ArgumentParser(prog="python -m tests.property.alarms.machine", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    print(f"{run(parser.parse_args().steps)} events")  # noqa: T201


if __name__ == "__main__":
    main()
