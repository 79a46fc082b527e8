"""The back-up drill of docs/operations.md on a real InfluxDB 1.6: portable, while it runs, into another server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dyncal.adapters.influx import InfluxSampleStore
from dyncal.adapters.influx.http import Endpoint
from dyncal.domain import aggregates
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.testing.records import T0, TC, assert_same, block, gap, span, uniform
from tests.servers import Influxd

pytestmark = pytest.mark.influxdb

ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))


def host(server: Influxd) -> str:
    """Return where a server takes orders: `bind-address` of its configuration."""
    found = re.search(r'^bind-address = "([^"]+)"', (server.directory / "influxdb.conf").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def influxd(*words: str) -> None:
    subprocess.run(["influxd", *words], check=True, capture_output=True, timeout=60)


def test_what_was_stored_comes_back_in_another_server(tmp_path: Path) -> None:
    old, new = Influxd(tmp_path / "old"), Influxd(tmp_path / "new")
    old.start()
    try:
        store = InfluxSampleStore(Endpoint(old.url, "dyncal"))
        values = np.arange(2000.0)
        store.write([block(values, corrected=span(uniform(2000), values + 1.0)), gap(5, 9)])
        edge_of_past = InstantNs(T0 + 10 * NS_PER_S)
        rows = store.read(TC, InstantNs(T0), edge_of_past)
        by = aggregates.of_samples(rows, NS_PER_S)
        store.replace(TC, SAMPLES, InstantNs(T0), edge_of_past, by, len(rows))
        before = store.read(TC, *ALL), store.aggregates(TC, *ALL), store.gaps(TC, *ALL)
        influxd("backup", "-portable", "-database", "dyncal", "-host", host(old), str(tmp_path / "kept"))
        store.write([block([1.0], axis=uniform(1, 5000), sequence=1)])  # after it: not in it
        store.close()
    finally:
        old.stop(kill=True)
    new.start()
    try:
        influxd("restore", "-portable", "-db", "dyncal", "-host", host(new), str(tmp_path / "kept"))
        store = InfluxSampleStore(Endpoint(new.url, "dyncal"))
        assert_same(store.read(TC, *ALL), before[0])
        assert aggregates.same(store.aggregates(TC, *ALL), before[1])
        assert store.gaps(TC, *ALL) == before[2]
        store.settle()
        store.write([block([7.0], axis=uniform(1, 6000), sequence=2)])
        assert store.latest(TC).raw.tolist()[-1] == 7.0
        store.close()
    finally:
        new.stop(kill=True)
