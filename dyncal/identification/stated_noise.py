"""What a reference's own values say against the noise that is stated of it."""

from __future__ import annotations

from math import comb
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray

_ORDERS: Final = (1, 2, 3, 4)
_FEWEST: Final = 32
_CLEARLY: Final = 3.0
_COMMANDED: Final = 0.5


def contradiction(reference: FloatArray, u_noise: float) -> str:
    """Say that a record (n,) cannot have the white noise that is stated of it, or return an empty string.

    Differences of order k of a measurand with white noise σ besides have at least the noise's part of their mean
    square, (2k over k) σ². So the least over several orders bounds σ from above; on few samples it is off by a factor
    that 3 covers. What a coarse converter holds back does not show: the bound is no less than a step of it. Of a
    reference that mostly repeats itself, as a command, nothing is said; NaN is passed over.
    """
    values = reference[np.isfinite(reference)]
    if not u_noise > 0 or values.size < _FEWEST:
        return ""
    steps = np.diff(values)
    moving = np.abs(steps[steps != 0])
    if moving.size < _COMMANDED * steps.size:
        return ""
    squares = [float(np.mean(np.diff(values, order) ** 2)) / comb(2 * order, order) for order in _ORDERS]
    bound = max(float(np.sqrt(min(squares))), float(moving.min()))
    if u_noise <= _CLEARLY * bound:
        return ""
    return (
        f"the reference's noise is stated as {u_noise:.3g}, but it differs from sample to sample by no more than a "
        f"noise of {bound:.2g} would make it"
    )
