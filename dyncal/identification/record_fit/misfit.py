"""Whether a model of another kind would explain far more: what no noise model must be allowed to hide."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.segments import Taken
from dyncal.identification.record_fit.shapes import coefficients, grid_of_order, shape_of
from dyncal.identification.record_fit.srivc import screened, srivc
from dyncal.identification.record_fit.start import read_later
from dyncal.models import SensorModel

MUCH_MORE: Final = 3.0
"""Ratio of residual variances; smoothing away the reference's noise gains less than that."""
_MORE_POLES: Final = 2
_MOST_POLES: Final = 6
_FAST: Final = (0.3, 0.1)  # sampling intervals: lags that change nothing, to begin from
_TRIED: Final = 3


def left_by_higher_order(
    model: SensorModel, eta: FloatArray, taken: Taken, delay_s: float, offset: float, own_variance: float
) -> float:
    """Return the residual variance of this model over that of one with two more poles and zeros, both by simulation.

    Noise that enters with the measurand, or with the reference, colours the residuals of the right model, but leaves
    little in them that follows from the reference; a wrong model leaves much. Returns 1 where it cannot be said.
    `own_variance` is what its fit leaves: less than the simulation where that takes another course between samples.
    """
    shape = shape_of(model)
    n = min(model.n_states + _MORE_POLES, _MOST_POLES)
    if shape is None or n == model.n_states:
        return 1.0
    data = read_later(taken, delay_s, offset)
    poles = np.asarray(np.linalg.eigvals(model.state_space(eta).a), dtype=np.complex128)
    own = screened(data, coefficients(poles)[None], shape.n_zeros)
    fast = -1 / (data.dt_s * np.asarray(_FAST[: n - model.n_states]))
    grid = grid_of_order(n)(data.dt_s, data.dt_s * data.y.size)
    begins = [coefficients(np.concatenate([poles, fast])), *(each.a for each in screened(data, grid, n - 1)[:_TRIED])]
    refined = [srivc(data, begin[0], n - 1) for a in begins if (begin := screened(data, a[None], n - 1))]
    if not own or not refined:
        return 1.0
    left = min(own[0].sse, own_variance * data.y.size)
    return left / max(min(each.sse for each in refined), 1e-300)
