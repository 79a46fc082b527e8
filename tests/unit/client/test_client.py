"""The client against the application itself; each request must be one that the published interface describes."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from fastapi import FastAPI

from dyncal.adapters.registry import open_registry
from dyncal.client import ApiConflict, ApiError, ApiNotFound, ApiUnavailable, Client, models
from dyncal.client.stream import follow, parse
from dyncal.client.transport import Transport
from dyncal.domain.coefficients import SetState
from dyncal.domain.sensors import SensorId
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.records import block, uniform
from dyncal.testing.registry import (
    S1,
    S2,
    act,
    make_alarm,
    make_calibration,
    make_pairing,
    make_sensor,
    make_set,
    put_alarm,
)
from dyncal.testing.store import MemorySampleStore
from services.api.app import create_app
from services.api.deps import Deps
from services.api.settings import ApiSection
from tests import client_models

SECTION = ApiSection.model_validate({"access": {"mode": "open"}})
DOCUMENT = json.loads(client_models.DOCUMENT.read_text())


class Described:
    """Refuses requests that the published interface does not know."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()
        self._paths = [
            (path, re.compile(re.sub(r"\\\{.+?\\\}", "[^/]+", re.escape(path))), operations)
            for path, operations in sorted(DOCUMENT["paths"].items(), key=lambda item: item[0].count("{"))
        ]

    def __call__(self, request: httpx.Request) -> None:
        """Check method, path, query and media type."""
        for path, pattern, operations in self._paths:
            operation = operations.get(request.method.lower())
            if operation is not None and pattern.fullmatch(request.url.path):
                known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
                assert set(request.url.params) <= known, (path, set(request.url.params) - known)
                if request.content:
                    assert request.headers["content-type"] in operation["requestBody"]["content"]
                self.seen.add((request.method, path))
                return
        raise AssertionError(f"{request.method} {request.url.path} is not described")


class InProcess(httpx.BaseTransport):
    """Hands requests to an application in this process, each until its answer has ended."""

    def __init__(self, app: FastAPI) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._loop = asyncio.new_event_loop()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the whole answer."""

        async def handled() -> httpx.Response:
            answer = await self._inner.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return self._loop.run_until_complete(handled())

    def close(self) -> None:
        """End the loop, and the threads that it began."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@pytest.fixture
def described() -> Described:
    return Described()


@pytest.fixture
def plant(tmp_path: Path, described: Described) -> Iterator[Client]:
    """Yield a client of an application with two sensors, a calibration, a set and an alarm."""
    registry = open_registry(RegistrySettings(), tmp_path)
    registry.put_sensors([make_sensor(S1), make_sensor(S2), make_sensor(SensorId("zz-9"))], [make_pairing()], act())
    registry.add_calibration(make_calibration(), act())
    registry.add_set(make_set(), b"{}", SetState.PUBLISHED, act())
    put_alarm(registry, make_alarm(), act())
    store = MemorySampleStore()
    store.write([block([1.0, 2.0, float("nan")], sensor=S1)])
    app = create_app(Deps.make(registry, store, SimulatedClock(), SECTION, console=tmp_path / "none"))
    hooks: dict[str, list[Callable[..., Any]]] = {"request": [described]}
    with httpx.Client(transport=InProcess(app), base_url="http://127.0.0.1", event_hooks=hooks) as http:
        yield Client("http://127.0.0.1", http=http)
    registry.close()


def test_everything_that_is_read(plant: Client, described: Described) -> None:
    assert [sensor.id for sensor in plant.sensors()] == [S1, S2, "zz-9"]
    assert plant.sensor(S1).unit == "Cel"
    start, end = int(uniform(3).t_ns[0]), int(uniform(3).t_ns[-1]) + 1
    assert plant.samples(S1, start, end).raw == [1.0, 2.0, None]
    assert plant.samples_table(S1, start, end).column("raw").to_pylist() == [1.0, 2.0, None]
    assert list(plant.gaps(S1, start, end)) == []
    (calibration,) = plant.calibrations(S1)
    assert plant.calibration(calibration.id) == calibration
    assert plant.report(calibration.id).calibration == calibration
    assert plant.report_page(calibration.id).startswith(b"<!doctype html>")
    assert [each.id for each in plant.coefficient_sets(S1)] == [make_set().id]
    assert plant.edges() == []
    assert [alarm.id for alarm in plant.alarms()] == [f"{S1}:drift"]
    assert [change.id for change in plant.alarm_history()] == [f"{S1}:drift"]
    assert [entry.number for entry in plant.audit()] == list(range(1, len(list(plant.audit())) + 1))
    assert list(plant.laboratory_calibrations()) == []
    assert len(described.seen) >= 13


