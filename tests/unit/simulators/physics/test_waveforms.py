"""Measurands beside noise: what they are at any instant, and what sensors make of them, each from its definition."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.signal import TransferFunction

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs, InstantNs, duration
from simulators.physics.dynamics import Form, Rational, form_of, frequency_response, names_of
from simulators.physics.laws import Parameterisation, Ramp
from simulators.physics.measurand import band_limited_noise
from simulators.physics.sensor import CHUNK, Dynamics, Response
from simulators.physics.waveforms import Measurand, Profile, Shocks, Sum, Sweep, Swing, binary_sequence, steps

T0 = InstantNs(1_790_000_000_123_456_000)
MS = 1_000_000


def ns(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


BATCH = Profile(ns(0, 2_000 * MS, 2_000 * MS, 3_500 * MS, 9_000 * MS), np.array([20.0, 20, 35, 35, 20]), T0)
"""20, a jump to 35 after 2 s, and from 3.5 s on back to 20 until 9 s."""


def batch(t: float) -> float:
    if t < 2.0:
        return 20.0
    return 35.0 if t < 3.5 else max(35.0 - 15.0 * (t - 3.5) / 5.5, 20.0)


SWEEP = Sweep(3.0, 0.2, 4.0, duration(6.0), T0)


def sweep(t: float) -> float:
    t %= 6.0
    return 3.0 * math.sin(2 * math.pi * (0.2 * t + (4.0 - 0.2) * t * t / 12.0))


SHOCKS = Shocks(100.0, duration(0.004), duration(1.0), InstantNs(T0 + 500 * MS))


def shocks(t: float) -> float:
    since = (t - 0.5) % 1.0
    return 100.0 * math.sin(math.pi * since / 0.004) if t >= 0.5 and since < 0.004 else 0.0


SWING = Swing(8.0, duration(86.4), T0, 0.1)


def swing(t: float) -> float:
    return 8.0 * math.sin(2 * math.pi * (t / 86.4 + 0.1))


LEVELS = np.array([1.0, -2.0, 4.0])
STEPS = steps(LEVELS, duration(1.5), T0, rise_ns=duration(0.2))


def stepped(t: float) -> float:
    k, rest = divmod(t % 4.5, 1.5)
    before, now = LEVELS[int(k) - 1], LEVELS[int(k)]
    return float(before + min(rest / 0.2, 1.0) * (now - before))


DEFINED: list[tuple[Measurand, Callable[[float], float], list[float]]] = [
    (BATCH, batch, [2.0, 3.5, 9.0]),
    (SWEEP, sweep, [0.0, 6.0, 12.0]),
    (SHOCKS, shocks, [0.5 + k + end for k in range(12) for end in (0.0, 0.004)]),
    (SWING, swing, []),
    (STEPS, stepped, [1.5 * k + end for k in range(9) for end in (0.0, 0.2)]),
    (Sum((BATCH, SWING)), lambda t: batch(t) + swing(t), [2.0, 3.5, 9.0]),
]
NAMES = ["batch", "sweep", "shocks", "swing", "steps", "sum"]


@pytest.mark.parametrize(("source", "defined", "breaks"), DEFINED, ids=NAMES)
def test_a_waveform_is_what_its_definition_says_at_and_between_nanoseconds(
    source: Measurand, defined: Callable[[float], float], breaks: list[float]
) -> None:
    rng = np.random.default_rng(1)
    since = rng.integers(0, 11_900 * MS, 500)
    want = np.array([defined(t / 1e9) for t in since.tolist()])
    np.testing.assert_allclose(source.value(T0 + since), want, rtol=0, atol=1e-8 * np.max(np.abs(want), initial=1.0))
    begin = int(since[0])
    end = min([b for b in breaks if b > begin / 1e9], default=11.9)
    t_s = rng.uniform(0, end - begin / 1e9, 50)
    near = np.array([defined(begin / 1e9 + t) for t in t_s.tolist()])
    np.testing.assert_allclose(source.near(InstantNs(T0 + begin))(t_s), near, rtol=0, atol=1e-8 * np.max(np.abs(want)))


@pytest.mark.parametrize(("source", "defined", "breaks"), DEFINED, ids=NAMES)
def test_breaks_are_where_it_jumps_or_kinks_and_nowhere_else(
    source: Measurand, defined: Callable[[float], float], breaks: list[float]
) -> None:
    del defined
    found = source.breaks_ns(T0, InstantNs(T0 + 11_900 * MS)) - T0
    want = sorted({round(b * 1e9) for b in breaks if 0 < b < 11.9})
    assert found.tolist() == want


def test_a_binary_sequence_is_balanced_and_white() -> None:
    chips = binary_sequence(7, 2.0, duration(0.01), T0)
    x = chips.value(T0 + duration(0.01) * np.arange(254, dtype=np.int64) + 1)
    assert set(np.abs(x)) == {2.0}
    np.testing.assert_array_equal(x[:127], x[127:])
    correlation = [float(x[:127] @ np.roll(x[:127], k)) for k in range(127)]
    assert correlation[0] == 4 * 127
    assert set(correlation[1:]) == {-4.0}  # Golomb's third postulate


FORMS: list[tuple[Form, list[float], float]] = [
    (ModelKind.FIRST_ORDER, [1.02, 0.8], 0.0),
    (ModelKind.SECOND_ORDER, [1.0, 0.05, 6.0], 0.013),
    (ModelKind.LEAD_LAG, [0.99, 1.8, 0.3, 0.6], 0.0),
    (Rational(1, 3), [1.1, 0.2, 0.9, 0.25, 0.02], 0.0),
    (Rational(2, 2), [2.0, 0.1, 0.004, 0.3, 0.02], 0.25),
]
FORM_NAMES = ["first", "second with dead time", "lead-lag", "rational 1/3", "rational 2/2 with dead time"]


def transfer_function(form: Form, theta: list[float]) -> TransferFunction:
    if isinstance(form, Rational):
        above, below = theta[: form.n_zeros + 1], [1.0, *theta[form.n_zeros + 1 :]]
        return TransferFunction(above[::-1], below[::-1])
    if form is ModelKind.FIRST_ORDER:
        return TransferFunction([theta[0]], [theta[1], 1.0])
    if form is ModelKind.SECOND_ORDER:
        omega = 2 * np.pi * theta[2]
        return TransferFunction([theta[0] * omega**2], [1.0, 2 * theta[1] * omega, omega**2])
    gain, tau1, tau2, tauz = theta
    return TransferFunction([gain * tauz, gain], [tau1 * tau2, tau1 + tau2, 1.0])


def matrices(form: Form, theta: list[float]) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    space = transfer_function(form, theta).to_ss()
    a, b, c, d = (np.asarray(part, np.float64) for part in (space.A, space.B, space.C, space.D))
    return a, b[:, 0], c[0], float(d[0, 0])


@pytest.mark.parametrize(("form", "theta", "delay_s"), FORMS, ids=FORM_NAMES)
def test_the_frequency_response_is_that_of_the_transfer_function(
    form: Form, theta: list[float], delay_s: float
) -> None:
    del delay_s
    f_hz = np.geomspace(0.01, 20.0, 30)
    system = transfer_function(form, theta)
    s = 2j * np.pi * f_hz
    want = np.polyval(system.num, s) / np.polyval(system.den, s)
    np.testing.assert_allclose(frequency_response(form, np.array(theta), f_hz), want, rtol=1e-11)


@pytest.mark.parametrize(("form", "theta", "delay_s"), FORMS, ids=FORM_NAMES)
@pytest.mark.parametrize(("source", "defined", "breaks"), DEFINED, ids=NAMES)
def test_an_indication_against_independent_integration(
    source: Measurand,
    defined: Callable[[float], float],
    breaks: list[float],
    form: Form,
    theta: list[float],
    delay_s: float,
) -> None:
    dt_ns = DurationNs(20 * MS)
    sensor = Dynamics(form, Parameterisation(np.array(theta)), duration(delay_s))
    response = Response(source, sensor, T0, dt_ns)
    got = np.concatenate([response.next_chunk() for _ in range(2)])
    a, b, c, d = matrices(form, theta)
    t_grid = np.arange(got.size) * 0.02
    scale = np.max(np.abs([defined(t) for t in np.linspace(0, t_grid[-1], 20_000).tolist()]))
    # What shocks leave between two samples is seen by their spans, however short.
    bounds = sorted({0.0, t_grid[-1], *(b + delay_s for b in breaks if 0 < b + delay_s < t_grid[-1])})
    x0 = defined(0.0 - delay_s)
    state = -np.linalg.solve(a, b) * x0
    want = np.full(got.size, np.nan)
    for begin, end in itertools.pairwise(bounds):
        inside = np.flatnonzero((t_grid >= begin) & (t_grid <= end))

        def slope(t: float, s: FloatArray, begin: float = begin, end: float = end) -> FloatArray:
            within = min(max(t, begin + 1e-12), end - 1e-12)
            return np.asarray(a @ s + b * defined(within - delay_s), np.float64)

        solution = solve_ivp(
            slope, (begin, end), state, method="DOP853", rtol=1e-12, atol=1e-15 * scale, max_step=0.02,
            t_eval=np.unique([*t_grid[inside], end]),
        )  # fmt: skip
        state = solution.y[:, -1]
        for k in inside:
            j = int(np.searchsorted(solution.t, t_grid[k]))
            through = d * defined(float(t_grid[k]) - delay_s + 1e-12)
            want[k] = float(c @ solution.y[:, j]) + through
    assert np.max(np.abs(got - want)) <= 1e-9 * scale


def test_noise_delayed_and_summed_with_a_drifting_sensor_is_the_sum_of_both() -> None:
    noise = band_limited_noise(np.random.default_rng(3), mean=5.0, rms=1.0, band_hz=1.0, n_lines=32)
    law = Ramp(1, duration(6), duration(9), 1.3)
    sensor = Dynamics(ModelKind.FIRST_ORDER, Parameterisation(np.array([1.0, 0.5]), (law,)), duration(0.1))
    chunks = [Response(source, sensor, T0, DurationNs(20 * MS)) for source in (Sum((noise, SWEEP)), noise, SWEEP)]
    both, one, other = (np.concatenate([response.next_chunk() for _ in range(3)]) for response in chunks)
    assert both.size == 3 * CHUNK
    np.testing.assert_array_equal(both, one + other)


def test_bad_waveforms_are_refused() -> None:
    with pytest.raises(InvalidData, match="do not fit"):
        Profile(ns(0, 1), np.zeros(3), T0)
    with pytest.raises(InvalidData, match="begin at 0"):
        Profile(ns(1, 2), np.zeros(2), T0)
    with pytest.raises(InvalidData, match="must last"):
        Profile(ns(0), np.zeros(1), T0, repeated=True)
    with pytest.raises(InvalidData, match="above 0"):
        Sweep(1.0, 0.0, 1.0, duration(1.0), T0)
    with pytest.raises(InvalidData, match="over before"):
        Shocks(1.0, duration(2.0), duration(1.0), T0)
    with pytest.raises(InvalidData, match="rise"):
        steps(LEVELS, duration(1.0), T0, rise_ns=duration(2.0))


def test_forms_know_their_parameters_by_name() -> None:
    names = ("gain", "b1_s", "a1_s", "a2_s2", "a3_s3")
    assert form_of(ModelKind.RATIONAL, names) == Rational(1, 3)
    assert names_of(Rational(1, 3)) == names
    with pytest.raises(InvalidData, match="no more zeros"):
        Rational(3, 2)
    with pytest.raises(InvalidData, match="no dynamics"):
        names_of(ModelKind.STATIC)
