"""The service on a real port: streams, latency, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from dyncal.adapters.registry import open_registry
from dyncal.domain.coefficients import SetState
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.records import Act
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.bus import FakeBroker
from dyncal.testing.store import MemorySampleStore
from services.api import service
from services.api.service import ApiService
from services.api.settings import ApiSection, ApiSettings
from tests.integration.api.plant import running
from tests.servers_mosquitto import Mosquitto

Event = tuple[str, str, Any]


async def events(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncGenerator[Event]:
    """Read server-sent events: id, name, data."""
    async with client.stream("GET", path, headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
                fields = {}
            else:
                fields = {}


async def take(stream: AsyncIterator[Event], n: int, name: str = "") -> list[Event]:
    found: list[Event] = []
    async for event in stream:
        if not name or event[1] == name:
            found.append(event)
        if len(found) == n:
            return found
    return found


async def test_a_set_that_waits_becomes_an_alarm_that_everybody_is_told_of() -> None:
    async with running(1, history_s=5) as plant, httpx.AsyncClient(base_url=plant.service.address) as client:
        async with contextlib.aclosing(events(client, "/v1/stream?events=alarm")) as stream:
            newest, then = plant.calibrate(plant.channels[0]), InstantNs(plant.clock.now() - 120 * NS_PER_S)
            made = replace(newest, id="TT-101.900", sequence=900)
            act = Act("calibrate", then, "the policy asks for approval")
            plant.registry.add_set(made, b"", SetState.VERIFIED, act)
            _, _, alarm = (await take(stream, 1, "alarm"))[0]
        assert (alarm["id"], alarm["event"], alarm["priority"]) == ("TT-101:release_waits", "raised", "low")
        assert alarm["annunciated"] == "single"
        retained = plant.broker.retained["dyncal/v1/plant/alarms/TT-101/release_waits"]
        assert json.loads(retained)["v"] == 3


async def test_samples_flow_and_a_client_resumes_without_a_hole() -> None:
    async with running(2, history_s=5) as plant, httpx.AsyncClient(base_url=plant.service.address) as client:
        path = "/v1/stream?events=samples&trend=TT-101"
        async with contextlib.aclosing(events(client, path)) as stream:
            first = await take(stream, 5, "samples")
        await asyncio.sleep(1)
        async with contextlib.aclosing(events(client, path, **{"last-event-id": first[-1][0]})) as stream:
            hello = (await take(stream, 1))[0]
            rest = await take(stream, 15, "samples")
        assert hello[1] == "hello"
        ids = [int(event[0]) for event in first + rest]
        assert ids == sorted(set(ids))
        t = [
            r["t0_ns"] + k
            for _, _, data in first + rest
            for s in data["series"]
            for r in [s["raw"]]
            for k in r["offset_ns"]
        ]
        assert set(np.diff(t)) == {100_000_000}


async def test_an_alarm_reaches_a_listener_and_the_sensors_state() -> None:
    async with running(2, history_s=5) as plant, httpx.AsyncClient(base_url=plant.service.address) as client:
        async with contextlib.aclosing(events(client, "/v1/stream?events=alarm")) as stream:
            await take(stream, 1, "hello")
            plant.alarm("TT-101")
            (_, _, raised) = (await take(stream, 1, "alarm"))[0]
            assert (raised["sensor"], raised["state"]) == ("TT-101", "unacknowledged")
            assert (await client.get("/v1/sensors/TT-101")).json()["state"] == "maintenance_required"
            plant.alarm("TT-101", holds=False)
            assert (await take(stream, 1, "alarm"))[0][2]["state"] == "returned_unacknowledged"
        assert (await client.get("/v1/sensors/TT-101")).json()["state"] == "normal"


async def test_a_second_service_on_the_same_files_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    broker, stop = FakeBroker(), asyncio.Event()

    def made() -> ApiService:
        settings = ApiSettings(data_dir=tmp_path, api=ApiSection(port=0))
        registry = partial(open_registry, RegistrySettings(), tmp_path)
        bus = partial(broker.bus, "api", clean=True)
        return ApiService(settings, SystemClock(), registry=registry, store=MemorySampleStore, bus=bus)

    first, second, end = made(), made(), asyncio.Event()
    one = asyncio.create_task(first.run(end))
    await asyncio.wait_for(first.listening.wait(), 20)
    two = asyncio.create_task(second.run(stop))
    await asyncio.sleep(0.5)
    assert second.health().parts == {"start": "waiting for the data directory"}
    assert not second.listening.is_set()
    end.set()
    await asyncio.wait_for(one, 20)
    await asyncio.wait_for(second.listening.wait(), 20)
    stop.set()
    await asyncio.wait_for(two, 20)


async def test_a_second_service_on_the_same_registry_waits_and_has_a_name_of_its_own_at_the_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two data directories: no lock on files keeps them apart, and both called themselves alike."""
    broker, names, end = FakeBroker(), [], asyncio.Event()

    def open_bus(settings: object, name: str, *, clean: bool) -> object:
        names.append(name)
        return broker.bus(name, clean=clean)

    monkeypatch.setattr(service, "open_bus", open_bus)
    shared = RegistrySettings(url=f"sqlite:///{tmp_path}/registry.sqlite")
    first, second = (
        service.build(ApiSettings(data_dir=tmp_path / where, registry=shared, api=ApiSection(port=0)))
        for where in ("a", "b")
    )
    one = asyncio.create_task(first.run(end))
    await asyncio.wait_for(first.listening.wait(), 20)
    stop = asyncio.Event()
    two = asyncio.create_task(second.run(stop))
    await asyncio.sleep(0.5)
    assert second.health().parts == {"start": "waiting for registry"}
    end.set()
    await asyncio.wait_for(one, 20)
    await asyncio.wait_for(second.listening.wait(), 20)
    stop.set()
    await asyncio.wait_for(two, 20)
    assert len(set(names)) == 2
    assert all(name.startswith("dyncal-api-") for name in names)


