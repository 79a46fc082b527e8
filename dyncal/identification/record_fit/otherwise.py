"""The reference read otherwise than the model reads it: what is left of it in residuals is no noise."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.track import Track

_LAGS: Final = np.arange(-4, 12)
_SLOW: Final = (16.0, 50.0, 150.0, 500.0)  # samples
WITHIN: Final = slice(int(_LAGS[-1]), int(_LAGS[0]))
"""The indications for which all lags lie within the segment."""
SHORTEST_READ: Final = 4 * _LAGS.size
"""Indications below which nothing is to be learnt from so many columns."""


def otherwise(track: Track) -> FloatArray:
    """Return the reference at the indications of a segment, earlier, later and smoothed, shape (n_y, 20).

    Any linear sensor without long memory of its own is a sum of these (Ljung, System Identification, 2nd ed., 16.6).
    """
    u = np.append(track.begins, track.u1)[np.append(0, np.flatnonzero(track.observed >= 0) + 1)]
    u = u - u.mean()
    return np.stack([*(np.roll(u, lag) for lag in _LAGS), *(_smoothed(u, samples) for samples in _SLOW)], axis=1)


def _smoothed(u: FloatArray, samples: float) -> FloatArray:
    from scipy.signal import lfilter  # noqa: PLC0415 - only where residuals are in doubt

    pole = float(np.exp(-1 / samples))
    return np.asarray(lfilter([1 - pole], [1.0, -pole], u, zi=[pole * u[0]])[0], dtype=np.float64)
