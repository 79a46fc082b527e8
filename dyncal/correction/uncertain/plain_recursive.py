"""The equals in numpy of `recursive_kernels`, next door: agreement to 1e-12, no loop within a stretch."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dyncal.correction.streaming.plain import Recursion
from dyncal.correction.streaming.slots import LARGEST
from dyncal.domain.samples import FloatArray

_LIVE, _AGE, _CONSTANT, _PAST = 0, 1, 2, 3


class _Filter(Protocol):
    @property
    def a(self) -> FloatArray: ...
    @property
    def b(self) -> FloatArray: ...
    @property
    def factor(self) -> FloatArray: ...
    @property
    def settle(self) -> int: ...


class PlainIIR:
    """As `recursive_kernels.any_order`; the state is the caller's array."""

    def __init__(self, recursive: _Filter) -> None:
        self._filter = recursive
        p = recursive.a.size
        A = np.eye(p, k=-1)
        A[0] = -recursive.a
        first = np.eye(1, p)[0]
        self._poles = Recursion(A, first, np.vstack([A[:1], np.eye(p)]), np.eye(1, p + 1)[0])

    def run(self, state: FloatArray, x: FloatArray, variance: FloatArray, y: FloatArray, u: FloatArray) -> None:
        """Write y and u; shapes (n,), `variance` one entry or n."""
        y[:] = np.nan
        u[:] = np.nan
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero(~(np.abs(x) < LARGEST))
        low = 0
        for high in [*bad.tolist(), x.size]:
            if high > low:
                part = slice(low, high)
                self._stretch(state, x[part], variance if variance.size == 1 else variance[part], y[part], u[part])
            if high < x.size:
                state[_LIVE] = state[_CONSTANT] = 0.0
            low = high + 1

    def _stretch(self, state: FloatArray, x: FloatArray, variance: FloatArray, y: FloatArray, u: FloatArray) -> None:
        f, p = self._filter, self._filter.a.size
        ws, qs = state[_PAST : _PAST + p], state[_PAST + p :]
        if not state[_LIVE]:
            dc = 1.0 / (1.0 + f.a.sum())
            ws[:] = x[0] * dc
            qs[:] = x[0] * dc * f.b.sum() * dc
            state[_LIVE], state[_AGE], state[_CONSTANT] = 1.0, f.settle * state[_CONSTANT], 0.0
        w = self._poles.run(x, ws)
        out = f.b @ w
        q = self._poles.run(out, qs)
        square = np.square(f.factor @ np.vstack([q[1:], w])).sum(axis=0) + variance
        unsettled = min(x.size, max(0, int(f.settle - state[_AGE])))
        y[unsettled:], u[unsettled:] = out[unsettled:], np.sqrt(square[unsettled:])
        state[_AGE] = min(state[_AGE] + x.size, f.settle)


def noise_variance(
    a: FloatArray, b: FloatArray, cov: FloatArray, input_variance: FloatArray, variance: FloatArray
) -> None:
    """As `recursive_kernels.noise_variance`; sample by sample, since a light edge has constant noise."""
    A = np.eye(a.size, k=-1)
    A[0] = -a
    c = b[1:] - b[0] * a
    for n, square in enumerate(input_variance.tolist()):
        variance[n] = c @ cov @ c + b[0] ** 2 * square
        cov[:] = A @ cov @ A.T
        cov[0, 0] += square
