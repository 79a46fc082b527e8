"""Corrections of records and streams on arrays of every make, and in units from tiny to huge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from dyncal.correction.budget import budget
from dyncal.correction.design.spectrum import MeasurandSpectrum, fit_spectrum
from dyncal.correction.design.watch import Watch
from dyncal.correction.design.wiener import Form, design
from dyncal.correction.forms import correct_at, corrector_of
from dyncal.correction.monte_carlo import correction_monte_carlo
from dyncal.correction.smoother.design import design_smoother
from dyncal.correction.streaming.record import correct
from dyncal.correction.uncertain.bank import FilterBank
from dyncal.correction.uncertain.recursive import prepare
from dyncal.domain.coefficients import Correction
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from tests.hostile.metrology.outcome import holds, said
from tests.unit.correction.examples import ALL, T0_NS, Case, instants

_N = 300
_CASE = ALL["pressure_line"]


@cache
def corrections() -> dict[str, Correction]:
    return {form: _made(_CASE, form) for form in ("fir", "recursive", "smoother")}


def _made(case: Case, form: str) -> Correction:
    wish: dict[str, Any] = {"dt_ns": case.dt_ns, "noise_std": case.noise_std, "spectrum": case.spectrum}
    if form == "smoother":
        return design_smoother(case.parameters, **wish).correction
    return design(case.parameters, form=Form(form), **wish).filter


@cache
def samples() -> tuple[Int64Array, FloatArray]:
    return instants(_N, _CASE.dt_ns), _CASE.simulate(np.random.default_rng(1), _N)[1]


def at_instants(form: str, t: Any, y: Any) -> tuple[FloatArray, FloatArray]:
    return correct_at(corrections()[form], _CASE.parameters, t, y)


def budgeted(form: str, t: Any, y: Any) -> tuple[FloatArray, FloatArray]:
    found = budget(corrections()[form], _CASE.parameters, y, t_ns=t)
    return found.value, found.u


def read_only(x: Any) -> Any:
    held = x.copy()
    held.flags.writeable = False
    return held


_MAKES: dict[str, Callable[[Any], Any]] = {
    "list": lambda x: x.tolist(),
    "strided": lambda x: np.repeat(x, 2)[::2],
    "read-only": read_only,
    "other bytes": lambda x: x.astype(x.dtype.newbyteorder()),
}
_CALLS = {"record": at_instants, "budget": budgeted}


@pytest.mark.parametrize("make", _MAKES)
@pytest.mark.parametrize("call", _CALLS)
@pytest.mark.parametrize("form", ["fir", "smoother"])
def test_the_same_numbers_in_another_array(form: str, call: str, make: str) -> None:
    t, y = samples()
    expected = _CALLS[call](form, t, y)
    np.testing.assert_array_equal(_CALLS[call](form, _MAKES[make](t), _MAKES[make](y)), expected)


@pytest.mark.parametrize("call", _CALLS)
@pytest.mark.parametrize("form", ["fir", "smoother"])
def test_whole_numbers_are_numbers(form: str, call: str) -> None:
    t, y = samples()[0], np.arange(_N) % 7
    expected = _CALLS[call](form, t, y.astype(np.float64))
    np.testing.assert_array_equal(_CALLS[call](form, t.astype(np.uint64), y), expected)


@pytest.mark.parametrize("form", ["fir", "smoother"])
def test_a_mask_is_a_hole(form: str) -> None:
    t, y = samples()
    bad = np.arange(_N) == 150
    expected = at_instants(form, t, np.where(bad, np.nan, y))
    np.testing.assert_array_equal(at_instants(form, t, np.ma.masked_array(y, mask=bad)), expected)
    assert np.isnan(expected[0][150])
    bank = FilterBank([prepare([1.0], [1.0])])
    assert np.isnan(bank.process(np.ma.masked_array(y, mask=bad)[:, None])[0][150, 0])


_WRONG: dict[str, tuple[Callable[[], tuple[Any, Any]], str]] = {
    "no instants": (lambda: (None, samples()[1]), "dimension"),
    "no values": (lambda: (samples()[0], None), "dimension"),
    "a number": (lambda: (5, 1.0), "dimension"),
    "rows": (lambda: (samples()[0].reshape(2, -1), samples()[1].reshape(2, -1)), "dimension"),
    "complex": (lambda: (samples()[0], samples()[1] + 0j), "real"),
    "words": (lambda: (samples()[0], ["a"] * _N), "numbers"),
    "float instants": (lambda: (samples()[0].astype(float), samples()[1]), "whole nanoseconds"),
    "dates": (lambda: (samples()[0].astype("datetime64[ns]"), samples()[1]), "whole nanoseconds"),
    "masked instants": (lambda: (np.ma.masked_array(samples()[0], mask=False), samples()[1]), "mask"),
    "beyond int64": (lambda: (np.full(_N, 1 << 63, np.uint64), samples()[1]), "int64"),
    "too few instants": (lambda: (samples()[0][:-1], samples()[1]), "as many"),
    "before 1970": (lambda: (samples()[0] - 2 * T0_NS, samples()[1]), "after None"),
}


@pytest.mark.parametrize("wrong", _WRONG)
@pytest.mark.parametrize("form", ["fir", "smoother"])
def test_what_is_no_record_is_named(form: str, wrong: str) -> None:
    t, y = _WRONG[wrong][0]()
    for call in _CALLS.values():
        if wrong != "no instants" or call is at_instants:  # a budget of a uniform record has none
            holds(said(partial(call, form, t, y)), f"^refused: .*{_WRONG[wrong][1]}")


@pytest.mark.parametrize("form", ["fir", "smoother"])
def test_a_stream_takes_arrays_only(form: str) -> None:
    t, y = samples()
    blocks: tuple[tuple[Any, Any], ...] = (
        (t.tolist(), y), (t, y.tolist()), (None, y), (t, None), (5, 1.0), (np.ma.masked_array(t), y),
        (t, np.ma.masked_array(y, mask=y > 0)), (t, y.astype(np.float32)), (t.astype(np.int32), y), ([], []),
    )  # fmt: skip
    for block in blocks:
        runs = corrector_of(corrections()[form], _CASE.parameters, "s")
        for call in (runs.process, runs.prime):
            with pytest.raises(InvalidData, match=r"array|float64|int64"):
                call(*block)
        runs.process(t[:200], y[:200])
        with pytest.raises(InvalidData):
            runs.process(*block)
        runs.process(t[200:], y[200:])  # and it goes on
    with pytest.raises(InvalidData, match="arrays"):
        runs.process(t + _N * _CASE.dt_ns, y, [0] * _N)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("y", [["a"] * _N, np.ones(_N) + 1j, np.ones((2, _N)), None])
def test_other_readers_of_a_record(y: Any) -> None:
    watch = Watch(_CASE.parameters, dt_ns=_CASE.dt_ns, noise_std=_CASE.noise_std, spectrum=_CASE.spectrum)
    calls: tuple[Callable[[], object], ...] = (
        lambda: watch.of(y),
        lambda: correct(_made(_CASE, "fir"), _CASE.parameters, y),  # type: ignore[arg-type]  # a filter it is
        lambda: fit_spectrum(y, _CASE.dt_s, _CASE.kind, _CASE.theta),
        lambda: correction_monte_carlo(corrections()["smoother"], _CASE.parameters, _CASE.model, y, seed=1),
    )
    for call in calls:
        with pytest.raises(InvalidData):
            call()


_UNITS = [(1e6, 1.0, 1.0), (1e-6, 1.0, 1.0), (1.0, 1e6, 1.0), (1.0, 1e-6, 1.0), (1e9, 1e9, 1.0), (1e-6, 1e-6, 1e6)]


@pytest.mark.parametrize(("gain", "size", "slowness"), _UNITS)
@pytest.mark.parametrize("form", ["fir", "recursive", "smoother"])
def test_units_do_not_matter(form: str, gain: float, size: float, slowness: float) -> None:
    """Another unit of indication, measurand or time changes nothing but the unit of what comes out."""
    spectrum, theta = _CASE.spectrum, _CASE.theta * [gain, 1.0, 1 / slowness]
    case = replace(
        _CASE,
        theta=theta,
        dt_ns=round(_CASE.dt_ns * slowness),
        noise_std=_CASE.noise_std * gain * size,
        spectrum=MeasurandSpectrum(
            spectrum.density * size**2 * slowness, spectrum.corner_rad_s / slowness, spectrum.order
        ),
    )
    made, y = _made(case, form), samples()[1] * gain * size
    t = case.dt_ns * np.arange(_N)
    value, u = correct_at(made, case.parameters, t, y, u_t_s=1e-4 * slowness)
    expected = correct_at(corrections()[form], _CASE.parameters, _CASE.dt_ns * np.arange(_N), samples()[1], u_t_s=1e-4)
    # the resolution of a smoother's time is whole nanoseconds: coarser where intervals are short
    near = 2e-3 if form == "smoother" else 1e-7
    np.testing.assert_allclose(value / size, expected[0], atol=near)
    np.testing.assert_allclose(u / size, expected[1], rtol=near)
    lines = budget(made, case.parameters, y, t_ns=t, u_t_s=1e-4 * slowness)
    np.testing.assert_allclose(lines.u / size, expected[1], rtol=near)


_ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "float interval": ({"dt_ns": 1e7}, "dt_ns must be a whole number"),
    "interval of NaN": ({"dt_ns": float("nan")}, "dt_ns must be a whole number"),
    "interval of words": ({"dt_ns": "1"}, "dt_ns must be a whole number"),
    "noise of words": ({"noise_std": "a"}, "noise_std must be finite"),
    "no noise stated": ({"noise_std": None}, "noise_std must be finite"),
    "noise beyond all": ({"noise_std": 1e200}, "noise_std must be finite"),
    "no spectrum": ({"spectrum": None}, "stated by a MeasurandSpectrum"),
    "endless latency": ({"max_latency_s": float("inf")}, "max_latency_s cannot be inf"),
    "tiny measurand": ({"spectrum": MeasurandSpectrum(1e-210, 1.0, 2.0)}, "range of numbers"),
    "huge measurand": ({"spectrum": MeasurandSpectrum(1e210, 1.0, 2.0)}, "range of numbers"),
}


@pytest.mark.parametrize("asked", _ASKED)
@pytest.mark.parametrize("of", [design, design_smoother])
def test_what_no_design_can_be_asked(of: Callable[..., object], asked: str) -> None:
    changes, words = _ASKED[asked]
    wish: dict[str, Any] = {"dt_ns": _CASE.dt_ns, "noise_std": _CASE.noise_std, "spectrum": _CASE.spectrum}
    holds(said(partial(of, _CASE.parameters, **wish | changes)), f"^refused: .*{words}")


@pytest.mark.parametrize("gain", [1e-150, 1e150])
def test_gains_whose_squares_are_no_numbers(gain: float) -> None:
    case = replace(_CASE, theta=_CASE.theta * [gain, 1.0, 1.0], u_relative=0.0)
    for form in ("fir", "recursive", "smoother"):
        with pytest.raises(InvalidData, match="gain"):
            _made(case, form)


@pytest.mark.parametrize(("gain", "size"), [(1e90, 1e45), (1e45, 1e45), (1e-45, 1e-45), (1e90, 1e-45), (1e-90, 1e45)])
def test_units_beyond_all_measure_are_refused_or_right(gain: float, size: float) -> None:
    """Where squares of weights overflow, a variance of minus infinity once came out as a u of the clock alone."""
    spectrum, (t, y) = _CASE.spectrum, samples()
    case = replace(
        _CASE,
        theta=_CASE.theta * [gain, 1.0, 1.0],
        noise_std=_CASE.noise_std * gain * size,
        spectrum=MeasurandSpectrum(spectrum.density * size**2, spectrum.corner_rad_s, spectrum.order),
    )
    try:
        value, u = correct_at(_made(case, "smoother"), case.parameters, t, y * gain * size)
    except InvalidData:
        return
    expected = at_instants("smoother", t, y)
    told = np.isfinite(value)
    assert np.array_equal(told, np.isfinite(u))
    np.testing.assert_allclose(u[told] / size, expected[1][told], rtol=2e-3)
