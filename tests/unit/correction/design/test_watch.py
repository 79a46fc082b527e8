from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dyncal.correction.design.spectrum import from_bandwidth
from dyncal.correction.design.watch import Watch, Word, restated
from dyncal.correction.streaming.record import correct
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from tests.unit.correction.examples import ALL, CASES, Case, designed


def watch_of(case: Case) -> Watch:
    return Watch(case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum)


@pytest.mark.parametrize("name", ALL)
def test_a_measurand_as_stated_stays(name: str) -> None:
    case = ALL[name]
    _, y = case.simulate(np.random.default_rng(1), 4000)
    word = watch_of(case).of(y + 100 * case.theta[0])
    assert word.n == 4000 - 48
    assert 0.9 < word.ratio < 1.1
    assert word.word is Word.AS_STATED


@pytest.mark.parametrize(
    ("name", "factor"), [("pressure_line", 2.0), ("rational", 2.0), ("accelerometer", 2.0), ("accelerometer", 0.5)]
)
def test_another_bandwidth_is_seen(name: str, factor: float) -> None:
    case = ALL[name]
    other = dataclasses.replace(case, spectrum=from_bandwidth(factor * case.spectrum.band_hz, case.spectrum.variance))
    _, y = other.simulate(np.random.default_rng(1), 4000)
    word = watch_of(case).of(y)
    assert word.word is Word.REFIT
    assert (word.ratio > 1) == (factor > 1)


def test_u_is_computed_again_for_what_there_is() -> None:
    """Twice the bandwidth: u as it was is far too small, u computed again is the rms error."""
    case, f = CASES["pressure_line"], designed("pressure_line").filter
    wider = dataclasses.replace(case, spectrum=from_bandwidth(2 * case.spectrum.band_hz, 1.0))
    again = restated(f, case.parameters, noise_std=case.noise_std, spectrum=wider.spectrum)
    np.testing.assert_array_equal(again.fir, f.fir)
    rng = np.random.default_rng(2)
    errors, us = [], []
    for _ in range(40):
        measurand, y = wider.simulate(rng, 1500)
        value, u = correct(again, dataclasses.replace(case.parameters, cov=np.zeros((3, 3))), y)
        ok = np.isfinite(value)
        errors.append(np.mean((value - measurand)[ok] ** 2))
        us.append(np.mean(u[ok] ** 2))
    assert np.sqrt(np.mean(us) / np.mean(errors)) == pytest.approx(1.0, abs=0.03)
    assert again.u_model > 10 * f.u_model
    same = restated(f, case.parameters, noise_std=case.noise_std, spectrum=case.spectrum)
    assert same.u_model == pytest.approx(f.u_model, rel=1e-3)
    assert same.u_noise == pytest.approx(f.u_noise, rel=1e-9)


def test_few_and_bad_samples() -> None:
    case = CASES["pressure_line"]
    watch = watch_of(case)
    _, y = case.simulate(np.random.default_rng(1), 4000)
    assert watch.of(y[:20]).word is Word.TOO_FEW
    assert watch.of(y[:150]).word is Word.TOO_FEW
    y[::40] = np.nan
    assert watch.of(y).word is Word.TOO_FEW
    _, y = case.simulate(np.random.default_rng(1), 4000)
    y[100], y[2000] = np.inf, 1e200
    assert watch.of(y).n == 4000 - 48 - 2 * 49
    assert watch.of(1000 * y).word is Word.REFIT  # a unit
    with pytest.raises(InvalidData):
        watch.of(np.ones((2, 2)))
    with pytest.raises(InvalidData):
        Watch(case.parameters, dt_ns=0, noise_std=0.1, spectrum=case.spectrum)


def shocked(case: Case, y: FloatArray, at: int, size: float) -> FloatArray:
    """The indications with those of a half-sine of a tenth of the sensor's period."""
    t = case.dt_s / 16 * (np.arange(16 * y.size) - 16 * at)
    length = 0.1 / case.theta[2]
    pulse = np.where((t >= 0) & (t <= length), size * np.sin(np.pi * t / length), 0.0)
    f_hz = np.fft.rfftfreq(t.size, case.dt_s / 16).astype(np.float64)
    seen = np.fft.irfft(np.fft.rfft(pulse) * case.model.frequency_response(case.theta, f_hz), t.size)
    return np.asarray(y + seen[::16], np.float64)


def test_a_shock_is_named_with_its_place_and_is_no_other_bandwidth() -> None:
    case = CASES["pressure_line"]
    watch = watch_of(case)
    _, y = case.simulate(np.random.default_rng(1), 2000)
    assert not watch.of(y).shocks.any()
    word = watch.of(shocked(case, y, 1200, 10.0))
    assert word.word is Word.SHOCK
    assert 0.9 < word.ratio < 1.1  # the rest is as stated
    assert 1200 <= int(np.flatnonzero(word.shocks)[0]) < 1210
    assert not word.shocks[:1200].any()
    assert not word.shocks[1300:].any()
    other = dataclasses.replace(case, spectrum=from_bandwidth(2 * case.spectrum.band_hz, 1.0))
    _, y = other.simulate(np.random.default_rng(1), 2000)
    assert watch.of(shocked(case, y, 1200, 10.0)).word is Word.REFIT
