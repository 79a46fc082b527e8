"""Sensors that wait for the full likelihood: what that costs, and that they do not wait too long."""

from __future__ import annotations

from typing import Any

import pytest

from dyncal.domain.calibration import Verdict
from dyncal.identification import OnlineEstimator
from dyncal.identification.online.fleet import full_likelihood
from tests.unit.identification.plant import THERMOCOUPLE, part

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
