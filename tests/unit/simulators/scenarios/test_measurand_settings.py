"""What a scenario may say of a measurand, what it then is, and what it is told where it says nonsense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.time import InstantNs
from simulators.physics.dynamics import Rational
from simulators.physics.measurand import Multisine, autoregressive_noise
from simulators.physics.waveforms import Sum
from simulators.plant import Plant
from simulators.scenarios.scenario import Scenario, load_scenario

T0 = InstantNs(1_790_000_000_000_000_000)
STATION = """
name = "one"
seed = 1
[[stations]]
id = "S-1"
unit = "Cel"
surface = "mqtt"
model = "{model}"
parameters = {{ {parameters} }}
rate_hz = 100
[stations.measurand]
mean = 20.0
{measurand}
"""
FIRST = {"model": "first_order", "parameters": "gain = 1.0, tau_s = 0.5"}


def scenario(tmp_path: Path, measurand: str, **changed: str) -> Scenario:
    file = tmp_path / "one.toml"
    file.write_text(STATION.format(**(FIRST | changed), measurand=measurand), encoding="utf-8")
    return load_scenario(file)


SHAPES: dict[str, tuple[str, list[float]]] = {
    "profile": ('shapes = [{ kind = "profile", points = [[0, 0], [2, 0], [2, 5], [4, 1]] }]', [20.0, 20.0, 25.0, 23.0]),
    "profile again": ('shapes = [{ kind = "profile", points = [[0, 0], [1.5, 3]], repeat = true }]', [20, 21, 22, 20]),
    "steps": ('shapes = [{ kind = "steps", values = [1, -1], every_s = 2, rise_s = 1 }]', [19.0, 21.0, 19.0, 20.0]),
    "sweep": ('shapes = [{ kind = "sweep", amplitude = 2, from_hz = 0.5, to_hz = 0.5, period_s = 4 }]', [20.0] * 4),
    "shocks": (
        'shapes = [{ kind = "shocks", amplitude = 9, width_s = 2, every_s = 5, first_s = 1 }]', [20.0, 20.0, 29.0, 20.0]
    ),
    "swing": ('shapes = [{ kind = "swing", amplitude = 3, period_s = 12 }]', [20.0, 21.5, 20 + 3 * 0.75**0.5, 23.0]),
    "vibration": ('shapes = [{ kind = "vibration", lines = [[0.25, 4, 0]] }]', [20.0, 24.0, 20.0, 16.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_what_it_says_at_whole_seconds(tmp_path: Path, name: str) -> None:
    text, want = SHAPES[name]
    loaded = scenario(tmp_path, text)
    plant, station = Plant(loaded, T0), loaded.stations[0]
    every = 1.5 if name == "steps" else 0.5 if name == "profile again" else 1.0
    at = T0 + np.round(every * 1e9 * np.arange(4)).astype(np.int64)
    np.testing.assert_allclose(plant.truth(station, at), want, atol=1e-6)
    assert np.all(np.isfinite(plant.channel(station, "sensor").next_publication().value))


def test_shapes_come_on_noise_and_all_of_it_is_the_same_again(tmp_path: Path) -> None:
    text = 'rms = 1.0\nband_hz = 2.0\nshapes = [{ kind = "prbs", amplitude = 2, order = 5, every_s = 0.3 }]'
    loaded = scenario(tmp_path, text)
    one, other = (Plant(loaded, T0) for _ in range(2))
    assert isinstance(one.measurand(loaded.stations[0]), Sum)
    at = T0 + np.arange(5000, dtype=np.int64) * 10_000_000
    truth = one.truth(loaded.stations[0], at)
    np.testing.assert_array_equal(truth, other.truth(loaded.stations[0], at))
    assert np.std(truth) == pytest.approx(np.sqrt(1.0 + 4.0), rel=0.1)


def test_process_noise_has_the_correlation_of_its_autoregression() -> None:
    rng = np.random.default_rng(5)
    values = []
    for _ in range(40):
        source = autoregressive_noise(rng, mean=0.0, rms=2.0, time_constants_s=[0.5])
        x = source.value(T0 + np.arange(4000, dtype=np.int64) * 50_000_000)
        values.append([np.mean(x[: -k or None] * x[k:]) for k in (0, 5, 10, 20)])
    want = 4.0 * np.exp(-np.array([0.0, 0.25, 0.5, 1.0]) / 0.5)
    np.testing.assert_allclose(np.mean(values, axis=0), want, atol=0.15)


def test_a_rational_sensor_with_dead_time_is_simulated(tmp_path: Path) -> None:
    step = 'shapes = [{ kind = "profile", points = [[0, 0], [1, 0], [1, 10]] }]'
    parameters = "gain = 2.0, b1_s = 0.1, a1_s = 0.3, a2_s2 = 0.02, delay_s = 0.25"
    loaded = scenario(tmp_path, step, model="rational", parameters=parameters)
    station = loaded.stations[0]
    assert station.form == Rational(1, 2)
    channel = Plant(loaded, T0).channel(station, "sensor")
    y = np.concatenate([channel.next_publication().value for _ in range(500)])
    np.testing.assert_allclose(y[:126], 40.0, atol=1e-9)  # until 1.25 s nothing has come
    assert y[130] > 40.5
    assert y[-1] == pytest.approx(60.0, abs=1e-4)


def test_noise_alone_is_a_multisine(tmp_path: Path) -> None:
    assert isinstance(scenario(tmp_path, "rms = 1.0\ntime_constants_s = [0.5, 0.1]").stations[0].measurand.noise(
        np.random.default_rng(0)
    ), Multisine)  # fmt: skip


BAD = {
    "nothing moves": ("", {}, "nothing moves"),
    "rms alone": ("rms = 1.0", {}, "either band_hz or time_constants_s"),
    "both kinds of noise": ("rms = 1.0\nband_hz = 2.0\ntime_constants_s = [1.0]", {}, "either band_hz"),
    "a slow corner": ("rms = 1.0\ntime_constants_s = [1000.0]", {}, "must lie"),
    "an unknown kind": ('shapes = [{ kind = "square" }]', {}, "kind"),
    "back in time": ('shapes = [{ kind = "profile", points = [[0, 0], [2, 1], [1, 1]] }]', {}, "back in time"),
    "begins late": ('shapes = [{ kind = "profile", points = [[1, 0]] }]', {}, "begin at 0"),
    "no end": ('shapes = [{ kind = "profile", points = [[0, 0]], repeat = true }]', {}, "must last"),
    "slow rise": ('shapes = [{ kind = "steps", values = [1], every_s = 1, rise_s = 2 }]', {}, "rise_s"),
    "long shock": ('shapes = [{ kind = "shocks", amplitude = 1, width_s = 2, every_s = 1 }]', {}, "width_s"),
    "odd line": ('shapes = [{ kind = "vibration", lines = [[0.00015, 1, 0]] }]', {}, "multiples"),
    "a line twice": ('shapes = [{ kind = "vibration", lines = [[1, 1, 0], [1, 2, 0]] }]', {}, "twice"),
    "an infinite level": ('shapes = [{ kind = "steps", values = [inf], every_s = 1 }]', {}, "shapes.0"),
    "more zeros than poles": (
        "rms = 1.0\nband_hz = 2.0",
        {"model": "rational", "parameters": "gain = 1.0, b1_s = 0.1, b2_s2 = 0.1, a1_s = 0.3"},
        "no more zeros",
    ),
    "unstable": (
        "rms = 1.0\nband_hz = 2.0",
        {"model": "rational", "parameters": "gain = 1.0, a1_s = 0.001, a2_s2 = 1.0, a3_s3 = 1.0"},
        "not stable",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_nonsense_is_refused_with_its_place_and_what_to_do(tmp_path: Path, name: str) -> None:
    text, changed, said = BAD[name]
    with pytest.raises(InvalidSetting, match=r"one\.toml: stations\.0") as caught:
        scenario(tmp_path, text, **changed)
    assert said in str(caught.value)
