"""The innovation gain: a Kalman filter at rest, for unknown input noise.

What the reference does not show of the measurand (its own noise, and what happens between its samples) reaches the
sensor like a white input of variance v a sample; the sensor adds noise of variance R. The ratio is the one coordinate
of the noise model, κ = ln(v/R): K(κ) is stable by construction, and two free components of K would not be.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel
from dyncal.models import Hold, SensorModel

NO_NOISE: Final = 40.0
"""As -κ: output error; there K is 0 to the last digit, and is not computed."""
_PIECES: Final = 4


@kernel("i8(f8[:, ::1], f8[:, ::1], f8[::1], f8, f8[::1], f8[::1])")
def riccati_gain(
    phi: FloatArray, q: FloatArray, c: FloatArray, ratio: float, gain: FloatArray, slope: FloatArray
) -> int:
    """Iterate P₊ = Φ(I - Kc)P Φᵀ + ratio·Q, K = Pcᵀ/(cPcᵀ + 1), to rest; write K and dK/d ln(ratio); return the steps.

    phi, q (2, 2); c, gain, slope (2,).
    """
    p00, p01, p11 = ratio * q[0, 0], ratio * q[0, 1], ratio * q[1, 1]
    d00, d01, d11 = p00, p01, p11
    for step in range(100_000):
        # P cᵀ and its derivative
        m0, m1 = p00 * c[0] + p01 * c[1], p01 * c[0] + p11 * c[1]
        n0, n1 = d00 * c[0] + d01 * c[1], d01 * c[0] + d11 * c[1]
        s = c[0] * m0 + c[1] * m1 + 1.0
        t = c[0] * n0 + c[1] * n1
        gain[0], gain[1] = m0 / s, m1 / s
        slope[0], slope[1] = (n0 - gain[0] * t) / s, (n1 - gain[1] * t) / s
        # F = Φ(I - Kc); P₊ = F P Φᵀ + ratio Q is symmetric at rest; dP₊ = F dP Fᵀ + ratio Q
        l00, l01 = 1.0 - gain[0] * c[0], -gain[0] * c[1]
        l10, l11 = -gain[1] * c[0], 1.0 - gain[1] * c[1]
        a00, a01 = l00 * p00 + l01 * p01, l00 * p01 + l01 * p11
        a11 = l10 * p01 + l11 * p11
        new00 = phi[0, 0] ** 2 * a00 + 2 * phi[0, 0] * phi[0, 1] * a01 + phi[0, 1] ** 2 * a11 + ratio * q[0, 0]
        new01 = (
            phi[0, 0] * phi[1, 0] * a00
            + (phi[0, 0] * phi[1, 1] + phi[0, 1] * phi[1, 0]) * a01
            + phi[0, 1] * phi[1, 1] * a11
            + ratio * q[0, 1]
        )
        new11 = phi[1, 0] ** 2 * a00 + 2 * phi[1, 0] * phi[1, 1] * a01 + phi[1, 1] ** 2 * a11 + ratio * q[1, 1]
        f00, f01 = phi[0, 0] * l00 + phi[0, 1] * l10, phi[0, 0] * l01 + phi[0, 1] * l11
        f10, f11 = phi[1, 0] * l00 + phi[1, 1] * l10, phi[1, 0] * l01 + phi[1, 1] * l11
        g00, g01 = f00 * d00 + f01 * d01, f00 * d01 + f01 * d11
        g10, g11 = f10 * d00 + f11 * d01, f10 * d01 + f11 * d11
        e00 = g00 * f00 + g01 * f01 + ratio * q[0, 0]
        e01 = g00 * f10 + g01 * f11 + ratio * q[0, 1]
        e11 = g10 * f10 + g11 * f11 + ratio * q[1, 1]
        moved = abs(new00 - p00) + abs(new11 - p11) + abs(e00 - d00) + abs(e11 - d11)
        size = abs(new00) + abs(new11) + abs(e00) + abs(e11)
        p00, p01, p11 = new00, new01, new11
        d00, d01, d11 = e00, e01, e11
        if moved <= 1e-9 * size:
            return step
    return 100_000


class InnovationGain:
    """K(κ) of a model at fixed coordinates η and interval h [s]."""

    def __init__(self, model: SensorModel, eta: FloatArray, h_s: float) -> None:
        self._c = np.asarray(model.output)
        self._model, self._eta, self._h_s = model, eta, h_s
        self._parts: tuple[FloatArray, FloatArray] | None = None

    def at(self, kappa: float) -> tuple[FloatArray, FloatArray]:
        """Return K and dK/dκ, each of shape (2,)."""
        gain, slope = np.zeros(2), np.zeros(2)
        if kappa <= -NO_NOISE:
            return gain, slope
        if self._parts is None:
            self._parts = self.discretised()
        phi, q = self._parts
        if np.all(np.isfinite(phi)) and np.all(np.isfinite(q)):
            riccati_gain(phi, q, self._c, float(np.exp(kappa)), gain, slope)
        return gain, slope

    def discretised(self) -> tuple[FloatArray, FloatArray]:
        """Return Φ and Q of one interval, each (2, 2)."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            parts = self._model.discretise(self._eta, self._h_s * np.arange(1, _PIECES + 1) / _PIECES, Hold.ZERO)
        # step responses after 1/4 … 4/4 of an interval: their differences are what noise in each quarter does
        reach = np.diff(parts.gamma[:, :, 0], axis=0, prepend=0.0)
        return np.ascontiguousarray(parts.phi[-1]), np.ascontiguousarray(_PIECES * reach.T @ reach)
