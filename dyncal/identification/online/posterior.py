"""What is carried from block to block: coordinates, information, noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.online.matrices import invert
from dyncal.identification.online.renewal import CHANCE

_P_JUMP: Final = 3.7e-6  # D > 25 for two coordinates (docs/metrology.md)
_P_TREND: Final = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Knowledge after some blocks; m coordinates, of which p are the model's.

    Attributes
    ----------
    h : float64, shape (m,)
    information : float64, shape (m, m)
    considered : float64, shape (m, 2)
        ∂h/∂(reference offset, clock offset), to first order: what these, unknown, have done to `h`.
    variance : float
        Of the innovations.
    dof : float
        Degrees of freedom that `variance` rests on.
    trend : float64, shape (p,)
        Running mean of the whitened disagreement of new blocks.
    dispersion : float
        Running ratio of the blocks' disagreement to what their information claims (Birge); more than 1 where the
        innovations are not white, as when the reference aliases. Information is divided by it where chance does not
        explain it (`renewal.significant`).
    """

    h: FloatArray
    information: FloatArray
    considered: FloatArray
    variance: float
    dof: float
    trend: FloatArray
    dispersion: float = 1.0

    @property
    def scatter(self) -> float:
        """The dispersion where it is beyond chance, else 1."""
        return self.dispersion if self.dispersion > CHANCE else 1.0

    @property
    def cov(self) -> FloatArray:
        """Covariance of `h`, (m, m), without the systematic contributions."""
        return inverse(self.information)


def inverse(information: FloatArray) -> FloatArray:
    """Invert an information matrix, scaled to a unit diagonal so that units do not matter."""
    result = np.empty(information.shape)
    invert(np.ascontiguousarray(information), 1e-13, result)
    return result


def limits(p: int) -> tuple[float, float]:
    """Return the limits of D for a jump and for a trend, for p coordinates."""
    from scipy.special import chdtri  # noqa: PLC0415 - not needed where estimates are only read

    return float(chdtri(p, _P_JUMP)), float(chdtri(p, _P_TREND))
