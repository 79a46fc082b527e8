"""Laboratories' calibrations: points in, a model fitted, and where it shows."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyncal.certificates.writer import write_certificate
from dyncal.domain.coefficients import SetState
from dyncal.domain.sensors import Pairing
from dyncal.models.first_order import FirstOrder
from dyncal.testing.registry import S1, S2, act, make_pairing, make_set
from services.api.app import create_app
from services.api.deps import Deps
from tests.unit.certificates.examples import certificate
from tests.unit.services.api.conftest import OPEN, Api

URL = "/v1/laboratory-calibrations"
GAIN, TAU_S = 1.02, 0.35


def body(**other: Any) -> dict[str, Any]:
    f_hz = np.geomspace(0.02, 3, 12)
    h = FirstOrder().frequency_response(np.array([GAIN, TAU_S]), f_hz)
    rng = np.random.default_rng(5)
    size = np.abs(h) * (1 + 0.002 * rng.standard_normal(12))
    angle = np.degrees(np.angle(h)) + 0.1 * rng.standard_normal(12)
    points = {
        "form": "polar",
        "f_hz": f_hz.tolist(),
        "magnitude": size.tolist(),
        "u_magnitude": (0.002 * size).tolist(),
        "phase": angle.tolist(),
        "u_phase": [0.1] * 12,
    }
    about = {"sensor": S1, "laboratory": "PTB", "certificate": "D-1/26", "calibrated_at_ns": 1_690_000_000_000_000_000}
    return {**about, "points": points, **other}


@pytest.fixture
def api(api: Api, tmp_path: Path) -> Api:
    """Yield an application that takes longer bodies."""
    deps = Deps.make(api.registry, api.store, api.clock, OPEN, console=tmp_path / "none")
    app = create_app(deps)
    api.http._transport.app = app  # type: ignore[attr-defined]
    return replace(api, app=app, deps=deps)


async def test_points_become_parameters_with_their_covariance(api: Api) -> None:
    tried = await api.http.post(URL, json=body(), params={"dry_run": "true"})
    assert tried.status_code == 200
    assert api.registry.laboratories() == []
    answer = await api.http.post(URL, json=body(), params={"reason": "new"})
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert found["parameters"]["model"] == "first_order"
    values, u = np.array(found["parameters"]["values"]), np.array(found["parameters"]["u"])
    assert np.all(np.abs(values - [GAIN, TAU_S]) < 4 * u)
    assert found["dof"] == 22
    assert np.allclose(found["magnitude"], body()["points"]["magnitude"])
    assert np.allclose(found["u_magnitude"], body()["points"]["u_magnitude"])
    assert np.allclose(np.degrees(found["u_phase_rad"]), 0.1)
    at = answer.headers["location"]
    assert (await api.http.get(at)).json() == found
    again = await api.http.post(URL, json=body())
    assert (again.status_code, again.json()) == (200, found)
    assert [entry.action for entry in api.registry.audit()].count("laboratory.add") == 1
    listed = (await api.http.get(URL, params={"sensor": S1, "limit": 1})).json()
    assert listed["items"] == [found]
    assert (await api.http.get(URL, params={"cursor": listed["next_cursor"]})).json()["items"] == []


async def test_the_file_comes_back_byte_for_byte(api: Api) -> None:
    answer = await api.http.post(URL, json=body())
    sent = answer.request.content
    source = await api.http.get(f"{answer.headers['location']}/source")
    assert (source.content, source.headers["content-type"]) == (sent, "application/json")


async def test_complex_points_with_a_covariance_of_all(api: Api) -> None:
    f_hz = np.geomspace(0.02, 3, 12)
    h = FirstOrder().frequency_response(np.array([GAIN, TAU_S]), f_hz)
    cov = 1e-6 * (np.eye(24) + 0.3)
    points = {"form": "complex", "f_hz": f_hz.tolist(), "real": h.real.tolist(), "imag": h.imag.tolist()}
    answer = await api.http.post(URL, json=body(points={**points, "cov": cov.tolist()}))
    assert answer.status_code == 201, answer.text
    assert np.allclose(answer.json()["parameters"]["values"], [GAIN, TAU_S], rtol=1e-3)
    of_each = np.broadcast_to(1e-6 * np.eye(2), (12, 2, 2)).tolist()
    assert (await api.http.post(URL, json=body(points={**points, "cov": of_each}))).status_code == 201
    for wrong in ([[1.0]], [[1.0, 0.0], [0.0]], np.zeros((24, 24)).tolist()):
        refused = await api.http.post(URL, json=body(points={**points, "cov": wrong}))
        assert refused.status_code == 422, refused.text


async def test_what_no_model_explains_is_refused_with_the_reason(api: Api) -> None:
    wrong = body()
    wrong["points"]["magnitude"] = (np.array(wrong["points"]["magnitude"]) ** 3)[::-1].tolist()
    answer = await api.http.post(URL, json=wrong)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:dyncal:problem:not-accepted")
    assert problem["verdict"] != "accepted"
    assert len(problem["candidates"]) == 3
    assert api.registry.laboratories() == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"sensor": "nobody"}, 404),
        ({"more": 1}, 422),
        ({"points": {"form": "polar"}}, 422),
        ({"points": {"form": "none"}}, 422),
        ({"calibrated_at_ns": -1}, 422),
        ({"models": ["rational"]}, 422),
    ],
)
async def test_documents_that_are_none(api: Api, change: dict[str, Any], status: int) -> None:
    assert (await api.http.post(URL, json=body(**change))).status_code == status


async def test_other_bodies_are_refused(api: Api) -> None:
    assert (await api.http.post(URL, content=b"{}", headers={"content-type": "text/plain"})).status_code == 415
    assert (await api.http.post(URL, content=b"{", headers={"content-type": "application/json"})).status_code == 422
    xml = {"content-type": "application/xml"}
    assert (await api.http.post(URL, content=b"<a/>", headers=xml, params={"sensor": S1})).status_code == 422
    bomb = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    assert (await api.http.post(URL, content=bomb, headers=xml, params={"sensor": S1})).status_code == 422
    assert (await api.http.get(f"{URL}/nobody")).status_code == 404
    assert (await api.http.get(f"{URL}/nobody/source")).status_code == 404


async def test_a_certificate_in_xml(api: Api) -> None:
    """One that dyncal itself writes: a list with frequencies, and complex values with covariance."""
    xml = write_certificate(certificate())
    params = {"sensor": S1}
    answer = await api.http.post(URL, content=xml, headers={"content-type": "application/xml"}, params=params)
    assert answer.status_code == 201, answer.text
    assert answer.json()["media_type"] == "application/xml"
    source = await api.http.get(f"{answer.headers['location']}/source")
    assert source.content == xml


async def test_it_shows_in_the_bode_plot_and_at_the_end_of_the_chain(api: Api) -> None:
    await api.http.post(URL, json=body())
    reference = (await api.http.post(URL, json=body(sensor=S2, certificate="D-2/26"))).json()
    curves = (await api.http.get(f"/v1/sensors/{S1}/response")).json()["curves"]
    assert [curve["what"] for curve in curves] == ["certificate"]
    assert curves[0]["magnitude"][0] == pytest.approx(GAIN, rel=0.01)
    api.registry.add_set(make_set(), b"{}", SetState.PUBLISHED, act())
    pairing: Pairing = make_pairing()
    assert pairing.reference == make_set().provenance.reference == S2
    steps = (await api.http.get(f"/v1/coefficient-sets/{make_set().id}/chain")).json()["steps"]
    assert [step["sensor"] for step in steps] == [S1, S2]
    assert steps[1]["certificate"] == {
        "id": reference["id"], "laboratory": "PTB", "certificate": "D-2/26",
        "calibrated_at_ns": 1_690_000_000_000_000_000, "signature": "not_signed",
    }  # fmt: skip


async def test_the_same_file_twice_at_once_is_added_once(api: Api) -> None:
    answers = await asyncio.gather(*(api.http.post(URL, json=body()) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.text for answer in answers}) == 1


def test_the_service_starts_without_reading_certificates() -> None:
    code = "import sys, services.api.service; sys.exit('dyncal.certificates' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
