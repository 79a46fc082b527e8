"""Parameters that change, each law written out once more, and what sensors show meanwhile against an integration."""

from __future__ import annotations

import hashlib
import itertools
import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs, InstantNs, duration
from simulators.physics.characteristic import Characteristic
from simulators.physics.dynamics import Form, Rational, form_of, frequency_response, is_stable
from simulators.physics.laws import Ageing, Cycle, Law, Parameterisation, Ramp, Saturating, Slowing
from simulators.physics.measurand import autoregressive_noise, band_limited_noise
from simulators.physics.sensor import Dynamics, Response
from simulators.physics.waveforms import Sweep, Swing

T0 = InstantNs(1_790_000_000_123_456_000)
DT_S = 0.02
N_CHUNKS = 3

LAWS: dict[str, tuple[Callable[[int], Law], Callable[[float], float], list[float]]] = {
    "break": (lambda k: Ramp(k, duration(3.333), duration(3.333), 0.6), lambda t: 0.6 if t >= 3.333 else 1.0, [3.333]),
    "saturating": (
        lambda k: Saturating(k, duration(2.0), duration(1.5), 1.8),
        lambda t: 1.8 - 0.8 * math.exp(-(t - 2.0) / 1.5) if t > 2.0 else 1.0,
        [2.0],
    ),
    "ageing": (
        lambda k: Ageing(k, duration(1.0), duration(9.0), 0.7),
        lambda t: 0.7 ** (min(max(t - 1.0, 0.0), 8.0) / 8.0),
        [1.0, 9.0],
    ),
    "slowing": (
        lambda k: Slowing(k, duration(1.0), duration(11.0), duration(0.5), 1.4),
        lambda t: 1.0 + 0.4 * math.log(1.0 + min(max(t - 1.0, 0.0), 10.0) / 0.5) / math.log(21.0),
        [1.0, 11.0],
    ),
    "cycle": (
        lambda k: Cycle(k, duration(0.5), duration(4.0), 0.2),
        lambda t: 1.0 + 0.2 * math.sin(2 * math.pi * (t - 0.5) / 4.0) if t > 0.5 else 1.0,
        [0.5],
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_law_is_what_its_definition_says_and_smooth_between_its_kinks(name: str) -> None:
    make, defined, kinks = LAWS[name]
    t_ns = np.round(np.linspace(0.0, 15e9, 400)).astype(np.int64)
    np.testing.assert_allclose(make(0).scale(t_ns), [defined(t / 1e9) for t in t_ns.tolist()], rtol=1e-12)
    assert [k / 1e9 for k in sorted(set(make(0).kinks_ns))] == kinks
    theta = Parameterisation(np.array([2.0, 3.0]), (make(1), make(1))).at(np.array([0, 10_000_000_000]))
    assert theta[:, 0].tolist() == [2.0, 2.0]
    np.testing.assert_allclose(theta[:, 1], [3.0, 3.0 * defined(10.0) ** 2], rtol=1e-12)


Slopes = Callable[[list[float], FloatArray, float], list[float]]
Shows = Callable[[list[float], FloatArray, float], float]


def first_order(p: list[float], s: FloatArray, x: float) -> list[float]:
    return [(x - s[0]) / p[1]]


def second_order(p: list[float], s: FloatArray, x: float) -> list[float]:
    omega = 2 * math.pi * p[2]
    return [s[1], omega**2 * (x - s[0]) - 2 * p[1] * omega * s[1]]


def lead_lag(p: list[float], s: FloatArray, x: float) -> list[float]:
    return [(x - s[0]) / p[1], (s[0] - s[1]) / p[2]]


def rational(n_zeros: int) -> tuple[Slopes, Shows]:
    """v + a1 v' + … + an v⁽ⁿ⁾ = x, y = g v + b1 v' + …, in v and its derivatives themselves."""

    def slopes(p: list[float], s: FloatArray, x: float) -> list[float]:
        a = p[n_zeros + 1 :]
        highest = (x - s[0] - sum(a[k] * s[k + 1] for k in range(len(a) - 1))) / a[-1]
        return [*(float(v) for v in s[1:]), float(highest)]

    def shows(p: list[float], s: FloatArray, x: float) -> float:
        derivatives = [*s.tolist(), slopes(p, s, x)[-1]]
        return float(sum(p[k] * derivatives[k] for k in range(n_zeros + 1)))

    return slopes, shows


def gained(p: list[float], s: FloatArray, x: float) -> float:
    del x
    return float(p[0] * s[0])


def led(p: list[float], s: FloatArray, x: float) -> float:
    del x
    share = p[3] / p[2]
    return float(p[0] * (share * s[0] + (1 - share) * s[1]))


def poles(*taus: float) -> list[float]:
    """Return a1 … an of Π (1 + τ s)."""
    product = np.array([1.0])
    for tau in taus:
        product = np.convolve(product, [tau, 1.0])
    return [float(a) for a in product[::-1][1:]]


SENSORS: dict[str, tuple[Form, list[float], float, int, Slopes, Shows]] = {
    "first order": (ModelKind.FIRST_ORDER, [1.1, 0.8], 0.0, 1, first_order, gained),
    "first order, dead time": (ModelKind.FIRST_ORDER, [1.1, 0.8], 0.137, 1, first_order, gained),
    "second order": (ModelKind.SECOND_ORDER, [1.0, 0.08, 4.0], 0.0, 2, second_order, gained),
    "lead-lag": (ModelKind.LEAD_LAG, [0.99, 1.8, 0.3, 0.6], 0.05, 2, lead_lag, led),
    "rational 2/4": (Rational(2, 4), [1.1, -0.2, 0.01, *poles(0.5, 0.3, 0.2, 0.1)], 0.0, 4, *rational(2)),
    "rational 5/5": (
        *(Rational(5, 5), [1.0, *poles(0.4, 0.3, 0.2, 0.1, 0.02), *poles(0.5, 0.4, 0.3, 0.2, 0.1)], 0.0, 5),
        *rational(5),
    ),
    "rational 0/6": (Rational(0, 6), [0.9, *poles(0.6, 0.5, 0.4, 0.3, 0.2, 0.1)], 0.021, 6, *rational(0)),
}
CASES = [
    ("first order", "saturating", 1),
    ("first order, dead time", "cycle", 1),
    ("second order", "slowing", 2),
    ("second order", "ageing", 1),
    ("second order", "cycle", 0),
    ("lead-lag", "saturating", 3),
    ("rational 2/4", "break", 3),
    ("rational 5/5", "ageing", 8),
    ("rational 0/6", "saturating", 2),
]


@pytest.mark.parametrize(("sensor", "law", "index"), CASES)
def test_a_time_variant_sensor_against_independent_integration(sensor: str, law: str, index: int) -> None:
    """The bound of the simulated truth under drift laws: 1e-9 of the largest indication."""
    form, theta, delay_s, order, slopes, shows = SENSORS[sensor]
    make, defined, kinks = LAWS[law]
    assert is_stable(form, np.array([theta]))
    dynamics = Dynamics(form, Parameterisation(np.array(theta), (make(index),)), duration(delay_s))
    source = Sweep(3.0, 0.3, 2.0, duration(50.0), InstantNs(T0 - duration(1.0)))
    response = Response(source, dynamics, T0, DurationNs(round(DT_S * 1e9)))
    got = np.concatenate([response.next_chunk() for _ in range(N_CHUNKS)])

    def x(t: float) -> float:
        since = t - delay_s + 1.0
        return 3.0 * math.sin(2 * math.pi * (0.3 * since + 0.5 * 1.7 * since**2 / 50.0))

    def at(t: float) -> list[float]:
        return [value * defined(t) if k == index else value for k, value in enumerate(theta)]

    t_grid = DT_S * np.arange(got.size)
    bounds = sorted({0.0, float(t_grid[-1]), *(k for k in kinks if k < t_grid[-1])})
    state = np.zeros(order)
    state[: 2 if form is ModelKind.LEAD_LAG else 1] = x(0.0)  # at rest with what it has seen
    want = np.full(got.size, np.nan)
    for begin, end in itertools.pairwise(bounds):
        inside = np.flatnonzero((t_grid >= begin) & (t_grid <= end))

        def slope(t: float, s: FloatArray, begin: float = begin, end: float = end) -> list[float]:
            return slopes(at(min(max(t, begin + 1e-12), end - 1e-12)), s, x(t))

        solution = solve_ivp(
            slope, (begin, end), state, method="DOP853", rtol=1e-12, atol=1e-12, max_step=0.02,
            t_eval=np.unique([*t_grid[inside], end]),
        )  # fmt: skip
        state = solution.y[:, -1]
        for k in inside:
            t = float(t_grid[k])
            want[k] = shows(at(t), solution.y[:, int(np.searchsorted(solution.t, t))], x(t))
    assert np.max(np.abs(got - want)) <= 1e-9 * np.max(np.abs(want))


def test_a_static_sensor_shows_the_indication_that_belongs_to_the_measurand() -> None:
    form = form_of(ModelKind.STATIC, ("c0", "c1", "c2", "c3"), (-50.0, 150.0))
    assert isinstance(form, Characteristic)
    theta = [2.0, 0.9, 1e-3, 2e-6]
    law = Ageing(1, duration(1.0), duration(8.0), 1.05)
    source = Swing(40.0, duration(7.0), T0)
    dynamics = Dynamics(form, Parameterisation(np.array(theta), (law,)), duration(0.5))
    got = np.concatenate([Response(source, dynamics, T0, DurationNs(20_000_000)).next_chunk() for _ in range(1)])
    for k in range(0, got.size, 7):
        t = k * 0.02
        x = 40.0 * math.sin(2 * math.pi * (t - 0.5) / 7.0)
        c1 = 0.9 * 1.05 ** (min(max(t - 1.0, 0.0), 7.0) / 7.0)
        want = brentq(lambda y, x=x, c1=c1: 2.0 + c1 * y + 1e-3 * y**2 + 2e-6 * y**3 - x, -50, 150, xtol=1e-14)
        assert abs(got[k] - want) <= 1e-9 * 40.0


def test_a_characteristic_stays_at_its_ends_and_must_be_monotone() -> None:
    form = Characteristic(2, 0.0, 10.0)
    theta = np.array([[1.0, 2.0, 0.1]] * 4)
    np.testing.assert_allclose(
        form.indication(theta, np.array([-5.0, 1.0, 31.0, 99.0])), [0.0, 0.0, 10.0, 10.0], atol=1e-12
    )
    assert form.is_monotone(theta[0])
    assert not form.is_monotone(np.array([0.0, 1.0, -0.1]))
    assert not form.is_monotone(np.array([1.0, 0.0, 0.0]))
    falling = Characteristic(1, -5.0, 5.0)
    np.testing.assert_allclose(falling.indication(np.array([[1.0, -2.0]]), np.array([4.0])), [-1.5])
    for wrong in ((("c0",), (0.0, 1.0)), (("c0", "c2"), (0.0, 1.0)), (("c0", "c1"), (1.0, 0.0))):
        with pytest.raises(InvalidData):
            form_of(ModelKind.STATIC, *wrong)
    with pytest.raises(InvalidData, match="needs indications"):
        form_of(ModelKind.STATIC, ("c0", "c1"))
    with pytest.raises(InvalidData, match="no dynamics"):
        frequency_response(form, theta[0], np.array([1.0]))


def test_process_noise_with_a_resonance_has_the_power_density_that_was_asked() -> None:
    made = autoregressive_noise(
        np.random.default_rng(2), mean=1.0, rms=2.0, time_constants_s=[0.5], resonances=[(1.5, 0.1)], n_lines=1024
    )
    assert made.rms == pytest.approx(2.0, rel=1e-9)
    f = np.linspace(0, 40, 400_001)
    share = f / 1.5
    density = 1 / (1 + (2 * np.pi * f * 0.5) ** 2) / ((1 - share**2) ** 2 + (0.2 * share) ** 2)
    power = 0.5 * np.abs(made.amplitudes) ** 2
    for low, high in ((0.0, 0.5), (1.2, 1.5), (1.5, 2.0)):
        within = (f >= low) & (f < high)
        lines = (made.frequencies_hz >= low) & (made.frequencies_hz < high)
        assert np.sum(power[lines]) / np.sum(power) == pytest.approx(
            np.sum(density[within]) / np.sum(density), abs=0.01
        )
    with pytest.raises(InvalidData, match="above 0"):
        autoregressive_noise(np.random.default_rng(2), mean=0.0, rms=1.0, resonances=[(0.0, 0.1)])


_PROGRAM = """
from tests.unit.simulators.physics.test_laws import digest
print(digest())
"""


def digest() -> str:
    """Return a digest of what sensors show to noise under every law."""
    found = hashlib.blake2b()
    for name, (make, _, _) in LAWS.items():
        source = band_limited_noise(np.random.default_rng(len(name)), mean=5.0, rms=1.0, band_hz=1.0, n_lines=32)
        dynamics = Dynamics(ModelKind.SECOND_ORDER, Parameterisation(np.array([1.0, 0.1, 3.0]), (make(2),)))
        response = Response(source, dynamics, T0, DurationNs(20_000_000))
        for _ in range(2):
            found.update(response.next_chunk().tobytes())
    return found.hexdigest()


def test_the_same_to_the_last_bit_in_another_process() -> None:
    for seed in ("77",):
        result = subprocess.run(
            [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert result.stdout.strip() == digest()
