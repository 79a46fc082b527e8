"""What a real InfluxDB 2.x does: by hand, ``DYNCAL_INFLUXD2=/path/of/influxd pytest tests/integration/influx``."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from dyncal.adapters.influx import InfluxSampleStore
from dyncal.adapters.influx.http import Endpoint, Http
from dyncal.domain.errors import PoisonedWrite, StoreRefused, StoreUnauthorized
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.ports.sample_store import SampleStore
from dyncal.testing.records import TC, block, uniform
from dyncal.testing.store_contract import SampleStoreContract
from tests.integration.influx.kills import keeps_what_was_answered
from tests.servers_influx2 import ORG, PROGRAM, TOKEN, Influxd2

pytestmark = [
    pytest.mark.influxdb,
    pytest.mark.skipif(not PROGRAM, reason="no InfluxDB 2.x here: DYNCAL_INFLUXD2 names none"),
]

ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd2]:
    server = Influxd2(tmp_path_factory.mktemp("influxd2"))
    server.start()
    server.set_up()
    try:
        yield server
    finally:
        server.stop(kill=True)


class TestInflux2SampleStore(SampleStoreContract):
    @pytest.fixture
    def store(self, influxd: Influxd2, request: pytest.FixtureRequest) -> Iterator[SampleStore]:
        store = InfluxSampleStore(Endpoint(influxd.url, request.node.name, org=ORG, token=TOKEN))
        yield store
        store.close()


def test_float64_of_any_bits_come_back(influxd: Influxd2) -> None:
    rng = np.random.default_rng(22)
    values = rng.integers(0, 2**64, 20_000, dtype=np.uint64).view(np.float64)
    values = values[np.isfinite(values)]
    store = InfluxSampleStore(Endpoint(influxd.url, "bits", org=ORG, token=TOKEN))
    store.write(
        [
            block(part, sequence=k, axis=uniform(part.size, 5000 * k))
            for k, part in enumerate(np.split(values, range(5000, values.size, 5000)))
        ]
    )
    found = store.read(TC, *ALL).raw
    np.testing.assert_array_equal(found.view(np.uint64), values.view(np.uint64))
    store.close()


def test_what_the_server_cannot_take_is_found(influxd: Influxd2) -> None:
    store = InfluxSampleStore(Endpoint(influxd.url, "short", org=ORG, token=TOKEN, retention_days=1.0))
    ancient = block([1.0], axis=UniformAxis(InstantNs(1), DurationNs(1), 1))
    with pytest.raises(PoisonedWrite) as refused:
        store.write([ancient, ancient])
    assert refused.value.indices == (0, 1)
    store.close()


def test_wrong_credentials_name_the_setting(influxd: Influxd2) -> None:
    store = InfluxSampleStore(Endpoint(influxd.url, "first", org=ORG, token="nobody's"))
    with pytest.raises(StoreUnauthorized, match=r"store\.token"):
        store.write([block([1.0])])
    store.close()


def test_an_organisation_that_is_not_there_names_the_setting(influxd: Influxd2) -> None:
    store = InfluxSampleStore(Endpoint(influxd.url, "other", org="nobody", token=TOKEN))
    with pytest.raises(StoreRefused, match=r"store\.org"):
        store.write([block([1.0])])
    store.close()


def test_a_bucket_that_is_deleted_is_made_again(influxd: Influxd2) -> None:
    endpoint = Endpoint(influxd.url, "dropped", org=ORG, token=TOKEN)
    store, http = InfluxSampleStore(endpoint), Http(endpoint)
    store.write([block([1.0])])
    listed = json.loads(http.demand("GET", "/api/v2/buckets", {"name": "dropped", "org": ORG}).body)
    http.demand("DELETE", f"/api/v2/buckets/{listed['buckets'][0]['id']}", {})
    store.write([block([2.0])])
    assert store.read(SensorId("tc-1"), *ALL).raw.tolist() == [2.0]
    store.close()
    http.close()


def test_what_was_answered_survives_a_kill(influxd: Influxd2) -> None:
    store = InfluxSampleStore(Endpoint(influxd.url, "killed", org=ORG, token=TOKEN))
    keeps_what_was_answered(influxd, store)


def test_a_retention_policy_is_mapped_written_and_read(influxd: Influxd2) -> None:
    store = InfluxSampleStore(Endpoint(influxd.url, "kept", org=ORG, token=TOKEN, retention_policy="fast"))
    store.write([block([1.0, 2.0])])
    assert store.read(TC, *ALL).raw.tolist() == [1.0, 2.0]
    store.close()
