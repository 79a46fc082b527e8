"""Sensors and pairings in bulk: round trips, dry runs, and all that is wrong with a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs
from dyncal.testing.registry import S1, S2, act, make_pairing
from services.api import inventory
from services.api.app import create_app
from services.api.catalogue import Catalogue
from services.api.deps import Deps
from tests.unit.services.api.conftest import OPEN, Api

URL = "/v1/inventory"
CSV = {"content-type": "text/csv"}
JSON = {"content-type": "application/json"}
HEAD = "id,site,edge,unit,dt_ns,label,reference,model,u_reference,tolerance\n"


async def test_what_is_exported_comes_back_and_changes_nothing(api: Api) -> None:
    for media in ("text/csv", "application/json"):
        file = await api.http.get(URL, headers={"accept": media})
        assert file.headers["content-type"].startswith(media)
        same = await api.http.get(URL, headers={"accept": media, "if-none-match": file.headers["etag"]})
        assert same.status_code == 304
        before = api.registry.audit()
        answer = await api.http.post(URL, content=file.content, headers={"content-type": media})
        assert answer.json() == {"dry_run": False, "n_rows": 3, "n_changed": 0, "changes": []}
        assert api.registry.audit() == before


async def test_an_import_adds_and_replaces_in_one_act(api: Api) -> None:
    text = (
        HEAD
        + f"{S1},plant,edge-1,K,100000000,New label,,,,\nnew,plant,e2,Cel,5,,{S2},first_order,0.5,tau_s=0.1 gain=1e-3\n"
    )
    dry = await api.http.post(URL, content=text, headers=CSV, params={"dry_run": "true"})
    assert dry.json()["changes"] == [
        {"line": 2, "id": S1, "sensor": "changed", "pairing": "same"},
        {"line": 3, "id": "new", "sensor": "new", "pairing": "new"},
    ]
    assert len(api.registry.sensors()) == 3
    done = await api.http.post(URL, content=text, headers=CSV, params={"reason": "new line"})
    assert done.json() == dry.json() | {"dry_run": False}
    assert api.registry.sensor(S1).unit == "K"
    pairings = {pairing.sensor: pairing for pairing in api.registry.pairings()}
    assert pairings[S1] == make_pairing(), "an empty reference leaves the pairing"
    assert pairings[SensorId("new")].tolerance == {"tau_s": 0.1, "gain": 1e-3}
    assert {entry.reason for entry in api.registry.audit()[-3:]} == {"new line"}


async def test_all_that_is_wrong_is_said_and_nothing_is_done(api: Api) -> None:
    text = (
        HEAD + "a,plant,e,Cel,100,,,,,\n"
        '"b\nb",plant,e,Cel,100,,,,,\n'
        "c,plant,e,Cel,0,,,,,\n"
        "a,plant,e,Cel,100,,,,,\n"
        "d,plant,e,Cel,100,,d,first_order,,\n"
        "f,plant,e,Cel,100,,a,first_order,-1,tau_s\n"
        "g,plant,e,Cel,100,,,first_order,,\n"
        "h,plant,e,Cel,100,,a,first_order,nan,\n"
        "i,plant,e,Cel,100,,a,static,,\n"
        "k,plant,e,Cel,100,,a,first_order,,,,,\n"
    )
    before = api.registry.audit()
    answer = await api.http.post(URL, content=text, headers=CSV)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:dyncal:problem:rows")
    found = [(fault["line"], fault["where"]) for fault in problem["errors"]]
    assert found == [
        (4, "id"), (5, "dt_ns"), (6, "id"), (7, ""), (8, ""), (9, ""), (10, "pairing.u_reference"), (11, ""), (12, ""),
    ]  # fmt: skip
    assert "stands in line 2" in problem["errors"][2]["message"]
    assert api.registry.audit() == before


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"id,site\n", CSV, 422, "missing"),
        (HEAD.replace("label", "lable").encode(), CSV, 422, "lable"),
        (b"id,id,site,edge,unit,dt_ns\n", CSV, 422, "twice"),
        (b"\xff\xfe", CSV, 422, "UTF-8"),
        (b"", CSV, 422, "missing"),
        (HEAD.encode() + b'"open', CSV, 422, "CSV"),
        (b"[]", JSON, 422, "items"),
        (b"{", JSON, 422, "items"),
        (b'{"items": [1, {"id": "a"}]}', JSON, 422, "line 1"),
        (b'{"items": [], "more": []}', JSON, 422, "items"),
        (b'{"items": [{"id": "a", "site": "s", "edge": "e", "unit": "", "dt_ns": 1, "x": 1}]}', JSON, 422, "x"),
        (b"{}", {"content-type": "text/plain"}, 415, "text/plain"),
        (b"{}", {}, 415, "send"),
    ],
)
async def test_files_that_are_none(api: Api, content: bytes, headers: dict[str, str], status: int, said: str) -> None:
    answer = await api.http.post(URL, content=content, headers=headers)
    assert answer.status_code == status
    assert said in json.dumps(answer.json())


async def test_a_reference_may_stand_behind_and_must_stand_somewhere(api: Api) -> None:
    row = {"site": "plant", "edge": "e", "unit": "Cel", "dt_ns": 10, "label": ""}
    rows: list[dict[str, Any]] = [{"id": "x", **row, "pairing": {"reference": "y", "model": "first_order"}}]
    refused = await api.http.post(URL, json={"items": rows})
    assert refused.json()["errors"] == [{"line": 1, "where": "reference", "message": "there is no sensor y"}]
    assert (await api.http.post(URL, json={"items": [*rows, {"id": "y", **row}]})).json()["n_changed"] == 2


async def test_an_import_for_an_inventory_that_has_changed_is_refused(api: Api) -> None:
    file = await api.http.get(URL, params={"format": "csv"})
    headers = {**CSV, "if-match": file.headers["etag"]}
    assert (await api.http.post(URL, content=file.content, headers=headers)).status_code == 200
    api.registry.remove_pairing(S1, act())
    assert (await api.http.post(URL, content=file.content, headers=headers)).status_code == 412


async def test_a_file_may_be_longer_than_other_bodies_but_not_without_end(api: Api) -> None:
    rows = "".join(f"s{k},plant,e,Cel,10,,,,,\n" for k in range(200))
    assert len(rows) > api.deps.settings.max_body_bytes
    assert (await api.http.post(URL, content=HEAD + rows, headers=CSV)).json()["n_changed"] == 200
    too_long = await api.http.post(URL, content=b"x", headers=CSV | {"content-length": str(1 << 40)})
    assert too_long.status_code == 413


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)
positive = st.floats(1e-300, 1e300)
made_pairings = st.builds(
    Pairing,
    sensor=st.just(SensorId("s")),
    reference=names.filter(lambda name: name != "s").map(SensorId),
    model=st.sampled_from([ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER]),
    u_reference=positive,
    band_hz=st.none() | positive,
    tolerance=st.dictionaries(st.from_regex(r"[a-z_0-9]{1,10}", fullmatch=True), positive, max_size=3),
    dead_time=st.booleans(),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts, texts, st.integers(1, 10**13), st.none() | made_pairings)
def test_any_row_comes_back_as_it_went(unit: str, label: str, dt_ns: int, pairing: Pairing | None) -> None:
    sensor = Sensor(SensorId("s"), SiteId("p"), EdgeId("e"), unit, DurationNs(dt_ns), label)
    catalogue = Catalogue({sensor.id: sensor}, {} if pairing is None else {sensor.id: pairing}, {}, {})
    from_json = inventory.read_json(inventory.as_json(catalogue))
    assert [(line.sensor, line.pairing) for line in from_json] == [(sensor, pairing)]
    from_csv = inventory.read_csv(inventory.as_csv(catalogue))
    assert [(line.sensor, line.pairing) for line in from_csv] == [(sensor, pairing)]
    assert next(csv.reader(io.StringIO(inventory.as_csv(catalogue).decode(), newline="")))[0] == "id"


@pytest.mark.parametrize(
    "label", ['=HYPERLINK("http://evil.example")', "+1", "-2+3", "@SUM(A1)", "\t=1", "'=1", "'", "''+", "it's"]
)
def test_a_spreadsheet_takes_no_text_for_a_formula_and_text_comes_back(label: str) -> None:
    sensor = Sensor(S1, SiteId("plant"), EdgeId("e"), "=m", DurationNs(5), label)
    file = inventory.as_csv(Catalogue({S1: sensor}, {}, {}, {}))
    (row,) = list(csv.DictReader(io.StringIO(file.decode(), newline="")))
    assert row["unit"] == "'=m"
    assert not row["label"].startswith(("=", "+", "-", "@", "\t", "\r"))
    (line,) = inventory.read_csv(file)
    assert line.sensor == sensor


@pytest.mark.parametrize(
    ("content", "media", "said"),
    [
        (b'{"items":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}", "application/json", "recursion"),
        (b'{"items":[' + b"1," * 5_000_000 + b"1]}", "application/json", "rows"),
        (b"," * 1_000_000, "text/csv", "characters"),
        (b"x," * 30_000, "text/csv", "no such column"),
        (HEAD.encode() + b"," * 1_000_000, "text/csv", "characters"),
        (HEAD.encode() + b"\n" * 500_000, "text/csv", "lines"),
        (HEAD.encode() + b'"' + b"a\n" * 200_000, "text/csv", "field larger than field limit"),
        (HEAD.encode() + b"a\x00b,plant,e,Cel,5\n", "text/csv", "id"),
        (HEAD.encode("utf-16"), "text/csv", "UTF-8"),
    ],
)
async def test_files_that_are_made_to_be_read_for_long_are_not(
    api: Api, content: bytes, media: str, said: str, tmp_path: Path
) -> None:
    deps = Deps.make(api.registry, api.store, api.clock, OPEN, console=tmp_path / "none")
    transport = httpx.ASGITransport(create_app(deps), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answer = await http.post(URL, content=content, headers={"content-type": media})
    assert answer.status_code == 422, answer.text[:300]
    assert said in answer.text
    assert len(answer.content) < 1_000_000
