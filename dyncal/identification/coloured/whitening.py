"""Whitening of runs of samples by a noise model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.coloured.kernels import whiten
from dyncal.identification.coloured.models import Noise


class Whitener:
    """A noise model at the instants of several runs, scaled so that a likelihood of what it leaves is one of the data.

    With innovations ν_k of variance S_k (up to the common factor), e_k = ν_k/√S_k · g with g the geometric mean of all
    √S_k: n ln(Σe²/n) is then -2 ln L but for a constant, as it is for white residuals.

    Parameters
    ----------
    noise : Noise
    instants : sequence of int64, shape (n_k,)
        Of each run [ns], increasing strictly; there is one at least.
    """

    def __init__(self, noise: Noise, instants: Sequence[Int64Array]) -> None:
        self.noise = noise
        self._row, self._white, self._cov = noise.row, noise.white, noise.cov
        intervals = [np.diff(t_ns) for t_ns in instants]
        different, index = np.unique(np.concatenate(intervals), return_inverse=True)
        steps = np.maximum(different, 1) / NS_PER_S
        phi, q = noise.steps(steps) if steps.size else (np.zeros((0, *self._cov.shape)),) * 2
        self._phi, self._q = np.ascontiguousarray(phi), np.ascontiguousarray(q)
        cuts = np.cumsum([each.size for each in intervals])[:-1]
        self._index = [np.ascontiguousarray(part, dtype=np.int64) for part in np.split(index, cuts)]
        n = sum(t_ns.size for t_ns in instants)
        self._root = 1.0
        # how the variances come about needs no samples
        logs = sum(self._run(k, np.empty((t_ns.size, 0))) for k, t_ns in enumerate(instants))
        self._root = float(np.exp(logs / (2 * n)))

    def white(self, k: int, values: FloatArray) -> FloatArray:
        """Return columns (n_k, m) of run k whitened."""
        done = np.array(values, dtype=np.float64, order="C")
        self._run(k, done)
        done *= self._root
        return done

    def _run(self, k: int, values: FloatArray) -> float:
        return whiten(self._phi, self._q, self._index[k], self._row, self._white, self._cov, values)
