"""The contracts of the sample store and of its aggregates, on the reference, the embedded store and InfluxDB 1.x."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.adapters.influx import InfluxSampleStore
from dyncal.adapters.influx.http import Endpoint
from dyncal.adapters.sqlite import SqliteSampleStore
from dyncal.ports.history import HistoryStore
from dyncal.testing.history_contract import HistoryStoreContract
from dyncal.testing.store import MemorySampleStore
from dyncal.testing.store_contract import SampleStoreContract
from tests.servers import Influxd


class TestMemorySampleStore(SampleStoreContract, HistoryStoreContract):
    @pytest.fixture
    def store(self) -> HistoryStore:
        return MemorySampleStore()


class TestSqliteSampleStore(SampleStoreContract, HistoryStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[HistoryStore]:
        store = SqliteSampleStore(tmp_path / "samples.sqlite")
        yield store
        store.close()


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    try:
        yield server
    finally:
        server.stop(kill=True)


@pytest.mark.influxdb
class TestInfluxSampleStore(SampleStoreContract, HistoryStoreContract):
    @pytest.fixture
    def store(self, influxd: Influxd, request: pytest.FixtureRequest) -> Iterator[HistoryStore]:
        store = InfluxSampleStore(Endpoint(influxd.url, request.node.name))
        yield store
        store.close()
