"""The clock's service: who is asked, who is told, and what becomes of blocks and their uncertainty."""

from __future__ import annotations

import dataclasses

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from dyncal.domain.samples import SampleBlock
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.runtime.clocks import SimulatedClock
from edge_agent.clock.metrics import ClockCollector
from edge_agent.clock.reading import Reading, Unreadable
from edge_agent.clock.service import ClockService
from edge_agent.clock.watch import ClockRules, ClockState
from edge_agent.events import ClockTold, DesiredSet, Drain, Kind, Notice
from tests.unit.edge_agent.helpers import SENSOR, T0, coefficient_set, config, engine, envelope, read, records, times

RULES = ClockRules(declared_ns=None, unknown_ns=1e9, limit_ns=1e7, holdover=10e-6)


class Told:
    """A source that says what it is told to."""

    def __init__(self, name: str, says: Reading | Unreadable | None) -> None:
        self.name, self.says = name, says

    async def read(self) -> Reading | None:
        if isinstance(self.says, Unreadable):
            raise self.says
        return self.says


class Scene:
    def __init__(self, *sources: Told, rules: ClockRules = RULES) -> None:
        self.clock = SimulatedClock()
        self.told: list[ClockTold] = []
        self.notices: list[Notice] = []
        self.n_changed = 0
        self.service = ClockService(
            sources,
            rules,
            self.clock,
            interval_s=16.0,
            take=self.told.append,
            notice=self.notices.append,
            changed=self._changed,
        )

    def _changed(self) -> None:
        self.n_changed += 1

    async def after(self, seconds: float) -> None:
        self.clock.advance(DurationNs(round(seconds * NS_PER_S)))
        self.service._watch.told(await self.service.ask(), self.clock.monotonic_s())
        self.service.look()


async def test_the_first_that_is_synchronised_counts() -> None:
    scene = Scene(
        Told("ptp", None),
        Told("chrony", Unreadable("nonsense")),
        Told("ntpd", Reading("ntpd", synchronised=False)),
        Told("kernel", Reading("kernel", 5.0, 1000.0)),
    )
    await scene.service.begin()
    standing = scene.service.standing
    assert (standing.state, standing.source, standing.u_ns) == (ClockState.SYNCHRONISED, "kernel", 1000)
    assert set(scene.service.n_read) == {
        ("ptp", "absent"), ("chrony", "unreadable"), ("ntpd", "unsynchronised"), ("kernel", "synchronised"),
    }  # fmt: skip


async def test_a_clock_that_is_lost_and_found_is_told_once_each_and_its_uncertainty_again_and_again() -> None:
    source = Told("chrony", Reading("chrony", 0.0, 100_000.0, "192.0.2.1"))
    scene = Scene(source)
    await scene.service.begin()
    assert [told.u_ns for told in scene.told] == [100_000]
    source.says = None
    for _ in range(100):
        await scene.after(10.0)
    assert [notice.kind for notice in scene.notices] == [Kind.CLOCK_DOUBTFUL]
    assert "holdover by chrony (192.0.2.1)" in scene.notices[0].detail
    told = [each.u_ns for each in scene.told]
    assert told == sorted(told)
    assert told[-1] > 8_000_000  # 1000 s at 10e-6 are 10 ms
    assert scene.n_changed < 12  # each doubling, not each look
    source.says = Reading("chrony", 0.0, 100_000.0, "192.0.2.1")
    await scene.after(10.0)
    assert [notice.kind for notice in scene.notices] == [Kind.CLOCK_DOUBTFUL, Kind.CLOCK_GOOD]
    assert scene.told[-1].u_ns == 100_000


async def test_its_metrics() -> None:
    scene = Scene(Told("chrony", Reading("chrony", -2e6, 3e6)))
    await scene.service.begin()
    registry = CollectorRegistry()
    registry.register(ClockCollector(scene.service))
    text = generate_latest(registry).decode()
    assert "dyncal_edge_clock_uncertainty_seconds 0.003" in text
    assert "dyncal_edge_clock_offset_seconds -0.002" in text
    assert 'dyncal_edge_clock_state{state="synchronised"} 1.0' in text
    assert 'dyncal_edge_clock_source{source="chrony"} 1.0' in text


def blocks_with(own_clock: bool, u_ns: int) -> list[SampleBlock]:
    """What a stream makes of 200 samples by a set, after the clock is said to be good to `u_ns`."""
    of = dataclasses.replace(config(), own_clock=own_clock, u_t_ns=DurationNs(3_000_000))
    agent = engine(of)
    agent.handle(DesiredSet(SENSOR, envelope(coefficient_set()), T0))
    agent.handle(ClockTold(DurationNs(u_ns), T0))
    effects = agent.handle(read(times(200)))
    effects += agent.handle(Drain(InstantNs(int(times(200)[-1]))))
    return [record for record in records(effects) if isinstance(record, SampleBlock)]


def test_blocks_stamped_by_this_machine_bear_its_clock_and_their_corrected_values_are_wider_for_it() -> None:
    calm, wide = blocks_with(True, 0), blocks_with(True, 400_000_000)
    assert {block.u_t_ns for block in calm} == {3_000_000}
    assert {block.u_t_ns for block in wide} == {400_011_250}  # hypot of 3 ms and 400 ms, rounded up
    spans = [(a.corrected, b.corrected) for a, b in zip(calm, wide, strict=True)]
    for a, b in spans:
        assert a is not None
        assert b is not None
        assert np.array_equal(a.value, b.value, equal_nan=True)
    u_calm = np.concatenate([a.u for a, _ in spans if a is not None])
    u_wide = np.concatenate([b.u for _, b in spans if b is not None])
    # the signal is sin(2 t): its slope is up to 2 a second, so that 0.4 s are up to 0.8
    assert float(np.nanmax(u_wide)) > 0.6 > 10 * float(np.nanmedian(u_calm))


def test_sensors_with_a_clock_of_their_own_keep_what_is_declared_of_it() -> None:
    assert {block.u_t_ns for block in blocks_with(False, 400_000_000)} == {3_000_000}


def test_what_was_read_before_goes_out_with_the_uncertainty_that_held_then() -> None:
    agent = engine(dataclasses.replace(config(), own_clock=True))
    agent.handle(ClockTold(DurationNs(1000), T0))
    effects = agent.handle(read(times(5)))
    effects += agent.handle(ClockTold(DurationNs(5000), InstantNs(int(times(5)[-1]))))
    effects += agent.handle(read(times(5, start=5)))
    effects += agent.handle(Drain(InstantNs(int(times(10)[-1]))))
    made = [record for record in records(effects) if isinstance(record, SampleBlock)]
    assert [(len(block), block.u_t_ns) for block in made] == [(5, 1000), (5, 5000)]
