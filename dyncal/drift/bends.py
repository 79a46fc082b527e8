"""Changes whose course is not known: straight between knots of any height, the same instants for all pairs.

A step or a line that is a little wrong is refuted by hundreds of nats where blocks know a gain to 0.01 %, and of
several that are all refuted the least wrong looks certain. With the course free, two pairs that follow one reference
still have one, and two that change for themselves have two. After some knot it stays where it is: what has come to
rest is not to pay for heights that it does not need.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

KNOTS: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
"""Shares of the time since a change at which its course has a height of its own; before it is 0, after it stays."""
MOST: Final = 48
"""Instants that are tried; of more, some between are left out."""

_STAYS: Final = np.stack([np.eye(len(KNOTS))[np.minimum(np.arange(len(KNOTS)), s)] for s in range(len(KNOTS))])
"""For each knot from which on a course stays: heights at all knots from those up to it, (K, K, K)."""


class Bends:
    """Courses from each of m instants to an end, on the blocks of one pair; K is the number of knots.

    Parameters
    ----------
    at_ns : int64, shape (n,)
        Of the pair's blocks.
    begin_ns : int64, shape (m,)
    end_ns : int
    """

    def __init__(self, at_ns: Int64Array, begin_ns: Int64Array, end_ns: int) -> None:
        spans = np.maximum(end_ns - begin_ns, 1)
        t = (at_ns - begin_ns[:, None]) / spans[:, None]
        rises = [(t - low) / (high - low) for low, high in zip((0.0, *KNOTS), KNOTS, strict=False)]
        falls = [*(1 - rise for rise in rises[1:]), np.ones_like(t)]
        hats = [np.clip(np.minimum(rise, fall), 0, 1) for rise, fall in zip(rises, falls, strict=True)]
        self._hats = np.stack(hats, axis=1)

    def sums(self, units: FloatArray, weighted: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return Σ w I (m, K, Kp, p), Σ w I θ̂ (m, K, Kp) and Σ w wᵀ I (m, K, Kp, Kp) of I (n, p, p) and I θ̂ (n, p).

        The second axis is that of the knot from which on a course stays; heights beyond it are of no effect.
        """
        hats, (m, k, _), p = self._hats, self._hats.shape, weighted.shape[1]
        squares = np.zeros((m, k, k, p, p))
        for j in range(k):
            squares[:, j, j] = np.tensordot(hats[:, j] ** 2, units, 1)
            if j:
                squares[:, j, j - 1] = squares[:, j - 1, j] = np.tensordot(hats[:, j] * hats[:, j - 1], units, 1)
        first, told = np.tensordot(hats, units, 1), np.tensordot(hats, weighted, 1)
        second = np.einsum("shu,mhgij,sgv->msuivj", _STAYS, squares, _STAYS, optimize=True)
        return (
            np.einsum("shu,mhij->msuij", _STAYS, first).reshape(m, k, k * p, p),
            np.einsum("shu,mhi->msui", _STAYS, told).reshape(m, k, k * p),
            second.reshape(m, k, k * p, k * p),
        )


def begins(at_ns: Int64Array) -> Int64Array:
    """Return the instants (m,) of blocks (n,) from which courses are tried: all but the last, and at most `MOST`."""
    return at_ns[:-1][:: -(-(at_ns.size - 1) // MOST)]
