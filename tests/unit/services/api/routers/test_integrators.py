"""Routes for other programs."""

from __future__ import annotations

import asyncio
import csv
import io
import math
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dyncal.domain.coefficients import CorrectionSmoother, MeasurandPrior, SetState
from dyncal.domain.samples import Gap, GapCause, GapRecord
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, InstantNs, iso
from dyncal.ports.registry import Registry
from dyncal.testing.records import block, span, uniform
from dyncal.testing.registry import S1, S2, act, make_calibration, make_sensor, make_set
from services.api import pages, series
from tests.unit.services.api.conftest import Api

AXIS = uniform(5)
URL = f"/v1/sensors/{S1}/samples"


def fill(api: Api) -> None:
    raw = [1.0, 2.0, float("nan"), 4.0, 5.0]
    runs = ((0, 2), (0x80310000, 1), (0, 2))
    api.store.write([block(raw, sensor=S1, runs=runs, corrected=span(uniform(2), [10.0, 11.0], "s-1"))])


async def arrow(api: Api, **params: str) -> pa.Table:
    answer = await api.http.get(URL, params={"format": "arrow", **params})
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    return pa.ipc.open_stream(answer.content).read_all()


async def test_samples_as_arrow(api: Api) -> None:
    fill(api)
    found = await arrow(api, **{"from": str(AXIS.t0_ns), "to": str(AXIS.t_ns[-1] + 1)})
    assert found.column("t").cast(pa.int64()).to_pylist() == AXIS.t_ns.tolist()
    assert found.column("raw").to_pylist() == [1.0, 2.0, None, 4.0, 5.0]
    assert found.column("corrected").to_pylist() == [10.0, 11.0, None, None, None]
    assert found.column("u").to_pylist() == [0.5, 0.5, None, None, None]
    assert found.column("quality").to_pylist()[2] == 0x80310000
    assert found.column("set").to_pylist() == ["s-1", "s-1", None, None, None]
    assert found.schema.metadata[b"unit"] == b"Cel"
    accepted = await api.http.get(URL, headers={"accept": "application/vnd.apache.arrow.stream"})
    assert pa.ipc.open_stream(accepted.content).read_all().num_rows == 0


async def test_a_long_interval_comes_in_batches_with_every_row(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "ROWS_A_BATCH", 2)
    api.registry.put_sensors([replace(make_sensor(S1), dt_ns=AXIS.dt_ns)], [], act())
    fill(api)
    span_ns = {"from": str(AXIS.t0_ns), "to": str(AXIS.t_ns[-1] + 1)}
    answer = await api.http.get(URL, params={"format": "arrow", **span_ns})
    batches = list(pa.ipc.open_stream(answer.content))
    assert [batch.num_rows for batch in batches] == [2, 2, 1]
    assert [t for batch in batches for t in batch.column(0).cast(pa.int64()).to_pylist()] == AXIS.t_ns.tolist()
    assert (await arrow(api, max_points="2", **span_ns)).num_rows < 5
    too_long = await api.http.get(URL, params={"format": "arrow", "from": "0", "to": "2200-01-01T00:00:00Z"})
    assert too_long.status_code == 422


def test_the_service_starts_without_arrow() -> None:
    code = "import sys, services.api.service; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_samples_as_json(api: Api) -> None:
    fill(api)
    end = int(AXIS.t_ns[-1])
    found = (await api.http.get(URL, params={"from": str(AXIS.t0_ns), "to": iso(InstantNs(end))})).json()
    assert found["t_ns"] == AXIS.t_ns[:-1].tolist()
    assert found["raw"] == [1.0, 2.0, None, 4.0]
    assert found["corrected"] == [10.0, 11.0, None, None]
    assert found["u"] == [0.5, 0.5, None, None]
    assert found["quality"] == [0, 0, 0x80310000, 0]
    assert [found["sets"][k] if k >= 0 else None for k in found["set_index"]] == ["s-1", "s-1", None, None]
    assert not found["decimated"]


