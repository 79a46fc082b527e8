"""Runs of equal values that are no measurements, and those that are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from dyncal.correction.design.spectrum import fit_spectrum
from dyncal.correction.design.stale import stale
from dyncal.correction.smoother.likelihood import fit_measurand
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind


def _moving(seed: int, n: int = 2000) -> FloatArray:
    rng = np.random.default_rng(seed)
    moves: FloatArray = 20 + lfilter([0.05], [1, -0.95], rng.normal(size=n)) + 0.01 * rng.normal(size=n)
    return moves


@pytest.mark.parametrize("n", [8, 30, 400])
def test_a_standstill_is_found_where_it_is(n: int) -> None:
    values = _moving(1)
    values[700 : 700 + n] = values[700]
    found = stale(values)
    assert found is not None
    assert not found.held
    assert found.begin.tolist() == [700]
    assert found.end.tolist() == [700 + n]


@pytest.mark.parametrize("n", [2, 7])
def test_values_held_throughout(n: int) -> None:
    found = stale(np.repeat(_moving(2), n))
    assert found is not None
    assert found.held
    assert found.length == n


@pytest.mark.parametrize("bits", [6, 8, 10, 12, 16])
def test_what_a_converter_repeats_is_none(bits: int) -> None:
    step = 4 / 2**bits
    assert stale(np.round(_moving(3) / step) * step) is None


@pytest.mark.parametrize(
    "values",
    [
        _moving(4),
        np.zeros(100),
        np.repeat([0.0, 1.0, 0.0, 1.0], 50),  # a command of two levels
        np.concatenate([np.zeros(60), _moving(5, 300)]),  # rest at the beginning
        np.concatenate([_moving(6, 50), np.zeros(60), _moving(7, 50), np.zeros(90), _moving(8, 50)]),  # between shocks
        np.arange(5.0),
        np.array([1.0]),
        np.array([]),
    ],
)
def test_what_is_measured(values: FloatArray) -> None:
    assert stale(values) is None


def test_no_spectrum_is_fitted_to_a_standstill() -> None:
    values, theta = _moving(9), np.array([1.0, 0.2])
    values[500:1100] = values[500]
    with pytest.raises(InvalidData, match=r"the indication stands still at .* for 600 samples"):
        fit_spectrum(values, 0.05, ModelKind.FIRST_ORDER, theta)
    parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), theta, np.diag([1e-6, 1e-6]))
    t_ns = np.arange(2000, dtype=np.int64) * 50_000_000
    with pytest.raises(InvalidData, match=r"the indication stands still at .* for 600 samples"):
        fit_measurand(t_ns, values, parameters, dt_ns=50_000_000, noise_std=0.01)
