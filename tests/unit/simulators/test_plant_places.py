"""Stations at one place, shared references, references that drift, and fleets from a template."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import InstantNs
from simulators.plant import Plant
from simulators.recordings.simulated import info_of
from simulators.scenarios.scenario import Scenario, load_scenario
from simulators.trial.configuration import Ports, configuration

T0 = InstantNs(1_790_000_000_000_000_000)

PLACES = """
name = "places"
seed = 3
[[stations]]
id = "TT-1"
unit = "Cel"
surface = "mqtt"
model = "first_order"
parameters = { gain = 1.0, tau_s = 0.7 }
rate_hz = 50
measurand = { mean = 100.0, rms = 6.0, band_hz = 0.8 }
reference = { model = "static", parameters = { c0 = 0.5, c1 = 1.0 }, indications = [-500, 500], drift = [
  { kind = "ramp", parameter = "c1", from_s = 1, to_s = 1, factor = 0.5 } ] }

[[stations]]
id = "TT-2"
unit = "Cel"
surface = "mqtt"
beside = "TT-1"
referenced_by = "TT-1-ref"
model = "rational"
parameters = { gain = 1.0, b1_s = -0.1, a1_s = 0.9, a2_s2 = 0.2, delay_s = 0.04 }
rate_hz = 50

[[stations]]
id = "TT-3"
unit = "Cel"
surface = "mqtt"
beside = "TT-1"
model = "static"
parameters = { c0 = 0.0, c1 = 1.0, c2 = 1e-4 }
indications = [-500, 500]
rate_hz = 50

