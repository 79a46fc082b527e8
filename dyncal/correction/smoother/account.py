"""What a smoother's u is made of: the same recursions once more in numpy, with the noise's part carried along.

The filter is linear in the indications, its gains being what they are. With the innovations' gains K for the state and
g for an entry, noise v of variance r leaves in both

    x̃ ← (I - K hᵀ) x̃ - K v,        ẽ ← ẽ - g (h·x̃ + v),

whose covariances are followed beside those of the whole (Joseph's form). The variance that an entry has beyond that is
the measurand's: what is not resolved within the lag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dyncal.correction.smoother import plain
from dyncal.correction.smoother.model import SmootherModel
from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.correction.streaming.slots import NO_SAMPLE
from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array

_ROWS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What was told of a record, entry by entry.

    Attributes
    ----------
    at : int64, shape (n,)
        Which raw sample each is about.
    row : int64, shape (n,)
        Its place among all entries told, those of instants without a sample included: what went along tells all.
    value : float64, shape (n,)
    whole : float64, shape (n,)
        Variance from noise and measurand together.
    time : float64, shape (n,)
        Variance from the instants.
    directions : float64, shape (n, p)
        Sensitivities c = ∂û/∂θ.
    """

    at: Int64Array
    row: Int64Array
    value: FloatArray
    whole: FloatArray
    time: FloatArray
    directions: FloatArray


class Rows:
    """Rows of n numbers, as many as there are entries."""

    def __init__(self, n: int) -> None:
        self.held: FloatArray = np.zeros((_ROWS, n))

    def put(self, row: int, numbers: FloatArray | float) -> None:
        """Write a row, behind the last one too."""
        if row >= self.held.shape[0]:
            self.held = np.concatenate([self.held, np.zeros_like(self.held)])
        self.held[row] = numbers

    def compact(self, first: int, last: int) -> None:
        """Bring rows first to last to the front."""
        self.held[: last - first] = self.held[first:last].copy()


class NoisePart:
    """Covariances of what white noise of the indications leaves in state and entries."""

    def __init__(self, model: SmootherModel) -> None:
        self._variance = model.noise_variance
        self._cov = np.zeros_like(model.start)
        self._shared, self._entries = Rows(model.observe.size), Rows(1)
        self.told: list[FloatArray] = []

    def move(self, phi: FloatArray, first: int, last: int) -> None:
        """Let time pass."""
        self._cov = phi @ self._cov @ phi.T
        self._shared.held[first:last] = self._shared.held[first:last] @ phi.T

    def register(self, row: int, measurand: FloatArray) -> None:
        """Make an entry of m·x."""
        shared = self._cov @ measurand
        self._shared.put(row, shared)
        self._entries.put(row, float(measurand @ shared))

    def compact(self, first: int, last: int) -> None:
        """Bring rows first to last to the front."""
        self._shared.compact(first, last)
        self._entries.compact(first, last)

    def measure(self, observe: FloatArray, gain: FloatArray, learnt: FloatArray, first: int, last: int) -> None:
        """Take an indication."""
        seen = self._cov @ observe
        scale = float(observe @ seen) + self._variance
        shared = self._shared.held[first:last]
        crossed = shared @ observe
        self._entries.held[first:last, 0] += learnt * (learnt * scale - 2 * crossed)
        shared -= np.outer(learnt, seen)
        shared -= np.outer(shared @ observe - self._variance * learnt, gain)
        self._cov = self._cov - np.outer(seen, gain) - np.outer(gain, seen) + scale * np.outer(gain, gain)

    def tell(self, first: int, n: int) -> None:
        """Note the variances of n entries."""
        self.told.append(self._entries.held[first : first + n, 0].copy())


class AccountingSmoother(StreamingSmoother):
    """A smoother that remembers what each value's u was made of: for records, not for streams.

    Parameters
    ----------
    model, parameters
        As `StreamingSmoother`.
    along
        What goes through the filter beside it.
    """

    def __init__(self, model: SmootherModel, parameters: Parameters, along: plain.Along) -> None:
        super().__init__(model, parameters, "", compiled=False)
        self._books = _Books(model, along)
        self._kernels = self._books

    def record(self, t_ns: Int64Array, raw: FloatArray, u_t_s: float) -> Account:
        """Correct a whole record; entries for instants without a usable sample are NaN as in a stream.

        Raises
        ------
        InvalidData
            As `StreamingSmoother.process`.
        """
        self.process(t_ns, raw, None, u_t_s * NS_PER_S)
        return self._books.account(t_ns)


class _Books:
    """The kernels in numpy, which note what they gave."""

    def __init__(self, model: SmootherModel, along: plain.Along) -> None:
        self._model, self._along = model, along
        self._run: Callable[..., int] = plain.advance
        self._told, self._given = [np.empty((0, 3), np.int64)], [np.empty((0, 5))]
        self._directions, self._rate = [np.empty((0, model.n_parameters))], [np.empty(0)]

    def advance(self, *passed: Any) -> int:
        """Run the filter over events."""
        n = self._run(*passed, along=self._along)
        self._told.append(passed[-2][:n])
        self._given.append(passed[-1][:n])
        return n

    def propagate(self, *passed: Any) -> None:
        """Run the sensitivities over the values told."""
        value, step, rate, phi, old, new, _, _, _, state, previous, _ = passed
        states = plain.follow(value, step, phi, old, new, state, float(previous[0]))
        plain.propagate(*passed)
        m = self._model
        self._directions.append(plain.sensitivities(states, value, rate, m.s_output, m.s_direct, m.s_slope))
        self._rate.append(rate)

    def account(self, t_ns: Int64Array) -> Account:
        """Return what was noted of the instants of a record."""
        told, given = np.concatenate(self._told), np.concatenate(self._given)
        able = np.isfinite(given).all(axis=1)
        rows = np.flatnonzero((told[:, 1] != NO_SAMPLE) & (told[:, 2] != 0) & able)
        given, rate = given[rows], np.concatenate(self._rate)[rows]
        return Account(
            at=np.searchsorted(t_ns, told[rows, 1]),
            row=rows,
            value=given[:, 0],
            whole=np.maximum(given[:, 1], 0.0),
            time=given[:, 2] * rate**2,
            directions=np.concatenate(self._directions)[rows],
        )