async def test_a_silent_stream_has_a_heartbeat() -> None:
    async with (
        running(1, history_s=2, feed=False, heartbeat_s=0.2) as plant,
        httpx.AsyncClient(base_url=plant.service.address) as client,
        contextlib.aclosing(events(client, "/v1/stream?events=alarm")) as stream,
    ):
        assert [name for _, name, _ in await take(stream, 4)] == ["hello", "beat", "beat", "beat"]


async def test_streams_are_bounded_in_number() -> None:
    async with (
        running(1, history_s=2, max_clients=1) as plant,
        httpx.AsyncClient(base_url=plant.service.address) as client,
    ):
        async with contextlib.aclosing(events(client, "/v1/stream")) as stream:
            await take(stream, 1)
            refused = await client.get("/v1/stream")
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:dyncal:problem:too-many-streams")
        for _ in range(100):  # the place is free again once the server has noticed
            async with client.stream("GET", "/v1/stream") as answer:
                if answer.status_code == 200:
                    return
            await asyncio.sleep(0.05)
        pytest.fail("the place was not given back")


async def test_a_long_poll_is_answered_soon_after_another_process_publishes() -> None:
    async with running(2, history_s=5) as plant, httpx.AsyncClient(base_url=plant.service.address) as client:
        before = await client.get("/v1/edges/edge-a/coefficients")
        waiting = asyncio.create_task(
            client.get(
                "/v1/edges/edge-a/coefficients",
                headers={"if-none-match": before.headers["etag"], "prefer": "wait=30"},
                timeout=40,
            )
        )
        await asyncio.sleep(0.3)
        assert not waiting.done()
        published = plant.calibrate(plant.channels[0])
        answer = await asyncio.wait_for(waiting, 3)
        assert published.id in answer.text


async def test_the_service_ends_in_time_although_clients_listen_and_one_does_not_read() -> None:
    """One stream is read, one is never read, one request waits for coefficients."""
    async with running(3, history_s=5) as plant, httpx.AsyncClient(base_url=plant.service.address) as client:
        stream = events(client, "/v1/stream?events=samples,values")
        await take(stream, 2)
        host, port = plant.service.address.removeprefix("http://").split(":")
        _, deaf = await asyncio.open_connection(host, int(port), limit=1024)
        deaf.write(f"GET /v1/stream?events=samples HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await deaf.drain()
        tag = (await client.get("/v1/edges/edge-a/coefficients")).headers["etag"]
        headers = {"if-none-match": tag, "prefer": "wait=60"}
        waiting = asyncio.create_task(client.get("/v1/edges/edge-a/coefficients", headers=headers, timeout=60))
        await asyncio.sleep(1)
        started = plant.clock.monotonic_s()
        rest = asyncio.create_task(take(stream, 100_000))
        plant.stop.set()
        await asyncio.wait_for(plant.task, 5)
        assert plant.clock.monotonic_s() - started < 4
        assert (await waiting).status_code == 304
        with contextlib.suppress(httpx.HTTPError):
            await rest
        deaf.close()


@pytest.mark.mosquitto
async def test_sigterm_ends_the_program_with_status_0_while_a_stream_is_open(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    port = free_port()
    config = tmp_path / "dyncal.toml"
    config.write_text(
        f'data_dir = "{tmp_path}"\n[broker]\nport = {mosquitto.port}\n[api]\nport = {port}\naccess.mode = "open"\n',
        encoding="utf-8",
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DYNCAL_")}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.api", "--config", str(config), stderr=asyncio.subprocess.PIPE, env=environment
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await _ready(client)
            stream = events(client, "/v1/stream")
            await take(stream, 1)
            program.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(program.wait(), 5) == 0
            with contextlib.suppress(httpx.HTTPError):
                await take(stream, 1000)
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        await program.communicate()


async def _ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(40):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
