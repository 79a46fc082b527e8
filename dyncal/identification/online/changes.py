"""What has changed: the sensor, or the zero or the clock between it and its reference, which look alike at first.

After a jump the likelihood of the samples since, of coordinates h and offsets u = (zero, clock), is to first order
(`online.shifts`)::

    D(h, u) = (h - ĥ - C u)ᵀ V⁻¹ (h - ĥ - C u) + uᵀJu - 2sᵀu

The sensor has changed if the old gain with another zero, and the old lags with another clock, are out of the question:
D, the old values with their covariance P, at the best u, beyond that of u = 0 and h free by the square of `SURE`::

    D = (d - c u)ᵀ (V + P)⁻¹ (d - c u) + J u² - 2su,    d = h_old - ĥ, c = C, of the coordinates that are to be the same

What else changed is left free, so it may have changed too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.online.posterior import Posterior, inverse
from dyncal.identification.online.shifts import MOST_SCATTER
from dyncal.identification.settings import OnlineSettings
from dyncal.identification.shift import STATED, SURE, Shift

_MATTERS: Final = 4.0  # standard uncertainties, of before and now, by which a parameter is another
_LEAST: Final = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What was known of a sensor before it changed: coordinates of the model (p,) and their covariance (p, p)."""

    eta: FloatArray
    cov: FloatArray

    @classmethod
    def of(cls, posterior: Posterior) -> Known:
        """Return it of a posterior."""
        p = posterior.trend.size
        return cls(posterior.h[:p].copy(), posterior.scatter * posterior.cov[:p, :p])


def instead(
    before: Known, now: Posterior, weight: FloatArray, score: FloatArray, u_clock_s: float, settings: OnlineSettings
) -> Shift | None:
    """Return the offset that may have come instead of what seems to have changed; None where none is left.

    Parameters
    ----------
    before : Known
    now : Posterior
        From the samples since.
    weight, score : float64, shapes (2, 2), (2,)
        J and s.
    u_clock_s : float
        Of the course between samples (`shifts.u_course`, `shifts.u_bend`).
    settings : OnlineSettings
        What they state of offsets is in the covariance already.
    """
    p = before.eta.size
    scatter = min(now.scatter, MOST_SCATTER)
    both = scatter * now.cov[:p, :p] + before.cov
    away, u_both = before.eta - now.h[:p], np.sqrt(np.maximum(np.diag(both), _LEAST))
    left: list[tuple[float, Shift]] = []
    for i, same, stated, u in (
        (0, slice(0, 1), settings.u_reference, 0.0),
        (1, slice(1, p), settings.u_clock_s, u_clock_s),
    ):
        own = 1 / (scatter / weight[i, i] + u**2) if weight[i, i] > 0 else 0.0
        pull = own * score[i] / weight[i, i] if weight[i, i] > 0 else 0.0
        d, c = away[same], now.considered[:p, i][same]
        w = inverse(both[same, same])
        certain = max(float(c @ w @ c) + own, _LEAST)
        value = float((c @ w @ d + pull) / certain)
        deviance = float(d @ w @ d) - certain * value**2
        moved = float(np.max(np.abs(now.considered[:p, i] * value) / u_both))
        if deviance < SURE**2 and moved > _MATTERS and abs(value) > STATED * stated:
            left.append((deviance, Shift(i == 1, value, float(1 / np.sqrt(certain)), moved)))
    return min(left, key=lambda each: each[0])[1] if left else None
