"""A zero offset or a shift in time that nothing allows for never goes silently into gain and lags."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord, OnlineEstimator
from dyncal.identification.record_fit import RecordFit, RecordSettings, fit_record
from dyncal.models import model_of
from tests.unit.identification.record_fit.records import THETA, instants

FIRST = THETA[ModelKind.FIRST_ORDER]
SMOOTH = 0.4  # Hz
LEVEL = 40.0


def _record(seed: int, *, offset: float = 0.0, late_s: float = 0.0, reference_noise: float = 0.0) -> AlignedRecord:
    """A smooth measurand about a level, by its exact response: sines, 40 dB, 20 Hz."""
    rng = np.random.default_rng(seed)
    t_ns = instants(3000, 0.05)
    t = (t_ns - t_ns[0]) * 1e-9
    f_hz = np.exp(rng.uniform(np.log(0.005), np.log(2.0), 300))
    weight = f_hz / (1 + (f_hz / SMOOTH) ** 6)
    turn = np.exp(2j * np.pi * (np.outer(t, f_hz) + rng.uniform(0, 1, 300))) * np.sqrt(2 * weight / weight.sum())
    response = model_of(ModelKind.FIRST_ORDER).frequency_response(FIRST, f_hz) * np.exp(-2j * np.pi * f_hz * late_s)
    u: FloatArray = LEVEL + turn.sum(axis=1).real
    y: FloatArray = LEVEL * FIRST[0] + offset + (turn @ response).real
    return AlignedRecord(t_ns, y + 0.01 * rng.normal(size=t.size), u + reference_noise * rng.normal(size=t.size))


def _fit(record: AlignedRecord, settings: RecordSettings | None = None) -> RecordFit:
    return fit_record(record, ModelKind.FIRST_ORDER, settings=settings)


def _error_in_u(fit: RecordFit) -> float:
    assert fit.parameters is not None
    return float(np.max(np.abs(fit.parameters.values - FIRST) / fit.parameters.u))


@pytest.mark.parametrize(("y", "r", "who"), [(273.15, 0.0, "indication"), (0.0, 273.15, "reference")])
def test_kelvin_against_degrees_celsius_is_named(y: float, r: float, who: str) -> None:
    record = _record(1)
    mixed = AlignedRecord(record.t_ns, record.indication / FIRST[0] + y, record.reference + r)
    words = f"the {who} is 273"
    fit = _fit(mixed)
    assert not fit.accepted
    assert fit.detail.startswith(words)
    estimator = OnlineEstimator(ModelKind.FIRST_ORDER, 50_000_000)
    estimator.update(mixed)
    assert estimator.estimate is not None
    assert not estimator.estimate.accepted
    assert estimator.estimate.detail.startswith(words)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("offset", [0.12, -0.3])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_zero_offset_is_named(seed: int, offset: float, noise: float) -> None:
    record = _record(seed, offset=offset, reference_noise=noise)
    fit = _fit(record, RecordSettings(u_reference_noise=noise))
    assert fit.verdict is Verdict.INCONSISTENT
    assert f"the {'reference' if offset > 0 else 'sensor'} reads too low by" in fit.detail
    assert _error_in_u(fit) > 10
    stated = _fit(record, RecordSettings(u_reference_noise=noise, u_reference=abs(offset)))
    assert stated.accepted, stated.detail
    assert _error_in_u(stated) < 4


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("late_s", [0.01, -0.01])
def test_clocks_that_are_apart_are_named(seed: int, late_s: float) -> None:
    record = _record(seed, late_s=late_s)
    fit = _fit(record)
    assert fit.verdict is Verdict.INCONSISTENT
    seems = re.match(r"the (\w+) seems ([0-9.]+) \(", fit.detail)
    assert seems is not None, fit.detail
    assert seems[1] == ("sensor" if late_s > 0 else "reference")
    assert abs(float(seems[2]) - 0.01) < 0.001
    stated = _fit(record, RecordSettings(u_clock_s=0.01))
    assert stated.accepted, stated.detail
    assert _error_in_u(stated) < 4


@pytest.mark.parametrize("late_s", [0.05, 0.15])
def test_a_stated_clock_offset_of_whole_samples_is_no_other_model(late_s: float) -> None:
    fit = _fit(_record(1, late_s=late_s), RecordSettings(u_clock_s=late_s))
    assert fit.accepted, fit.detail
    assert _error_in_u(fit) < 4


@pytest.mark.parametrize("seed", range(12))
def test_sound_records_are_accepted(seed: int) -> None:
    assert _fit(_record(seed)).accepted


def test_what_the_caller_counts_apart_is_no_reason_to_refuse() -> None:
    record = _record(2, offset=0.3)
    plain, apart = _fit(record), _fit(record, RecordSettings(offset_apart=0.3))
    assert plain.verdict is Verdict.INCONSISTENT
    assert apart.accepted, apart.detail
    assert plain.parameters is not None
    assert apart.parameters is not None
    np.testing.assert_array_equal(apart.parameters.cov, plain.parameters.cov)
    late = _record(2, late_s=0.01)
    assert _fit(late, RecordSettings(clock_apart_s=0.01)).accepted


@pytest.mark.parametrize(
    "make", [lambda: RecordSettings(offset_apart=-1.0), lambda: RecordSettings(clock_apart_s=float("nan"))]
)
def test_what_is_counted_apart_is_a_size(make: Callable[[], RecordSettings]) -> None:
    with pytest.raises(InvalidData, match="apart"):
        make()
