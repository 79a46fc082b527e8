"""Connections to an OPC UA server that break while it goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dyncal.domain.samples import GapCause, GapRecord
from dyncal.runtime.ports import free_port
from dyncal.testing.bus import FakeBroker
from edge_agent.readers.publishing import Publishing, SubscriptionLost
from tests.cutting_proxy import CuttingProxy
from tests.integration.edge_agent.plant import Plant, now_ns, running, sent, settings_of, until
from tests.unit.edge_agent.helpers import Content

EVENTS = "dyncal/v1/plant/edge1/events"
RATE_HZ = 100


class Writer:
    """Writes numbers that count, at their instants, until told to stop."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self.made: dict[int, float] = {}
        self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        t_ns = now_ns() // 1_000_000 * 1_000_000
        step = 1_000_000_000 // RATE_HZ
        k = 0
        while True:
            k += 1
            t_ns += step
            await asyncio.sleep(max(0.0, (t_ns - now_ns()) / 1e9))
            await self._plant.write("A", float(k), t_ns)
            self.made[t_ns] = float(k)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def connections(broker: FakeBroker) -> list[str]:
    found: list[dict[str, Any]] = [msgspec.json.decode(payload) for payload in broker.published(EVENTS)]
    return [event.get("detail", "") for event in found if event["kind"] == "source_connected"]


def edge(port: int, **more: Any) -> dict[str, Any]:
    node = {"sensor": "A", "node": "ns=2;s=A", "unit": "Cel", "dt_s": 1 / RATE_HZ, "silent_after_s": 30.0}
    server = {"url": f"opc.tcp://127.0.0.1:{port}", "publishing_s": 0.05, "timeout_s": 2.0, "nodes": [node], **more}
    return {"opcua": [server]}


@pytest.mark.parametrize("cut_s", [0.0, 0.3, 2.0])
async def test_a_cut_connection_loses_nothing(tmp_path: Path, cut_s: float) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    broker = FakeBroker()
    async with CuttingProxy(port) as proxy, running(settings_of(tmp_path, edge(proxy.port)), broker):
        await until(lambda: connections(broker), 30)
        writer = Writer(plant)
        try:
            for n in range(2, 5):
                await asyncio.sleep(0.73)
                await proxy.cut()
                await asyncio.sleep(cut_s)
                await proxy.mend()
                await until(lambda n=n: len(connections(broker)) >= n, 30)  # type: ignore[misc]  # bound for now
            await asyncio.sleep(0.5)
        finally:
            await writer.stop()
        await until(lambda: max(Content.of(sent(broker)).raw, default=0) >= max(writer.made), 30)
    await plant.stop()
    got = {t: value for t, (value, _) in Content.of(sent(broker)).raw.items()}
    assert {t: v for t, v in got.items() if t in writer.made} == writer.made
    assert [r for r in sent(broker) if isinstance(r, GapRecord) and r.gap.before_ns > min(writer.made)] == []
    assert all("goes on" in detail for detail in connections(broker)[1:])


async def forgotten(
    tmp_path: Path, plant: Plant, port: int, cut_s: float | None
) -> tuple[FakeBroker, dict[int, float]]:
    """Let the server forget the subscription, while the connection is cut (None: it stays); return what was written."""
    broker = FakeBroker()
    async with CuttingProxy(port) as proxy, running(settings_of(tmp_path, edge(proxy.port)), broker):
        await until(lambda: connections(broker), 30)
        writer = Writer(plant)
        try:
            await until(lambda: len(Content.of(sent(broker)).raw) > 50, 30)
            if cut_s is not None:
                await proxy.cut()
            await plant.forget_subscriptions()
            if cut_s is not None:
                await asyncio.sleep(cut_s)
                await proxy.mend()
            await until(lambda: len(connections(broker)) >= 2, 30)
            await asyncio.sleep(0.5)
        finally:
            await writer.stop()
        await until(lambda: max(Content.of(sent(broker)).raw, default=0) >= max(writer.made), 30)
    return broker, writer.made


@pytest.mark.parametrize("cut_s", [1.0, None])
async def test_history_fills_the_hole_where_the_subscription_is_gone(tmp_path: Path, cut_s: float | None) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    await plant.historize("A")
    broker, made = await forgotten(tmp_path, plant, port, cut_s)
    await plant.stop()
    got = {t: value for t, (value, _) in Content.of(sent(broker)).raw.items()}
    assert {t: v for t, v in got.items() if t in made} == made
    assert [r for r in sent(broker) if isinstance(r, GapRecord) and r.gap.before_ns > min(made)] == []
    assert "values read from its history" in connections(broker)[1]


async def test_a_server_that_ends_the_subscription_gets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    real, ended = Publishing.run, False

    async def ends_once(self: Publishing, session: Any) -> None:
        nonlocal ended
        if not ended:
            ended = True
            raise SubscriptionLost("BadNoSubscription")
        await real(self, session)

    monkeypatch.setattr(Publishing, "run", ends_once)
    broker = FakeBroker()
    async with running(settings_of(tmp_path, edge(port)), broker):
        await until(lambda: len(connections(broker)) >= 2, 30)
        await plant.write("A", 7.0, now_ns())
        await until(lambda: (7.0, 0) in Content.of(sent(broker)).raw.values(), 30)
        assert plant.n_subscriptions == 1
    await plant.stop()


async def test_a_connection_that_breaks_again_at_once_costs_no_subscription(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    real, n_calls = Publishing.recover, 0

    async def stalls_twice(self: Publishing, session: Any) -> int:
        nonlocal n_calls
        n_calls += 1
        if n_calls <= 2:
            raise TimeoutError
        return await real(self, session)

    monkeypatch.setattr(Publishing, "recover", stalls_twice)
    broker = FakeBroker()
    async with CuttingProxy(port) as proxy, running(settings_of(tmp_path, edge(proxy.port)), broker):
        await until(lambda: connections(broker), 30)
        writer = Writer(plant)
        await until(lambda: len(Content.of(sent(broker)).raw) > 50, 30)
        await proxy.cut()
        await proxy.mend()
        await until(lambda: len(connections(broker)) >= 2, 30)
        await writer.stop()
        await until(lambda: max(Content.of(sent(broker)).raw, default=0) >= max(writer.made), 30)
    await plant.stop()
    assert n_calls == 3
    assert "goes on" in connections(broker)[1]
    assert set(writer.made) <= set(Content.of(sent(broker)).raw)


async def test_without_history_the_hole_is_recorded_to_the_sample(tmp_path: Path) -> None:
    port = free_port()
    plant = Plant(port)
    await plant.start(A=0.0)
    broker, made = await forgotten(tmp_path, plant, port, 0.5)
    await plant.stop()
    missing = set(made) - set(Content.of(sent(broker)).raw)
    (gap,) = (r.gap for r in sent(broker) if isinstance(r, GapRecord) and r.gap.before_ns > min(made))
    assert gap.cause is GapCause.CONNECTION_LOST
    assert gap.n_lost == len(missing) > 0
    assert all(gap.after_ns < t < gap.before_ns for t in missing)
