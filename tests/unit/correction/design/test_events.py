from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dyncal.correction.design.events import event_term, find_events, half_sine, with_events
from dyncal.correction.design.spectrum import from_bandwidth
from dyncal.correction.design.wiener import Design, design
from dyncal.correction.streaming.record import correct
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from tests.unit.correction.examples import CASES, Case

CASE = dataclasses.replace(CASES["accelerometer"], dt_ns=100_000, noise_std=1e-3)
PULSE_S = 5e-3


def shock_design(order: float) -> Design:
    """Return a design for a stated bandwidth."""
    spectrum = from_bandwidth(1.5 / PULSE_S, 0.1, order=order)
    return design(CASE.parameters, dt_ns=CASE.dt_ns, noise_std=CASE.noise_std, spectrum=spectrum)


def shock(
    case: Case, amplitude: float, at_s: float, pulse_s: float, n: int, over: int = 16
) -> tuple[FloatArray, FloatArray]:
    """Return measurand and indication of a half sine, exact up to `over` times Nyquist."""
    fine = np.arange(n * over) * case.dt_s / over
    t = fine - at_s
    pulse = np.where((t > 0) & (t < pulse_s), amplitude * np.sin(np.pi * t / pulse_s), 0.0)
    f_hz = np.fft.rfftfreq(fine.size, case.dt_s / over).astype(np.float64)
    response = case.model.frequency_response(case.theta, f_hz)
    return pulse[::over], np.fft.irfft(np.fft.rfft(pulse) * response, fine.size)[::over]


def test_the_amplitude_spectrum_is_the_pulse_s() -> None:
    t = np.linspace(0, PULSE_S, 200_001)
    pulse = 3 * np.sin(np.pi * t / PULSE_S)
    omega = np.array([0.0, 100.0, np.pi / PULSE_S, 2000.0, 5000.0])
    expected = [abs(np.trapezoid(pulse * np.exp(-1j * w * t), t)) for w in omega]
    np.testing.assert_allclose(half_sine(3.0, PULSE_S)(omega), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("order", [4.0, 8.0])
def test_the_bound_holds_and_the_mean_square_is_that_of_the_event(order: float) -> None:
    f = shock_design(order).filter
    term = event_term(f, CASE.parameters, half_sine(10.0, PULSE_S), PULSE_S)
    squares, worst = [], 0.0
    for shift in np.linspace(0, 1, 10, endpoint=False):
        measurand, y = shock(CASE, 10.0, 0.03 + shift * CASE.dt_s, PULSE_S, 2048)
        value, _ = correct(f, CASE.parameters, y)
        error = (value - measurand)[np.isfinite(value)]
        worst = max(worst, float(np.max(np.abs(error))))
        squares.append(float(np.sum(error**2)) * CASE.dt_s / term.duration_s)
    assert worst <= term.bound
    assert worst > term.bound / 6
    assert np.sqrt(np.mean(squares)) == pytest.approx(term.rms, rel=0.03)


def test_the_term_is_there_during_events_and_nowhere_else() -> None:
    f = shock_design(4.0).filter
    measurand, y = shock(CASE, 10.0, 0.05, PULSE_S, 2048)
    y = y + CASE.noise_std * np.random.default_rng(1).normal(size=y.size)
    value, u = correct(f, dataclasses.replace(CASE.parameters, cov=np.zeros((3, 3))), y)
    term = event_term(f, CASE.parameters, half_sine(10.0, PULSE_S), PULSE_S)
    events = find_events(value, 1.0, f, PULSE_S)
    ok = np.isfinite(value)
    assert events[(measurand > 0) & ok].all()
    assert not events[1200:].any()
    told = with_events(u, f, events, term.u)
    inside = np.abs(value - measurand)[ok] <= 2 * told[ok]
    assert inside[events[ok]].all()
    assert 0.9 < inside[~events[ok]].mean() <= 1.0
    quiet = told[ok & ~events]
    np.testing.assert_allclose(quiet, f.u_noise, rtol=1e-6)


def test_impossible_events_are_refused() -> None:
    f = shock_design(4.0).filter
    for amplitude, pulse_s in ((0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0), (1.0, float("inf"))):
        with pytest.raises(InvalidData):
            half_sine(amplitude, pulse_s)
    with pytest.raises(InvalidData):
        event_term(f, CASE.parameters, lambda omega: -np.ones_like(omega), PULSE_S)
    with pytest.raises(InvalidData):
        event_term(f, CASE.parameters, half_sine(1.0, PULSE_S), 0.0)
    with pytest.raises(InvalidData):
        find_events(np.ones(5), float("nan"), f, PULSE_S)
    with pytest.raises(InvalidData):
        with_events(np.ones(5), f, np.ones(5, np.bool_), float("nan"))
    with pytest.raises(InvalidData):
        with_events(np.ones(5), f, np.ones(4, np.bool_), 1.0)
