"""Channels that stay at an end of their range: saturated ones are named, those at rest there are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import butter, lfilter

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.records import Estimate
from dyncal.identification.settings import Likelihood
from tests.hostile.metrology import scene
from tests.hostile.metrology.scene import FIRST, SECOND, Record

_OVER = 16
_CHARACTER = {FIRST: 100, SECOND: 40}  # samples of a shock or between steps, about
_DT_NS = {FIRST: 10_000_000, SECOND: 1_000_000}


def _noise(kind: ModelKind, n: int, rng: np.random.Generator) -> FloatArray:
    h = _DT_NS[kind] * 1e-9 / _OVER
    if kind is FIRST:
        pole = np.exp(-h / 0.2)
        return np.asarray(lfilter([np.sqrt(1 - pole**2)], [1, -pole], rng.normal(size=n)))
    x = lfilter(*butter(2, 150, fs=1 / h), rng.normal(size=n))
    return np.asarray(x / x.std())


def _shocks(kind: ModelKind, n: int, rng: np.random.Generator) -> FloatArray:
    longest = _CHARACTER[kind] * _OVER
    x, w, k = np.zeros(n), int(0.6 * longest), n // 20
    while k + w < n:
        x[k : k + w] = rng.uniform(0.5, 2) * np.sin(np.pi * np.arange(w) / w) ** 2
        k += w + int(rng.integers(longest, 3 * longest))
    return x


def _steps_from_rest(kind: ModelKind, n: int, rng: np.random.Generator) -> FloatArray:
    longest = _CHARACTER[kind] * _OVER
    x, k = np.zeros(n), n // 20
    while k < n:
        w = int(rng.integers(longest // 2, 2 * longest))
        x[k : k + w] = rng.choice([1.0, 2.0, 3.0])
        k += w + int(rng.integers(longest // 2, 2 * longest))
    return x


def _levels(several: int) -> Callable[[ModelKind, int, np.random.Generator], FloatArray]:
    def made(kind: ModelKind, n: int, rng: np.random.Generator) -> FloatArray:
        w = int(0.4 * _CHARACTER[kind] * _OVER) + 7
        return np.repeat(rng.choice(np.linspace(-1.0, 1.0, several), size=n // w + 2), w)[:n]

    return made


_MEASURANDS = {
    "noise": _noise, "shocks": _shocks, "steps": _steps_from_rest, "two levels": _levels(2), "levels": _levels(7),
}  # fmt: skip


def _record(kind: ModelKind, what: str, seed: int, n: int = 2000) -> Record:
    rng = np.random.default_rng(seed)
    x = _MEASURANDS[what](kind, n * _OVER, rng)
    y = scene.respond(kind, scene.TRUTH[kind], x, _DT_NS[kind] * 1e-9 / _OVER)[::_OVER] + 0.01 * rng.normal(size=n)
    return 10**18 + np.arange(n, dtype=np.int64) * _DT_NS[kind], np.ascontiguousarray(y), x[::_OVER].copy()


def _follow(kind: ModelKind, data: Record) -> tuple[Estimate, str]:
    """Return the last estimate, and all that was ever said of saturation."""
    estimator = OnlineEstimator(kind, _DT_NS[kind], OnlineSettings(likelihood=Likelihood.INNOVATIONS))
    said = ""
    t_ns, y, r = data
    for k in range(0, t_ns.size, 200):
        estimator.update(AlignedRecord(t_ns[k : k + 200], y[k : k + 200], r[k : k + 200]))
        if estimator.estimate is not None and "saturated" in estimator.estimate.detail:
            said += estimator.estimate.detail
    assert estimator.estimate is not None
    return estimator.estimate, said


_CONVERTERS: dict[str, tuple[float, float]] = {"fine": (0.02, 0.0), "coarse": (0.1, 0.1), "coarse reference": (0, 0.1)}


@pytest.mark.parametrize("converter", ["none", *_CONVERTERS])
@pytest.mark.parametrize("what", _MEASURANDS)
@pytest.mark.parametrize("kind", [FIRST, SECOND])
def test_what_is_at_rest_or_coarse_is_not_saturated(kind: ModelKind, what: str, converter: str) -> None:
    t, y, r = _record(kind, what, seed=11)
    for values, step in zip((y, r), _CONVERTERS.get(converter, (0, 0)), strict=True):
        if step:
            values[:] = np.round(values / step) * step
    estimate, said = _follow(kind, (t, y, r))
    assert not said
    assert estimate.accepted, estimate.detail
    assert estimate.parameters is not None
    assert np.all(np.abs(estimate.parameters.values / scene.TRUTH[kind] - 1) < 0.05)


@pytest.mark.parametrize("share", [0.05, 0.3])
@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("channel", [1, 2])
@pytest.mark.parametrize("kind", [FIRST, SECOND])
def test_a_channel_that_the_other_one_outruns_is_saturated(
    kind: ModelKind, channel: int, side: int, share: float
) -> None:
    data = _record(kind, "noise", seed=5)
    bound = np.quantile(side * data[channel], 1 - share)
    data[channel][:] = side * np.minimum(side * data[channel], bound)
    estimate, said = _follow(kind, data)
    assert f"the {('', 'indication', 'reference')[channel]} is saturated" in said
    right = estimate.parameters is not None and np.all(
        np.abs(estimate.parameters.values - scene.TRUTH[kind]) < 4 * estimate.parameters.u
    )
    assert estimate.verdict is Verdict.BAD_DATA or right


@pytest.mark.parametrize("kind", [FIRST, SECOND])
@pytest.mark.parametrize("what", ["noise", "shocks"])
def test_one_percent_of_a_saturated_indication_is_enough(kind: ModelKind, what: str) -> None:
    t, y, r = _record(kind, what, seed=8)
    _, said = _follow(kind, (t, np.minimum(y, np.quantile(y, 0.99)), r))
    assert "the indication is saturated" in said


def test_a_sensor_that_jumps_while_its_reference_rests_is_followed() -> None:
    kind = FIRST
    t, y, r = _record(kind, "shocks", seed=3, n=6000)
    slower = np.array([1.0, 0.7])
    fine = _shocks(kind, 6000 * _OVER, np.random.default_rng(3))
    changed = scene.respond(kind, slower, fine, 0.01 / _OVER)[::_OVER]
    noise = 0.01 * np.random.default_rng(4).normal(size=3000)
    estimate, said = _follow(kind, (t, np.concatenate([y[:3000], changed[3000:] + noise]), r))
    assert not said
    assert estimate.accepted
    assert estimate.parameters is not None
    assert np.all(np.abs(estimate.parameters.values / slower - 1) < 0.1)
