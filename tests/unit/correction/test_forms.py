"""Correction by whatever a set carries: the numbers of the form's own functions, at the right samples."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.forms import correct_at, corrector_of, dc_gain_of
from dyncal.correction.smoother.design import design_smoother
from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.correction.streaming.record import correct
from dyncal.correction.streaming.stream import StreamingCorrector
from dyncal.domain.coefficients import CorrectionSmoother
from dyncal.domain.errors import InvalidData
from tests.unit.correction.examples import ALL, FINE, T0_NS, designed, instants, irregular, sampled


def smoother(name: str) -> CorrectionSmoother:
    case = ALL[name]
    return design_smoother(
        case.parameters, dt_ns=case.dt_ns, noise_std=case.noise_std, spectrum=case.spectrum
    ).correction


@pytest.mark.parametrize("compiled", [True, False])
def test_a_filter_over_an_even_record(compiled: bool) -> None:
    case, f = ALL["pressure_line"], designed("pressure_line").filter
    y = case.simulate(np.random.default_rng(1), 400)[1]
    found = correct_at(f, case.parameters, instants(400), y, u_t_s=1e-4, compiled=compiled)
    expected = correct(f, case.parameters, y, u_t_s=1e-4, compiled=compiled)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", ["thermocouple", "dead_time"])
def test_a_smoother_over_a_record_of_any_instants(name: str, compiled: bool) -> None:
    case, rng = ALL[name], np.random.default_rng(2)
    at = irregular(rng, 500)
    measurand, y = sampled(case, rng, at)
    t = T0_NS + at * (case.dt_ns // FINE)
    value, u = correct_at(smoother(name), case.parameters, t, y, compiled=compiled)
    latency_ns = smoother(name).latency_ns
    told = np.isfinite(value)
    assert np.array_equal(told, np.isfinite(u))
    # each is told by the first sample a latency later; instants are rounded to dt/256
    np.testing.assert_array_equal(told[t < t[-1] - latency_ns - case.dt_ns // 100], True)
    np.testing.assert_array_equal(told[t > t[-1] - latency_ns + case.dt_ns // 100], False)
    error = (value - measurand)[100:][told[100:]]
    assert float(np.sqrt(np.mean(error**2))) < 0.1 * float(np.std(y / case.theta[0] - measurand))
    assert float(np.mean(np.abs(error) < 3 * u[100:][told[100:]])) > 0.98


def test_what_runs_them() -> None:
    case = ALL["thermocouple"]
    assert isinstance(corrector_of(designed("thermocouple").filter, case.parameters, "a"), StreamingCorrector)
    runs = corrector_of(smoother("thermocouple"), case.parameters, "b")
    assert isinstance(runs, StreamingSmoother)
    span = runs.process(instants(100), np.ones(100))
    assert span is not None
    assert span.set_id == "b"


def test_gains_at_dc() -> None:
    case = ALL["pressure_line"]
    assert dc_gain_of(designed("pressure_line").filter, case.parameters) == pytest.approx(0.5)
    assert dc_gain_of(smoother("pressure_line"), case.parameters) == pytest.approx(0.5)


def test_nothing_and_nonsense() -> None:
    case, s = ALL["thermocouple"], smoother("thermocouple")
    assert correct_at(s, case.parameters, instants(0), np.empty(0))[0].size == 0
    assert np.isnan(correct_at(s, case.parameters, instants(50), np.full(50, np.nan))).all()
    for t, y, u_t_s in ((instants(9)[::-1].copy(), np.ones(9), 0.0), (instants(9), np.ones(8), 0.0),
                        (instants(9), np.ones(9), -1.0)):  # fmt: skip
        with pytest.raises(InvalidData):
            correct_at(s, case.parameters, t, y, u_t_s=u_t_s)
