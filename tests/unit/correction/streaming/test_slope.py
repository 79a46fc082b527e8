"""What uncertain instants add to u, against the slope that the corrected signal has."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.design.wiener import Form, design
from dyncal.correction.streaming.prepared import prepare
from dyncal.correction.streaming.record import correct
from dyncal.correction.streaming.running import RunningFilter
from dyncal.correction.streaming.slope import slope_taps
from dyncal.domain.coefficients import CorrectionFilter
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA
from tests.unit.correction.examples import ALL, Case, arbitrary_set, designed

COMPILED = pytest.mark.parametrize("compiled", [True, False] if HAVE_NUMBA else [False])
NO_SECTIONS = np.empty((0, 6))
SHARE = 0.05  # u_t, of dt: at 4 samples a period nearly all of u
WITHIN = {"accelerometer": 0.04}  # 5 samples ahead at 4 samples a period: with the true spectrum as weight 0.034
RECURSIVE = ("thermocouple", "thermowell", "dead_time")


def true_slope(f: CorrectionFilter, raw: FloatArray) -> FloatArray:
    """Return the slope, entry k about raw sample k, of what the filter makes of a periodic record."""
    angle = 2 * np.pi * np.arange(raw.size // 2 + 1) / raw.size
    z = np.exp(-1j * angle)
    response = np.polynomial.polynomial.polyval(z, f.fir) / z**f.delay
    for b0, b1, b2, _, a1, a2 in f.sos:
        response *= (b0 + b1 * z + b2 * z * z) / (1 + a1 * z + a2 * z * z)
    lines = 1j * angle * response * np.fft.rfft(raw)
    lines[-1] = 0
    return np.fft.irfft(lines, raw.size) / (f.dt_ns / 1e9)


def off(case: Case, f: CorrectionFilter) -> float:
    """Return by how much u is off where instants are uncertain, the largest of some 4 000 samples."""
    u_t = SHARE * case.dt_s
    n = prepare(f, case.parameters).history_length
    _, raw = case.simulate(np.random.default_rng(5), 2 * ((n + 4_500) // 2))
    value, without = correct(f, case.parameters, raw)
    _, u = correct(f, case.parameters, raw, u_t_s=u_t)
    expected = np.hypot(without, u_t * true_slope(f, raw))
    last = np.flatnonzero(np.isfinite(value))[-4_000:]
    return float(np.max(np.abs(u / expected - 1)[last]))


@pytest.mark.parametrize("name", ALL)
def test_u_follows_the_slope_at_the_instant_itself(name: str) -> None:
    assert off(ALL[name], designed(name).filter) < WITHIN.get(name, 0.01)


@pytest.mark.parametrize("name", RECURSIVE)
def test_a_recursive_set_follows_as_well(name: str) -> None:
    case = ALL[name]
    made = design(
        case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum, form=Form.RECURSIVE
    ).filter
    assert made.sos.size
    assert prepare(made, case.parameters).slope_taps.size
    assert off(case, made) < 0.01


@COMPILED
@pytest.mark.parametrize("sections", [0, 2])
def test_a_constant_has_no_slope_and_a_ramp_its_own(compiled: bool, sections: int) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=sections)
    f, parameters = coefficients.filter, coefficients.parameters
    prepared = prepare(f, parameters)
    assert prepared.slope_taps.size == f.fir.size

    def time_variance(raw: FloatArray) -> FloatArray:
        with_it, without = (correct(f, parameters, raw, u_t_s=u_t, compiled=compiled)[1] for u_t in (1.0, 0.0))
        return (with_it**2 - without**2)[-300 - f.delay : -f.delay]

    assert np.max(np.abs(time_variance(np.full(900, 1e4)))) < 1e-5  # (1e4 · 1e-9 / 0.01 s)² would be 1e-6
    ramp = 3.0 * 0.01 * np.arange(900, dtype=np.float64)
    np.testing.assert_allclose(time_variance(ramp), (3.0 * prepared.dc_gain) ** 2, rtol=1e-6)


def test_where_a_window_is_too_short_the_backward_difference_serves() -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), taps=1, delay=0)
    assert prepare(coefficients.filter, coefficients.parameters).slope_taps.size == 0
    raw = np.sin(0.05 * np.arange(200))
    value, without = correct(coefficients.filter, coefficients.parameters, raw)
    _, u = correct(coefficients.filter, coefficients.parameters, raw, u_t_s=2e-3)
    expected = np.hypot(without[1:], 2e-3 * np.diff(value) / 0.01)
    np.testing.assert_allclose(u[1:], expected, rtol=1e-9)


@pytest.mark.parametrize("taps", [2, 3, 5, 64, 700])
@pytest.mark.parametrize("band_hz", [-1.0, 0.0, 1e-9, 20.0, 1e9, np.nan])
@pytest.mark.parametrize("size", [0.0, 1e-200, 1.0, 1e200])
def test_any_filter_gets_taps_or_none(taps: int, band_hz: float, size: float) -> None:
    fir = size * np.random.default_rng(taps).normal(size=taps)
    fir[0] = 0.0
    d = slope_taps(fir, NO_SECTIONS, 0.01, band_hz)
    assert d.shape in ((taps,), (0,))
    assert np.isfinite(d).all()
    if d.size:
        assert abs(d.sum()) <= 1e-12 * np.abs(d).sum()
        places = np.arange(taps, dtype=np.float64)
        assert abs(float(places @ d) + float(fir.sum()) / 0.01) <= 1e-6 * float(places @ np.abs(d))


def test_a_filter_that_blocks_part_of_its_band_is_taken_as_it_is() -> None:
    notch = np.convolve([1.0, -2 * np.cos(0.3), 1.0], np.hanning(30))
    assert np.isfinite(slope_taps(notch, NO_SECTIONS, 1.0, 0.2)).all()
    wild = np.array([[1e200, 1e200, 0.0, 1.0, -1.9999, 0.99995]])
    assert np.isfinite(slope_taps(notch, wild, 1.0, 0.2)).all()


@COMPILED
@pytest.mark.parametrize("sections", [0, 1, 2])
@pytest.mark.parametrize("taps", [1, 24])
def test_instants_that_become_uncertain_later_do_not_depend_on_the_cut(
    compiled: bool, sections: int, taps: int
) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), taps=taps, delay=min(taps - 1, 7), sections=sections)
    prepared = prepare(coefficients.filter, coefficients.parameters)
    rng = np.random.default_rng(4)
    n = 1700
    y = np.cumsum(rng.normal(size=n)) * 0.1
    y[[300, 900]] = np.nan, 1e200
    times = np.where(rng.random(n) < 0.1, 4e-6 * rng.random(n), 0.0)
    times[:150] = times[250:420] = times[600:1200] = 0.0
    times[1300:] = 4e-6
    whole = RunningFilter(prepared, compiled=compiled).advance(y, times)
    assert np.isfinite(whole[1]).sum() > 1000
    other = RunningFilter(prepared, compiled=False).advance(y, times)
    for found, plain in zip(whole, other, strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-11, atol=1e-12)
    for cuts in ([1, 2, 3, 150, 151, 600, 601, 605, 1199, 1300, 1301], list(range(0, n, 7)), [511, 513, 1024]):
        running, parts = RunningFilter(prepared, compiled=compiled), []
        for part, variance in zip(np.split(y, cuts), np.split(times, cuts), strict=True):
            one = variance.size > 0 and not np.count_nonzero(variance != variance[0])
            parts.append(running.advance(part, float(variance[0]) if one else variance))
        for k in (0, 1):
            found = np.concatenate([values[k] for values in parts])
            if compiled:
                np.testing.assert_array_equal(found, whole[k])
            else:
                np.testing.assert_allclose(found, whole[k], rtol=1e-11, atol=1e-12)
