"""More and less of servers of other people, while they are read: what stays as it is misses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dyncal.domain.samples import GapRecord
from dyncal.testing.bus import FakeBroker
from tests.cuts.servers import KINDS, Kind, serving
from tests.integration.edge_agent.plant import running, sent, settings_of, until
from tests.integration.edge_agent.test_commissioning import reported, tell
from tests.integration.edge_agent.test_delivery import edge, listening
from tests.integration.edge_agent.test_foreign_servers import available
from tests.unit.edge_agent.helpers import Content


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return available(KINDS[request.param])


def source(kind: Kind, port: int, nodes: dict[str, str]) -> dict[str, Any]:
    read = {"unit": "Cel", "dt_s": 1 / kind.rate_hz, "silent_after_s": 300.0, "sampling_s": kind.sampling_s}
    return {
        "url": f"opc.tcp://127.0.0.1:{port}",
        "publishing_s": 0.1,
        "timeout_s": 2.0,
        "nodes": [{"sensor": sensor, "node": f"ns=1;s={node}", **read} for sensor, node in nodes.items()],
    }


# The same node twice, one that is not there, and back again.
STEPS = ({"A": "A", "B": "A"}, {"A": "A"}, {"A": "A", "C": "None"}, {"A": "A", "B": "A", "C": "A"}, {"A": "A"})


@pytest.mark.timeout(300)
async def test_sensors_that_stay_miss_nothing(tmp_path: Path, kind: Kind) -> None:
    broker = FakeBroker()
    async with serving(kind, tmp_path) as served, running(settings_of(tmp_path, edge()), broker) as service:
        await listening(broker)
        tell(broker, tmp_path, 1, opcua=[source(kind, served.port, {"A": "A"})])
        await reported(broker, 1)
        await until(lambda: len(Content.of(sent(broker, "A")).raw) > kind.rate_hz, 60)
        start = max(served.made)
        for revision, nodes in enumerate(STEPS, 2):
            tell(broker, tmp_path, revision, opcua=[source(kind, served.port, nodes)])
            await reported(broker, revision)
            n = {sensor: len(sent(broker, sensor)) for sensor in nodes}
            await asyncio.sleep(1.0)
            for sensor, node in nodes.items():
                if node != "None":
                    await until(lambda s=sensor, n=n: len(sent(broker, s)) > n[s], 20)  # type: ignore[misc]  # bound
        end = max(served.made)
        await until(lambda: max(Content.of(sent(broker, "A")).raw, default=0) >= end, 60)
        assert not service.health().parts[f"opc.tcp://127.0.0.1:{served.port}"]
    got = Content.of(sent(broker, "A")).raw
    made = {t: value for t, value in served.made.items() if start <= t <= end}
    assert len(made) > 4 * kind.rate_hz
    assert {t: value for t, (value, _) in got.items() if t in made} == made
    assert not [r for r in sent(broker, "A") if isinstance(r, GapRecord) and r.gap.after_ns > start]
