"""Whether the indication follows the reference later than dead times were looked for."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.segments import Taken
from dyncal.identification.record_fit.start import richest, uniform

_FARTHEST: Final = 0.8  # of the record: beyond it too little is left to be compared
_CLEARER: Final = 1.15
_CLEAR: Final = 6.0  # of correlation times √n


def later_than(taken: Taken, reach_s: float) -> float | None:
    """Return the lag [s] beyond `reach_s` at which the two are most alike, if more than at any lag within it.

    By their correlation over what overlaps, times the root of its length. The sensor's own lag is in it.
    """
    data = uniform(richest(taken), taken.dt_s)
    y, u = data.y - data.y.mean(), data.u - data.u.mean()
    n = y.size
    within = round(reach_s / data.dt_s) + 1
    lags = np.arange(int(_FARTHEST * n))
    if within >= lags.size:
        return None
    alike = _products(y, u)[lags] * np.sqrt(n - lags)
    power = np.cumsum(y[::-1] ** 2)[::-1][lags] * np.cumsum(u**2)[n - 1 - lags]
    clear = np.abs(alike) / np.sqrt(np.maximum(power, 1e-300))
    best = within + int(np.argmax(clear[within:]))
    found = clear[best] > max(_CLEAR, _CLEARER * float(clear[:within].max()))
    return float(best * data.dt_s) if found else None


def _products(y: FloatArray, u: FloatArray) -> FloatArray:
    """Return Σ y[i + k] u[i] for k = 0 … n - 1."""
    size = 1 << (2 * y.size - 1).bit_length()
    return np.asarray(np.fft.irfft(np.fft.rfft(y, size) * np.conj(np.fft.rfft(u, size)), size)[: y.size])
