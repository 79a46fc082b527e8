"""Replacing samples by aggregates on a real InfluxDB, broken off at every request: nothing is lost, nothing doubled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dyncal.adapters.influx import InfluxSampleStore
from dyncal.adapters.influx.http import Answer, Endpoint, Http
from dyncal.domain import aggregates
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.testing.records import DT, T0, block, uniform
from tests.servers import Influxd

pytestmark = pytest.mark.influxdb

ALL = (InstantNs(0), InstantNs(9_000_000_000_000_000_000))
N = 500
RANGE = InstantNs(T0), InstantNs(T0 + 5 * NS_PER_S)


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    try:
        yield server
    finally:
        server.stop(kill=True)


class Broken:
    """Lets so many requests through and ends at the next one: before it is sent, or after, its answer lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.after = False
        ask = Http.ask

        def broken(http: Http, *arguments: Any, **options: Any) -> Answer:
            if self.left is None:
                return ask(http, *arguments, **options)
            self.left -= 1
            if self.left < 0 and not self.after:
                raise StoreUnavailable("cut off")
            answer = ask(http, *arguments, **options)
            if self.left < 0:
                raise StoreUnavailable("cut off")
            return answer

        monkeypatch.setattr(Http, "ask", broken)


def attempt(store: InfluxSampleStore, sensor: SensorId) -> None:
    rows = store.read(sensor, *RANGE)
    store.replace(sensor, SAMPLES, *RANGE, aggregates.of_samples(rows, NS_PER_S), len(rows))


def total(store: InfluxSampleStore, sensor: SensorId) -> int:
    return len(store.read(sensor, *ALL)) + int(store.aggregates(sensor, *ALL).n_rows.sum())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whatever_request_is_the_last(influxd: Influxd, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    endpoint = Endpoint(influxd.url, f"broken_{after}")
    broken = Broken(monkeypatch)
    for k in itertools.count():
        sensor = SensorId(f"s{k}")
        store = InfluxSampleStore(endpoint)
        store.write([block(np.arange(float(N)), sensor=sensor)])
        broken.left, broken.after = k, after
        try:
            attempt(store, sensor)
        except StoreUnavailable:
            ended = False
        else:
            ended = True
        broken.left = None
        store.close()
        again = InfluxSampleStore(endpoint)  # the program is started again
        again.settle()
        assert total(again, sensor) == N, k
        late = block([1000.0, 2000.0], sensor=sensor, axis=uniform(2, 10_000_001, 100), sequence=1)
        again.write([late])
        attempt(again, sensor)
        assert len(again.read(sensor, *ALL)) == 0
        found = again.aggregates(sensor, *ALL)
        assert found.n_rows.tolist() == [100, 102, 100, 100, 100], k
        assert (found.raw_min.tolist()[1:], found.raw_max.tolist()[1]) == ([100, 200, 300, 400], 2000.0)
        again.close()
        if ended:
            break
    assert k > 8


def test_the_same_program_ends_what_it_began_before_it_writes(
    influxd: Influxd, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(monkeypatch)
    for k in range(4, 16):
        sensor = SensorId(f"s{k}")
        store = InfluxSampleStore(Endpoint(influxd.url, "same"))
        store.write([block(np.arange(float(N)), sensor=sensor)])
        broken.left = k
        try:
            attempt(store, sensor)
        except StoreUnavailable:
            broken.left = None
            store.write([block([7.0], sensor=sensor, axis=uniform(1, 1, DT // 2), sequence=1)])
            assert total(store, sensor) == N + 1, k
        broken.left = None
        store.close()


def test_killed_while_it_removes(influxd: Influxd, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken(monkeypatch)
    sensor = SensorId("killed")
    store = InfluxSampleStore(Endpoint(influxd.url, "killed"))
    store.write([block(np.arange(float(N)), sensor=sensor)])
    broken.left, broken.after = 12, False
    with pytest.raises(StoreUnavailable):
        attempt(store, sensor)
    broken.left = None
    influxd.stop(kill=True)
    with pytest.raises(StoreUnavailable):
        store.settle()
    influxd.start()
    store.settle()
    assert total(store, sensor) == N
    store.close()
