"""The matrix functions of exact discretisation, with derivatives, of many small matrices at once, in plain numpy.

e^Z, φ1(Z) = Z⁻¹(e^Z - 1) and φ2(Z) = Z⁻²(e^Z - 1 - Z): a linear system ẋ = A x + b u over h has Φ = e^{Ah}, answers a
level with h φ1(Ah) b and a ramp from 0 to 1 with h φ2(Ah) b (Hochbruck & Ostermann, Acta Numerica 19 (2010) 209).
Taylor's series on Z/2ˢ, then doubling: no division, hence nothing cancels for slow states, however fast others are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray

_NORM: Final = 0.5
_LARGEST: Final = 2.0**50
_TERMS: Final = 14  # 0.5¹⁴/16! is below 2⁻⁵³ of the first term


@dataclass(frozen=True, slots=True, eq=False)
class PhiFunctions:
    """e^Z, φ1(Z), φ2(Z), each of shape (m, 1 + p, n, n): the values, then their p derivatives."""

    exp: FloatArray
    phi1: FloatArray
    phi2: FloatArray


def phi_functions(z: FloatArray, dz: FloatArray) -> PhiFunctions:
    """Return the functions of Z, shape (m, n, n), finite, and their derivatives along dZ, shape (m, p, n, n).

    Where the norm of Z exceeds 2⁵⁰ or is no number, the result is NaN. Otherwise the error is about 2⁻⁵³ times the
    larger of 1 and the norm of Z, against entries of order 1.
    """
    norms = np.abs(z).sum(axis=-2).max(axis=-1, initial=0.0)
    lost = ~(norms < _LARGEST)
    z = np.where(lost[:, None, None], np.nan, z)
    doublings = np.ceil(np.log2(np.maximum(np.where(lost, 0.0, norms) / _NORM, 1.0))).astype(np.int64)
    both = np.concatenate([z[:, None], dz], axis=1) / np.exp2(doublings)[:, None, None, None]
    eye = np.zeros((1 + dz.shape[1], z.shape[-1], z.shape[-1]))
    eye[0] = np.eye(z.shape[-1])
    phi2 = np.broadcast_to(eye / factorial(_TERMS + 2), both.shape)
    for k in reversed(range(2, _TERMS + 2)):
        phi2 = _product(both, phi2) + eye / factorial(k)
    phi1 = _product(both, phi2) + eye
    exp = _product(both, phi1) + eye
    for k in range(int(doublings.max(initial=0))):
        more = doublings > k
        some = slice(None) if bool(np.all(more)) else more
        e, f1, f2 = exp[some], phi1[some], phi2[some]
        # φ2(2z) = (e^z φ2 + φ1 + φ2)/4, φ1(2z) = (e^z + 1) φ1/2
        phi2[some] = (_product(e, f2) + f1 + f2) / 4
        phi1[some] = (_product(e, f1) + f1) / 2
        exp[some] = _product(e, e)
    return PhiFunctions(exp, phi1, phi2)


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return left·right with the product rule along the second axis."""
    product: FloatArray = left[:, :1] @ right
    product[:, 1:] += left[:, 1:] @ right[:, :1]
    return product
