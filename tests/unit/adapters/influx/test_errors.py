"""The Influx store, in all three dialects, against a strict server that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dyncal.adapters.influx import InfluxSampleStore, administration
from dyncal.adapters.influx.dialects import DIALECTS
from dyncal.adapters.influx.http import Endpoint
from dyncal.domain.errors import PoisonedWrite, StoreRefused, StoreUnauthorized, StoreUnavailable
from dyncal.runtime.settings import StoreSettings
from dyncal.testing.records import block, uniform
from tests.influx_fake import TOKEN, WRITES, FakeInflux, Fault, serving

RECORDS = [block([float(k)], sensor=f"s{k}", sequence=k, axis=uniform(1, k)) for k in range(10)]
ALL_SENSORS = {f"s{k}" for k in range(10)}


@pytest.fixture(params=["v1", "v2", "v3"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeInflux]:
    with serving(request.param) as server:
        yield server


def endpoint(server: FakeInflux, database: str = "plant", **options: object) -> Endpoint:
    known: dict[str, object] = {"org": "works", "token": TOKEN, "timeout_s": 2.0, **options}
    return Endpoint(server.url, database, **known)  # type: ignore[arg-type]  # mixed keywords


@pytest.fixture
def store(server: FakeInflux) -> Iterator[InfluxSampleStore]:
    store = InfluxSampleStore(endpoint(server))
    yield store
    store.close()


def test_the_dialect_is_detected(server: FakeInflux, store: InfluxSampleStore) -> None:
    store.write(RECORDS)
    assert [path.partition("?")[0] for path, _ in server.seen] == [WRITES[server.dialect]]
    assert server.sensors() == ALL_SENSORS
    assert server.points["samples,sensor=s3", int(uniform(1, 3).t_ns[0])] == {"raw": "3.0", "quality": "0i"}


@pytest.mark.parametrize(("status", "kind"), [(401, StoreUnauthorized), (403, StoreUnauthorized), (405, StoreRefused)])
def test_refusals(server: FakeInflux, store: InfluxSampleStore, status: int, kind: type[Exception]) -> None:
    server.always = Fault(status)
    with pytest.raises(kind, match="as told"):
        store.write(RECORDS)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_name_the_setting(server: FakeInflux, status: int) -> None:
    server.always = Fault(status)
    given = {
        "store.token_file": endpoint(server),
        "store.username = 'boss'": endpoint(server, token=None, username="boss"),
    }
    given["no credentials"] = endpoint(server, token=None)
    server.credentials |= {"", "Basic Ym9zczo="}
    for name, where in given.items():
        store = InfluxSampleStore(where)
        with pytest.raises(StoreUnauthorized, match=name):
            store.write(RECORDS)
        store.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_passing_trouble_says_when_to_come_back(server: FakeInflux, store: InfluxSampleStore, status: int) -> None:
    server.always = Fault(status, {"Retry-After": "7"})
    with pytest.raises(StoreUnavailable, match="as told") as caught:
        store.write(RECORDS)
    assert caught.value.retry_after_s == 7
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "nan"}, None),
        ({}, None),
    ],
)
def test_waits_are_read_as_seconds_or_as_a_date(
    server: FakeInflux, store: InfluxSampleStore, headers: dict[str, str], wait_s: float | None
) -> None:
    server.always = Fault(503, headers)
    with pytest.raises(StoreUnavailable) as caught:
        store.write(RECORDS)
    assert caught.value.retry_after_s == wait_s


def test_poisoned_records_are_found_and_the_rest_is_written(server: FakeInflux, store: InfluxSampleStore) -> None:
    server.poison = "samples,sensor=s7 "
    with pytest.raises(PoisonedWrite, match="partial write") as caught:
        store.write(RECORDS)
    assert caught.value.indices == (7,)
    assert server.sensors() == ALL_SENSORS - {"s7"}


def test_requests_that_are_too_large_are_made_smaller_and_stay_so(server: FakeInflux, store: InfluxSampleStore) -> None:
    server.most_bytes = 1200
    large = [block([float(i) for i in range(100)], sensor="s1"), *RECORDS[2:]]
    store.write(large)
    assert len(server.points) == 9 + 108
    n = len(server.seen)
    store.write(large)
    assert all(size <= 1200 for _, size in server.seen[n:])


def test_what_is_too_large_alone_is_poisoned(server: FakeInflux, store: InfluxSampleStore) -> None:
    server.most_bytes = 100
    with pytest.raises(PoisonedWrite, match="413"):
        store.write(RECORDS)


def test_limits_of_the_server_are_no_fault_of_the_records(server: FakeInflux, store: InfluxSampleStore) -> None:
    server.always = Fault(400, message="partial write: max-series-per-database limit exceeded: (1000000) dropped=1")
    with pytest.raises(StoreRefused, match="limit") as caught:
        store.write(RECORDS)
    assert not isinstance(caught.value, PoisonedWrite)
    assert len(server.seen) == 1


@pytest.mark.parametrize("cut", ["before", "after", "in answer"])
def test_a_cut_connection_is_passing_trouble(server: FakeInflux, store: InfluxSampleStore, cut: str) -> None:
    store.write(RECORDS[:1])
    server.faults.append(Fault(cut=cut))  # type: ignore[arg-type]  # pytest gives plain str
    with pytest.raises(StoreUnavailable):
        store.write(RECORDS)
    store.write(RECORDS)
    assert server.sensors() == ALL_SENSORS
    assert len(server.points) == 20


@pytest.mark.parametrize("status", [200, 202, 301, 307])
def test_what_is_no_influxdb_stores_nothing(server: FakeInflux, store: InfluxSampleStore, status: int) -> None:
    server.always = Fault(status, {"Location": "https://elsewhere"})
    with pytest.raises((StoreUnavailable, StoreRefused), match=r"store\.url"):
        store.write(RECORDS)


def test_what_is_missing_is_made(server: FakeInflux) -> None:
    store = InfluxSampleStore(endpoint(server, "fresh", retention_days=30, retention_policy="month"))
    store.write(RECORDS)
    assert server.sensors() == ALL_SENSORS
    made = server.made
    match server.dialect:
        case "v1":
            assert made == [
                {"q": 'CREATE DATABASE "fresh" WITH DURATION 720h REPLICATION 1'},
                {"q": 'CREATE RETENTION POLICY "month" ON "fresh" DURATION 720h REPLICATION 1'},
            ]
            assert "rp=month" in server.seen[0][0]
        case "v2":
            bucket, mapping = made
            assert bucket["retentionRules"] == [{"type": "expire", "everySeconds": 30 * 86400}]
            assert (mapping["bucketID"], mapping["database"], mapping["retention_policy"]) == (
                "id-fresh",
                "fresh",
                "month",
            )
        case _:
            assert made == [{"path": "/api/v3/configure/database", "db": "fresh", "retention_period": "720h"}]
    store.close()


def test_check_makes_what_is_missing_and_writes_nothing(server: FakeInflux) -> None:
    store = InfluxSampleStore(endpoint(server, "fresh"))
    assert "fresh" in store.check()
    assert server.points == {}
    assert ("fresh" in server.databases) == (server.dialect != "v3")  # there the first write makes it
    store.close()


def test_rights_to_write_suffice_where_nothing_is_missing(server: FakeInflux, store: InfluxSampleStore) -> None:
    server.may_create = False
    store.check()
    store.write(RECORDS)
    assert server.sensors() == ALL_SENSORS


def test_who_may_not_make_what_is_missing_is_told_what_to_do(server: FakeInflux) -> None:
    server.may_create = False
    store = InfluxSampleStore(endpoint(server, "fresh", retention_days=30))
    with pytest.raises(StoreUnauthorized, match=r"store\.database = 'fresh'.*store\.token_file.*administrator"):
        store.write(RECORDS)
    store.close()


@pytest.mark.parametrize("server", ["v2"], indirect=True)
def test_an_organisation_that_nobody_knows(server: FakeInflux) -> None:
    store = InfluxSampleStore(endpoint(server, org="nobody"))
    server.always = Fault(404, message='organization name "nobody" not found')
    with pytest.raises(StoreRefused, match=r"store\.org = 'nobody'"):
        store.write(RECORDS)
    store.close()


def test_nobody_there() -> None:
    for dialect in (*DIALECTS, None):
        store = InfluxSampleStore(Endpoint("http://127.0.0.1:1", "plant", timeout_s=1), dialect)
        with pytest.raises(StoreUnavailable):
            store.write(RECORDS)
        with pytest.raises(StoreUnavailable):
            store.check()
        store.close()


@pytest.mark.parametrize("server", ["v2"], indirect=True)
def test_a_bucket_that_somebody_else_makes_meanwhile_is_taken(
    server: FakeInflux, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = administration._find_bucket
    n_asked = 0

    def late(*arguments: Any) -> str | None:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 1:
            server.databases.add("fresh")
            return None
        return real(*arguments)

    monkeypatch.setattr(administration, "_find_bucket", late)
    store = InfluxSampleStore(endpoint(server, "fresh"))
    store.write(RECORDS)
    store.close()
    assert server.sensors() == ALL_SENSORS
    assert n_asked == 2


def test_a_password_that_was_changed_is_read_again_where_the_old_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    with serving("v2") as server:
        settings = StoreSettings(kind="influx", url=server.url, database="plant", org="works", token_file=file)
        with closing(InfluxSampleStore.from_settings(settings)) as store:
            with pytest.raises(StoreUnauthorized):
                store.write([RECORDS[0]])
            file.write_text(TOKEN)
            assert store.write(RECORDS) is not None
            file.unlink()
            server.credentials = {"nobody"}
            with pytest.raises(StoreUnauthorized):
                store.write([RECORDS[0]])