@pytest.mark.parametrize("how", [{"params": {"format": "csv"}}, {"headers": {"accept": "text/csv"}}])
async def test_samples_as_csv(api: Api, how: dict[str, dict[str, str]]) -> None:
    fill(api)
    params = {"from": str(AXIS.t0_ns), "to": str(AXIS.t_ns[-1] + 1), **how.get("params", {})}
    answer = await api.http.get(URL, params=params, headers=how.get("headers"))
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["t"] for row in rows] == [iso(InstantNs(t)) for t in AXIS.t_ns.tolist()]
    assert [row["raw"] for row in rows] == ["1.0", "2.0", "", "4.0", "5.0"]
    assert [row["quality"] for row in rows][2] == "0x80310000"
    assert [row["set"] for row in rows] == ["s-1", "s-1", "", "", ""]


async def test_decimation_keeps_the_extremes_and_its_bound(api: Api) -> None:
    raw = np.random.default_rng(3).normal(size=50_000)
    raw[[20_011, 40_023]] = [99.0, -99.0]
    api.store.write([block(raw, sensor=S1)])
    params: dict[str, str | int] = {"from": str(AXIS.t0_ns), "to": str(AXIS.t0_ns + 10**14), "max_points": 1000}
    found = (await api.http.get(URL, params=params)).json()
    assert found["decimated"]
    assert len(found["raw"]) <= 2200
    assert (max(found["raw"]), min(found["raw"])) == (99.0, -99.0)
    most = (await api.http.get(URL, params={**params, "max_points": 1_000_000})).json()
    assert len(most["raw"]) <= 2.2 * api.deps.settings.max_points


