"""Monte Carlo of the correction of a record: the judge of the streaming uncertainty (JCGM 101)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyncal.correction.inputs import Numbers, instants, samples
from dyncal.correction.monte_carlo.filters import of_filter
from dyncal.correction.monte_carlo.record import CorrectedMonteCarlo, Inputs
from dyncal.correction.monte_carlo.smoothers import of_smoother
from dyncal.domain.coefficients import Correction, CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import Int64Array
from dyncal.uncertainty.response import Response
from dyncal.uncertainty.settings import MonteCarloSettings

__all__ = ["CorrectedMonteCarlo", "correction_monte_carlo"]


def correction_monte_carlo(
    correction: Correction,
    parameters: Parameters,
    response: Response,
    raw: Numbers,
    *,
    t_ns: Sequence[int] | Int64Array | None = None,
    noise_std: float | None = None,
    u_t_s: float = 0.0,
    seed: int,
    settings: MonteCarloSettings | None = None,
) -> CorrectedMonteCarlo:
    """Propagate all that a correction and its parameters say through the correction of a record.

    Parameters
    ----------
    correction : CorrectionFilter or CorrectionSmoother
        Recursive sections of a filter start in the steady state of their first input; the samples until they have
        settled, NaN in a stream, are in the result.
    parameters : Parameters
        θ̂ and its covariance, the reference's gain uncertainty included.
    response : Response
        The sensor model.
    raw : float64, shape (n,)
        Indications, finite; before them the sensor rested at the first.
    t_ns : int64, shape (n,), optional
        Their instants, strictly increasing, for a smoother; without them the record is uniform, every
        ``correction.dt_ns``.
    noise_std : float, optional
        Standard deviation of the sensor's white noise; by default what the correction says.
    u_t_s : float
        Standard uncertainty of the clock [s], common to the record's samples.
    seed : int
        Not negative.
    settings : MonteCarloSettings, optional
        By default the adaptive procedure (JCGM 101, 7.9).

    Raises
    ------
    InvalidData
        If the record is too short, too long or not finite, a pole is not inside the unit circle, the covariance is
        none, draws are no sensors (`MonteCarloSettings.max_invalid_share`), or instants are given of a filter.
    """
    y = samples("raw", raw)
    if not bool(np.all(np.isfinite(y))):
        raise InvalidData(f"{int(np.count_nonzero(~np.isfinite(y)))} samples of the record are not finite")
    inputs = Inputs(noise_std, u_t_s)
    if isinstance(correction, CorrectionFilter):
        if t_ns is not None:
            raise InvalidData("the record of a filter is uniform, without instants")
        return of_filter(correction, parameters, response, y, inputs, seed=seed, settings=settings)
    t = correction.dt_ns * np.arange(y.size, dtype=np.int64) if t_ns is None else instants("t_ns", t_ns)
    return of_smoother(correction, parameters, response, t, y, inputs, seed=seed, settings=settings)
