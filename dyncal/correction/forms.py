"""Correction by whatever a set carries: filter or smoother, over a stream or over a record of any instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dyncal.correction import safety
from dyncal.correction.design.sensor import sensor_of
from dyncal.correction.inputs import Numbers, instants, samples, standard_uncertainty
from dyncal.correction.smoother.build import model_of
from dyncal.correction.smoother.stream import StreamingSmoother
from dyncal.correction.streaming.corrector import Corrector
from dyncal.correction.streaming.stream import StreamingCorrector
from dyncal.domain.coefficients import Correction, CorrectionFilter, Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array


def corrector_of(
    correction: Correction, parameters: Parameters, set_id: str, *, compiled: bool | None = None
) -> Corrector:
    """Return what corrects a stream.

    Parameters
    ----------
    correction : CorrectionFilter or CorrectionSmoother
    parameters : Parameters
    set_id : str
        Names the set in the spans that come out.
    compiled : bool, optional
        Whether to run the numba kernels; by default where numba is installed.

    Raises
    ------
    InvalidData
        If the correction cannot be run: `dyncal.correction.safety.check` tells before.
    """
    if isinstance(correction, CorrectionFilter):
        return StreamingCorrector(_Carried(set_id, correction, parameters), compiled=compiled)
    return StreamingSmoother(model_of(correction, parameters), parameters, set_id, compiled=compiled)


def correct_at(
    correction: Correction,
    parameters: Parameters,
    t_ns: Sequence[int] | Int64Array,
    raw: Numbers,
    *,
    u_t_s: float = 0.0,
    compiled: bool | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Correct a record at its instants, as an edge would.

    Parameters
    ----------
    correction : CorrectionFilter or CorrectionSmoother
    parameters : Parameters
    t_ns : int64, shape (n,)
        Whole nanoseconds, strictly increasing.
    raw : float64, shape (n,)
        Indications; NaN where there is none.
    u_t_s : float
        Standard uncertainty of the instants [s].

    Returns
    -------
    value, u : float64, shape (n,)
        Entry k is about raw sample k. NaN, both, where nothing can be said, and in the last latency of the record.

    Raises
    ------
    InvalidData
        As `corrector_of` and `Corrector.process`; if `u_t_s` is negative or not finite.
    """
    u_t_ns = standard_uncertainty("u_t_s", u_t_s) * NS_PER_S
    t, y = instants("t_ns", t_ns), samples("raw", raw)
    corrector = corrector_of(correction, parameters, "", compiled=compiled)
    value, u = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    span = corrector.process(t, y, None, u_t_ns)
    if span is not None:
        at = np.searchsorted(t, span.axis.t_ns)
        value[at], u[at] = span.value, span.u
    return value, u


def dc_gain_of(correction: Correction, parameters: Parameters) -> float:
    """Return the gain at DC: of a smoother that of the sensor's inverse. Raises `InvalidData` of no sensor."""
    if isinstance(correction, CorrectionFilter):
        return safety.dc_gain(correction.fir, correction.sos)
    return 1 / sensor_of(parameters).dc_gain


@dataclass(frozen=True, slots=True, eq=False)
class _Carried:
    """What a `StreamingCorrector` takes of a set."""

    id: str
    filter: CorrectionFilter
    parameters: Parameters
