"""A change that was found: how large it is by the blocks since, against what was normal before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.drift.baseline import Baseline, invert
from dyncal.drift.history import History, Learnt

_FADE: Final = 0.85  # weight of the past in the estimate of a change that was found: it may still be growing
_CREDIBLE: Final = 3.84  # likelihood ratio within which an instant of change lies with 95 %
_SURE: Final = 3.0  # standard uncertainties by which a change is sure to be as large as it is taken for
_CLEAR: Final = 2.0  # standard uncertainties from 0 up to which a parameter has no relative change


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """Fading sums over the blocks since a change, Σ w I (p, p), Σ w I θ̂ (p,), Σ w² I (p, p)."""

    information: FloatArray
    vector: FloatArray
    square: FloatArray

    @classmethod
    def between(cls, before: Baseline, now: Baseline) -> Recent:
        """Return the sums over the blocks that one baseline knows more than another."""
        information = now.information - before.information
        return cls(information, now.vector - before.vector, information)

    def with_block(self, theta: FloatArray, information: FloatArray) -> Recent:
        """Return the sums with one more block."""
        return Recent(
            _FADE * self.information + information,
            _FADE * self.vector + information @ theta,
            _FADE**2 * self.square + information,
        )

    def against(self, normal: Learnt) -> tuple[FloatArray, FloatArray]:
        """Return the deviation from what is normal and its standard uncertainty, (p,) each; NaN where unknown."""
        before, cov = normal.baseline, invert(self.information)
        if before.cov is None or cov is None:
            unknown = np.full(self.vector.shape, np.nan)
            return unknown, unknown
        variance = np.diag(cov @ self.square @ cov + before.cov)
        return cov @ self.vector - before.mean, np.sqrt(variance) * normal.scatter.scale


class Instant(msgspec.Struct, frozen=True):
    """When a change came: most likely, and the earliest and latest instants of its 95 % interval [ns]."""

    likely_ns: int
    early_ns: int
    late_ns: int


def instant(history: History, k: int, i: int) -> Instant:
    """Return the instant of the change of parameter i that is most likely at `k`, and how well that is known.

    The interval holds the instants whose likelihood ratio is less than 3.84 below (Siegmund, The Annals of Statistics
    16 (1988) 1); of a clock that was put back meanwhile, the earliest and latest that it showed.
    """
    found = history.statistics[:, i]
    ratios = np.where(found * found[k] > 0, found**2 + history.leniency, -np.inf)
    likely = np.flatnonzero(ratios >= ratios[k] - _CREDIBLE)
    within = history.at_ns[int(likely[0]) : int(likely[-1]) + 2]
    return Instant(int(history.at_ns[k]), int(within.min()), int(within.max()))


def sizes(normal: Learnt, scales: FloatArray) -> FloatArray:
    """Return what a change of each parameter is relative to, (p,); NaN where it is hardly to be told from 0."""
    baseline = normal.baseline
    if baseline.cov is None:
        return np.full(scales.shape, np.nan)
    size = np.maximum(np.abs(baseline.mean), scales)
    u = np.sqrt(np.diag(baseline.cov)) * normal.scatter.scale
    return np.where(size > _CLEAR * u, size, np.nan)


@dataclass(frozen=True, slots=True)
class Likely:
    """A change that is significant and large enough: instant, parameter, and instant since which it is the surest."""

    k: int
    parameter: int
    since: int


def likeliest(history: History, now: Learnt, limit: float, least: FloatArray, scales: FloatArray) -> Likely | None:
    """Return the most significant change beyond `limit` that is relatively large enough.

    Large enough is the mean of all blocks since the likeliest instant or a later one, where that is as significant, or
    where it is beyond doubt: of a change that still grows the first blocks may know most, and say least.

    Parameters
    ----------
    history : History
    now : Learnt
        With all blocks.
    limit : float
    least : float64, shape (p,)
        Relative changes of the parameters below which there is no drift.
    scales : float64, shape (p,)
        Sizes of parameters whose own value may be near 0.
    """
    found = np.abs(history.statistics)
    for i in np.argsort(-found.max(axis=0), kind="stable").tolist():
        beyond = found[:, i] > limit
        if not bool(beyond.any()):
            return None
        ratios = np.where(beyond, found[:, i] ** 2 + history.leniency, -np.inf)
        k = len(ratios) - 1 - int(np.argmax(ratios[::-1]))  # of equals the newest: between them nothing was known
        before = history.learnt(k)
        enough = np.nan_to_num(least * sizes(before, scales))[i]
        change, sure = _grown(history, now, before, k, i)
        large = (change >= enough) & ((found[k:, i] > limit) | (sure >= enough))
        if bool(large.any()):
            return Likely(k, i, k + int(np.argmax(np.where(large, sure, -np.inf))))
    return None


def _grown(history: History, now: Learnt, before: Learnt, k: int, i: int) -> tuple[FloatArray, FloatArray]:
    """Return how much parameter i has changed by the blocks after instant k and each later one, and for sure."""
    means, variances = history.levels(now.baseline, k)
    cov = before.baseline.cov
    if cov is None:
        return np.zeros(len(means)), np.zeros(len(means))
    change = np.abs(means[:, i] - before.baseline.mean[i])
    u = np.sqrt(variances[:, i] + cov[i, i]) * before.scatter.scale[i]
    return np.nan_to_num(change), np.nan_to_num(change - _SURE * u, nan=-np.inf)
