"""Scores of blocks: how far one lies from those before, in units of a scatter that is itself learnt from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.drift.limit import CLIP

ENOUGH: Final = 4
"""Residuals that a scatter must rest on before anything is compared with it."""

_LEAST: Final = 0.2


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
        return np.where(self.known, np.maximum(found, _LEAST), 1.0)

    def scores(self, residuals: FloatArray) -> FloatArray:
        """Return residuals (p,) as independent standard normal scores, clipped; 0 where the scatter is not known.

        A residual over the scatter of those before is Student's t with n degrees of freedom, and independent of the
        earlier ones (Hawkins, The Statistician 36 (1987) 299). The normal score of equal probability is, to 0.006 for
        n = 5 and 0.0025 from n = 10 on::

            u = (8n + 1)/(8n + 3) √(n ln(1 + t²/n))

        (Wallace, Ann. Math. Stat. 30 (1959) 1121).
        """
        n = np.maximum(self.n, 1.0)
        with np.errstate(over="ignore"):
            square = np.minimum((residuals / self.scale) ** 2, 1e12)
        size = (8 * n + 1) / (8 * n + 3) * np.sqrt(n * np.log1p(square / n))
        return np.where(self.known, np.copysign(np.minimum(size, CLIP), residuals), 0.0)

    def with_residuals(self, residuals: FloatArray, used: npt.NDArray[np.bool_]) -> Scatter:
        """Return the scatter that has learnt from one block's residuals (p,), where they are `used` (p,)."""
        return Scatter(self.squares + np.where(used, residuals**2, 0.0), self.n + used)
