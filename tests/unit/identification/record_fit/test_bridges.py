"""Short holes in the reference: bridged, and never an accepted result that they spoil."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, sosfilt

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import InterSample, RecordFit, fit_record
from dyncal.identification.record_fit.bridges import bridged
from dyncal.identification.record_fit.segments import take
from dyncal.models import Hold, model_of
from tests.unit.identification.record_fit.records import instants, walk

_THETA = np.array([0.97, 0.31, 9.3])
_DT_S = 0.0043
_FINE = 16


def _smooth(n: int, seed: int, *, corner: float = 0.035, noise: float = 0.01) -> AlignedRecord:
    """A second-order sensor on a measurand of a bandwidth, simulated on a grid 16 times as fine."""
    rng = np.random.default_rng(seed)
    band = butter(3, 2 * corner / _FINE, output="sos")
    x = sosfilt(band, rng.normal(size=(n + 500) * _FINE))[500 * _FINE :]
    x = 2 + x / x.std()
    t = instants(n * _FINE, _DT_S / _FINE)
    y = model_of(ModelKind.SECOND_ORDER).simulate(_THETA, t, x, Hold.FIRST)
    return AlignedRecord(t[::_FINE], y[::_FINE] + noise * rng.normal(size=n), x[::_FINE].copy())


def _without(record: AlignedRecord, lost: npt.NDArray[np.bool_]) -> AlignedRecord:
    return AlignedRecord(record.t_ns, record.indication, np.where(lost, np.nan, record.reference))


def _worst(fit: RecordFit) -> float:
    assert fit.parameters is not None
    return float(np.max(np.abs((fit.parameters.values - _THETA) / fit.parameters.u)))


@pytest.mark.parametrize("share", [0.005, 0.03, 0.1])
def test_a_few_lost_values_of_a_smooth_reference_spoil_nothing(share: float) -> None:
    for seed in (1, 2, 3):
        record = _smooth(1500, seed)
        whole = fit_record(record, ModelKind.SECOND_ORDER)
        lost = np.random.default_rng(seed).random(1500) < share
        fit = fit_record(_without(record, lost), ModelKind.SECOND_ORDER)
        assert fit.accepted, fit.detail
        assert _worst(fit) < 4
        assert fit.parameters is not None
        assert whole.parameters is not None
        assert fit.parameters.u[1] < 1.4 * whole.parameters.u[1]
        assert fit.n_samples > 0.95 * 1500


def test_rows_that_are_missing_altogether_are_bridged_too() -> None:
    record = _smooth(1500, 4)
    kept = np.random.default_rng(4).random(1500) > 0.03
    fit = fit_record(
        AlignedRecord(record.t_ns[kept], record.indication[kept], record.reference[kept]), ModelKind.SECOND_ORDER
    )
    assert fit.accepted, fit.detail
    assert len(fit.series) == 1
    assert _worst(fit) < 4


def test_pieces_too_short_for_splines_are_left_out_and_said() -> None:
    record = _smooth(1500, 5)
    lost = np.zeros(1500, dtype=np.bool_)
    lost[700:706] = lost[730:736] = True
    fit = fit_record(_without(record, lost), ModelKind.SECOND_ORDER)
    assert fit.accepted, fit.detail
    assert fit.between is InterSample.CUBIC
    assert _worst(fit) < 4
    assert "24 samples lie in pieces of the reference too short for splines" in fit.detail


def test_what_bridges_move_of_a_measurand_that_they_miss_is_counted() -> None:
    # a seventh of the reference lost where it has a good deal above a tenth of the sampling rate
    for seed in (6, 7):
        record = _smooth(1500, seed, corner=0.12, noise=1e-3)
        fit = fit_record(_without(record, np.random.default_rng(seed).random(1500) < 0.15), ModelKind.SECOND_ORDER)
        assert not fit.accepted or _worst(fit) < 4


def _bridged(r: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    t = instants(r.size, 0.01)
    _, _, values, where = bridged(t, np.zeros(r.size), r)
    return values, where


def test_bridges_are_cubics_and_no_longer_than_three() -> None:
    k = np.arange(60.0)
    cubic = 1e-4 * k**3 - 0.01 * k**2 + k
    lost = np.zeros(60, dtype=np.bool_)
    lost[[10, 20, 21, 30, 31, 32]] = True
    values, where = _bridged(np.where(lost, np.nan, cubic))
    assert np.allclose(values, cubic, rtol=0, atol=1e-10)
    assert np.array_equal(where, lost)
    lost[33] = True
    values, where = _bridged(np.where(lost, np.nan, cubic))
    assert not where[30:34].any()
    assert where[[10, 20, 21]].all()


def test_a_command_is_bridged_only_where_it_stays() -> None:
    level = np.repeat([0.0, 1.0, 0.0, 1.0], 20)
    lost = np.zeros(80, dtype=np.bool_)
    lost[[10, 40, 70]] = True
    values, where = _bridged(np.where(lost, np.nan, level))
    assert np.flatnonzero(where).tolist() == [10, 70]
    assert values[10] == 0
    assert values[70] == 1


def test_uneven_records_are_not_bridged() -> None:
    t = instants(200, 0.01, 0.4, 1)
    r = walk(200, 0.9, np.random.default_rng(1))
    r[50] = np.nan
    assert not bridged(t, r, r)[3].any()


def test_bridges_are_not_taken_for_measured() -> None:
    record = _smooth(200, 8)
    r = record.reference.copy()
    r[100] = np.nan
    (segment,) = take(AlignedRecord(record.t_ns, record.indication, r)).segments
    assert np.isfinite(segment.r).all()
    assert np.flatnonzero(np.isnan(segment.measured)).tolist() == [100]
