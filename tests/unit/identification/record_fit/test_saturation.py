"""An indication that does not leave an end of its range, where the first and the last have no residual."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import fit_record
from dyncal.identification.record_fit.settings import InterSample, RecordSettings
from dyncal.models import Delayed, ResponseModel, model_of
from tests.unit.identification.record_fit.records import random_record

SPLINE = RecordSettings(between=InterSample.CUBIC)
FIRST_ORDER = model_of(ModelKind.FIRST_ORDER)


@pytest.mark.parametrize("share", [0.05, 0.15])
@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize(("model", "settings"), [(Delayed(FIRST_ORDER), None), (FIRST_ORDER, SPLINE)])
def test_a_saturated_indication_is_named(
    model: ResponseModel, settings: RecordSettings | None, top: bool, share: float
) -> None:
    record = random_record(ModelKind.FIRST_ORDER, 2000, 40.0, seed=3)
    y = record.indication
    cut = np.minimum(y, np.quantile(y, 1 - share)) if top else np.maximum(y, np.quantile(y, share))
    fit = fit_record(AlignedRecord(record.t_ns, cut, record.reference), model, settings=settings)
    assert fit.verdict is Verdict.BAD_DATA
    assert "indication is saturated" in fit.detail
