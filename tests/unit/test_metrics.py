"""The metrics: as catalogued, by Prometheus' conventions, bounded, and read off running parts."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.error
import urllib.request
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dyncal.runtime import metrics
from dyncal.runtime.ports import free_port
from dyncal.runtime.service import Health
from edge_agent.metrics import MOST_SENSORS, OTHERS, by_sensor
from services.calibrate.metrics import CalibrateMetrics
from services.calibrate.stages import Stage, observed_by, stage
from tests import metrics_catalogue


def test_the_catalogue_is_that_of_the_programs() -> None:
    assert metrics_catalogue.FILE.read_text(encoding="utf-8") == metrics_catalogue.page(), (
        "the metrics have changed: run python -m tests.metrics_catalogue"
    )


def test_names_follow_the_conventions() -> None:
    entries = metrics_catalogue.entries()
    names = [entry.name for entry in entries]
    assert len(set(names)) == len(names)
    for entry in entries:
        assert re.fullmatch(r"dyncal_[a-z]+(_[a-z]+)*", entry.name)
        assert (entry.kind == "counter") == entry.name.endswith("_total")
        if entry.kind in ("histogram", "summary"):
            assert entry.name.endswith(("_seconds", "_messages"))
        assert not re.search(r"_(ms|us|ns|minutes|percent)(_|$)", entry.name)
        assert set(entry.labels) <= {
            "program", "version", "part", "from", "source", "sensor", "corrected", "outcome", "kind", "reason", "what",
            "cause", "state", "holds", "stage", "method", "route", "status", "event", "annunciated", "target",
        }  # fmt: skip


def test_the_sensors_beyond_a_number_are_told_together() -> None:
    few = {f"S{k:04d}": 1.0 for k in range(MOST_SENSORS)}
    assert len(list(by_sensor(few, sum))) == MOST_SENSORS  # type: ignore[arg-type]
    told = dict(by_sensor(few | {"T1": 5.0, "T2": 7.0}, sum))  # type: ignore[arg-type]
    assert len(told) == MOST_SENSORS + 1
    assert told[(OTHERS,)] == 12.0


def test_what_a_program_tells_can_be_read_by_prometheus() -> None:
    registry = CollectorRegistry()
    metrics.tell_of_program(registry, "p", lambda: Health(ready=False, parts={"store": "away", "broker": ""}))
    found = {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}
    assert [sample.value for sample in found["dyncal_ready"].samples] == [0.0]
    parts = {sample.labels["part"]: sample.value for sample in found["dyncal_part_up"].samples}
    assert parts == {"store": 0.0, "broker": 1.0}
    assert "dyncal_event_loop_lag_seconds" in found
    assert "process_cpu_seconds" in found


def test_stages_are_timed_where_somebody_observes() -> None:
    told = CalibrateMetrics()
    with stage(Stage.FIT):
        pass
    with observed_by(told.stage):
        for _ in range(3):
            with stage(Stage.FIT):
                pass
    text = generate_latest(told.registry).decode()
    assert 'dyncal_calibrate_stage_seconds_count{stage="fit"} 3.0' in text


def _get(port: int, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


async def test_health_beside_the_metrics() -> None:
    faults = {"broker": "not connected"}
    port = free_port()
    close = metrics.serve(
        CollectorRegistry(), port, health=lambda: Health(ready=not faults["broker"], parts=dict(faults))
    )
    try:
        assert await asyncio.to_thread(_get, port, "/healthz") == (200, {"ready": False, "parts": faults})
        assert await asyncio.to_thread(_get, port, "/readyz") == (503, {"ready": False, "parts": faults})
        faults["broker"] = ""
        assert await asyncio.to_thread(_get, port, "/readyz") == (200, {"ready": True, "parts": faults})
    finally:
        close()


async def test_a_loop_that_does_not_turn_is_not_alive(monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics, "PATIENCE_S", 0.1)
    port = free_port()
    close = metrics.serve(CollectorRegistry(), port, health=lambda: Health(ready=True))
    try:
        asked = asyncio.create_task(asyncio.to_thread(_get, port, "/healthz"))
        await asyncio.sleep(0)
        time.sleep(0.5)  # as a program that hangs does
        status, body = await asked
    finally:
        close()
    assert status == 503
    assert body == {"ready": False, "parts": {"event loop": "has not answered in 0.1 s"}}
