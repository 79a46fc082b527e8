"""Correction of a whole record, and its deviation from a reference."""

from __future__ import annotations

import numpy as np

from dyncal.correction.inputs import Numbers, samples, standard_uncertainty
from dyncal.correction.streaming.prepared import prepare
from dyncal.correction.streaming.running import RunningFilter
from dyncal.correction.streaming.slots import usable
from dyncal.domain.calibration import Deviation
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray


def correct(
    correction: CorrectionFilter,
    parameters: Parameters,
    raw: Numbers,
    *,
    u_t_s: float = 0.0,
    compiled: bool | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Correct a uniform record: the numbers that a `StreamingCorrector` gives, laid beside the raw samples.

    Parameters
    ----------
    correction : CorrectionFilter
    parameters : Parameters
    raw : float64, shape (n,)
        Indications every ``correction.dt_ns``; NaN where there is none.
    u_t_s : float
        Standard uncertainty of the instants [s].
    compiled : bool, optional
        Whether to run the numba kernels; by default where numba is installed.

    Returns
    -------
    value, u : float64, shape (n,)
        Entry k is about raw sample k. NaN, both, where the window is not whole: at the beginning, around NaN, and in
        the last `delay` samples.

    Raises
    ------
    InvalidData
        As `dyncal.correction.streaming.prepared.prepare`; if `raw` holds no real numbers of one dimension, or `u_t_s`
        is negative or not finite.
    """
    y = samples("raw", raw)
    y = np.where(usable(y), y, np.nan)
    variance = standard_uncertainty("u_t_s", u_t_s) ** 2
    running = RunningFilter(prepare(correction, parameters), compiled=compiled)
    late, u_late = running.advance(y, variance)
    value, u = np.full(y.size, np.nan), np.full(y.size, np.nan)
    ready = max(y.size - correction.delay, 0)
    value[:ready], u[:ready] = late[y.size - ready :], u_late[y.size - ready :]
    return value, u


def deviation(value: FloatArray, u: FloatArray | float, reference: FloatArray, u_reference: float = 0.0) -> Deviation:
    """Return the deviation of values from a reference over the entries in which both are finite.

    Parameters
    ----------
    value : float64, shape (n,)
        Corrected values, or raw indications.
    u : float64, shape (n,), or float
        Their standard uncertainty; for raw indications the sensor's noise.
    reference : float64, shape (n,)
    u_reference : float
        Standard uncertainty of the reference's indications.

    Returns
    -------
    Deviation
        `u` is the standard uncertainty that a single comparison has on average, √(mean(u²) + u_reference²).

    Raises
    ------
    InvalidData
        If shapes differ or no entry can be compared.
    """
    u_each = np.broadcast_to(np.asarray(u, np.float64), value.shape)
    if value.shape != reference.shape:
        raise InvalidData(f"values of shape {value.shape} cannot be compared with a reference of {reference.shape}")
    both = np.isfinite(value) & np.isfinite(reference) & np.isfinite(u_each)
    n = int(np.count_nonzero(both))
    if n == 0:
        raise InvalidData("value and reference have no instant in common")
    difference = value[both] - reference[both]
    return Deviation(
        rms=float(np.sqrt(np.mean(difference**2))),
        maximum=float(np.max(np.abs(difference))),
        u=float(np.sqrt(np.mean(u_each[both] ** 2) + u_reference**2)),
        n=n,
    )
