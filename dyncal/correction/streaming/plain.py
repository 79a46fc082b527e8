"""The kernels' equals in numpy, for an edge without numba: agreement to 1e-12, no loop over single samples."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

_BLOCK: Final = 64


def fir(taps: FloatArray, extended: FloatArray, out: FloatArray) -> None:
    """Write ``out[i] = Σ_j taps[j] extended[i + n_taps - 1 - j]``."""
    if not out.size:  # np.convolve would take the taps for the longer signal
        return
    with np.errstate(all="ignore"):
        out[:] = np.convolve(extended, taps, mode="valid")


class Recursion:
    """A linear recursion s' = A s + B x, y = C s + D x, computed `_BLOCK` samples at a time by matrix products.

    y = Φ s + h * x and s' = Aⁿ s + Γ x with Φ, Γ and the impulse responses h made once; a shorter block uses their
    leading part. A matrix in place of the convolution would take a hundred times the memory of all the rest.
    """

    def __init__(self, A: FloatArray, B: FloatArray, C: FloatArray, D: FloatArray) -> None:
        order, outputs = A.shape[0], C.shape[0]
        self._powers = np.empty((_BLOCK + 1, order, order))
        self._powers[0] = np.eye(order)
        for k in range(_BLOCK):
            self._powers[k + 1] = A @ self._powers[k]
        self._reach = np.stack([self._powers[k] @ B for k in range(_BLOCK)])  # (block, order): A^k B
        self._observed = np.einsum("or,krs->kos", C, self._powers[:_BLOCK])  # (block, outputs, order): C A^k
        impulse = np.concatenate([D[None, :], self._reach[:-1] @ C.T])  # (block, outputs)
        self._impulse = np.ascontiguousarray(impulse.T)
        self._outputs = outputs

    def run(self, x: FloatArray, state: FloatArray) -> FloatArray:
        """Return the outputs, shape (outputs, n), for inputs of shape (n,); `state` moves on in place."""
        y = np.empty((self._outputs, x.size))
        for low in range(0, x.size, _BLOCK):
            part = x[low : low + _BLOCK]
            n = part.size
            y[:, low : low + n] = (self._observed[:n] @ state).T
            if n == 1:  # what comes one by one is most of what an edge has
                y[:, low] += self._impulse[:, 0] * part[0]
            else:
                for row, impulse in enumerate(self._impulse):
                    y[row, low : low + n] += np.convolve(part, impulse[:n])[:n]
            state[:] = self._powers[n] @ state + part[::-1] @ self._reach[:n]
        return y


def sections(sos: FloatArray) -> list[Recursion]:
    """Return one recursion for each row b0 b1 b2 1 a1 a2 (transposed direct form II, as the kernel)."""
    made = []
    for b0, b1, b2, _, a1, a2 in sos:
        A = np.array([[-a1, 1.0], [-a2, 0.0]])
        made.append(Recursion(A, np.array([b1 - a1 * b0, b2 - a2 * b0]), np.array([[1.0, 0.0]]), np.array([b0])))
    return made


def resonators(denominators: FloatArray) -> list[Recursion]:
    """Return for each row a1 a2 the recursion with outputs w[k], w[k-1], w[k-2] (direct form II)."""
    made = []
    for a1, a2 in denominators:
        A = np.array([[-a1, -a2], [1.0, 0.0]])
        C = np.array([[-a1, -a2], [1.0, 0.0], [0.0, 1.0]])
        made.append(Recursion(A, np.array([1.0, 0.0]), C, np.array([1.0, 0.0, 0.0])))
    return made


def track(
    step_error: FloatArray, steps: Int64Array, start: float, follow: float, limit: float, residual: FloatArray
) -> int:
    """Follow the sampling grid, as `dyncal.correction.streaming.kernels.track`."""
    keep = 1.0 - follow
    recursion = Recursion(np.array([[keep]]), np.array([1.0]), np.array([[keep]]), np.array([1.0]))
    state = np.array([start])
    low = 0
    while low < step_error.size:
        part = slice(low, low + _BLOCK)
        e = recursion.run(step_error[part], state)[0]
        lost = np.flatnonzero((steps[part] < 1) | (np.abs(e) > limit))
        snapped = np.flatnonzero((np.abs(e) < 0.5) & (e != 0.0))
        if snapped.size and not (lost.size and lost[0] < snapped[0]):
            e = e[: int(snapped[0]) + 1]
            e[-1] = state[0] = 0.0
        elif lost.size:
            residual[low : low + int(lost[0])] = e[: int(lost[0])]
            return low + int(lost[0])
        residual[low : low + e.size] = e
        low += e.size
    return step_error.size
