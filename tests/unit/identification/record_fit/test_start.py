from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.sensors import ModelKind
from dyncal.identification.record_fit.segments import take
from dyncal.identification.record_fit.shapes import coefficients, shape_of, stabilised
from dyncal.identification.record_fit.srivc import screened, srivc
from dyncal.identification.record_fit.start import starts, uniform
from dyncal.models import model_of
from tests.unit.identification.record_fit.records import THETA, random_record


@pytest.mark.parametrize("factor", [5.0, 0.2])
def test_srivc_comes_back_from_a_resonance_off_by_five(factor: float) -> None:
    model = model_of(ModelKind.SECOND_ORDER)
    shape = shape_of(model)
    assert shape is not None
    reached = 0
    for seed in range(20):
        taken = take(random_record(ModelKind.SECOND_ORDER, 2000, 20.0, seed))
        data = uniform(taken.segments[0], taken.dt_s)
        omega = 2 * np.pi * 5.0 * factor
        begin = screened(data, np.array([[2 * 0.5 / omega, omega**-2]]), 0)[0]
        found = srivc(data, begin, 0)
        theta = shape.theta(found.b, found.a)
        reached += int(np.all(np.abs(theta / THETA[ModelKind.SECOND_ORDER] - 1) < 0.1))
    assert reached == 20


@pytest.mark.parametrize("kind", list(THETA))
@pytest.mark.parametrize("snr_db", [40.0, 20.0])
def test_the_first_start_is_near_the_truth(kind: ModelKind, snr_db: float) -> None:
    model = model_of(kind)
    for seed in range(3):
        begins = list(starts(model, take(random_record(kind, 3000, snr_db, seed)), (0.0, 0.0), None))
        theta = model.from_internal(begins[0].eta)
        # two lags are told apart by the likelihood only where there is little noise
        assert np.all(np.abs(theta / THETA[kind] - 1) < (0.5 if kind is ModelKind.LEAD_LAG else 0.1)), theta
        assert begins[0].unexplained < 1.1 * 10 ** (-snr_db / 10)


def test_poles_on_the_right_are_turned_to_the_left() -> None:
    a = coefficients(np.array([1.0 + 3.0j, 1.0 - 3.0j]))
    turned = stabilised(a)
    assert turned is not None
    np.testing.assert_allclose(turned, coefficients(np.array([-1.0 + 3.0j, -1.0 - 3.0j])))
    assert stabilised(np.array([0.5, np.nan])) is None
    assert stabilised(np.array([0.5, 0.0])) is None
