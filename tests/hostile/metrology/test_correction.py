"""Every correction and every uncertain filter on bad samples, numbers and stamps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from dyncal.correction.budget import budget
from dyncal.correction.design.spectrum import MeasurandSpectrum, fit_spectrum, from_bandwidth
from dyncal.correction.design.wiener import Design, design
from dyncal.correction.smoother.build import build_smoother
from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.correction.streaming.record import correct
from dyncal.correction.streaming.stream import StreamingCorrector
from dyncal.correction.streaming.uniform import UniformCorrector
from dyncal.correction.uncertain.bank import FilterBank
from dyncal.correction.uncertain.nonrecursive import UncertainFIR
from dyncal.correction.uncertain.recursive import UncertainIIR, prepare
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from tests.hostile.metrology import scene
from tests.hostile.metrology.outcome import holds, said
from tests.hostile.metrology.scene import FIRST, SECOND, put
from tests.unit.correction.examples import coefficient_set

nan, inf = float("nan"), float("inf")
_DT_NS = 1_000_000
_SPECTRUM = from_bandwidth(40.0, 1.0)
_SOUND = scene.parameters(SECOND)
_INDEFINITE = scene.parameters(SECOND, cov=np.array([[1e-6, 1e-3, 0], [1e-3, 1e-6, 0], [0, 0, 1.0]]))
_NEGATIVE = scene.parameters(SECOND, cov=-np.eye(3))
_UNKNOWN = scene.parameters(SECOND, cov=np.full((3, 3), nan))

Outcome = tuple[FloatArray, FloatArray]


@cache
def made() -> Design:
    return design(_SOUND, dt_ns=_DT_NS, noise_std=0.01, spectrum=_SPECTRUM)


@cache
def samples() -> tuple[Int64Array, FloatArray]:
    t, y, _ = scene.record(SECOND)
    return t, y


def whole(y: FloatArray, parameters: Parameters = _SOUND) -> Outcome:
    return correct(made().filter, parameters, y)


def uniform(y: FloatArray, parameters: Parameters = _SOUND) -> Outcome:
    return UniformCorrector(made().filter, parameters).process(y)


def streamed(y: FloatArray, parameters: Parameters = _SOUND) -> Outcome:
    span = StreamingCorrector(coefficient_set(parameters, made().filter)).process(samples()[0][: y.size], y)
    return (span.value, span.u) if span else (np.empty(0), np.empty(0))


def smoothed(y: FloatArray, parameters: Parameters = _SOUND) -> Outcome:
    model = build_smoother(_SOUND, dt_ns=_DT_NS, noise_std=0.01, spectrum=_SPECTRUM)
    span = StreamingSmoother(model, parameters, "set").process(samples()[0][: y.size], y)
    return (span.value, span.u) if span else (np.empty(0), np.empty(0))


def budgeted(y: FloatArray, parameters: Parameters = _SOUND) -> Outcome:
    found = budget(made().filter, parameters, y)
    return found.value, found.u


def recursive(y: FloatArray, _: Parameters = _SOUND) -> Outcome:
    return UncertainIIR([0.02], [1.0, -1.85, 0.87], np.eye(3) * 1e-8, u_x=0.01).process(y)


def nonrecursive(y: FloatArray, _: Parameters = _SOUND) -> Outcome:
    return UncertainFIR(np.ones(9) / 9, np.eye(9) * 1e-8, u_x=0.01).process(y)


def banked(y: FloatArray, _: Parameters = _SOUND) -> Outcome:
    bank = FilterBank([prepare([0.02], [1.0, -1.85, 0.87], np.eye(3) * 1e-8, u_x=0.01)])
    value, u = bank.process(np.ascontiguousarray(y[:, None]))
    return value[:, 0], u[:, 0]


_CORRECTIONS = {"correct": whole, "uniform": uniform, "stream": streamed, "smoother": smoothed, "budget": budgeted}
_ALL = _CORRECTIONS | {"recursive": recursive, "nonrecursive": nonrecursive, "bank": banked}


@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e300])
@pytest.mark.parametrize("entry", _ALL)
def test_a_sample_that_is_none_harms_its_neighbours_only(entry: str, bad: float) -> None:
    y = samples()[1]
    value, u = _ALL[entry](put(y, 1000, bad))
    sound, _ = _ALL[entry](y)
    assert np.array_equal(np.isnan(value), np.isnan(u))
    assert 1 <= np.count_nonzero(np.isnan(value) & ~np.isnan(sound)) <= 300
    told = ~np.isnan(value)
    assert np.max(np.abs(value[told] - sound[told])[-300:]) < 1e-7  # the level of a smoother forgets slowly
    assert np.all(np.abs(value[told]) < 20)


@pytest.mark.parametrize("entry", _ALL)
def test_a_constant_is_corrected_to_a_constant(entry: str) -> None:
    value, u = _ALL[entry](np.full(2000, 3.0))
    value, u = value[~np.isnan(value)], u[~np.isnan(value)]
    assert abs(value[-1] - value[-500]) < 1e-9
    assert u[-1] > 0
    assert abs(value[-1] - 3.0) < 1e-6 or entry in ("recursive", "bank")  # those have a gain of their own


@pytest.mark.parametrize("entry", _ALL)
def test_one_sample(entry: str) -> None:
    value, u = _ALL[entry](samples()[1][:1])
    assert np.array_equal(np.isnan(value), np.isnan(u))


@pytest.mark.parametrize("parameters", [_INDEFINITE, _NEGATIVE, _UNKNOWN], ids=["indefinite", "negative", "NaN"])
@pytest.mark.parametrize("entry", _CORRECTIONS)
def test_no_covariance(entry: str, parameters: Parameters) -> None:
    holds(said(lambda: _CORRECTIONS[entry](samples()[1], parameters)), "^refused: .*covariance")


def streamed_at(change: Callable[[Int64Array], Int64Array]) -> Any:
    t, y = samples()
    return StreamingCorrector(coefficient_set(_SOUND, made().filter)).process(change(t.copy()), y)


def test_time_that_repeats_or_goes_back() -> None:
    holds(said(lambda: streamed_at(lambda t: np.sort(np.append(t[1:], t[7])))), "increase strictly")
    holds(said(lambda: streamed_at(lambda t: t[::-1].copy())), "increase strictly")


def test_stamps_in_another_unit_correct_nothing() -> None:
    span = streamed_at(lambda t: t // 1000)
    assert np.isnan(span.value).all()


def wished(parameters: Parameters = _SOUND, **changed: Any) -> Design:
    wishes: dict[str, Any] = {"dt_ns": _DT_NS, "noise_std": 0.01, "spectrum": _SPECTRUM}
    return design(parameters, **wishes | changed)


def _theta(*theta: float) -> Parameters:
    return scene.parameters(SECOND, np.array(theta))


_DESIGNS: dict[str, tuple[Callable[[], object], str]] = {
    "NaN": (lambda: wished(_theta(1.0, nan, 50.0)), "finite"),
    "no gain": (lambda: wished(_theta(0.0, 0.1, 50.0)), "gain 0"),
    "undamped": (lambda: wished(_theta(1.0, 0.0, 50.0)), "positive"),
    "unstable": (lambda: wished(_theta(1.0, -0.1, 50.0)), "positive"),
    "indefinite": (lambda: wished(_INDEFINITE), "indefinite"),
    "NaN covariance": (lambda: wished(_UNKNOWN), "covariance"),
    "noise of NaN": (lambda: wished(noise_std=nan), "finite"),
    "negative noise": (lambda: wished(noise_std=-1.0), "finite"),
    "no interval": (lambda: wished(dt_ns=0), "dt_ns"),
    "latency of NaN": (lambda: wished(max_latency_s=nan), "latency"),
    "no band": (lambda: wished(band_hz=0.0), "bandwidth"),
}


@pytest.mark.parametrize("case", _DESIGNS)
def test_designs(case: str) -> None:
    call, pattern = _DESIGNS[case]
    holds(said(call), f"^refused: .*{pattern}")


@pytest.mark.parametrize("damping", [1e-4, 1.0, 1e3])
def test_what_a_design_of_an_extreme_sensor_says_is_so(damping: float) -> None:
    parameters = scene.parameters(SECOND, np.array([1.0, damping, 50.0]), np.zeros((3, 3)))
    found = wished(parameters)
    assert np.isclose(found.filter.fir.sum(), 1.0)
    assert found.rms_error < 1.01  # of a measurand of unit variance: never worse than to say its mean


def test_designs_without_noise() -> None:
    found = wished(noise_std=0.0)
    assert 0 < found.rms_error < 1e-3


def spectrum(y: FloatArray, **changed: Any) -> MeasurandSpectrum:
    given: dict[str, Any] = {"dt_s": 1e-3, "model": SECOND, "theta": scene.TRUTH[SECOND], "noise_std": 0.01}
    return fit_spectrum(y, **given | changed)


_SPECTRA: dict[str, tuple[Callable[[], object], str]] = {
    "NaN": (lambda: spectrum(put(samples()[1], 7, nan)), "finite"),
    "beyond all measure": (lambda: spectrum(put(samples()[1], 7, 1e300)), "finite"),
    "constant": (lambda: spectrum(np.full(2000, 3.3)), "constant"),
    "noise": (lambda: spectrum(0.01 * np.random.default_rng(1).normal(size=2000)), "no activity"),
    "one sample": (lambda: spectrum(samples()[1][:1]), "at least"),
    "no interval": (lambda: spectrum(samples()[1], dt_s=0.0), "interval"),
    "undamped": (lambda: spectrum(samples()[1], theta=np.array([1.0, 0.0, 50.0])), "positive"),
    "negative noise": (lambda: spectrum(samples()[1], noise_std=-1.0), "noise"),
}


@pytest.mark.parametrize("case", _SPECTRA)
def test_spectra(case: str) -> None:
    call, pattern = _SPECTRA[case]
    holds(said(call), f"^refused: .*{pattern}")


@pytest.mark.parametrize("radius", [1.0, 1.5])
def test_poles_at_the_unit_circle(radius: float) -> None:
    broken = replace(made().filter, sos=np.array([[1.0, 0, 0, 1, -radius, 0]]))
    for run in (lambda: correct(broken, _SOUND, samples()[1]), lambda: UniformCorrector(broken, _SOUND)):
        with pytest.raises(InvalidData, match="pole"):
            run()


@pytest.mark.parametrize("tau_s", [1e-9, 1e6])
def test_a_lag_far_from_the_sampling(tau_s: float) -> None:
    parameters = scene.parameters(FIRST, np.array([1.0, tau_s]), np.zeros((2, 2)))
    found = wished(parameters)
    value, u = correct(found.filter, parameters, np.full(1000, 2.0))
    told = ~np.isnan(value)
    assert np.allclose(value[told], 2.0)
    assert found.rms_error < 0.01 if tau_s < 1 else np.all(u[told] > 0.9)
