"""What is seen of an edge at work: its clock, its metrics and health, and a block on its way to the store."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path

import msgspec
import numpy as np
import structlog
from prometheus_client.parser import text_string_to_metric_families

from dyncal.adapters.ledger import SqliteLedger
from dyncal.contracts.edges import StatusMessage
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.traces import trace_of
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.following import SPOOLED, STORED, follower
from dyncal.runtime.logging import logger
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import TraceSettings
from dyncal.testing.bus import FakeBroker
from dyncal.testing.store import MemorySampleStore
from edge_agent.settings import EdgeSettings
from services.ingest.service import IngestService
from services.ingest.settings import IngestSection
from tests.integration.edge_agent.plant import running, sent, until


def settings_of(tmp_path: Path, port: int, **more: object) -> EdgeSettings:
    """An edge that stamps what a device sends without a time, and that declares its clock good to 2 ms."""
    edge = {
        "name": "edge1",
        "flush_s": 0.02,
        "sensors": [{"sensor": "TT-101", "unit": "Cel", "dt_s": 0.01, "u_t_s": 0.0015}],
        "mqtt": [{"mappings": [{"topic": "devices/+", "sensor": "TT-101", "value_at": "/v"}]}],
        "metrics_port": port,
        **more,
    }
    return EdgeSettings.model_validate({"data_dir": tmp_path / "var", "edge": edge, "trace": {"one_in": 1}})


def status(broker: FakeBroker) -> StatusMessage:
    return msgspec.json.decode(broker.published("dyncal/v1/plant/edge1/status")[-1], type=StatusMessage)


def told(port: int) -> tuple[dict[str, float], int, dict[str, object]]:
    """Metrics by name and labels, and the answer of /readyz."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    values = {f"{s.name}{','.join(s.labels.values())}": s.value for family in families for s in family.samples}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
        return values, answer.status, json.loads(answer.read())


async def test_a_block_is_seen_from_the_edge_to_the_store_with_the_clock_that_stamped_it(tmp_path: Path) -> None:
    broker, port, stop = FakeBroker(), free_port(), asyncio.Event()
    ingest = IngestService(
        IngestSection(),
        open_bus=lambda: broker.bus("ingest"),
        open_store=MemorySampleStore,
        open_ledger=lambda: SqliteLedger(tmp_path / "ledger.sqlite"),
        quarantine_dir=tmp_path / "ingest",
        clock=SystemClock(),
        rng=np.random.default_rng(1),
        follower=follower(TraceSettings(one_in=1), "ingest", logger("ingest")),
    )
    with structlog.testing.capture_logs() as said:
        storing = asyncio.create_task(ingest.run(stop))
        async with running(settings_of(tmp_path, port, u_clock_s=0.002, clock={"sources": []}), broker):
            await until(lambda: any("south0" in name and s.filters for name, s in broker._sessions.items()))
            for k in range(50):
                broker.publish("devices/TT-101", b'{"v": %d}' % k)
                await asyncio.sleep(0.002)
            await until(lambda: sum(len(r) for r in sent(broker) if isinstance(r, SampleBlock)) == 50)
            await until(lambda: any(line["event"] == STORED for line in said))
            metrics, code, health = await asyncio.to_thread(told, port)
        stop.set()
        await storing
    blocks = [record for record in sent(broker) if isinstance(record, SampleBlock)]
    assert {block.u_t_ns for block in blocks} == {2_500_000}  # of the clock, and of the device beside it
    sensor = SensorId("TT-101")
    traces = {event: {line["trace"] for line in said if line["event"] == event} for event in (SPOOLED, STORED)}
    assert traces[SPOOLED] == {trace_of(sensor, block.axis.first_ns) for block in blocks}
    assert traces[STORED] <= traces[SPOOLED]
    assert traces[STORED]
    assert metrics["dyncal_edge_samples_read_totalTT-101"] == 50
    assert metrics["dyncal_edge_clock_statedeclared"] == 1
    assert metrics["dyncal_edge_clock_uncertainty_seconds"] == 0.002
    assert metrics["dyncal_edge_handling_seconds_count"] > 0
    assert metrics["dyncal_readyedge"] == 1
    assert (code, health["ready"]) == (200, True)


async def test_a_clock_of_which_nothing_is_known_is_said_to_be_so(tmp_path: Path) -> None:
    broker, port = FakeBroker(), free_port()
    async with running(settings_of(tmp_path, port, clock={"sources": []}), broker) as service:
        await until(lambda: bool(broker.published("dyncal/v1/plant/edge1/status")))
        await until(lambda: any("south0" in name and s.filters for name, s in broker._sessions.items()))
        born = status(broker)
        broker.publish("devices/TT-101", b'{"v": 1}')
        await until(lambda: bool(sent(broker)))
        health = service.health()
    assert born.clock is not None
    assert (born.clock.state, born.clock.u_ns, born.u_clock_ns) == ("unknown", 10**9, None)
    assert [sensor.own_clock for sensor in born.sensors] == [True]
    assert "unknown" in health.parts["clock"]
    assert health.ready  # what is read is kept
    (record,) = [record for record in sent(broker) if isinstance(record, SampleBlock)]
    assert record.u_t_ns == 1_000_001_125  # hypot of 1 s and 1.5 ms, rounded up
