"""The simulated truth against an independent high-accuracy integration and against theory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs, InstantNs, duration
from simulators.physics.converter import Converter
from simulators.physics.dynamics import frequency_response
from simulators.physics.laws import Parameterisation, Ramp
from simulators.physics.measurand import Multisine, UniformEvaluator, band_limited_noise, on_grid
from simulators.physics.sensor import CHUNK, Dynamics, Response, SampledSensor

T0 = InstantNs(1_790_000_000_123_456_000)


def measurand(band_hz: float, *, mean: float = 50.0, lines: int = 64) -> Multisine:
    return band_limited_noise(np.random.default_rng(7), mean=mean, rms=5.0, band_hz=band_hz, n_lines=lines)


def right_side(kind: ModelKind, theta: list[float], s: FloatArray, x: float) -> list[float]:
    """The differential equations written out once more, without matrices."""
    if kind is ModelKind.FIRST_ORDER:
        return [(x - s[0]) / theta[1]]
    if kind is ModelKind.SECOND_ORDER:
        omega = 2 * np.pi * theta[2]
        return [s[1], omega**2 * (x - s[0]) - 2 * theta[1] * omega * s[1]]
    return [(x - s[0]) / theta[1], (s[0] - s[1]) / theta[2]]


def indication(kind: ModelKind, theta: list[float], s: FloatArray) -> float:
    if kind is ModelKind.LEAD_LAG:
        share = theta[3] / theta[2]
        return float(theta[0] * (share * s[0] + (1 - share) * s[1]))
    return float(theta[0] * s[0])


CASES = [
    pytest.param(
        ModelKind.FIRST_ORDER, [1.02, 0.8], 50.0, 1.0, Ramp(1, duration(12), duration(19.013), 1.5), id="fouling"
    ),
    pytest.param(
        ModelKind.FIRST_ORDER, [1.0, 0.8], 50.0, 1.0, Ramp(1, duration(12.007), duration(12.007), 2.0), id="break"
    ),
    pytest.param(
        ModelKind.SECOND_ORDER, [1.0, 0.3, 5.0], 100.0, 4.0, Ramp(2, duration(6), duration(9), 0.8), id="line"
    ),
    pytest.param(
        ModelKind.SECOND_ORDER,
        [1.0, 0.03, 400.0],
        4000.0,
        300.0,
        Ramp(2, duration(0.2), duration(0.3), 0.97),
        id="crystal",
    ),
    pytest.param(
        ModelKind.LEAD_LAG, [0.99, 1.8, 0.3, 0.6], 10.0, 0.5, Ramp(1, duration(20), duration(60), 1.4), id="thermowell"
    ),
]


@pytest.mark.parametrize(("kind", "theta", "rate_hz", "band_hz", "law"), CASES)
def test_drifting_sensor_against_independent_integration(
    kind: ModelKind, theta: list[float], rate_hz: float, band_hz: float, law: Ramp
) -> None:
    source = measurand(band_hz)
    dt_ns = DurationNs(round(1e9 / rate_hz))
    response = Response(source, Dynamics(kind, Parameterisation(np.array(theta), (law,))), T0, dt_ns)
    n_chunks = int(law.to_ns // (dt_ns * CHUNK)) + 2
    got = np.concatenate([response.next_chunk() for _ in range(n_chunks)])

    # From a steady state so far back that its memory has died, by an adaptive Runge-Kutta of order 8, span by span
    # between the kinks, with the measurand summed from its definition.
    phasors, turns = source.phasors(T0), 2j * np.pi * source.frequencies_hz

    def x(t: float) -> float:
        return source.mean + float(np.sum(phasors * np.exp(turns * t)).real)

    def at(t: float) -> list[float]:
        begin, end = law.from_ns / 1e9, law.to_ns / 1e9
        share = float(t >= begin) if begin == end else min(max((t - begin) / (end - begin), 0.0), 1.0)
        return [v * (1 + (law.factor - 1) * share) if i == law.index else v for i, v in enumerate(theta)]

    slowest = {ModelKind.FIRST_ORDER: 0.8, ModelKind.LEAD_LAG: 1.8, ModelKind.SECOND_ORDER: 0.0}[kind]
    memory = slowest or 1 / (theta[1] * 2 * np.pi * theta[2])
    t_grid = np.arange(got.size) * (dt_ns / 1e9)
    bounds = sorted({-35 * memory, 0.0, law.from_ns / 1e9, law.to_ns / 1e9, float(t_grid[-1])})
    state = np.array([source.mean, 0.0 if kind is ModelKind.SECOND_ORDER else source.mean])[
        : 1 if kind is ModelKind.FIRST_ORDER else 2
    ]
    want = np.full(got.size, np.nan)
    fastest = max(2 * np.pi * source.frequencies_hz[-1], 1 / memory)
    for begin, end in itertools.pairwise(bounds):
        middle = [(begin + end) / 2]
        inside = np.flatnonzero((t_grid >= begin) & (t_grid <= end))

        def slope(t: float, s: FloatArray, begin: float = begin, end: float = end) -> list[float]:
            return right_side(kind, at(min(max(t, begin + 1e-12), end - 1e-12)), s, x(t))

        solution = solve_ivp(
            slope,
            (begin, end),
            state,
            method="DOP853",
            rtol=1e-12,
            atol=1e-12,
            max_step=1 / fastest,
            t_eval=np.unique([*t_grid[inside], *middle, end]),
        )
        state = solution.y[:, -1]
        for k in inside:
            j = int(np.searchsorted(solution.t, t_grid[k]))
            want[k] = indication(kind, at(float(t_grid[k])), solution.y[:, j])
    assert np.max(np.abs(got - want)) <= 1e-9 * np.max(np.abs(want))


def test_stationary_indication_of_one_line_is_the_textbook_one() -> None:
    source = Multisine(10.0, np.array([500]), np.array([2.0 + 0j]))  # 0.5 Hz
    response = Response(
        source, Dynamics(ModelKind.FIRST_ORDER, Parameterisation(np.array([2.0, 0.4]))), T0, DurationNs(20_000_000)
    )
    t = (T0 % 10**12) / 1e9 + np.arange(CHUNK) * 0.02
    omega = 2 * np.pi * 0.5
    want = 20.0 + 4.0 / np.hypot(1, omega * 0.4) * np.cos(omega * t - np.arctan(omega * 0.4))
    np.testing.assert_allclose(response.next_chunk(), want, rtol=0, atol=1e-9)


def test_measurand_is_exact_at_late_instants_and_on_grids() -> None:
    source = measurand(2000.0)
    dt = DurationNs(125_000)
    on_grid = UniformEvaluator(source, dt, 64).chunk(T0)
    t_ns = T0 + dt * np.arange(64, dtype=np.int64)
    np.testing.assert_allclose(on_grid, source.value(t_ns), rtol=0, atol=1e-11)
    late = t_ns + 3_000_000 * 10**9  # a whole number of periods later
    np.testing.assert_array_equal(source.value(late), source.value(t_ns))


def test_measurand_on_a_grid_with_holes_and_strangers_is_the_measurand() -> None:
    source, dt = measurand(20.0), DurationNs(5_000_000)
    rng = np.random.default_rng(4)
    t_ns = T0 + dt * np.sort(rng.choice(5000, 900, replace=False)).astype(np.int64)
    t_ns[[3, 500]] += 1_234
    t_ns[0] = T0 - dt
    np.testing.assert_allclose(on_grid(source, T0, dt, t_ns), source.value(t_ns), rtol=0, atol=1e-10)
    assert on_grid(source, T0, dt, t_ns[:0]).size == 0


def test_measurand_has_the_power_and_the_band_that_were_asked() -> None:
    source = measurand(3.0, lines=512)
    t_ns = np.arange(0, 10**12, 50_000_000, dtype=np.int64)
    assert np.std(source.value(t_ns)) == pytest.approx(5.0, rel=1e-9)
    power = 0.5 * np.abs(source.amplitudes) ** 2
    share_below = np.sum(power[source.frequencies_hz < 3.0]) / np.sum(power)
    # ∫0^1 dx/(1+x^8) / ∫0^3 dx/(1+x^8)
    assert share_below == pytest.approx(0.9247 / 1.0262, abs=0.01)


def test_same_bits_however_the_stream_is_cut() -> None:
    def sensor() -> SampledSensor:
        law = Ramp(1, duration(3), duration(5), 1.3)
        dynamics = Dynamics(ModelKind.FIRST_ORDER, Parameterisation(np.array([1.0, 0.8]), (law,)))
        response = Response(measurand(1.0), dynamics, T0, DurationNs(20_000_000))
        return SampledSensor(response, Converter(noise=0.1), np.random.default_rng(5))

    whole = sensor().take(1000)
    stream, sizes = sensor(), np.random.default_rng(1).integers(1, 90, 100)
    parts: list[FloatArray] = []
    while sum(p.size for p in parts) < 1000:
        parts.append(stream.take(int(sizes[len(parts)])))
    assert np.concatenate(parts)[:1000].tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("kind", "theta"),
    [
        (ModelKind.FIRST_ORDER, [1.1, 0.7]),
        (ModelKind.SECOND_ORDER, [1.1, 0.3, 5.0]),
        (ModelKind.LEAD_LAG, [1.1, 1.8, 0.3, 0.6]),
    ],
)
def test_frequency_response_is_that_of_the_published_transfer_function(kind: ModelKind, theta: list[float]) -> None:
    f = np.array([0.0, 0.1, 1.0, 4.9, 20.0])
    s = 2j * np.pi * f
    if kind is ModelKind.FIRST_ORDER:
        want = theta[0] / (1 + theta[1] * s)
    elif kind is ModelKind.SECOND_ORDER:
        omega = 2 * np.pi * theta[2]
        want = theta[0] * omega**2 / (s**2 + 2 * theta[1] * omega * s + omega**2)
    else:
        want = theta[0] * (1 + theta[3] * s) / ((1 + theta[1] * s) * (1 + theta[2] * s))
    np.testing.assert_allclose(frequency_response(kind, np.array(theta), f), want, rtol=1e-12)
