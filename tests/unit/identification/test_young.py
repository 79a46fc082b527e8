"""What comes after a jump is a record of its own: fitted anew as it grows, and not believed before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.time import NS_PER_S
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.online.fleet.full_likelihood import ANEW, FEWEST, Samples
from dyncal.identification.online.fleet.young import YoungRecords
from dyncal.identification.settings import Likelihood
from tests.unit.identification.conftest import Begun
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, THERMOWELL, Plant, part

QUIET = 0.0003
INNOVATIONS, FULL = Likelihood.INNOVATIONS, Likelihood.KALMAN


def changing(plant: Plant, to: Plant, n: int, at: int, seed: int) -> AlignedRecord:
    """Return a record of a sensor that is another one from sample `at` on; the measurand goes on."""
    before, after = plant.record(n, seed), to.record(n, seed)
    return AlignedRecord(
        before.t_ns, np.where(np.arange(n) < at, before.indication, after.indication), before.reference
    )


def times(plant: Plant, k: int, factor: float) -> Plant:
    """Return a sensor of which one parameter is another."""
    theta = list(plant.theta)
    theta[k] *= factor
    return replace(plant, theta=tuple(theta))


@pytest.mark.parametrize(
    ("plant", "k", "factor", "likelihood"),
    [
        (THERMOCOUPLE, 1, 1.3, FULL),
        (replace(THERMOCOUPLE, u_reference_noise=QUIET), 1, 1.3, INNOVATIONS),
        (replace(PRESSURE, u_reference_noise=QUIET), 2, 1.1, INNOVATIONS),
        (PRESSURE, 2, 1.1, FULL),
        (replace(THERMOWELL, u_reference_noise=QUIET), 1, 1.2, INNOVATIONS),
    ],
)
def test_a_sensor_that_changed_is_fitted_anew_and_believed_then(
    plant: Plant, k: int, factor: float, likelihood: Likelihood
) -> None:
    to = times(plant, k, factor)
    record = changing(plant, to, 3600, 2000, seed=3)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, OnlineSettings(likelihood=likelihood))
    estimator.update(part(record, 0, 2000))
    assert estimator.estimate is not None
    assert estimator.estimate.accepted
    jumped_at, believed_at = 0, 0
    for at in range(2000, 3600, 20):
        again = OnlineEstimator.restore(estimator.snapshot())
        outcomes = estimator.update(part(record, at, at + 20))
        again.update(part(record, at, at + 20))
        assert again.snapshot() == estimator.snapshot()
        found = estimator.estimate
        if any(outcome.reset for outcome in outcomes):
            jumped_at = at
        if jumped_at and not believed_at:
            believed_at = at if found.accepted else 0
            assert found.accepted or found.verdict is Verdict.NOT_EXCITED
            assert found.accepted or "has changed" in found.detail
    fewest = FEWEST if likelihood is FULL else ANEW[0]
    assert fewest - 20 < believed_at - jumped_at <= fewest + 120
    assert estimator.estimate.accepted
    assert estimator.estimate.parameters is not None
    assert np.all(np.abs(estimator.estimate.parameters.values - to.theta) < 3 * estimator.estimate.parameters.u)


def test_the_record_after_a_jump_is_fitted_each_time_it_has_doubled(begun: Begun) -> None:
    record = changing(THERMOCOUPLE, times(THERMOCOUPLE, 1, 1.3), 4000, 2000, seed=1)
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
    estimator.update(part(record, 0, 2000))
    begun.clear()
    estimator.update(part(record, 2000, 4000))
    marks = (FEWEST, *ANEW)
    assert len(begun) == len(marks)
    assert all(at <= size < at + 100 for at, (size, _) in zip(marks, begun, strict=True))


@pytest.mark.parametrize("likelihood", [FULL, INNOVATIONS])
def test_a_hole_after_a_jump_ends_no_doubt(likelihood: Likelihood) -> None:
    plant = replace(THERMOCOUPLE, u_reference_noise=QUIET) if likelihood is INNOVATIONS else THERMOCOUPLE
    to = times(plant, 1, 1.3)
    record = changing(plant, to, 3000, 2000, seed=1)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, OnlineSettings(likelihood=likelihood))
    estimator.update(part(record, 0, 2110))
    estimator.update(part(record, 2130, 2135))
    assert estimator.estimate is not None
    assert estimator.estimate.verdict is Verdict.NOT_EXCITED
    assert "has changed" in estimator.estimate.detail
    estimator.update(part(record, 2135, 3000))
    assert estimator.estimate.accepted
    assert estimator.estimate.parameters is not None
    assert np.all(np.abs(estimator.estimate.parameters.values - to.theta) < 4 * estimator.estimate.parameters.u)


def block(begin: int, n: int) -> Samples:
    """Return n samples, one a second."""
    at = np.arange(begin, begin + n, dtype=np.float64)
    return (at * NS_PER_S).astype(np.int64), at, 2 * at


def test_records_begin_after_jumps_and_end_when_they_are_long_enough() -> None:
    young = YoungRecords(np.array([5.0, 5.0]))
    young.jumped(1)
    assert 0 not in young
    assert young.gathered(1) == 0
    assert young.extend(1, block(9, 5), (8, 16), used=1) is None
    found = young.extend(1, block(14, 5), (8, 16))
    assert found is not None
    assert found[0].tolist() == [k * NS_PER_S for k in range(10, 19)]
    assert found[2].tolist() == [2.0 * k for k in range(10, 19)]
    assert young.gathered(1) == 9
    young.fitted(1)
    assert young.gathered(1) is None
    assert young.extend(1, block(19, 5), (8, 16)) is None
    found = young.extend(1, block(24, 5), (8, 16))
    assert found is not None
    assert found[0].size == 19
    assert not young


def test_a_long_hole_ends_a_record_and_begins_that_of_an_unsure_sensor_again() -> None:
    young = YoungRecords(np.array([5.0, 5.0]))
    young.begin(0, block(0, 4))
    young.jumped(1)
    young.extend(1, block(0, 4), (8, 16))
    for i in (0, 1):
        assert young.extend(i, block(10, 6), (8, 16)) is None
    assert 0 not in young
    assert young.gathered(1) == 0
