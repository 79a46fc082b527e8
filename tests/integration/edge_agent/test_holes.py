"""Holes that no subscription can close: an agent that was down, queues that overflowed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from asyncua.client.ua_session import UaSession

from dyncal.domain.samples import GapCause, GapRecord
from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from edge_agent.readers.backfill import AT_ONCE
from tests.integration.edge_agent.plant import Plant, now_ns, running, sent, settings_of, until
from tests.integration.edge_agent.test_outages import Writer, connections, edge
from tests.unit.edge_agent.helpers import Content


async def down_for_a_while(tmp_path: Path, plant: Plant, port: int) -> tuple[FakeBroker, dict[int, float]]:
    """Let an agent stop and come back after its subscription is gone; return what was written."""
    broker = FakeBroker()
    settings = settings_of(tmp_path, edge(port))
    async with running(settings, broker):
        await until(lambda: connections(broker), 30)
        writer = Writer(plant)
        await until(lambda: len(Content.of(sent(broker)).raw) > 50, 30)
    await plant.forget_subscriptions()
    await asyncio.sleep(1.5)
    try:
        async with running(settings, broker):
            await until(lambda: len(connections(broker)) >= 2, 30)
            await asyncio.sleep(0.5)
            await writer.stop()
            await until(lambda: max(Content.of(sent(broker)).raw, default=0) >= max(writer.made), 30)
    finally:
        await writer.stop()
    return broker, writer.made


async def test_what_an_agent_missed_while_it_was_down_is_read_from_history(tmp_path: Path) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    await plant.historize("A")
    broker, made = await down_for_a_while(tmp_path, plant, port)
    await plant.stop()
    got = {t: value for t, (value, _) in Content.of(sent(broker)).raw.items()}
    assert {t: v for t, v in got.items() if t in made} == made
    assert [r for r in sent(broker) if isinstance(r, GapRecord) and r.gap.before_ns > min(made)] == []


async def test_the_histories_of_many_nodes_are_read_some_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, n = [f"N{k}" for k in range(40)], 25
    under_way = most = 0
    read = UaSession.history_read

    async def counted(self: UaSession, parameters: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await read(self, parameters)
        finally:
            under_way -= 1

    monkeypatch.setattr(UaSession, "history_read", counted)
    port, broker = free_port(), FakeBroker()
    plant = Plant(port)
    await plant.start(**dict.fromkeys(names, 0.0))
    for name in names:
        await plant.historize(name)
    nodes = [{"sensor": name, "node": f"ns=2;s={name}", "unit": "Cel", "dt_s": 0.01} for name in names]
    settings = settings_of(tmp_path, edge(port, nodes=nodes))
    async with running(settings, broker):
        await until(lambda: all(sent(broker, name) for name in names), 30)
    await plant.forget_subscriptions()
    start = now_ns() // 1_000_000 * 1_000_000
    made = {start + k * 10_000_000: float(k) for k in range(1, n)}
    for t_ns, value in made.items():
        for name in names:
            await plant.write(name, value, t_ns)
    async with running(settings, broker):
        await until(lambda: all(max(Content.of(sent(broker, name)).raw) >= max(made) for name in names), 30)
    await plant.stop()
    for name in names:
        raw = Content.of(sent(broker, name)).raw
        assert {t: value for t, (value, _) in raw.items() if t > start} == made
    assert 1 < most <= AT_ONCE


async def test_without_history_what_it_missed_is_recorded_to_the_sample(tmp_path: Path) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    broker, made = await down_for_a_while(tmp_path, plant, port)
    await plant.stop()
    missing = set(made) - set(Content.of(sent(broker)).raw)
    (gap,) = (r.gap for r in sent(broker) if isinstance(r, GapRecord) and r.gap.before_ns > min(made))
    assert gap.cause is GapCause.CONNECTION_LOST
    assert gap.n_lost == len(missing) > 0
    assert all(gap.after_ns < t < gap.before_ns for t in missing)


async def test_history_older_than_any_plausible_delay_is_no_fault(tmp_path: Path) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    await plant.historize("A")
    broker = FakeBroker()
    settings = settings_of(tmp_path, {**edge(port), "max_skew_s": 1.0})
    async with running(settings, broker):
        await until(lambda: connections(broker), 30)
        start = now_ns() // 1_000_000 * 1_000_000
        await plant.write("A", 1.0, start)
        await until(lambda: (1.0, 0) in Content.of(sent(broker)).raw.values(), 30)
    await plant.forget_subscriptions()
    for k in range(2, 30):
        await plant.write("A", float(k), start + k * 10_000_000)
    await asyncio.sleep(1.5)
    async with running(settings, broker):
        await until(lambda: len(connections(broker)) >= 2, 30)
        await until(lambda: (29.0, 0) in Content.of(sent(broker)).raw.values(), 30)
    await plant.stop()
    assert {value for value, _ in Content.of(sent(broker)).raw.values()} >= set(map(float, range(1, 30)))


@pytest.mark.parametrize("remembers", [True, False])
async def test_what_a_queue_dropped_is_read_from_history_or_recorded(tmp_path: Path, remembers: bool) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    if remembers:
        await plant.historize("A")
    broker = FakeBroker()
    settings: dict[str, Any] = edge(port, publishing_s=0.5)
    settings["opcua"][0]["nodes"][0]["queue_size"] = 10
    async with running(settings_of(tmp_path, settings), broker):
        await until(lambda: connections(broker), 30)
        writer = Writer(plant)
        try:
            await asyncio.sleep(2)
        finally:
            await writer.stop()
        await until(lambda: max(Content.of(sent(broker)).raw, default=0) >= max(writer.made), 30)
    await plant.stop()
    got = set(Content.of(sent(broker)).raw)
    first = min(t for t in got if t in writer.made)
    missing = {t for t in writer.made if t > first} - got
    gaps = [r.gap for r in sent(broker) if isinstance(r, GapRecord) and r.gap.after_ns >= first]
    assert sum(gap.n_lost or 0 for gap in gaps) == len(missing)
    assert not missing if remembers else missing
