"""Scores of blocks: how far one lies from those before, in units of a scatter that is itself learnt from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.drift.kernels import ENOUGH, LEAST


@dataclass(frozen=True, slots=True, eq=False)
class Scatter:
    """Sums of squares of the recursive residuals of each parameter, `squares` (p,), and their numbers `n` (p,)."""

    squares: FloatArray
    n: FloatArray

    @classmethod
    def empty(cls, p: int) -> Scatter:
        """Return the scatter of no residual."""
        return cls(np.zeros(p), np.zeros(p))

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Whose scatter rests on enough, (p,)."""
        return np.asarray(self.n >= ENOUGH, dtype=np.bool_)

    @property
    def scale(self) -> FloatArray:
        """Standard deviation of residuals, in units of what blocks claim, (p,); 1 until it is known.

        Not below a fifth: estimates that repeat themselves are no proof of a perfect sensor.
        """
        found = np.sqrt(self.squares / np.maximum(self.n, 1.0))
        return np.where(self.known, np.maximum(found, LEAST), 1.0)

    def with_residuals(self, residuals: FloatArray, used: npt.NDArray[np.bool_]) -> Scatter:
        """Return the scatter that has learnt from one block's residuals (p,), where they are `used` (p,)."""
        return Scatter(self.squares + np.where(used, residuals**2, 0.0), self.n + used)
