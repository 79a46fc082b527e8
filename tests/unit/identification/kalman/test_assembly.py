"""The joint model's matrices against a plain construction of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.kalman.joint import SENSOR, JointModel, joint_model
from dyncal.identification.kalman.measurand import Chain, Process
from tests.unit.identification.kalman.cases import SENSORS, H, setup


@pytest.mark.parametrize("late_s", [0.0, 0.004])
@pytest.mark.parametrize("process", list(Process))
@pytest.mark.parametrize(("kind", "theta"), SENSORS)
def test_the_joint_model_is_sensor_and_chain_side_by_side(
    kind: ModelKind, theta: tuple[float, ...], process: Process, late_s: float
) -> None:
    model, layout, h = setup(kind, theta, process)
    h[layout.clock] = late_s
    joint, space = joint_model(model, layout, h, H), model.state_space(h[: layout.p])
    s = layout.n_sensor
    chain = Chain.of(process, h[layout.intensity], h[layout.rate] if process.stationary else 0.0, H)
    a = np.block([[space.a, space.b[:, None] * np.eye(1, process.order)], [np.zeros((process.order, s)), chain.a]])
    assert_allclose(joint.a, a, atol=0)
    # a feedthrough shows a rate only where the measurand has one
    seen = np.concatenate([space.c, [space.d * (process.order > 1)], np.zeros(process.order - 1)])
    row = np.concatenate([space.c, [space.d], np.zeros(process.order - 1)]) + late_s * seen @ a
    assert_allclose(joint.rows[SENSOR], row, rtol=1e-13)
    at_rest = np.array([1.0, space.d - space.c @ np.linalg.solve(space.a, space.b)])
    assert_allclose(joint.gains, at_rest, rtol=1e-12)

    def parts(at: JointModel) -> FloatArray:
        return np.concatenate([each.ravel() for each in (at.a, at.g, at.rows, at.gains, at.cov)])

    for i in range(layout.n_coordinates):
        step = np.zeros(h.size)
        step[i] = 1e-6
        up, down = (parts(joint_model(model, layout, h + sign * step, H)) for sign in (1, -1))
        slopes = (joint.da, joint.dg, joint.drows, joint.dgains, joint.dcov)
        slope = np.concatenate([each[..., i].ravel() for each in slopes])
        assert_allclose(slope, (up - down) / 2e-6, atol=1e-7 * max(1.0, np.abs(slope).max()))
