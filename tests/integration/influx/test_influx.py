"""What a real InfluxDB 1.6.7 does with what it cannot take, without credentials, and when it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dyncal.adapters.influx import InfluxSampleStore, queries
from dyncal.adapters.influx.http import Answer, Endpoint, Http, raise_for
from dyncal.adapters.influx.printers import PRINTER
from dyncal.domain.errors import PoisonedWrite, StoreUnauthorized
from dyncal.domain.samples import GapCause, Record
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.testing.records import T0, TC, assert_same, block, gap, history, uniform
from dyncal.testing.store import MemorySampleStore
from tests.integration.influx.kills import keeps_what_was_answered
from tests.servers import Influxd

pytestmark = pytest.mark.influxdb

GUARDED = pytest.mark.parametrize("influxd", [True], indirect=True, ids=["auth"])
ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))


@pytest.fixture(scope="module", params=[False, True], ids=["open", "auth"])
def influxd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = Influxd(tmp_path_factory.mktemp("influxd"), auth=request.param)
    server.start()
    if server.auth:
        admin = Http(Endpoint(server.url, ""))
        raise_for(admin.ask("POST", "/query", {"q": "CREATE USER boss WITH PASSWORD 'secret' WITH ALL PRIVILEGES"}))
        admin.close()
    try:
        yield server
    finally:
        server.stop(kill=True)


def test_a_long_history_comes_in_pages(influxd: Influxd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "CHUNK_ROWS", 700)
    monkeypatch.setattr(queries, "GAP_ROWS", 7)
    database = "pages_auth" if influxd.auth else "pages"
    store = InfluxSampleStore(Endpoint(influxd.url, database, username="boss", password="secret"))
    reference = MemorySampleStore()
    records: list[Record] = [*history(np.random.default_rng(8))[:150], block([np.inf, 1.0, -np.inf])]
    causes = list(GapCause)
    records += [gap(20 * (k // 2), 20 * (k // 2) + 5, sequence=k, cause=causes[k % 2]) for k in range(40)]
    for kept in (store, reference):
        kept.write(records)
    sizes: list[int] = []
    ask = Http.ask

    def noted(self: Http, *arguments: Any, **options: Any) -> Answer:
        answer = ask(self, *arguments, **options)
        sizes.append(len(answer.body))
        return answer

    monkeypatch.setattr(Http, "ask", noted)
    found = store.read(TC, *ALL, max_points=200)
    assert max(sizes) < 700 * 110
    assert_same(found, reference.read(TC, *ALL, max_points=200))
    assert_same(store.read(TC, *ALL), reference.read(TC, *ALL))
    for limit in (None, 1, 5, 6, 7, 39, 40, 50):
        assert store.gaps(TC, *ALL, limit=limit) == reference.gaps(TC, *ALL, limit=limit)
    later = InstantNs(T0 + 100), InstantNs(T0 + 300)
    assert store.gaps(TC, *later, limit=3) == reference.gaps(TC, *later, limit=3)
    store.close()


def test_lines_that_cannot_be_written_are_found(influxd: Influxd) -> None:
    endpoint = Endpoint(influxd.url, "poison", username="boss", password="secret")
    http = Http(endpoint)
    store = InfluxSampleStore(endpoint)
    store.check()
    # The type of a field is settled for each shard: sensors b and c write to another week.
    raise_for(http.ask("POST", "/write", {"db": "poison", "precision": "ns"}, b'samples,sensor=a raw="text" 1'))
    records = [
        block([1.0], sensor="b", axis=uniform(1)),
        block([1.0, 2.0], sensor="a", axis=UniformAxis(InstantNs(2), DurationNs(1), 2)),
        block([3.0], sensor="c", axis=uniform(1)),
    ]
    with pytest.raises(PoisonedWrite, match="field type conflict") as caught:
        store.write(records)
    assert caught.value.indices == (1,)
    assert store.read(SensorId("b"), *ALL).raw.tolist() == [1.0]
    assert store.read(SensorId("c"), *ALL).raw.tolist() == [3.0]
    store.close()
    http.close()


@pytest.fixture
def guarded(influxd: Influxd) -> Influxd:
    """Return the server that asks for credentials, with a user who may only write and read what is there."""
    administrate(
        influxd,
        "CREATE DATABASE shared",
        "CREATE USER low WITH PASSWORD 'x'",
        "GRANT ALL ON shared TO low",
    )
    return influxd


def administrate(influxd: Influxd, *statements: str) -> None:
    http = Http(Endpoint(influxd.url, "", username="boss", password="secret"))
    for statement in statements:
        raise_for(http.ask("POST", "/query", {"q": statement}))
    http.close()


@GUARDED
def test_wrong_credentials_name_the_setting(guarded: Influxd) -> None:
    for endpoint, named in (
        (Endpoint(guarded.url, "poison", username="boss", password="wrong"), r"store\.username = 'boss'"),
        (Endpoint(guarded.url, "poison"), "no credentials"),
    ):
        store = InfluxSampleStore(endpoint)
        with pytest.raises(StoreUnauthorized, match=named):
            store.check()
        with pytest.raises(StoreUnauthorized, match=named):
            store.write([block([1.0])])
        store.close()


@GUARDED
def test_a_user_without_rights_to_create_works_in_a_database_that_is_there(guarded: Influxd) -> None:
    store = InfluxSampleStore(Endpoint(guarded.url, "shared", username="low", password="x"))
    assert "shared" in store.check()
    store.write([block([1.0, 2.0])])
    assert store.read(TC, *ALL).raw.tolist() == [1.0, 2.0]
    store.close()
    store = InfluxSampleStore(Endpoint(guarded.url, "absent", username="low", password="x"))
    for use in (store.check, lambda: store.write([block([1.0])])):
        with pytest.raises(StoreUnauthorized, match=r"store\.database = 'absent'.*administrator"):
            use()
    store.close()


def test_a_retention_policy_is_made_written_and_read(influxd: Influxd) -> None:
    database = "kept"
    store = InfluxSampleStore(
        Endpoint(
            influxd.url,
            database,
            username="boss",
            password="secret",
            retention_policy="long",
            retention_days=3650,
        )
    )
    store.write([block([1.0, 2.0])])
    assert store.read(TC, *ALL).raw.tolist() == [1.0, 2.0]
    administrate(influxd, f'DROP RETENTION POLICY "long" ON "{database}"')
    assert len(store.read(TC, *ALL)) == 0
    store.write([block([3.0])])
    assert store.read(TC, *ALL).raw.tolist() == [3.0]
    with pytest.raises(PoisonedWrite, match="points beyond retention policy"):
        store.write([block([1.0], axis=UniformAxis(InstantNs(1), DurationNs(1), 1)), block([4.0])])
    assert store.read(TC, *ALL).raw.tolist() == [4.0]
    store.close()


def test_float64_of_any_bits_come_back(influxd: Influxd) -> None:
    rng = np.random.default_rng(21)
    PRINTER.begin().join(100)
    values = rng.integers(0, 2**64, 60_000, dtype=np.uint64).view(np.float64)
    subnormal = rng.integers(0, 2**52, 5_000, dtype=np.uint64).view(np.float64)
    values = np.concatenate([values[np.isfinite(values)], subnormal, -subnormal])
    store = InfluxSampleStore(Endpoint(influxd.url, "bits", username="boss", password="secret"))
    records = [
        block(part, sequence=k, axis=uniform(part.size, 5000 * k))
        for k, part in enumerate(np.split(values, range(5000, values.size, 5000)))
    ]
    store.write(records)
    found = store.read(TC, *ALL).raw
    np.testing.assert_array_equal(found.view(np.uint64), values.view(np.uint64))
    store.close()


def test_a_database_that_is_dropped_is_made_again(influxd: Influxd) -> None:
    endpoint = Endpoint(influxd.url, "dropped", username="boss", password="secret")
    store, http = InfluxSampleStore(endpoint), Http(endpoint)
    store.write([block([1.0])])
    raise_for(http.ask("POST", "/query", {"q": "DROP DATABASE dropped"}))
    assert len(store.read(SensorId("tc-1"), *ALL)) == 0
    store.write([block([2.0])])
    assert store.read(SensorId("tc-1"), *ALL).raw.tolist() == [2.0]
    store.close()
    http.close()


def test_what_was_answered_survives_a_kill(influxd: Influxd) -> None:
    endpoint = Endpoint(influxd.url, "killed", username="boss", password="secret")
    store = InfluxSampleStore(endpoint)
    keeps_what_was_answered(influxd, store)