def test_holds(plant: Client) -> None:
    hold = plant.put_hold(S1, 5, None, "claim 4711", key="k")
    assert plant.put_hold(S1, 5, None, "claim 4711", key="k") == hold
    assert plant.holds() == [hold]
    plant.release_hold(hold.id, "settled")
    assert plant.holds() == []


def test_a_change_says_what_it_has_seen(plant: Client) -> None:
    seen = plant.pairing(S1)
    changed = msgspec.structs.replace(seen.value, u_reference=0.7)
    put = plant.put_pairing(S1, changed, etag=seen.etag, reason="certificate")
    assert plant.pairing(S1) == put
    with pytest.raises(ApiConflict) as caught:
        plant.put_pairing(S1, changed, etag=seen.etag)
    assert (caught.value.status, caught.value.kind) == (412, "changed")


def test_an_inventory_goes_out_and_comes_back(plant: Client) -> None:
    assert plant.import_inventory(plant.inventory_csv()).n_changed == 0
    assert plant.import_inventory(plant.inventory()).n_changed == 0
    with pytest.raises(ApiError) as caught:
        plant.import_inventory(b"id,site\n")
    assert caught.value.kind == "rows"
    assert caught.value.problem["errors"]


def test_commands_and_documents(plant: Client) -> None:
    done = plant.command_alarm(f"{S1}:drift", models.CommandBody(command="acknowledge", reason="seen"))
    assert done.n_done == 1
    with pytest.raises(ApiNotFound):
        plant.command_alarm("nobody:drift", models.CommandBody(command="acknowledge"))
    document = plant.edge_coefficients("edge-1")
    assert document is not None
    assert json.loads(document.value)["edge"] == "edge-1"
    assert plant.edge_coefficients("edge-1", document.etag) is None
    job = plant.calibrate(S1, models.JobBody(from_ns=0, to_ns=1), key="once")
    assert plant.calibrate(S1, models.JobBody(from_ns=0, to_ns=1), key="once") == job
    assert plant.cancel_job(job.id).state == "cancelled"
    assert plant.job(job.id).state == "cancelled"
    assert [each.state for each in plant.follow_job(job.id)] == ["cancelled"]


def test_a_laboratory_calibration(plant: Client) -> None:
    f_hz = np.geomspace(0.02, 3, 8)
    size = 1 / np.hypot(1, 2 * np.pi * f_hz * 0.4)
    points = {
        "form": "polar", "f_hz": f_hz.tolist(), "magnitude": size.tolist(), "u_magnitude": (0.01 * size).tolist(),
        "phase": (-np.degrees(np.arctan(2 * np.pi * f_hz * 0.4))).tolist(), "u_phase": [0.5] * 8,
    }  # fmt: skip
    body = {"sensor": S2, "laboratory": "L", "certificate": "1", "calibrated_at_ns": 5, "points": points}
    found = plant.add_laboratory_calibration(body, reason="new")
    assert list(plant.laboratory_calibrations(S2)) == [found]


def test_lists_go_over_all_pages(plant: Client) -> None:
    rows = [models.InventoryRow(id=f"s{k:03}", site="p", edge="e", unit="1", dt_ns=5) for k in range(1100)]
    plant.import_inventory(models.InventoryBody(items=rows))
    assert len(list(plant.sensors())) == 1103


# What the network does ---------------------------------------------------------------------------------------------


def transport(answer: Callable[[httpx.Request], httpx.Response], **more: Any) -> tuple[Transport, list[float]]:
    pauses: list[float] = []
    http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://h")
    return Transport("http://h", "secret", http=http, sleep=pauses.append, **more), pauses


def test_what_may_have_been_lost_is_sent_again_under_the_same_key() -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["authorization"], request.headers.get("idempotency-key")))
        if len(seen) == 1:
            raise httpx.ReadTimeout("slow", request=request)
        if len(seen) == 2:
            return httpx.Response(503, headers={"retry-after": "7"}, json={"detail": "starting"})
        return httpx.Response(200, json={"a": 1})

    made, pauses = transport(answer)
    assert made.command("POST", "/x", dict[str, int], {"b": 2}, None) == {"a": 1}
    assert len(set(seen)) == 1
    assert seen[0][0] == "Bearer secret"
    assert seen[0][1]
    assert pauses == [0.2, 7.0]


