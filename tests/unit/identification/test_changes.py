"""What has changed, the sensor or what it is compared with: as least squares with the other unknowns say."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.online.changes import Known, instead
from dyncal.identification.online.posterior import Posterior
from dyncal.identification.online.shifts import shifts
from dyncal.identification.shift import SURE, Shift
from tests.unit.identification.plant import part

OLD = np.array([1.0, 0.2])
CERTAIN = 1e-12 * np.eye(2)


class Linear:
    """y = X h + Z u + noise of 1, with two h and two u: what the estimator knows of it, and what least squares say."""

    def __init__(self, h: FloatArray, u: FloatArray, n: int, mean: float) -> None:
        rng = np.random.default_rng(1)
        self.x = rng.normal(size=(n, 2)) + np.array([mean, 0.0])
        self.z = np.stack([np.ones(n), self.x[:, 1] + 0.5 * rng.normal(size=n)], axis=1)
        self.y = self.x @ h + self.z @ u + rng.normal(size=n)
        a, cross = self.x.T @ self.x, self.x.T @ self.z
        fitted = np.linalg.solve(a, self.x.T @ self.y)
        considered = -np.linalg.solve(a, cross)
        self.posterior = Posterior(fitted, a, considered, 1.0, float(n), np.zeros(2))
        e = self.y - self.x @ fitted
        self.weight = self.z.T @ self.z + cross.T @ considered
        self.score = (self.z + self.x @ considered).T @ e

    def instead(self, before: Known, settings: OnlineSettings | None = None) -> tuple[bool, float] | None:
        """Return whether it is the clock, and the size."""
        found = instead(before, self.posterior, self.weight, self.score, 0.0, settings or OnlineSettings())
        return None if found is None else (found.clock, found.value)

    def least_squares(self, columns: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
        """Return the coefficients, and the sum of squares that is left."""
        found = np.asarray(np.linalg.lstsq(columns, y, rcond=None)[0], dtype=np.float64)
        return found, float(np.sum((y - columns @ found) ** 2))

    def with_the_old(self, k: int, i: int) -> tuple[float, float]:
        """Return offset i where coordinate k is the old one, and how much worse that is than no offset and h free."""
        columns = np.stack([self.x[:, 1 - k], self.z[:, i]], axis=1)
        (_, value), left = self.least_squares(columns, self.y - OLD[k] * self.x[:, k])
        return float(value), left - self.least_squares(self.x, self.y)[1]


@pytest.mark.parametrize(("n", "mean"), [(60, 8.0), (400, 8.0), (60, 20.0), (2000, 20.0)])
def test_a_zero_that_came_is_left_as_long_as_least_squares_leave_it(n: int, mean: float) -> None:
    """The gain is another by 0.3 of noise, or a zero by as much times the mean."""
    of = Linear(OLD + np.array([0.3, 0.0]), np.zeros(2), n, mean)
    value, worse = of.with_the_old(0, 0)
    found = of.instead(Known(OLD, CERTAIN))
    if worse < SURE**2:
        assert found is not None
        assert not found[0]
        assert_allclose(found[1], value, rtol=1e-6)
    else:
        assert found is None


def test_more_data_tell_and_what_is_stated_is_no_reason_to_wait() -> None:
    few, many = (Linear(OLD + np.array([0.3, 0.0]), np.zeros(2), n, 8.0) for n in (60, 4000))
    assert few.instead(Known(OLD, CERTAIN)) is not None
    assert few.instead(Known(OLD, CERTAIN), OnlineSettings(u_reference=3.0)) is None
    assert many.instead(Known(OLD, CERTAIN)) is None


def test_a_clock_that_came_is_told_from_a_lag() -> None:
    few = Linear(OLD + np.array([0.0, 0.8]), np.zeros(2), 40, 0.0)
    value, worse = few.with_the_old(1, 1)
    assert worse < SURE**2
    found = few.instead(Known(OLD, CERTAIN))
    assert found is not None
    assert found[0]
    assert_allclose(found[1], value, rtol=1e-6)
    assert Linear(OLD + np.array([0.0, 0.8]), np.zeros(2), 4000, 0.0).instead(Known(OLD, CERTAIN)) is None


def test_what_is_suspected_goes_into_a_snapshot() -> None:
    """numpy's numbers do not; sensors under suspicion had none, and calibration stopped where one was to be taken."""
    of = Linear(OLD + np.array([0.3, 0.0]), np.zeros(2), 60, 8.0)
    found = instead(Known(OLD, CERTAIN), of.posterior, of.weight, of.score, 0.0, OnlineSettings())
    assert found is not None
    alone, together = shifts(of.weight, of.score, of.posterior.considered, CERTAIN, 0.0, 1.0)
    assert alone
    for each in (found, *alone, *together):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(each), type=Shift) == each


def test_what_did_not_change_leaves_no_offset() -> None:
    of = Linear(OLD, np.zeros(2), 200, 8.0)
    assert of.instead(Known(OLD, CERTAIN)) is None
    # nor what was hardly known before
    assert Linear(OLD + np.array([0.3, 0.0]), np.zeros(2), 60, 8.0).instead(Known(OLD, np.eye(2))) is None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tau", [0.66, 0.95])
def test_no_offset_that_few_samples_do_not_tell_is_taken_for_a_gain(seed: int, tau: float) -> None:
    """A measurand of 1.1 s around 6 ± 1: u of a zero is 0.15 by the samples at which a sensor is fitted anew."""
    rng = np.random.default_rng(7000 + seed)
    fine, n, at, dt = 16, 2600, 1400, 0.053
    step = dt / fine
    pole = np.exp(-step / 1.1)
    x = 6 + lfilter([1.0], [1.0, -pole], np.sqrt(1 - pole**2) * rng.normal(size=(n + 400) * fine))[400 * fine :]

    def sensor(tau: float) -> FloatArray:
        slow = np.exp(-step / tau)
        return 6.24 + 1.04 * lfilter([1 - slow], [1.0, -slow], x - 6)[::fine]

    changed = at - 100  # the lag before, in one of two cases
    y = np.where(np.arange(n) < changed, sensor(0.66), sensor(tau)) + np.where(np.arange(n) < at, 0.0, 0.4)
    y += 0.012 * rng.normal(size=n)
    r = x[::fine] + 0.004 * rng.normal(size=n)
    record = AlignedRecord(np.arange(n) * round(dt * 1e9), y, r)
    estimator = OnlineEstimator(ModelKind.FIRST_ORDER, round(dt * 1e9))
    estimator.update(part(record, 0, changed))
    assert estimator.estimate is not None
    assert estimator.estimate.accepted
    for begin in range(changed, n, 50):
        estimator.update(part(record, begin, begin + 50))
        if begin >= at + 50 and estimator.estimate.accepted:
            assert estimator.estimate.parameters is not None
            gain, u = float(estimator.estimate.parameters.values[0]), float(estimator.estimate.parameters.u[0])
            assert abs(gain - 1.04) < 4 * u, (begin, estimator.estimate)
