"""Replay from a real InfluxDB 1.6.7: every sample that was stored, the same each time, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dyncal.adapters.influx import InfluxSampleStore
from dyncal.adapters.influx.http import Endpoint
from dyncal.domain.errors import DyncalError
from dyncal.domain.time import duration
from simulators.replay import recorded, replay
from simulators.replay.opening import Wish, open_source
from simulators.replay.simulated import T0, SimulatedSource, edge_settings
from tests.servers import Influxd
from tests.unit.simulators.replay.scenarios import small

pytestmark = pytest.mark.influxdb


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    server = Influxd(tmp_path / "influxd")
    server.start()
    try:
        yield server
    finally:
        server.stop(kill=True)


def test_what_an_influxdb_has(influxd: Influxd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_PAGE_SAMPLES", 200)
    source = SimulatedSource(small(), duration(10.0))
    stored = replay(source, store=InfluxSampleStore(Endpoint(influxd.url, "plant"))).effects
    address, wish = f"influx:{influxd.url}/plant?dialect=v1", Wish(from_ns=T0, plant=edge_settings(small()))
    with ExitStack() as stack:
        again = replay(open_source(address, wish, stack)).effects
        assert again.digests["stored"] == stored.digests["stored"]
        assert {s.sensor for s in again.sets} == {s.sensor for s in stored.sets}
        assert replay(open_source(address, wish, stack)).effects == again
        with pytest.raises(DyncalError, match="there are no samples of"):
            open_source(f"influx:{influxd.url}/another", wish, stack)
