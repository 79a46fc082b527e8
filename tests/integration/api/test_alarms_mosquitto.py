"""Alarms on a real broker, through kills of the API service and of the broker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.registry import open_registry
from dyncal.contracts import alarms as wire
from dyncal.contracts import conditions, topics
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings, RegistrySettings
from tests.servers_mosquitto import Mosquitto

SITE, KIND = SiteId("plant"), AlarmKind.DRIFT
N = 60


@contextlib.asynccontextmanager
async def api(folder: Path, port: int, broker: int) -> AsyncIterator[asyncio.subprocess.Process]:
    config = folder / "dyncal.toml"
    config.write_text(
        f'data_dir = "{folder}"\n[broker]\nport = {broker}\n[api]\nport = {port}\naccess.mode = "open"\n',
        encoding="utf-8",
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DYNCAL_")}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.api", "--config", str(config), stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )  # fmt: skip
    try:
        yield program
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        await program.wait()


async def say(bus: MessageBus, k: int, *, holds: bool) -> None:
    now = SystemClock().now()
    found = Condition(SITE, f"s-{k:02d}", KIND, holds, InstantNs(now))
    topic = topics.condition(SITE, found.source, KIND)
    await bus.publish(topic, conditions.encode(found, "calibrate", InstantNs(now)), retain=True)


async def listed(client: httpx.AsyncClient, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return what the service lists, as soon as that is as it should be."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await client.get("/v1/alarms")
                found = {a["id"]: a for a in answer.json()["items"]} if answer.status_code == 200 else {}
                if until(found):
                    return found
            await asyncio.sleep(0.1)


@pytest.mark.mosquitto
async def test_nothing_is_lost_by_kills_of_the_service_and_of_the_broker(tmp_path: Path, mosquitto: Mosquitto) -> None:
    settings = BrokerSettings(host="127.0.0.1", port=mosquitto.port)
    port = free_port()
    states: dict[str, wire.AlarmMessage] = {}

    async def collect(bus: MessageBus) -> None:
        async for delivery in bus.deliveries():
            message = wire.decode(delivery.payload)
            assert message.number >= states.get(message.id, message).number
            states[message.id] = message
            delivery.ack()

    async with (
        open_bus(settings, "reporter", clean=True) as reporter,
        open_bus(settings, "third-party", clean=True) as third,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client,
    ):
        await reporter.wait_connected()
        await third.wait_connected()
        await third.subscribe([topics.ALL_ALARMS])
        collecting = asyncio.create_task(collect(third))
        for k in range(N):  # before there is a service
            await say(reporter, k, holds=True)
        async with api(tmp_path, port, mosquitto.port) as program:
            found = await listed(client, lambda alarms: len(alarms) == N)
            assert {alarm["state"] for alarm in found.values()} == {"unacknowledged"}
            body = {"command": "acknowledge", "alarms": [f"s-{k:02d}:drift" for k in range(0, N, 2)]}
            answer = await client.post("/v1/alarms/commands", json=body, headers={"Idempotency-Key": "one"})
            assert answer.json()["n_done"] == N // 2
            program.send_signal(signal.SIGKILL)
            await program.wait()
        for k in range(0, N, 3):  # while nobody listens
            await say(reporter, k, holds=False)
        async with api(tmp_path, port, mosquitto.port):
            found = await listed(client, lambda alarms: sum(not a["active"] for a in alarms.values()) == N // 3)
            for k in range(N):
                expected = {
                    (False, False): "unacknowledged", (False, True): "returned_unacknowledged",
                    (True, False): "acknowledged", (True, True): "normal",
                }[k % 2 == 0, k % 3 == 0]  # fmt: skip
                assert found[f"s-{k:02d}:drift"]["state"] == expected
            again = await client.post("/v1/alarms/commands", json=body, headers={"Idempotency-Key": "one"})
            assert again.json() == answer.json()
            mosquitto.stop(kill=True)
            mosquitto.start()  # it has forgotten everything
            async with asyncio.timeout(60):
                await reporter.wait_connected()
                while any(found[id_]["number"] != states[id_].number for id_ in found):
                    await asyncio.sleep(0.1)
            states.clear()
            async with open_bus(settings, "late", clean=True) as late:
                await late.wait_connected()
                await late.subscribe([topics.ALL_ALARMS])
                collecting_too = asyncio.create_task(collect(late))
                async with asyncio.timeout(60):
                    while {i: s.number for i, s in states.items()} != {i: a["number"] for i, a in found.items()}:
                        await asyncio.sleep(0.1)
                collecting_too.cancel()
        collecting.cancel()
        await asyncio.gather(collecting, collecting_too, return_exceptions=True)
    registry = open_registry(RegistrySettings(), tmp_path)
    assert registry.verify_audit() is None
    assert [c.alarm.number for c in registry.alarm_changes()] == list(range(1, N + N // 2 + N // 3 + 1))
    registry.close()
