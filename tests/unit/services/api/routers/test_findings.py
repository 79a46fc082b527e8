"""The page of one sensor: frequency response, parameter history, budget, chain."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from dyncal.contracts import coefficients as contract
from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import CoefficientSet, Parameters, SetState
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act
from dyncal.testing.laboratory import make_laboratory
from dyncal.testing.records import block, uniform
from dyncal.testing.registry import S1, S2, act, make_calibration, make_set
from services.api import findings
from tests.integration.api.plant import NoSigner
from tests.unit.services.api.conftest import Api

FIRST = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([1.1, 2.0]), np.diag([0.01, 0.04]) ** 2)


def activate(api: Api, made: CoefficientSet) -> CoefficientSet:
    api.registry.add_set(made, contract.seal(made, NoSigner()), SetState.PUBLISHED, act())
    api.registry.set_state(made.id, SetState.ACTIVE, act())
    return made


def test_a_first_order_response_has_the_uncertainty_that_its_formula_gives() -> None:
    f = np.array([1e-3, 0.08, 2.0])
    made = findings.bode(FIRST, f)
    w = 2 * np.pi * f
    size = 1.1 / np.sqrt(1 + (2 * w) ** 2)
    assert made.magnitude == pytest.approx(size)
    assert made.phase_rad == pytest.approx(-np.arctan(2 * w))
    of_tau = -size * 2 * w**2 / (1 + (2 * w) ** 2)
    assert made.u_magnitude == pytest.approx(np.hypot(size / 1.1 * 0.01, of_tau * 0.04))
    assert made.u_phase_rad == pytest.approx(w / (1 + (2 * w) ** 2) * 0.04)


def test_the_frequencies_reach_below_the_slowest_corner() -> None:
    f = findings.frequencies(replace(FIRST, values=np.array([1.0, 1e4])), 100_000_000, 50)  # type: ignore[arg-type]
    assert (f.size, f[-1]) == (50, pytest.approx(5.0))
    assert f[0] == pytest.approx(0.05 / (2 * math.pi * 1e4))


async def test_the_response_now_at_the_last_calibration_and_at_the_baseline(api: Api) -> None:
    empty = (await api.http.get(f"/v1/sensors/{S1}/response")).json()
    assert (empty["curves"], empty["band_hz"]) == ([], None)
    api.registry.add_calibration(replace(make_calibration(f"{S1}.baseline.5"), fitted_at_ns=InstantNs(5)), act())
    api.registry.add_calibration(replace(make_calibration("cal-9"), fitted_at_ns=InstantNs(9)), act())
    made = activate(api, make_set())
    found = (await api.http.get(f"/v1/sensors/{S1}/response", params={"points": 20})).json()
    assert [curve["what"] for curve in found["curves"]] == ["now", "last_calibration", "baseline"]
    assert [curve["source"] for curve in found["curves"]] == [made.id, "cal-9", f"{S1}.baseline.5"]
    assert found["band_hz"] == made.correction.band_hz
    assert {len(curve[name]) for curve in found["curves"] for name in ("f_hz", "magnitude", "u_phase_rad")} == {20}


async def test_a_static_sensor_is_refused_by_name(api: Api) -> None:
    parameters = Parameters(ModelKind.STATIC, ("c0", "c1"), np.array([0.0, 1.0]), np.eye(2) * 1e-6)
    api.registry.add_calibration(replace(make_calibration(), parameters=parameters), act())
    answer = await api.http.get(f"/v1/sensors/{S1}/response")
    assert answer.status_code == 422
    assert "static" in answer.json()["detail"]


async def test_the_history_keeps_to_what_was_accepted_of_the_newest_model(api: Api) -> None:
    for k in range(4):
        made = replace(make_calibration(f"cal-{k}"), fitted_at_ns=InstantNs(k))
        api.registry.add_calibration(made if k != 1 else replace(made, verdict=Verdict.NOT_EXCITED), act())
    found = (await api.http.get(f"/v1/sensors/{S1}/parameter-history")).json()
    names = make_calibration().parameters.names
    assert found["names"] == list(names)
    assert found["calibration"] == ["cal-0", "cal-2", "cal-3"]
    assert len(found["values"]) == 3
    assert {len(row) for row in found["values"] + found["u"]} == {len(names)}
    assert found["baseline"] is None
    assert found["tolerance"] == [0.05 if name != "tau_s" else found["tolerance"][k] for k, name in enumerate(names)]
    assert not found["truncated"]
    api.registry.add_calibration(replace(make_calibration(f"{S1}.baseline.9"), fitted_at_ns=InstantNs(9)), act())
    found = (await api.http.get(f"/v1/sensors/{S1}/parameter-history", params={"limit": 2})).json()
    assert found["baseline"] == f"{S1}.baseline.9"
    assert found["baseline_values"] == pytest.approx(make_calibration().parameters.values.tolist())
    assert found["truncated"]


async def test_the_budget_adds_up(api: Api) -> None:
    answer = await api.http.get(f"/v1/sensors/{S1}/budget")
    assert answer.status_code == 404
    gentle = replace(make_set().filter, sensitivities=np.array([[1, 0, 0, 0, 0], [0.5, -0.5, 0, 0, 0]], float))
    made = activate(api, replace(make_set(), correction=gentle, parameters=FIRST))
    answer = await api.http.get(f"/v1/sensors/{S1}/budget")
    assert answer.status_code == 422
    dt_ns = made.correction.dt_ns
    samples = block(20 + np.sin(np.arange(300) / 20), sensor=S1, axis=uniform(300, dt_ns=dt_ns))
    api.store.write([samples])
    api.deps.hub.record(samples)
    found = (await api.http.get(f"/v1/sensors/{S1}/budget")).json()
    assert found["set_id"] == made.id
    squares = sum(line["u"] ** 2 for line in found["lines"] if line["counts"])
    assert found["u"] == pytest.approx(math.sqrt(squares), rel=1e-6)
    assert found["n"] == 298
    assert {line["name"] for line in found["lines"]} == {"noise", "parameters", "parameter:gain", "parameter:tau_s"}


async def test_a_chain_ends_at_what_nothing_calibrates(api: Api) -> None:
    made = activate(api, make_set())
    calibration = make_calibration(made.provenance.calibration_id)
    api.registry.add_calibration(calibration, act())
    found = (await api.http.get(f"/v1/coefficient-sets/{made.id}/chain")).json()
    first, last = found["steps"]
    assert (first["sensor"], first["set_id"], first["reference"]) == (S1, made.id, S2)
    assert first["calibration"]["id"] == calibration.id
    assert (first["key_id"], len(first["sha256"])) == ("none", 64)
    pairing = api.deps.catalogue.get().pairings[S1]
    assert (first["u_reference"], first["u_clock_s"]) == (pairing.u_reference, pairing.u_clock_s)
    assert (last["sensor"], last["set_id"], last["calibration"]) == (S2, "", None)
    assert (await api.http.get("/v1/coefficient-sets/none/chain")).status_code == 404
    api.registry.remove_pairing(S1, act())
    (first, _) = (await api.http.get(f"/v1/coefficient-sets/{made.id}/chain")).json()["steps"]
    assert (first["reference"], first["u_reference"], first["u_clock_s"]) == (S2, None, None)  # 0 would be a claim


async def test_a_chain_names_what_stood_when_the_fit_was_made(api: Api) -> None:
    """Not the set that corrects the reference now, nor the certificate of a later measurement."""
    made = make_set()
    window_ns = made.provenance.window_to_ns
    for k, at_ns in ((1, window_ns - 10), (2, window_ns + 10)):
        of_reference = replace(
            make_set(k, S2), provenance=replace(make_set(k, S2).provenance, reference=SensorId("zz-9"))
        )
        api.registry.add_set(of_reference, b"{}", SetState.PUBLISHED, Act("calibrate", InstantNs(at_ns)))
    activate(api, made)
    for number, at_ns in (("before", window_ns - 5), ("after", window_ns + 5)):
        measured = replace(make_laboratory(f"lab-{number}", S2), certificate=number, calibrated_ns=InstantNs(at_ns))
        api.registry.add_laboratory(measured, number.encode(), act())
    steps = (await api.http.get(f"/v1/coefficient-sets/{made.id}/chain")).json()["steps"]
    assert [(step["sensor"], step["set_id"]) for step in steps] == [
        (S1, made.id), (S2, make_set(1, S2).id), ("zz-9", ""),
    ]  # fmt: skip
    assert steps[1]["certificate"]["certificate"] == "before"