[[stations]]
id = "TT-4"
unit = "Cel"
surface = "mqtt"
beside = "TT-1"
referenced_by = "TT-3"
model = "first_order"
declared_model = "lead_lag"
parameters = { gain = 1.0, tau_s = 0.4 }
rate_hz = 50
"""

FLEET = """
name = "fleet"
seed = 3
[[fleets]]
prefix = "T-"
count = 50
vary = { "parameters.tau_s" = [0.5, 2.0], "measurand.mean" = [-10.0, 10.0] }
[fleets.station]
label = "Dryer"
unit = "Cel"
surface = "mqtt"
model = "first_order"
parameters = { gain = 1.0, tau_s = 1.0 }
rate_hz = 10
measurand = { rms = 6.0, band_hz = 0.3 }
expect = { conclusion = "healthy" }
[[fleets.faults]]
name = "fouls"
count = 3
station = { drift = [{ parameter = "tau_s", from_s = 1, to_s = 2, factor = 2.0 }], expect = { conclusion = "drift" } }
[[fleets.faults]]
name = "noisy"
count = 2
station = { converter = { noise = 0.5 } }
"""


def loaded(tmp_path: Path, text: str) -> Scenario:
    file = tmp_path / "s.toml"
    file.write_text(text, encoding="utf-8")
    return load_scenario(file)


def test_what_is_at_one_place_sees_one_measurand_and_shares_references(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, PLACES)
    plant = Plant(scenario, T0)
    assert [c.id for c in plant.channels()] == ["TT-1", "TT-1-ref", "TT-2", "TT-3", "TT-3-ref", "TT-4"]
    grid = T0 + 20_000_000 * np.arange(300, dtype=np.int64)
    truths = [plant.truth(station, grid) for station in scenario.stations]
    assert all(np.array_equal(truths[0], truth) for truth in truths)

    def shown(station: int, role: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        channel = plant.channel(scenario.stations[station], role)  # type: ignore[arg-type]
        return np.concatenate([channel.next_publication().value for _ in range(300)])

    reference = shown(0, "reference")
    np.testing.assert_array_equal(shown(1, "reference"), reference)
    c1 = np.where(np.arange(300) >= 50, 0.5, 1.0)
    np.testing.assert_allclose(reference, (truths[0] - 0.5) / c1, rtol=1e-12)
    np.testing.assert_array_equal(shown(3, "reference"), shown(2, "sensor"))
    y = shown(2, "sensor")
    np.testing.assert_allclose(y + 1e-4 * y**2, truths[0], rtol=1e-12)


def test_what_is_declared_of_them(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, PLACES)
    content = configuration(scenario, Ports(1, 2, 3), tmp_path, "error")["edge"]["sensors"]
    declared = {channel["sensor"]: channel for channel in content}
    assert list(declared) == ["TT-1", "TT-1-ref", "TT-2", "TT-3", "TT-3-ref", "TT-4"]
    two = declared["TT-2"]
    assert (two["reference"], two["dead_time"], two["n_poles"], two["n_zeros"]) == ("TT-1-ref", True, 2, 1)
    assert "reference" not in declared["TT-3"]
    assert (declared["TT-4"]["model"], declared["TT-4"]["reference"]) == ("lead_lag", "TT-3")
    info = info_of(scenario, T0)
    assert [(p.sensor, p.reference, p.model) for p in info.pairings] == [
        ("TT-1", "TT-1-ref", ModelKind.FIRST_ORDER),
        ("TT-2", "TT-1-ref", ModelKind.RATIONAL),
        ("TT-4", "TT-3", ModelKind.LEAD_LAG),
    ]
    assert list(info.channels) == ["TT-1", "TT-1-ref", "TT-2", "TT-3", "TT-3-ref", "TT-4"]


def test_a_fleet_has_its_number_of_stations_and_of_faults_the_same_each_time(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, FLEET)
    assert scenario == loaded(tmp_path, FLEET)
    assert [s.id for s in scenario.stations] == [f"T-{k:04d}" for k in range(1, 51)]
    assert Counter(s.label for s in scenario.stations) == {"Dryer": 45, "Dryer: fouls": 3, "Dryer: noisy": 2}
    taus = np.array([s.parameters["tau_s"] for s in scenario.stations])
    assert np.all((taus >= 0.5) & (taus <= 2.0))
    assert np.log(taus).std() == pytest.approx(np.log(4) / np.sqrt(12), rel=0.25)
    assert {s.expect.conclusion for s in scenario.stations if s.drift} == {"drift"}
    other = loaded(tmp_path, FLEET.replace("seed = 3", "seed = 4"))
    assert [s.parameters for s in other.stations] != [s.parameters for s in scenario.stations]


BAD = [
    (PLACES, 'referenced_by = "TT-1-ref"', 'referenced_by = "TT-1-re"', "TT-2: referenced_by = 'TT-1-re'"),
    (PLACES, 'beside = "TT-1"\nreferenced', 'beside = "TT-11"\nreferenced', "did you mean 'TT-1'?"),
    (PLACES, 'beside = "TT-1"\nmodel', "measurand = { rms = 1.0, band_hz = 1.0 }\nmodel", "not at the same place"),
    (PLACES, 'beside = "TT-1"\nmodel', 'beside = "TT-2"\nmodel', "TT-3: beside = 'TT-2'"),
    (PLACES, "c2 = 1e-4", "c2 = -1e-2", "monotone"),
    (PLACES, "indications = [-500, 500]\nrate", "rate", "needs indications"),
    (PLACES, 'model = "static", parameters = { c0', "parameters = { c0", "need its model"),
    (PLACES, 'kind = "ramp"', 'kind = "jump"', "stations.0.reference.drift.0"),
    (PLACES, "to_s = 1,", "to = 1,", "did you mean 'to_s'?"),
    (FLEET, "count = 50", "count = 4", "5 faults for 4 stations"),
    (FLEET, "count = 50", "counts = 50", "did you mean 'count'?"),
    (FLEET, '"parameters.tau_s"', '"parameters.tau"', "stations.0"),
    (FLEET, '"measurand.mean"', '"label.x"', "label is no table"),
    (FLEET, '"measurand.mean"', '"label"', "vary.label: is no number"),
    (FLEET, 'label = "Dryer"', 'id = "T"', "ids are made from prefix"),
]


@pytest.mark.parametrize(("text", "old", "new", "said"), BAD)
def test_what_is_wrong_with_them_is_told(tmp_path: Path, text: str, old: str, new: str, said: str) -> None:
    assert old in text
    with pytest.raises(InvalidSetting) as caught:
        loaded(tmp_path, text.replace(old, new, 1))
    assert "s.toml: " in str(caught.value)
    assert said in str(caught.value)
