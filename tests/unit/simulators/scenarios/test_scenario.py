from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.time import InstantNs
from simulators.physics.sensor import Dynamics, Response
from simulators.plant import Plant
from simulators.scenarios.scenario import LIBRARY, library, load_scenario
from simulators.trial.optimum import optimum

GOOD = (LIBRARY / "demo.toml").read_text(encoding="utf-8")

BAD = [
    ("seed = 20260101", "seed = -1", "seed"),
    ('name = "demo"', 'name = "de/mo"', "name"),
    ('surface = "opcua"', 'surface = "opc"', "stations.0.surface"),
    ('model = "first_order"', 'model = "first"', "stations.0.model"),
    ('model = "first_order"', 'model = "static"', "stations.0"),
    ("tau_s = 0.7", "tau = 0.7", "stations.0"),
    ("tau_s = 0.7", "tau_s = -0.7", "parameters.tau_s"),
    ("rate_hz = 50", "rate_hz = 0", "stations.0.rate_hz"),
    ("rate_hz = 50", "rate_hz = 30", "rate_hz = 30.0"),
    ("rms = 6.0", "rms = 0.0", "stations.0.measurand.rms"),
    ("band_hz = 0.8", "band_hz = 0.1", "stations.0.measurand"),
    ("rate_hz = 10\n", "rate_hz = 1\n", "stations.2"),
    ("noise = 0.03", "noises = 0.03", "stations.0.converter.noises"),
    ('parameter = "tau_s"', 'parameter = "f0_hz"', "drift.parameter"),
    ("from_s = 30, to_s = 50", "from_s = 50, to_s = 30", "stations.1.drift.0"),
    ('id = "TC-102"', 'id = "TC-101"', "TC-101"),
    ('id = "TC-102"', 'id = "TC-101-ref"', "TC-101-ref"),
    ('conclusion = "healthy"', 'conclusion = "fine"', "stations.0.expect.conclusion"),
    ("[[stations]]", "[[station]]", "station"),
    ("seed = 20260101", "seed = ", "not TOML"),
]


@pytest.mark.parametrize(("old", "new", "named"), BAD)
def test_a_bad_scenario_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in GOOD
    file = tmp_path / "bad.toml"
    file.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InvalidSetting) as caught:
        load_scenario(file)
    assert str(file) in str(caught.value)
    assert named in str(caught.value)


def test_a_scenario_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(InvalidSetting, match=r"nowhere.*demo"):
        load_scenario("nowhere")


def test_every_scenario_of_the_library_can_be_met_twice_over() -> None:
    """A requirement on the gain is only fair where the mean-square optimum exceeds it by far."""
    asked = 0
    for name in library():
        for station in load_scenario(name).stations[:: 1 if name != "fleet-1000" else 50]:
            if station.expect.min_gain == 0 or station.expect.n_sets == 0:
                continue
            best = optimum(station)
            assert best.gain >= 2 * station.expect.min_gain, (name, station.id, best)
            assert best.raw >= 10 * station.converter.noise, (name, station.id, best)
            asked += 1
    assert asked > 20


def test_the_demo_holds_what_it_promises() -> None:
    stations = load_scenario("demo").stations
    assert len(stations) >= 12
    assert sum(s.surface == "opcua" for s in stations) * 2 == len(stations)
    assert {s.model.value for s in stations} == {"first_order", "second_order", "lead_lag"}
    conclusions = [s.expect.conclusion for s in stations]
    assert {"healthy", "drift", "reference_lost"} <= set(conclusions)
    assert any(
        s.rate_hz >= 4000 and s.block > 1 and s.parameters["damping"] <= 0.05
        for s in stations
        if "damping" in s.parameters
    )


def test_raw_error_of_the_optimum_is_that_of_the_simulation() -> None:
    plant = Plant(load_scenario("demo"), InstantNs(1_790_000_000_000_000_000))
    for station in plant.scenario.stations[2:4]:
        source = plant.measurand(station)
        response = Response(
            source,
            Dynamics(station.model, plant.parameters(station)),
            plant.t0_ns,
            plant.channel(station, "sensor").dt_ns,
        )
        y = np.concatenate([response.next_chunk() for _ in range(int(200 * station.rate_hz / 256))])
        t_ns = plant.t0_ns + station.dt_ns * np.arange(y.size, dtype=np.int64)
        assert np.std(y - source.value(t_ns)) == pytest.approx(optimum(station).raw, rel=0.1)


def test_channels_repeat_bit_by_bit_and_differ_from_each_other() -> None:
    t0 = InstantNs(1_790_000_000_000_000_000)
    scenario = load_scenario("demo")
    first, second = Plant(scenario, t0).channels(), Plant(scenario, t0).channels()
    assert len({c.id for c in first}) == 2 * len(scenario.stations)
    for a, b in zip(first, second, strict=True):
        pa, pb = a.next_publication(), b.next_publication()
        assert pa.value.tobytes() == pb.value.tobytes()
        assert pa.t_ns.tobytes() == pb.t_ns.tobytes()
    noise = {c.next_publication().value.tobytes() for c in first}
    assert len(noise) == len(first)


def test_silence_holds_back_the_reference_only_and_only_then() -> None:
    plant = Plant(load_scenario("demo"), InstantNs(1_790_000_000_000_000_000))
    station = next(s for s in plant.scenario.stations if s.expect.conclusion == "reference_lost")
    span = station.reference.transport.silent[0]
    for role, n_silent in (("sensor", 0), ("reference", round((span.to_s - span.from_s) * station.rate_hz))):
        channel = plant.channel(station, role)  # type: ignore[arg-type]  # the loop's literals
        lost = [p for p in (channel.next_publication() for _ in range(int(70 * station.rate_hz))) if p.copies == 0]
        assert len(lost) == n_silent
        for publication in lost:
            since_s = (int(publication.t_ns[-1]) - plant.t0_ns) / 1e9
            assert span.from_s <= since_s < span.to_s
