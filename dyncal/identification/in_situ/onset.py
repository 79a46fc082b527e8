"""When a relaxation began, by its own record: the test of a stated instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.in_situ.modes import Transient, correlation

_BEFORE: Final = 60
"""Bins of what lies before the stated instant."""
_LEAST: Final = 4
"""Bins that there must be before an instant that is looked at."""
_LATEST: Final = 0.6
"""Of the record: a later beginning leaves too little of a relaxation."""
_RATES: Final = 7
_SURE: Final = 30.0  # twice a log-likelihood ratio, many instants being tried
_FLAT: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Onset:
    """The likeliest beginning [s after the stated instant], and twice the log-likelihood ratio against the stated."""

    late_s: float
    by: float

    @property
    def surely(self) -> bool:
        """Whether the relaxation did not begin at the stated instant."""
        return self.by > _SURE


def onset(t_s: FloatArray, y: FloatArray, skip_s: float, *, drift: bool) -> Onset:
    """Return when a relaxation began whose shape is any sum of exponentials, on a level (or slope) that jumps there.

    Parameters
    ----------
    t_s, y : float64, shape (n,)
        Times since the stated instant [s], samples before it included, and indications.
    skip_s : float
        Time after it that is left out [s].
    """
    data = _binned(t_s, y, skip_s)
    ends = data.t_s[0], data.t_s[-1]
    tried = data.t_s[_LEAST:][data.t_s[_LEAST:] < ends[0] + _LATEST * (ends[1] - ends[0])]
    residuals = [_left(data, float(each), drift=drift) for each in (0.0, *tried)]
    left = np.array([float(e @ e) for e in residuals])
    best = int(np.argmin(left))
    # noise that is not white makes differences of its own, as many times as large
    n = (data.t_s.size - _RATES - 3) / correlation([data], residuals[best])
    # no better than rounding is no better
    floor = _FLAT * float(np.sum((data.weight * (data.y - data.y.mean())) ** 2))
    by = n * float(np.log((left[0] + floor) / (left[best] + floor)))
    return Onset(float(tried[best - 1]) if best else 0.0, by)


def _binned(t_s: FloatArray, y: FloatArray, skip_s: float) -> Transient:
    after = t_s > skip_s
    found = Transient.of(t_s[after], y[after])
    before = np.flatnonzero(t_s <= 0)
    parts = [part for part in np.array_split(before, _BEFORE) if part.size]
    return Transient(
        np.concatenate([[t_s[part].mean() for part in parts], found.t_s]),
        np.concatenate([[y[part].mean() for part in parts], found.y]),
        np.sqrt(np.concatenate([[part.size for part in parts], found.weight**2])),
    )


def _left(data: Transient, begin_s: float, *, drift: bool) -> FloatArray:
    """Return the weighted residuals that a relaxation from `begin_s` on leaves."""
    since = data.t_s - begin_s
    on = since > 0
    rates = np.geomspace(1 / max(float(since[-1]), 1e-300), 100 / max(float(since[-1]), 1e-300), _RATES)
    columns = [np.ones(since.size), on.astype(np.float64)]
    columns += [data.t_s / abs(data.t_s[-1])] * drift
    columns += [np.where(on, np.exp(-np.maximum(since, 0.0) * rate), 0.0) for rate in rates]
    basis = np.stack(columns, axis=1) * data.weight[:, None]
    target = (data.y - data.y.mean()) * data.weight
    solution = np.linalg.lstsq(basis, target, rcond=1e-9)[0]
    return np.asarray(target - basis @ solution)
