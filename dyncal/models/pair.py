"""One pair of poles with gain 1: what second-order sensors and sections of higher ones are made of.

The state is (z, ż/ω0), so that all depends on δ and φ = ω0 h alone. With M = [[0, 1], [-1, -2δ]] every function of φM
is c I + d M, since M² = -I - 2δM: the algebra is one of pairs (c, d), here with their derivatives in δ.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.models.base import Hold

_SERIES_BELOW: Final = 0.25
_TERMS: Final = 14
_NORM: Final = 0.5
_APART: Final = 1.25


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The matrix c I + d M and its derivative in δ, each of shape (m,)."""

    c: FloatArray
    d: FloatArray
    dc: FloatArray
    dd: FloatArray

    def matrix(self, damping: float) -> FloatArray:
        """Return it written out, shape (m, 2, 2)."""
        return _matrix(self.c, self.d, damping)

    def slope(self, damping: float) -> FloatArray:
        """Return its derivative in δ written out, shape (m, 2, 2)."""
        slope = _matrix(self.dc, self.dd, damping)
        slope[:, 1, 1] -= 2 * self.d
        return slope

    def times(self, other: Pair, damping: float) -> Pair:
        """Return the product."""
        squares = self.d * other.d
        dsquares = self.dd * other.d + self.d * other.dd
        return Pair(
            self.c * other.c - squares,
            self.c * other.d + self.d * other.c - 2 * damping * squares,
            self.dc * other.c + self.c * other.dc - dsquares,
            self.dc * other.d + self.c * other.dd + self.dd * other.c + self.d * other.dc
            - 2 * squares - 2 * damping * dsquares,
        )  # fmt: skip

    def plus(self, other: Pair, factor: float = 1.0) -> Pair:
        """Return (self + other)·factor."""
        return Pair(*((x + y) * factor for x, y in zip(self._parts(), other._parts(), strict=True)))

    def raised(self, damping: float, angle: FloatArray) -> Pair:
        """Return (F - I)(φM)⁻¹: φ1 from the exponential, φ2 from φ1. M⁻¹ is -(M + 2δI)."""
        missing = 1 - self.c
        return Pair(
            (2 * damping * missing + self.d) / angle,
            missing / angle,
            (2 * missing - 2 * damping * self.dc + self.dd) / angle,
            -self.dc / angle,
        )

    def where(self, mask: npt.NDArray[np.bool_], other: Pair) -> Pair:
        """Return self where `mask` says so, and `other` elsewhere."""
        return Pair(*(np.where(mask, x, y) for x, y in zip(self._parts(), other._parts(), strict=True)))

    def _parts(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        return self.c, self.d, self.dc, self.dd


def pair_transition(damping: float, angle: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return Φ = e^{φM} for angles φ >= 0 and its derivatives in δ and φ, each of shape (m, 2, 2)."""
    exp = _functions(damping, angle)[0]
    phi = exp.matrix(damping)
    return phi, exp.slope(damping), _generator(damping) @ phi


def pair_interval(
    damping: float, angle: FloatArray, hold: Hold
) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Solve z̈/ω0² + 2δ ż/ω0 + z = u exactly over angles φ = ω0 h, shape (m,).

    A level is answered by φ φ1(φM) e2 and a ramp from 0 to 1 by φ φ2(φM) e2; in closed form, and where that would
    cancel (φ below about 1) by series and doubling.

    Returns
    -------
    phi, gamma, dphi, dgamma
        Φ and Γ, each (m, 2, 2); their derivatives in ln δ and in ln φ.
    """
    exp, phi1, phi2 = _functions(damping, angle)
    phi = exp.matrix(damping)
    wide = angle[:, None, None]
    dphi = damping * exp.slope(damping), wide * (_generator(damping) @ phi)
    level, ramp = (angle[:, None] * f.matrix(damping)[:, :, 1] for f in (phi1, phi2))
    dlevel, dramp = (damping * angle[:, None] * f.slope(damping)[:, :, 1] for f in (phi1, phi2))
    # φ d(φ φ1)/dφ = φ e, φ d(φ φ2)/dφ = φ (φ1 - φ2)
    grown_level, grown_ramp = angle[:, None] * phi[:, :, 1], level - ramp
    if hold is Hold.ZERO:
        ramp, dramp, grown_ramp = (np.zeros_like(level) for _ in range(3))
    gamma = np.stack([level - ramp, ramp], axis=-1)
    dgamma = np.stack([dlevel - dramp, dramp], axis=-1), np.stack([grown_level - grown_ramp, grown_ramp], axis=-1)
    return phi, gamma, dphi, dgamma


def _generator(damping: float) -> FloatArray:
    return np.array([[0.0, 1.0], [-1.0, -2 * damping]])


def _matrix(c: FloatArray, d: FloatArray, damping: float) -> FloatArray:
    matrix = np.empty((c.size, 2, 2))
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = c, d, -d, c - 2 * damping * d
    return matrix


def _functions(damping: float, angle: FloatArray) -> tuple[Pair, Pair, Pair]:
    """Return e^{φM}, φ1(φM) and φ2(φM)."""
    small = angle * (1 + 2 * damping) < 1 + damping
    if bool(np.all(small)):
        return _doubled(damping, angle)
    large = np.where(small, 1.0, angle)
    exp = _far_apart(damping, large) if damping > _APART else _close(damping, large)
    phi1 = exp.raised(damping, large)
    phi2 = phi1.raised(damping, large)
    if bool(np.any(small)):
        series = _doubled(damping, np.where(small, angle, 0.0))
        return series[0].where(small, exp), series[1].where(small, phi1), series[2].where(small, phi2)
    return exp, phi1, phi2


def _far_apart(damping: float, angle: FloatArray) -> Pair:
    """Return e^{φM} for two real poles -λ1 and -λ2 = -1/λ1: d = (E1 - E2)/2r, c = E1 + λ1 d, r = √(δ² - 1)."""
    r = np.sqrt((damping - 1) * (damping + 1))
    slow, fast = 1 / (damping + r), damping + r
    first, second = np.exp(-slow * angle), np.exp(-fast * angle)
    # dλ1/dδ = -λ1/r, dλ2/dδ = λ2/r
    dfirst, dsecond = angle * slow / r * first, -angle * fast / r * second
    d = (first - second) / (2 * r)
    dd = (dfirst - dsecond) / (2 * r) - d * damping / r**2
    return Pair(first + slow * d, d, dfirst - slow / r * d + slow * dd, dd)


def _close(damping: float, angle: FloatArray) -> Pair:
    """Return e^{φM} = e^{-δφ}[C I + φS(M + δI)], C = cos√q, S = sin√q/√q, q = φ²(1 - δ²); hyperbolic for q < 0."""
    q = angle**2 * (1 - damping) * (1 + damping)
    root, fade = np.sqrt(np.abs(q)), np.exp(-damping * angle)
    if damping < 1:
        c, s = fade * np.cos(root), fade * np.sin(root)
    else:
        outer, inner = np.exp(root - damping * angle), np.exp(-root - damping * angle)
        c, s = (outer + inner) / 2, (outer - inner) / 2
    small = np.abs(q) < _SERIES_BELOW
    s = np.where(small, fade * _series(q, 0), s / np.where(small, 1.0, root))
    # dC/dq = -S/2, dS/dq = (C - S)/2q
    ds = np.where(small, fade * _series(q, 1), (c - s) / (2 * np.where(small, 1.0, q)))
    dq = -2 * damping * angle**2
    dc, dsine = -angle * c - s / 2 * dq, -angle * s + ds * dq
    return Pair(c + damping * angle * s, angle * s, dc + angle * s + damping * angle * dsine, angle * dsine)


def _series(q: FloatArray, derivative: int) -> FloatArray:
    """Return Σ (-q)ᵏ/(2k + 1)! or its derivative, exact for |q| < 1/4."""
    total = np.zeros_like(q)
    for k in reversed(range(derivative, 9)):
        total = total * q + (-1) ** k * (k if derivative else 1) / factorial(2 * k + 1)
    return total


def _doubled(damping: float, angle: FloatArray) -> tuple[Pair, Pair, Pair]:
    norm = float(angle.max(initial=0.0)) * (1 + 2 * damping)
    doublings = max(int(np.ceil(np.log2(max(norm / _NORM, 1.0)))), 0)
    short = angle / 2.0**doublings
    zero = np.zeros_like(angle)
    phi2 = Pair(np.full_like(angle, 1 / factorial(_TERMS + 2)), zero, zero, zero)
    for k in reversed(range(2, _TERMS + 2)):
        phi2 = _next(phi2, damping, short, 1 / factorial(k))
    phi1 = _next(phi2, damping, short, 1.0)
    exp = _next(phi1, damping, short, 1.0)
    for _ in range(doublings):
        # φ2(2z) = (e^z φ2 + φ1 + φ2)/4, φ1(2z) = (e^z + 1) φ1/2
        phi2 = exp.times(phi2, damping).plus(phi1.plus(phi2), 0.25)
        phi1 = exp.times(phi1, damping).plus(phi1, 0.5)
        exp = exp.times(exp, damping)
    return exp, phi1, phi2


def _next(f: Pair, damping: float, angle: FloatArray, constant: float) -> Pair:
    """Return φM·F + constant."""
    return Pair(
        constant - angle * f.d,
        angle * (f.c - 2 * damping * f.d),
        -angle * f.dd,
        angle * (f.dc - 2 * f.d - 2 * damping * f.dd),
    )