async def test_by_default_the_last_ten_minutes(api: Api) -> None:
    fill(api)
    api.clock.instant = InstantNs(int(AXIS.t0_ns) + 600 * 10**9)
    assert len((await api.http.get(URL)).json()["t_ns"]) == 5
    api.clock.instant = InstantNs(int(AXIS.t_ns[-1]) + 700 * 10**9)
    assert (await api.http.get(URL)).json()["t_ns"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"from": "yesterday"},
        {"from": "2026-01-01T00:00:00"},
        {"from": "-1"},
        {"from": "9" * 19},
        {"from": "9" * 60},
        {"from": "1e9"},
        {"from": "5", "to": "5"},
        {"from": "6", "to": "5"},
        {"to": "²"},
        {"to": "9999999-01-01T00:00:00Z"},
        {"max_points": "0"},
        {"max_points": "-5"},
        {"max_points": "1e3"},
        {"max_points": "99999999"},
        {"format": "xml"},
        {"from": "x" * 100},
    ],
)
async def test_a_range_that_is_none_is_refused(api: Api, params: dict[str, str]) -> None:
    answer = await api.http.get(URL, params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


async def test_an_unescaped_offset_is_understood(api: Api) -> None:
    answer = await api.http.get(f"{URL}?from=2026-01-01T01:00:00+01:00&to=2026-01-01T00:00:01Z")
    assert answer.json()["from_ns"] == 1_767_225_600 * 10**9


async def test_gaps(api: Api) -> None:
    answer = await api.http.get(f"/v1/sensors/{S1}/gaps", params={"from": "0"})
    assert answer.json() == {"sensor": S1, "items": [], "next_cursor": None}


async def test_gaps_come_in_pages(api: Api) -> None:
    causes = list(GapCause)
    gaps = [Gap(InstantNs(10 * (k // 3)), InstantNs(10 * (k // 3) + 5), causes[k % 3], k) for k in range(30)]
    api.store.write([GapRecord(S1, EdgeId("e"), 1, k, k, gap) for k, gap in enumerate(gaps)])
    address = f"/v1/sensors/{S1}/gaps"
    for limit in (1, 2, 3, 4, 7, 29, 30, 31):
        params: dict[str, str | int] = {"from": "0", "to": "1000", "limit": limit}
        seen: list[int] = []
        while True:
            page = (await api.http.get(address, params=params)).json()
            assert 1 <= len(page["items"]) < limit + len(causes)
            seen = [gap["n_lost"] for gap in page["items"]] + seen
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        assert sorted(seen) == list(range(30))
        assert [k // 3 for k in seen] == sorted(k // 3 for k in seen)
    assert (await api.http.get(address, params={"limit": 0})).status_code == 422
    assert (await api.http.get(address, params={"cursor": "%%"})).status_code == 422


async def test_calibrations(api: Api) -> None:
    for k in range(7):
        api.registry.add_calibration(make_calibration(f"cal-{k}", S1 if k % 2 else S2, k), act(k))
    page = (await api.http.get("/v1/calibrations?limit=4")).json()
    rest = (await api.http.get("/v1/calibrations", params={"limit": 4, "cursor": page["next_cursor"]})).json()
    assert [c["id"] for c in page["items"] + rest["items"]] == [f"cal-{k}" for k in reversed(range(7))]
    assert rest["next_cursor"] is None
    mine = (await api.http.get("/v1/calibrations", params={"sensor": S1})).json()["items"]
    assert [c["id"] for c in mine] == ["cal-5", "cal-3", "cal-1"]
    one = (await api.http.get("/v1/calibrations/cal-3")).json()
    assert one["whiteness_p"] is None
    assert one["parameters"]["names"] == ["gain", "tau_s"]
    assert one["parameters"]["u"][0] == pytest.approx((1e-7 / 3) ** 0.5)
    assert one["conformity"]["as_left"]["rms"] == 0.1
    assert (await api.http.get("/v1/calibrations/none")).status_code == 404


async def test_calibrations_of_one_instant_come_on_different_pages(api: Api) -> None:
    for k in range(5):
        api.registry.add_calibration(make_calibration(f"cal-{k}", S1, 1), act(k))
    seen: list[str] = []
    params: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await api.http.get("/v1/calibrations", params=params)).json()
        seen += [c["id"] for c in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == [f"cal-{k}" for k in reversed(range(5))]
    assert (await api.http.get("/v1/calibrations", params={"cursor": "%%"})).status_code == 422
    assert (await api.http.get("/v1/calibrations", params={"cursor": "eCB5"})).status_code == 422


async def test_a_set_shows_the_smoother_that_it_has_instead_of_a_filter(api: Api) -> None:
    smoother = CorrectionSmoother(
        DurationNs(10**8), DurationNs(19 * 10**8), MeasurandPrior.BUTTERWORTH, 1.25, 2 * math.pi, 2, 0.01, 0.3
    )
    api.registry.add_set(replace(make_set(), correction=smoother), b"{}", SetState.ACTIVE, act())
    shown = (await api.http.get(f"/v1/coefficient-sets/{make_set().id}")).json()
    assert shown["filter"] is None
    assert shown["smoother"] == {
        "dt_ns": 10**8, "latency_s": 1.9, "prior": "butterworth", "density": 1.25, "corner_hz": 1.0, "order": 2,
        "noise_std": 0.01, "band_hz": 0.3,
    }  # fmt: skip
    api.registry.add_set(make_set(2), b"{}", SetState.PUBLISHED, act())
    plain = (await api.http.get(f"/v1/coefficient-sets/{make_set(2).id}")).json()
    assert plain["smoother"] is None
    assert plain["filter"]["n_taps"] == make_set(2).filter.fir.size


async def test_a_set_has_a_strong_tag_and_its_exact_envelope(api: Api) -> None:
    envelope = b'{"v":1,  "set":"\xc5\x81"}'
    api.registry.add_set(make_set(), envelope, SetState.PUBLISHED, act())
    address = f"/v1/coefficient-sets/{make_set().id}"
    exact = await api.http.get(f"{address}/envelope")
    assert exact.content == envelope
    assert not exact.headers["etag"].startswith("W/")
    again = await api.http.get(f"{address}/envelope", headers={"if-none-match": exact.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    one = await api.http.get(address)
    assert one.json()["state"] == "published"
    same = await api.http.get(address, headers={"if-none-match": one.headers["etag"]})
    assert same.status_code == 304
    api.registry.set_state(make_set().id, SetState.ACTIVE, act())
    other = await api.http.get(address, headers={"if-none-match": one.headers["etag"]})
    assert (other.status_code, other.json()["state"]) == (200, "active")
    listed = (await api.http.get("/v1/coefficient-sets", params={"sensor": S1, "state": "active"})).json()
    assert [s["sequence"] for s in listed["items"]] == [1]


async def test_sets_come_in_pages(api: Api) -> None:
    for sensor in (S1, S2):
        for k in (1, 2, 3):
            api.registry.add_set(make_set(k, sensor), b"%d" % k, SetState.PUBLISHED, act(k))
    found: list[tuple[str, int]] = []
    address: str | None = "/v1/coefficient-sets?limit=2"
    n_pages = 0
    while address is not None:
        answer = await api.http.get(address)
        found += [(each["sensor"], each["sequence"]) for each in answer.json()["items"]]
        address = answer.links.get("next", {}).get("url")
        n_pages += 1
    assert found == [(sensor, k) for sensor in sorted((S1, S2)) for k in (3, 2, 1)]
    assert n_pages == 4  # the last of them is empty: a full page does not know whether it was the last
    forged = await api.http.get("/v1/coefficient-sets", params={"cursor": pages.encode("1 tc/1")})
    assert forged.status_code == 422


async def test_a_pairing_is_put_and_removed_by_who_has_seen_it(api: Api) -> None:
    address = f"/v1/sensors/{S1}/pairing"
    tag = (await api.http.get(address)).headers["etag"]
    body = {"reference": S2, "model": "second_order", "tolerance": {"f0_hz": 0.1}}
    put = await api.http.put(address, json=body, headers={"if-match": tag}, params={"reason": "new sensor"})
    assert put.status_code == 200
    assert put.headers["etag"] == (await api.http.get(address)).headers["etag"] != tag
    last = api.registry.audit()[-1]
    assert (last.actor, last.reason) == ("http:127.0.0.1", "new sensor")
    late = await api.http.put(address, json=body, headers={"if-match": tag})
    assert (late.status_code, late.json()["type"]) == (412, "urn:dyncal:problem:changed")
    assert (await api.http.delete(address, headers={"if-match": tag})).status_code == 412
    assert (await api.http.delete(address)).status_code == 204
    assert (await api.http.get(address)).status_code == 404
    assert (await api.http.delete(address)).status_code == 404
    assert (await api.http.put(address, json=body, headers={"if-match": "*"})).status_code == 412


async def test_of_those_who_have_seen_the_same_pairing_one_changes_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/v1/sensors/{S1}/pairing"
    headers = {"if-match": (await api.http.get(address)).headers["etag"]}
    kind = type(api.registry)
    put, remove = kind.put_sensors, kind.remove_pairing

    def slowly_put(self: Registry, *arguments: Any) -> bool:
        threading.Event().wait(0.1)
        return put(self, *arguments)

    def slowly_remove(self: Registry, *arguments: Any) -> None:
        threading.Event().wait(0.1)
        remove(self, *arguments)

    monkeypatch.setattr(kind, "put_sensors", slowly_put)
    monkeypatch.setattr(kind, "remove_pairing", slowly_remove)
    bodies = [{"reference": S2, "model": "second_order", "u_reference": 0.01 * k} for k in range(1, 5)]
    changes = [api.http.put(address, json=body, headers=headers) for body in bodies]
    answers = await asyncio.gather(*changes, api.http.delete(address, headers=headers))
    assert sum(answer.is_success for answer in answers) == 1
    assert sum(answer.status_code == 412 for answer in answers) == 4


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reference": S2},
        {"reference": S1, "model": "first_order"},
        {"reference": "nobody", "model": "first_order"},
        {"reference": "a/b", "model": "first_order"},
        {"reference": S2, "model": "third_order"},
        {"reference": S2, "model": "first_order", "u_reference": -1},
        {"reference": S2, "model": "first_order", "band_hz": 0},
        {"reference": S2, "model": "first_order", "surprise": 1},
        {"reference": S2, "model": "first_order", "tolerance": {"tau_s": -0.1}},
        {"reference": S2, "model": "first_order", "tolerance": {"x" * 100: 0.1}},
        [],
        None,
        "x",
    ],
)
async def test_a_pairing_that_cannot_be_is_refused_and_nothing_changes(api: Api, body: object) -> None:
    before = api.registry.revision()
    answer = await api.http.put(f"/v1/sensors/{S1}/pairing", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.registry.revision() == before


async def test_of_a_sensor_that_is_not_there(api: Api) -> None:
    for path in ("", "/samples", "/gaps", "/pairing"):
        answer = await api.http.get(f"/v1/sensors/{SensorId('nobody')}{path}")
        assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
