"""Exact solutions over intervals, kept for the intervals that come again.

Instants are rounded to ticks, never intervals: errors do not add up. Q over an interval h comes from Van Loan's
exponential (IEEE Trans. Autom. Control 23 (1978) 395) over h/2^s, short enough for it, doubled s times by
Q(2h) = Φ Q Φᵀ + Q: a fast pole makes the exponential over h overflow.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.smoother.model import SmootherModel
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.models.exponential import exponential

_KEPT: Final = 4096
_SHORT: Final = 0.5
_TICKS: Final = 256  # in a nominal interval


def tick_ns(dt_ns: int) -> int:
    """Return the resolution of time [ns]."""
    return max(dt_ns // _TICKS, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Solutions over m intervals, C order: Φ and Q of the states; Φ, Γ0, Γ1 of the sensitivities for straight lines."""

    phi: FloatArray
    noise: FloatArray
    s_phi: FloatArray
    s_old: FloatArray
    s_new: FloatArray


class Intervals:
    """Gives the solutions for intervals in ticks; remembers the last few thousand different ones."""

    def __init__(self, model: SmootherModel) -> None:
        self._model = model
        self._tick_s = tick_ns(model.dt_ns) / NS_PER_S
        self._kept: OrderedDict[int, tuple[FloatArray, ...]] = OrderedDict()

    def solve(self, ticks: Int64Array) -> tuple[Steps, Int64Array]:
        """Return the solutions for the different ones among `ticks`, and for each of them which it is."""
        different, index = np.unique(ticks, return_inverse=True)
        new = np.array([t for t in different.tolist() if t not in self._kept], np.int64)
        if new.size:
            for t, *parts in zip(new.tolist(), *over(self._model, new.astype(np.float64) * self._tick_s), strict=True):
                self._kept[t] = tuple(parts)
        found = []
        for t in different.tolist():
            self._kept.move_to_end(t)
            found.append(self._kept[t])
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        stacked = [np.ascontiguousarray(np.stack(parts)) for parts in zip(*found, strict=True)]
        return Steps(*stacked), np.asarray(index, np.int64).reshape(-1)


def over(model: SmootherModel, h_s: FloatArray) -> tuple[FloatArray, ...]:
    """Return Φ, Q, and of the sensitivities Φ, Γ0, Γ1, over intervals h [s] of shape (m,)."""
    phi, noise = _state(model.drift, model.diffusion, h_s)
    k = model.s_input.size
    m = np.zeros((h_s.size, k + 2, k + 2))
    m[:, :k, :k] = model.s_drift * h_s[:, None, None]
    m[:, :k, k] = model.s_input * h_s[:, None]
    m[:, k, k + 1] = 1.0
    e = exponential(m)
    new = e[:, :k, k + 1]
    return phi, noise, e[:, :k, :k], e[:, :k, k] - new, new


def _state(drift: FloatArray, diffusion: FloatArray, h_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    n = drift.shape[0]
    size = float(np.abs(drift).sum(axis=0).max())
    halvings = np.ceil(np.log2(np.maximum(size * h_s / _SHORT, 1.0))).astype(np.int64)
    short = h_s / np.exp2(halvings)
    m = np.zeros((h_s.size, 2 * n, 2 * n))
    m[:, :n, :n] = -drift * short[:, None, None]
    m[:, :n, n:] = diffusion * short[:, None, None]
    m[:, n:, n:] = drift.T * short[:, None, None]
    e = exponential(m)
    phi = np.swapaxes(e[:, n:, n:], 1, 2).copy()
    noise = phi @ e[:, :n, n:]
    for k in range(int(halvings.max(initial=0))):
        more = (halvings > k)[:, None, None]
        noise = np.where(more, phi @ noise @ np.swapaxes(phi, 1, 2) + noise, noise)
        phi = np.where(more, phi @ phi, phi)
    return phi, (noise + np.swapaxes(noise, 1, 2)) / 2
