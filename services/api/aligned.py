"""A sensor's indications with the reference's at the same instants, from the store."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray, SampleSeries
from dyncal.domain.time import Int64Array

_BRIDGED: Final = 2.5  # intervals of the reference, as calibration bridges


def reference_at(t_ns: Int64Array, reference: SampleSeries) -> FloatArray:
    """Return the reference's indications at instants, linearly between its neighbours; float64, of the shape of `t_ns`.

    NaN before its first and after its last sample, and between samples that are further apart than one lost one.
    """
    good = np.isfinite(reference.raw)
    at_ns, value = reference.t_ns[good], reference.raw[good]
    if at_ns.size < 2:
        return np.full(t_ns.shape, np.nan)
    origin = int(at_ns[0])  # float64 does not hold nanoseconds since 1970
    since, at = (t_ns - origin).astype(np.float64), (at_ns - origin).astype(np.float64)
    found = np.interp(since, at, value, left=np.nan, right=np.nan)
    steps = np.diff(at_ns)
    before = np.clip(np.searchsorted(at_ns, t_ns, side="right") - 1, 0, steps.size - 1)
    far = steps[before] > _BRIDGED * float(np.median(steps))
    beside = (at_ns[before] != t_ns) & (at_ns[before + 1] != t_ns)
    return np.where(far & beside, np.nan, found)
