"""What can be said of a record before anything is fitted to it, and of a result before anyone believes it."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray

_NOTHING: Final = 1e-100  # squares of less are 0
_CLIPPED_SHARE: Final = 0.05
_CLIPPED_RUN: Final = 3
_GAIN_LIMITS: Final = (0.1, 10.0)
_CELSIUS_K: Final = 273.15
_NEAR_K: Final = 5.0  # what else may lie between the means of two sensors of one temperature


def trouble_with(name: str, values: FloatArray) -> str:
    """Return what is wrong with a record of finite values, or an empty string: constant, or clipped at an end."""
    return constant(name, values) or clipped(name, values)


def constant(name: str, values: FloatArray) -> str:
    """Say of a record of finite values that it does not move, or return an empty string."""
    low, high = float(values.min()), float(values.max())
    moves = np.isfinite(high - low) and high - low > max(1e-12 * max(abs(low), abs(high)), _NOTHING)
    return "" if moves else f"the {name} is constant ({low:.6g})"


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
            return saturated(name, level, float(np.mean(at)))
    return ""


def quantised(values: FloatArray) -> bool:
    """Tell whether a record takes so few values that equal neighbours are nothing special."""
    return bool(np.unique(values).size < values.size / 2)


def saturated(name: str, level: float, share: float) -> str:
    """Say that a channel is saturated."""
    return f"the {name} is saturated at {level:.6g} ({100 * share:.1f} % of the samples)"


def kelvin(y: FloatArray, r: FloatArray) -> str:
    """Say that one of two channels (NaN: not measured) seems to be in kelvin, or return an empty string."""
    both = np.isfinite(y) & np.isfinite(r)
    if not both.any():
        return ""
    higher = float(np.mean(y[both]) - np.mean(r[both]))
    if abs(abs(higher) - _CELSIUS_K) > _NEAR_K or np.std(r[both]) > _CELSIUS_K:
        return ""
    one, other = ("indication", "reference") if higher > 0 else ("reference", "indication")
    return f"the {one} is {abs(higher):.4g} above the {other}: one in kelvin, and the other in degrees Celsius?"


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
