"""Correction of a whole record, and its deviation from a reference."""

from __future__ import annotations

from dyncal.domain.calibration import Deviation
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.samples import FloatArray


def correct(
    correction: CorrectionFilter, parameters: Parameters, raw: FloatArray, *, u_t_s: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Correct a uniform record.

    Parameters
    ----------
    raw : float64, shape (n,)
        Indications every ``correction.dt_ns``.

    Returns
    -------
    value, u : float64, shape (n,)
        Entry k is about raw sample k; NaN, both, where the filter's window is not full: at the beginning, and in the
        last `delay` samples.
    """
    raise NotImplementedError


def deviation(value: FloatArray, u: FloatArray | float, reference: FloatArray, u_reference: float = 0.0) -> Deviation:
    """Return the deviation of corrected (or raw) values from a reference, entries with NaN left out."""
    raise NotImplementedError
