"""All sensors in columns, and how they drift."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.domain.calibration import Calibration, Verdict
from dyncal.domain.coefficients import Parameters, SetState
from dyncal.domain.samples import SampleSeries
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.testing.records import block, span, uniform
from dyncal.testing.registry import S1, S2, act, make_alarm, make_calibration, make_set, put_alarm
from dyncal.testing.store import MemorySampleStore
from services.api.trends import POINTS, TrendBook
from tests.unit.services.api.conftest import Api


def calibrated(k: int, tau_s: float, *, sensor: SensorId = S1, u: float = 0.01) -> Calibration:
    made = make_calibration(f"{sensor}-{k:03d}", sensor)
    values = made.parameters.values.copy()
    values[-1] = tau_s
    parameters = Parameters(made.parameters.model, made.parameters.names, values, np.diag((values * u) ** 2))
    return replace(made, parameters=parameters, fitted_at_ns=InstantNs(k * 60 * NS_PER_S))


async def test_the_columns_say_what_the_list_of_sensors_says(api: Api) -> None:
    api.registry.add_set(make_set(), b"{}", SetState.PUBLISHED, act())
    api.registry.set_state(make_set().id, SetState.ACTIVE, act())
    put_alarm(api.registry, make_alarm(), act())
    api.store.write([block([1.0, 2.0], sensor=S1, corrected=span(uniform(2), [10.0, float("nan")], "s-1"))])
    fleet = (await api.http.get("/v1/fleet")).json()
    listed = (await api.http.get("/v1/sensors")).json()["items"]
    assert fleet["id"] == [sensor["id"] for sensor in listed]
    assert {len(column) for name, column in fleet.items() if name not in {"now_ns", "n_unread"}} == {len(listed)}
    for k, sensor in enumerate(listed):
        for name in (
            "site",
            "edge",
            "unit",
            "label",
            "dt_ns",
            "state",
            "state_detail",
            "state_since_ns",
            "edge_online",
            "alarms",
        ):
            assert fleet[name][k] == sensor[name], name
        latest, active, pairing = sensor["latest"] or {}, sensor["active_set"] or {}, sensor["pairing"] or {}
        for name in ("t_ns", "raw", "corrected_t_ns", "corrected", "u", "set_id"):
            assert fleet[name][k] == latest.get(name), name
        for name in ("id", "sequence", "since_ns", "band_hz", "latency_s"):
            assert fleet[f"active_{name}"][k] == active.get(name), name
        assert fleet["reference"][k] == pairing.get("reference")
        assert fleet["reference_of"][k] == sensor["reference_of"]


async def test_a_registry_without_sensors_gives_empty_columns(api: Api) -> None:
    for sensor in list(api.deps.catalogue.get().sensors):
        api.deps.catalogue.get().sensors.pop(sensor)  # type: ignore[attr-defined]
    fleet = (await api.http.get("/v1/fleet")).json()
    assert fleet["id"] == fleet["alarms"] == []


async def test_a_slow_store_delays_no_table_and_nothing_is_said_of_what_was_not_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = type(api.store).latest

    def slowly(store: MemorySampleStore, sensor: SensorId) -> SampleSeries:
        api.clock.advance(DurationNs(200_000_000))
        return read(store, sensor)

    monkeypatch.setattr(type(api.store), "latest", slowly)
    first = (await api.http.get("/v1/fleet")).json()
    assert first["n_unread"] == 1
    assert first["state"][-1] == "cannot_tell"
    assert first["state_detail"][-1] == "its last value has not been read yet"
    second = (await api.http.get("/v1/fleet")).json()
    assert (second["n_unread"], second["state"][-1]) == (0, "failure")


async def test_the_trend_is_that_of_the_parameter_that_moved_most(api: Api) -> None:
    for k, tau_s in enumerate((2.0, 2.05, 2.2)):
        api.registry.add_calibration(calibrated(k, tau_s), act())
    api.registry.add_calibration(calibrated(0, 1.0, sensor=S2), act())
    found = (await api.http.get("/v1/drift-trends")).json()
    assert found["sensor"] == [S1]
    assert found["parameter"] == [make_calibration().parameters.names[-1]]
    assert found["change"] == [pytest.approx(0.1)]
    assert found["u"] == [pytest.approx(np.hypot(0.01, 0.011))]
    assert found["points"] == [pytest.approx([0.0, 0.025, 0.1])]
    assert (found["since_ns"], found["to_ns"]) == ([0], [120 * NS_PER_S])


def test_what_was_written_late_is_read_too_and_what_is_known_counts_once(api: Api) -> None:
    book = TrendBook()
    for k in (0, 2):
        api.registry.add_calibration(calibrated(k, 2.0 + k), act())
    assert book.read(api.registry)[S1].points == pytest.approx((0.0, 1.0))
    api.registry.add_calibration(calibrated(1, 3.0), act())
    assert book.read(api.registry)[S1].points == pytest.approx((0.0, 0.5, 1.0))
    assert book.read(api.registry)[S1].points == pytest.approx((0.0, 0.5, 1.0))


def test_only_the_last_accepted_ones_of_the_newest_model_count(api: Api) -> None:
    book = TrendBook()
    for k in range(POINTS + 3):
        api.registry.add_calibration(calibrated(k, 2.0 + k), act())
    api.registry.add_calibration(replace(calibrated(50, 9.0), verdict=Verdict.INCONSISTENT), act())
    trend = book.read(api.registry)[S1]
    assert len(trend.points) == POINTS
    assert trend.since_ns == 3 * 60 * NS_PER_S
    old = calibrated(60, 1.0)
    names = (*old.parameters.names[:-1], "f0_hz")
    other = replace(old, parameters=replace(old.parameters, names=names))
    api.registry.add_calibration(other, act())
    assert S1 not in book.read(api.registry)
