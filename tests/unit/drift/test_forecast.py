"""When a parameter leaves its tolerance, on blocks whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.health import Outlook
from dyncal.domain.samples import FloatArray
from dyncal.drift.forecast import FEWEST, forecast
from dyncal.drift.ledger import BlockLedger
from tests.unit.drift.blocks import SECOND, Block

NAMES = ("gain", "tau_s")
TOLERANCE = {"gain": 0.05, "tau_s": 0.05}
COV = np.array([[0.003**2, 1.5e-5], [1.5e-5, 0.01**2]])
EXACT = np.diag([1e-14, 1e-14])
TAU = 0.8


def course(tau: FloatArray, seed: int = 0) -> BlockLedger:
    rng, ledger = np.random.default_rng(seed), BlockLedger(2)
    for b, change in enumerate(tau.tolist()):
        theta = np.array([1.0, TAU * (1 + change)])
        value = rng.multivariate_normal(theta, COV)
        ledger.add(Block((b + 1) * 2 * SECOND, value, COV, theta=theta), np.zeros((2, 3)))
    return ledger


def told(tau: FloatArray, seed: int = 0) -> tuple[Outlook, Outlook]:
    gain, second = forecast(course(tau, seed), NAMES, np.array([1.0, TAU]), EXACT, TOLERANCE)
    return gain, second


def test_a_drift_that_goes_on_is_foretold_with_an_interval() -> None:
    blocks = np.arange(200)
    gain, tau = told(0.05 * np.clip(blocks - 60, 0, None) / 240)
    truth = (300 + 1) * 2 * SECOND
    assert tau.early_ns is not None
    assert tau.likely_ns is not None
    assert tau.late_ns is not None
    assert tau.early_ns < truth < tau.late_ns
    assert tau.likely_ns == pytest.approx(truth, rel=0.15)
    assert tau.rate_per_day == pytest.approx(0.05 / (240 * 2) * 86400, rel=0.3)
    assert 0 < tau.u_rate_per_day < 0.5 * tau.rate_per_day
    assert (gain.parameter, gain.likely_ns, gain.late_ns) == ("gain", None, None)


def test_where_nothing_changes_it_is_never_on_present_evidence() -> None:
    quiet = [told(np.zeros(200), seed) for seed in range(20)]
    assert all(part.likely_ns is None for both in quiet for part in both)
    ends = [part.early_ns for both in quiet for part in both if part.early_ns is not None]
    assert len(ends) < 30
    assert np.median(ends) > 3 * 200 * 2 * SECOND


def test_a_step_that_is_over_does_not_go_on() -> None:
    _, tau = told(np.where(np.arange(200) < 100, 0.0, 0.03))
    assert tau.likely_ns is None
    assert tau.late_ns is None


def test_what_is_out_is_out_now() -> None:
    _, tau = told(np.where(np.arange(200) < 100, 0.0, 0.09))
    assert tau.early_ns == tau.likely_ns == tau.late_ns == 200 * 2 * SECOND


def test_a_baseline_that_is_hardly_known_makes_it_less_certain() -> None:
    ledger = course(0.05 * np.clip(np.arange(200) - 60, 0, None) / 240)
    widths = []
    for u in (1e-6, 0.01):
        _, tau = forecast(ledger, NAMES, np.array([1.0, TAU]), np.diag([1e-12, (u * TAU) ** 2]), TOLERANCE)
        assert tau.early_ns is not None
        assert tau.likely_ns is not None
        widths.append(tau.likely_ns - tau.early_ns)
    assert widths[1] > 1.1 * widths[0]


def test_few_blocks_foretell_nothing() -> None:
    assert forecast(course(np.zeros(FEWEST - 1)), NAMES, np.ones(2), EXACT, TOLERANCE) == ()
    with pytest.raises(InvalidData):
        forecast(course(np.zeros(30)), ("gain",), np.ones(1), np.eye(1), TOLERANCE)
