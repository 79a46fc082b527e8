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
    16 (1988) 1).
    """
    found = history.statistics[:, i]
    squares = np.sign(found[k]) * found * np.abs(found)
    likely = np.flatnonzero(squares >= squares[k] - _CREDIBLE)
    at_ns = history.at_ns
    after = min(int(likely[-1]) + 1, len(at_ns) - 1)
    return Instant(int(at_ns[k]), int(at_ns[likely[0]]), int(at_ns[after]))


def likeliest(history: History, now: Learnt, limit: float, least: FloatArray) -> tuple[int, int] | None:
    """Return instant and parameter of the most significant change beyond `limit` that is relatively large enough.

    Parameters
    ----------
    history : History
    now : Learnt
        With all blocks.
    limit : float
    least : float64, shape (p,)
        Relative changes of the parameters below which there is no drift.
    """
    size = np.abs(history.statistics)
    beyond = np.argwhere(size > limit)
    order = np.argsort(-size[beyond[:, 0], beyond[:, 1]], kind="stable")
    changes: dict[int, FloatArray] = {}
    for k, i in beyond[order].tolist():
        if k not in changes:
            changes[k] = _relative(history.learnt(k), now)
        if changes[k][i] >= least[i]:
            return int(k), int(i)
    return None


def _relative(before: Learnt, now: Learnt) -> FloatArray:
    deviation, _ = Recent.between(before.baseline, now.baseline).against(before)
    return np.nan_to_num(np.abs(deviation) / np.maximum(np.abs(before.baseline.mean), 1e-300))
