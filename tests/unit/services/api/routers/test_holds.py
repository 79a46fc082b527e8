"""Holds over HTTP, and samples that have become aggregates."""

from __future__ import annotations

import csv
import io

import numpy as np
import pyarrow as pa
import pytest

from dyncal.domain import aggregates
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.testing.records import T0, block, span, uniform
from dyncal.testing.registry import S1
from tests.unit.services.api.conftest import Api

URL = f"/v1/sensors/{S1}/samples"
WHOLE = {"from": str(T0), "to": str(T0 + 10 * NS_PER_S)}
BODY = {"sensor": S1, "from_ns": T0, "to_ns": None, "reason": "claim 4711"}


async def test_a_hold_is_put_listed_and_released(api: Api) -> None:
    put = await api.http.post("/v1/holds", json=BODY)
    assert put.status_code == 201
    hold = put.json()
    assert (hold["sensor"], hold["to_ns"], hold["reason"]) == (S1, None, "claim 4711")
    assert put.headers["location"] == f"/v1/holds/{hold['id']}"
    assert (await api.http.get("/v1/holds")).json() == {"items": [hold]}
    assert (await api.http.get(put.headers["location"])).json() == hold
    assert (await api.http.delete(put.headers["location"], params={"reason": "settled"})).status_code == 204
    assert (await api.http.get("/v1/holds")).json() == {"items": []}
    assert (await api.http.delete(put.headers["location"])).status_code == 404
    assert (await api.http.get(put.headers["location"])).status_code == 404
    assert [(e.action, e.reason) for e in api.registry.audit()[-2:]] == [
        ("hold.put", "claim 4711"),
        ("hold.release", "settled"),
    ]


async def test_a_hold_that_makes_no_sense_is_refused(api: Api) -> None:
    for change in ({"sensor": "nobody"}, {"to_ns": T0}, {"reason": " "}, {"from_ns": -1}, {"more": 1}):
        answer = await api.http.post("/v1/holds", json=BODY | change)
        assert answer.status_code in (404, 422), change
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.registry.holds() == []


async def test_a_key_puts_a_hold_once(api: Api) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await api.http.post("/v1/holds", json=BODY, headers=key)
    assert (await api.http.post("/v1/holds", json=BODY, headers=key)).json() == first.json()
    assert (await api.http.post("/v1/holds", json=BODY | {"sensor": None}, headers=key)).status_code == 422
    assert len(api.registry.holds()) == 1


def reduced(api: Api) -> None:
    """Ten seconds of samples of 100 Hz, of which the first five have become aggregates."""
    values = np.arange(1000.0)
    api.store.write([block(values, sensor=S1, corrected=span(uniform(1000), values + 1.0))])
    start, end = InstantNs(T0), InstantNs(T0 + 5 * NS_PER_S)
    rows = api.store.read(S1, start, end)
    api.store.replace(S1, SAMPLES, start, end, aggregates.of_samples(rows, NS_PER_S), len(rows))


async def test_aggregates_stand_where_samples_are_gone_and_the_answer_says_so(api: Api) -> None:
    reduced(api)
    found = (await api.http.get(URL, params=WHOLE)).json()
    assert found["aggregated"]
    assert len(found["t_ns"]) == 5 + 500
    assert found["t_ns"] == sorted(found["t_ns"])
    assert found["width_ns"][:6] == [NS_PER_S] * 5 + [0]
    assert found["n"][4:6] == [100, 1]
    assert (found["raw"][0], found["raw_min"][0], found["raw_max"][0]) == pytest.approx((49.5, 0.0, 99.0))
    assert (found["corrected"][0], found["corrected_min"][0], found["u"][0]) == pytest.approx((50.5, 1.0, 0.5))
    assert (found["raw"][5], found["raw_min"][5], found["raw_max"][5]) == (500.0, 500.0, 500.0)
    assert {found["sets"][k] for k in found["set_index"]} == {"set-1"}
    later = (await api.http.get(URL, params={**WHOLE, "from": str(T0 + 5 * NS_PER_S)})).json()
    assert not later["aggregated"]
    assert "width_ns" not in later


async def test_few_points_are_wider_aggregates_that_lose_no_extreme(api: Api) -> None:
    reduced(api)
    found = (await api.http.get(URL, params=WHOLE | {"max_points": "4"})).json()
    assert max(found["width_ns"]) == 3 * NS_PER_S
    assert sum(n for n, width in zip(found["n"], found["width_ns"], strict=True) if width) == 500
    assert (min(found["raw_min"]), max(found["raw_max"])) == (0.0, 999.0)


async def test_csv_and_arrow_have_the_columns_too(api: Api) -> None:
    reduced(api)
    text = (await api.http.get(URL, params=WHOLE | {"format": "csv"})).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert (rows[0]["width_ns"], rows[0]["n"], rows[0]["raw_max"]) == (str(NS_PER_S), "100", "99.0")
    answer = await api.http.get(URL, params=WHOLE | {"format": "arrow"})
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.num_rows == 505
    assert table.column("width_ns").to_pylist()[:6] == [NS_PER_S] * 5 + [0]
    assert table.column("raw_max").to_pylist()[0] == 99.0