def test_what_may_not_be_sent_twice_is_not() -> None:
    n = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal n
        n += 1
        raise httpx.ReadTimeout("", request=request)

    made, pauses = transport(answer)
    with pytest.raises(ApiUnavailable):
        made.send("POST", "/x", content=b"{}")
    assert (n, pauses) == (1, [])
    with pytest.raises(ApiUnavailable, match="ReadTimeout"):
        made.send("GET", "/x")
    assert n == 6


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b'{"detail": 5}', b"\xff"])
def test_an_error_that_is_no_problem_document_is_an_error_all_the_same(content: bytes) -> None:
    made, _ = transport(lambda _: httpx.Response(404, content=content))
    with pytest.raises(ApiNotFound):
        made.get("/x", dict)


def test_an_answer_that_is_none_is_an_error() -> None:
    made, _ = transport(lambda _: httpx.Response(200, content=b"<html>"))
    with pytest.raises(ApiError, match="no "):
        made.get("/x", models.SensorOut)


def test_a_stream_goes_on_where_it_broke_off() -> None:
    asked: list[str | None] = []

    def broken() -> Iterator[bytes]:
        yield b"retry: 1\n\nid: 1\nevent: a\ndata: {}\n\nid: 2\nevent: b\nda"
        raise httpx.ReadError("gone")

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        if len(asked) == 1:
            return httpx.Response(200, content=broken())
        if len(asked) == 2:
            return httpx.Response(503)
        return httpx.Response(200, content=b": hello\n\nid: 2\nevent: b\ndata: [1,\ndata: 2]\n\n")

    made, pauses = transport(answer)
    events = list(follow(made, "/v1/stream"))
    assert [(event.name, event.data, event.id) for event in events] == [("a", {}, "1"), ("b", [1, 2], "2")]
    assert asked == [None, "1", "1"]
    assert len(pauses) == 2


def test_a_stream_gives_up_after_so_many_attempts() -> None:
    made, pauses = transport(lambda _: httpx.Response(503))
    with pytest.raises(ApiUnavailable):
        list(follow(made, "/v1/stream", retries=3))
    assert len(pauses) == 3


def test_events_as_the_standard_has_them() -> None:
    lines = ["data: 1", "", "event: x", "data:2", "id: 9", "", "event: lost", "", ": comment", "data: 3", ""]
    assert [(e.name, e.data, e.id) for e in parse(iter(lines))] == [
        ("message", 1, ""),
        ("x", 2, "9"),
        ("message", 3, "9"),
    ]


# The shapes --------------------------------------------------------------------------------------------------------


def shapes(module: ModuleType) -> dict[str, type[msgspec.Struct]]:
    found = inspect.getmembers(module, lambda each: inspect.isclass(each) and issubclass(each, msgspec.Struct))
    return dict(found)


def test_the_client_reads_what_the_service_publishes(tmp_path: Path) -> None:
    """Fields may come; those that the client knows must stay what they are."""
    file = tmp_path / "published.py"
    file.write_text(client_models.generate(DOCUMENT))
    spec = importlib.util.spec_from_file_location("published", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["published"] = module
    spec.loader.exec_module(module)
    published = shapes(module)
    for name, known in shapes(models).items():
        now = published[name].__annotations__
        for field, kind in known.__annotations__.items():
            assert now.get(field) == kind, f"{name}.{field}: run python -m tests.client_models"
        required = {f.name for f in msgspec.structs.fields(known) if f.required}
        given = {f.name for f in msgspec.structs.fields(published[name]) if f.required}
        assert required <= given or name.endswith("Body") or name == "InventoryRow", name


@pytest.mark.parametrize("name", ["a/events", "../keys", "..", ".", "x?limit=1", "x#y", "x%2Fy", "", "a b", "a\r\nb"])
def test_a_name_that_is_none_asks_for_nothing_else(name: str) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"asked for {request.url}")

    with httpx.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(never)) as http:
        plant = Client("http://127.0.0.1", http=http)
        for ask in (plant.job, plant.sensor, plant.report, plant.cancel_job, plant.policy):
            with pytest.raises(ApiNotFound):
                ask(name)


def test_a_stream_that_comes_back_too_soon_comes_again() -> None:
    answers = [429, 429, 200]

    def answer(request: httpx.Request) -> httpx.Response:
        status = answers.pop(0)
        content = b"id: 7\nevent: beat\ndata: {}\n\n" if status == 200 else b"{}"
        return httpx.Response(status, content=content)

    with httpx.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(answer)) as http:
        transport = Transport("http://127.0.0.1", http=http, sleep=lambda _: None)
        assert [event.id for event in follow(transport, "/v1/stream")] == ["7"]
