"""What can be said of a record before anything is fitted to it, and of a result before anyone believes it."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray

_CLIPPED_SHARE: Final = 0.05
_CLIPPED_RUN: Final = 3
_GAIN_LIMITS: Final = (0.1, 10.0)


def trouble_with(name: str, values: FloatArray) -> str:
    """Return what is wrong with a record of finite values, or an empty string: constant, or clipped at an end."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low) or high - low <= 1e-12 * max(abs(low), abs(high)):
        return f"the {name} is constant ({low:.6g})"
    return clipped(name, values)


def clipped(name: str, values: FloatArray) -> str:
    """Return at which end a record that moves is clipped, or an empty string."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return ""
    coarse = quantised(values)
    for level in (low, high):
        at = values == level
        stays = int(np.count_nonzero(at[1:] & at[:-1]))
        if stays > _CLIPPED_SHARE * values.size or (not coarse and stays >= _CLIPPED_RUN):
            return _saturated(name, level, float(np.mean(at)))
    return ""


def quantised(values: FloatArray) -> bool:
    """Tell whether a record takes so few values that equal neighbours are nothing special."""
    return bool(np.unique(values).size < values.size / 2)


def clipped_text(name: str, found: FloatArray) -> str:
    """Return what `clipped` does, from what `passes.fit_blocks` found: side, level and share."""
    return _saturated(name, float(found[1]), float(found[2])) if found[0] else ""


def _saturated(name: str, level: float, share: float) -> str:
    return f"the {name} is saturated at {level:.6g} ({100 * share:.1f} % of the samples)"


def trouble_with_gain(gain: float) -> str:
    """Return what a gain says against the pair, or an empty string: wrong sign, wrong unit."""
    if gain < 0:
        return f"the gain is negative ({gain:.4g}): sensor or reference has the wrong sign"
    if _GAIN_LIMITS[0] <= gain <= _GAIN_LIMITS[1]:
        return ""
    decades = 3 * round(np.log10(max(gain, 1e-300)) / 3)
    if decades and abs(np.log10(gain) - decades) < 0.3:
        return f"the gain is {gain:.4g}: the units of sensor and reference seem to differ by a factor of 1e{decades:+d}"
    return f"the gain is {gain:.4g}, far from 1: sensor and reference do not show one measurand in one unit"
