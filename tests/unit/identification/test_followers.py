"""Sensors that wait for the full likelihood: what that costs, and that they do not wait too long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.identification import OnlineEstimator
from dyncal.identification.online.fleet import full_likelihood
from dyncal.identification.records import AlignedRecord
from dyncal.models import Hold
from tests.unit.identification.conftest import Begun
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, part

RECORD = THERMOCOUPLE.record(12_000, seed=1)


def test_a_measurand_that_no_process_describes_does_not_cost_a_fit_with_every_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def in_vain(model: Any, samples: Any, *_: Any) -> None:
        sizes.append(samples[0].size)

    monkeypatch.setattr(full_likelihood, "found", in_vain)
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
    n_blocks = len(estimator.update(RECORD))
    assert estimator.estimate is not None
    assert estimator.estimate.verdict is Verdict.NOT_EXCITED
    assert len(sizes) <= 12_000 // full_likelihood.MOST + 6 < n_blocks / 3
    assert sizes[0] >= full_likelihood.FEWEST


def test_what_was_in_vain_is_tried_again_and_restored_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(full_likelihood, "found", lambda *_: None)
        estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
        estimator.update(part(RECORD, 0, 6000))
    again = OnlineEstimator.restore(estimator.snapshot())
    for each in (estimator, again):
        each.update(part(RECORD, 6000, 6000 + 2 * full_likelihood.MOST))
    assert again.snapshot() == estimator.snapshot()
    assert again.estimate is not None
    assert again.estimate.accepted


def test_a_first_record_is_fitted_anew_each_time_it_has_doubled(begun: Begun) -> None:
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
    outcomes = estimator.update(part(RECORD, 0, 4000))
    followed = [size for size, _ in begun if size >= full_likelihood.ANEW[0]]
    assert len(followed) == len(full_likelihood.ANEW)
    assert all(at <= size < at + 100 for at, size in zip(full_likelihood.ANEW, followed, strict=True))
    assert [process is None for size, process in begun if size in followed] == [False, False, True]
    assert not any(outcome.reset for outcome in outcomes)


def test_a_record_that_is_young_is_restored_and_goes_on_alike() -> None:
    whole, halves = (OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns) for _ in range(2))
    whole.update(part(RECORD, 0, 1400))
    halves.update(part(RECORD, 0, 500))
    halves = OnlineEstimator.restore(halves.snapshot())
    halves.update(part(RECORD, 500, 1400))
    assert halves.snapshot() == whole.snapshot()


def test_a_hole_ends_the_first_record(begun: Begun) -> None:
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
    estimator.update(part(RECORD, 0, 400))
    n = len(begun)
    estimator.update(part(RECORD, 440, 2500))
    assert len(begun) == n
    assert estimator.estimate is not None
    assert estimator.estimate.accepted


@pytest.mark.parametrize(("hole_s", "accepted"), [(1.5, True), (200.0, False)])
def test_what_gathers_for_the_full_likelihood_survives_short_holes(hole_s: float, accepted: bool) -> None:
    """No stretch between two holes is long enough to begin with; after a long one the sensor may be another."""
    size, step = 130, 160
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
    for k in range(10):
        piece = part(RECORD, k * step, k * step + size)
        late_ns = k * (round(hole_s * 1e9) - (step - size) * THERMOCOUPLE.dt_ns)
        estimator.update(AlignedRecord(piece.t_ns + late_ns, piece.indication, piece.reference))
        estimator = OnlineEstimator.restore(estimator.snapshot())
    found = estimator.estimate
    assert found is not None
    assert found.accepted is accepted
    if found.accepted:
        assert found.parameters is not None
        assert np.all(np.abs(found.parameters.values - THERMOCOUPLE.theta) < 4 * found.parameters.u)
    else:
        assert "too short" in found.detail


def test_lines_between_the_samples_are_followed_as_such() -> None:
    record = PRESSURE.driven(3000, 3, Hold.FIRST)
    estimator = OnlineEstimator(PRESSURE.kind, PRESSURE.dt_ns)
    estimator.update(part(record, 0, 2000))
    estimator = OnlineEstimator.restore(estimator.snapshot())
    estimator.update(part(record, 2000, 3000))
    found = estimator.estimate
    assert found is not None
    assert found.accepted, found.detail
    assert found.method.endswith("(lines)")
    assert found.parameters is not None
    assert np.all(np.abs(found.parameters.values - PRESSURE.theta) < 4 * found.parameters.u)
    assert np.all(found.parameters.u < 2e-3 * np.abs(PRESSURE.theta))
