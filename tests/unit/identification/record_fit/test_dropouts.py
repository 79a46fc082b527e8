"""Values that were not measured are named and left out where the other channel says so."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import RecordFit, fit_record
from dyncal.models import model_of
from tests.unit.identification.record_fit.records import THETA, instants, random_record, walk

KINDS = (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER)


def _worst(fit: RecordFit, theta: FloatArray) -> float:
    assert fit.accepted, fit.detail
    assert fit.parameters is not None
    return float(np.max(np.abs((fit.parameters.values - theta) / fit.parameters.u)))


def _offset(record: AlignedRecord) -> AlignedRecord:
    return AlignedRecord(record.t_ns, record.indication + 5, record.reference + 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", ["indication", "reference"])
def test_a_channel_that_drops_out_to_zero_is_named_and_spoils_nothing(kind: ModelKind, channel: str) -> None:
    record = _offset(random_record(kind, 1500, 40.0, 3))
    lost = np.random.default_rng(3).random(1500) < 0.01
    y = np.where(lost & (channel == "indication"), 0.0, record.indication)
    r = np.where(lost & (channel == "reference"), 0.0, record.reference)
    fit = fit_record(AlignedRecord(record.t_ns, y, r), kind)
    assert _worst(fit, THETA[kind]) < 4
    assert f"the {channel} drops out to 0 ({np.count_nonzero(lost)} samples): taken as not measured" in fit.detail
    whole = fit_record(record, kind)
    assert fit.parameters is not None
    assert whole.parameters is not None
    assert np.all(fit.parameters.u < 1.7 * whole.parameters.u)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", ["indication", "reference"])
def test_a_lone_spike_is_named_and_left_out(kind: ModelKind, channel: str) -> None:
    record = random_record(kind, 1500, 40.0, 4)
    y, r = record.indication.copy(), record.reference.copy()
    spoilt = y if channel == "indication" else r
    spoilt[700] += 60.0
    fit = fit_record(AlignedRecord(record.t_ns, y, r), kind)
    assert _worst(fit, THETA[kind]) < 4
    assert (
        f"the {channel} has a lone spike of {spoilt[700]:.6g} at {record.t_ns[700]} ns: taken as not measured"
        in fit.detail
    )


def test_a_knock_that_the_sensor_shows_is_no_spike() -> None:
    kind = ModelKind.FIRST_ORDER
    rng = np.random.default_rng(5)
    r = walk(1500, 0.95, rng)
    r[700] += 60.0
    t = instants(1500, 0.01)
    y = model_of(kind).simulate(THETA[kind], t, r) + 0.01 * rng.normal(size=1500)
    fit = fit_record(AlignedRecord(t, y, r), kind)
    assert _worst(fit, THETA[kind]) < 4
    assert "taken as not measured" not in fit.detail
    assert fit.n_samples == 1500
