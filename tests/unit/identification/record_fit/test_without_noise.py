"""Records that only rounding keeps from being exact: what is left is no noise, and does not average out."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import fit_record
from dyncal.models import model_of
from tests.unit.identification.record_fit.records import THETA, instants


@pytest.mark.parametrize("mean", [0.0, 300.0])
@pytest.mark.parametrize("kind", list(THETA))
def test_u_is_not_below_rounding(kind: ModelKind, mean: float) -> None:
    theta, t_ns = np.asarray(THETA[kind]), instants(1000, 0.01)
    for seed in range(3):
        x = mean + 0.1 * np.cumsum(np.random.default_rng(seed).normal(size=1000))
        fit = fit_record(AlignedRecord(t_ns, model_of(kind).simulate(theta, t_ns, x), x), kind)
        assert fit.parameters is not None
        assert fit.estimate.accepted, fit.detail
        assert np.all(np.abs(fit.parameters.values - theta) < 3 * fit.parameters.u)
        assert np.all(fit.parameters.u < 1e-6 * np.abs(theta))
