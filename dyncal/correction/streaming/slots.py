"""Grid slots: what the time stamps leave of a stream before it is filtered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

NO_SAMPLE: Final = -1
"""Instant of a slot that holds no raw sample."""


LARGEST: Final = 1e100
"""Indications from here up are worth nothing: their squares, amplified, would leave the range of numbers."""


def usable(raw: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which indications can be filtered; shape as `raw`."""
    with np.errstate(invalid="ignore"):
        return np.abs(raw) < LARGEST


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Consecutive slots of the filter's grid, each of shape (n,).

    Attributes
    ----------
    t_ns : int64
        Instant of the raw sample in the slot, or `NO_SAMPLE`.
    y : float64
        Indication, measured or bridged; NaN where there is none.
    time_variance : float64
        Variance of the slot's instant: of the stamps, and the sample's distance from the grid squared [s²].
    input_variance : float64
        Variance that `y` has beyond the sensor's noise: from its distance from the grid, or because it is bridged.
    """

    t_ns: Int64Array
    y: FloatArray
    time_variance: FloatArray
    input_variance: FloatArray
