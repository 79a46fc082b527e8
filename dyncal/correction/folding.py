"""Spectra of sampled signals: what lies beyond Nyquist is folded back, and integrals become cosine sums.

On the midpoints ω_j = (j + ½)Δ, Δ = π/(M·dt), of M frequencies below Nyquist and as many in each of `folds` - 1 bands
above, the covariances of a sampled process are discrete cosine and sine transforms of its folded spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray

ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Folding:
    """The frequencies, and what can be done on them.

    Attributes
    ----------
    dt_s : float
    points : int
        M, frequencies below Nyquist.
    folds : int
        Bands of width π/dt that are covered.
    """

    dt_s: float
    points: int
    folds: int

    @property
    def omega(self) -> FloatArray:
        """Frequencies [rad/s], shape (folds, points), band by band upward."""
        spacing = np.pi / (self.points * self.dt_s)
        omega: FloatArray = (np.arange(self.folds * self.points, dtype=np.float64) + 0.5) * spacing
        return omega.reshape(self.folds, self.points)

    def fold(self, density: ComplexArray | FloatArray) -> ComplexArray:
        """Return Σ over the bands at each frequency below Nyquist, over dt: the density of the sampled process.

        `density` has shape (folds, points). Odd bands come back mirrored, hence conjugated.
        """
        total = np.asarray(density[0::2].sum(axis=0) + np.conj(density[1::2, ::-1]).sum(axis=0), np.complex128)
        return total / self.dt_s

    def unfold(self, response: ComplexArray) -> ComplexArray:
        """Return a digital filter's response, given at `points` frequencies, in all bands: shape (folds, points)."""
        bands = [response if band % 2 == 0 else np.conj(response[::-1]) for band in range(self.folds)]
        return np.stack(bands)

    def covariance(self, folded: FloatArray, lags: int) -> FloatArray:
        """Return r[k] = (1/M) Σ_j F_j cos(k θ_j), k = 0 … lags - 1, θ_j = ω_j·dt."""
        transformed: FloatArray = _transformed(folded)[:lags].real / (2 * self.points)
        return transformed

    def cross_covariance(self, folded: ComplexArray, back: int, ahead: int) -> FloatArray:
        """Return (1/M) Σ_j Re{C_j e^(iθ_j m)} for m = -back … ahead - 1, shape (back + ahead,)."""
        n = max(back + 1, ahead)
        even = _transformed(folded.real)[:n].real / (2 * self.points)
        odd = -_transformed(folded.imag, odd=True)[:n].imag / (2 * self.points)
        later, earlier = even - odd, even + odd
        return np.concatenate([earlier[back:0:-1], later[:ahead]])

    def response(self, taps: FloatArray) -> ComplexArray:
        """Return Σ_k taps[k] e^(-iθ_j k) at the frequencies below Nyquist, shape (points,)."""
        shifted = taps * np.exp(-0.5j * np.pi * np.arange(taps.size) / self.points)
        whole: ComplexArray = np.asarray(np.fft.fft(shifted, 2 * self.points))
        return whole[: self.points]


def _transformed(x: FloatArray, *, odd: bool = False) -> ComplexArray:
    """Return 2 Σ x_j cos(k θ_j), or with `odd` -2i Σ x_j sin(k θ_j), θ_j = π(j + ½)/M, for k = 0 … M, x of shape (M,).

    They are the DCT-II and DST-II by the Fourier transform of x and its mirror image.
    """
    mirrored = -x[::-1] if odd else x[::-1]
    whole = np.fft.rfft(np.concatenate([x, mirrored]))
    turned: ComplexArray = whole * np.exp(-0.5j * np.pi * np.arange(x.size + 1) / x.size)
    return turned
