from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest

from dyncal.domain.time import DurationNs, InstantNs
from dyncal.runtime.clocks import SimulatedClock
from simulators.physics.transport import Transport
from simulators.plant import Channel, Plant, Publication
from simulators.scenarios.scenario import Scenario, load_scenario
from simulators.surfaces.pacing import Schedule, Tally, pace

T0 = InstantNs(1_790_000_000_000_000_000)


def plant(**changes: object) -> Plant:
    scenario = load_scenario("demo")
    station = scenario.stations[2].model_copy(update=changes)
    return Plant(scenario.model_copy(update={"stations": [station]}), T0)


def test_nothing_goes_early_and_channels_keep_their_order() -> None:
    scenario: Scenario = load_scenario("demo")
    channels = Plant(scenario, T0).channels("mqtt")
    schedule = Schedule(channels)
    last: dict[str, int] = {}
    for step in range(1, 40):
        now = InstantNs(T0 + step * 25_000_000)
        while (item := schedule.pop_due(now)) is not None:
            channel, publication = item
            assert publication.t_ns[-1] <= now
            assert publication.t_ns[0] > last.get(channel.id, 0)
            last[channel.id] = int(publication.t_ns[-1])
        assert schedule.next_due() > now
    for channel in channels:
        span = channel.station.block * channel.dt_ns
        assert now - last[channel.id] < span


async def test_a_late_start_is_caught_up_without_loss_and_a_stop_publishes_what_is_due() -> None:
    clock = SimulatedClock(InstantNs(T0 + 7_000_000_000))  # seven seconds late
    channels = plant().channels()
    seen: dict[str, list[int]] = {channel.id: [] for channel in channels}

    async def publish(channel: Channel, publication: Publication) -> None:
        seen[channel.id] += publication.t_ns.tolist()

    stop, tally = asyncio.Event(), Tally()
    task = asyncio.create_task(pace(channels, publish, clock, stop, tally))
    await asyncio.sleep(0.05)
    clock.advance(DurationNs(450_000_000))
    stop.set()
    await task
    for channel in channels:
        assert seen[channel.id] == list(range(T0, T0 + 7_450_000_001, 100_000_000))
        assert tally.generated[channel.id] == tally.published[channel.id] == 75
    assert tally.max_late_ns == 7_000_000_000


async def test_what_the_transport_loses_is_generated_and_not_published() -> None:
    clock = SimulatedClock(InstantNs(T0 + 500_000_000_000))
    spec = load_scenario("demo").stations[2].transport.model_copy(update={"dropout": 0.1, "duplicate": 0.2})
    channels = [plant(transport=spec).channels()[0]]
    count = 0

    async def publish(channel: Channel, publication: Publication) -> None:
        nonlocal count
        count += 1

    stop, tally = asyncio.Event(), Tally()
    stop.set()
    await pace(channels, publish, clock, stop, tally)
    name = channels[0].id
    assert tally.generated[name] == 5001
    assert tally.published[name] == pytest.approx(4500, abs=100)
    assert count == pytest.approx(4500 * 1.2, abs=150)


def test_transport_fates_have_the_probabilities_and_delays_asked_for() -> None:
    transport = Transport(DurationNs(5), DurationNs(100), dropout=0.1, duplicate=0.25)
    rng = np.random.default_rng(9)
    fates = [transport.fate(rng) for _ in range(20_000)]
    copies = np.array([fate.copies for fate in fates])
    assert np.mean(copies == 0) == pytest.approx(0.1, abs=0.01)
    assert np.mean(copies == 2) == pytest.approx(0.9 * 0.25, abs=0.015)
    delays = np.array([fate.delay_ns for fate in fates])
    assert delays.min() >= 5
    assert delays.max() <= 105
    assert np.mean(delays) == pytest.approx(55, abs=1)


async def test_what_is_overtaken_comes_late_but_comes_and_none_twice() -> None:
    clock = SimulatedClock(InstantNs(T0 + 100_000_000_000))
    base = load_scenario("demo").stations[2].transport
    spec = base.model_copy(update={"overtaken": 0.2, "overtaken_s": 1.0})
    channels = [plant(transport=spec).channels()[0]]
    seen: list[int] = []

    async def publish(channel: Channel, publication: Publication) -> None:
        seen.extend(publication.t_ns.tolist())

    stop, tally = asyncio.Event(), Tally()
    stop.set()
    await pace(channels, publish, clock, stop, tally)
    back = [later - earlier for earlier, later in itertools.pairwise(seen) if later < earlier]
    assert sorted(seen) == list(range(T0, T0 + len(seen) * 100_000_000, 100_000_000))
    assert 100 < len(back) < 250
    assert min(back) >= -1_000_000_000
    assert tally.generated[channels[0].id] == len(seen)


def test_a_dead_band_says_what_moved_and_nothing_else() -> None:
    base = load_scenario("demo").stations[2].transport
    channel = plant(transport=base.model_copy(update={"deadband": 2.0})).channels()[0]
    said = float("nan")
    for _ in range(500):
        publication = channel.next_publication()
        moved = not abs(publication.value[-1] - said) <= 2.0
        assert publication.copies == int(moved)
        said = float(publication.value[-1]) if moved else said


def test_a_clock_that_is_ahead_and_gains_stamps_so_in_whole_microseconds() -> None:
    base = load_scenario("demo").stations[2].transport
    spec = base.model_copy(update={"clock_offset_s": 0.25, "clock_skew_ppm": 40.0})
    off, right = (plant(transport=t).channels()[0] for t in (spec, base))
    for k in range(1000):
        shown, true = off.next_publication().t_ns, right.next_publication().t_ns
        assert int(shown[0] - true[0]) == 250_000_000 + k * 100_000_000 * 40 // 1_000_000 // 1000 * 1000
