"""Correction of a stream that is known to be sampled evenly, at the least cost a call."""

from __future__ import annotations

import numpy as np

from dyncal.correction.inputs import Numbers, outputs, samples, standard_uncertainty
from dyncal.correction.streaming import kernels
from dyncal.correction.streaming.plain_running import PlainCorrection
from dyncal.correction.streaming.prepared import prepare
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA

_NONE = np.empty(0)


class UniformCorrector:
    """Corrects samples that come every ``correction.dt_ns``, without time stamps.

    The numbers are those of `dyncal.correction.streaming.stream.StreamingCorrector`, to the last bit, on the same
    samples; entry k is about the sample `delay` before sample k. State: one window and two numbers a section.

    Parameters
    ----------
    correction : CorrectionFilter
    parameters : Parameters
    u_t_s : float
        Standard uncertainty of the instants [s].
    compiled : bool, optional
        Whether to run the numba kernels; by default where numba is installed.

    Raises
    ------
    InvalidData
        If filter and parameters do not fit, or a pole is not inside the unit circle.
    """

    def __init__(
        self,
        correction: CorrectionFilter,
        parameters: Parameters,
        *,
        u_t_s: float = 0.0,
        compiled: bool | None = None,
    ) -> None:
        self._prepared = prepare(correction, parameters)
        self._packed = self._prepared.packed
        self._time = np.array([standard_uncertainty("u_t_s", u_t_s) ** 2])
        self._compiled = HAVE_NUMBA if compiled is None else compiled
        self.reset()

    @property
    def delay(self) -> int:
        """Declared latency [samples]."""
        return self._prepared.delay

    def reset(self) -> None:
        """Forget the stream."""
        self._state = self._prepared.fresh_state()
        self._plain = None if self._compiled else PlainCorrection(self._prepared)

    def process(
        self, raw: Numbers, *, out: tuple[FloatArray, FloatArray] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Correct the next samples.

        Parameters
        ----------
        raw : float64, shape (n,)
            Indications; what is not finite or beyond 1e100 is worth nothing.
        out : (float64, float64), each of shape (n,), optional
            Where value and u are written; neither may lie over `raw`.

        Returns
        -------
        value, u : float64, shape (n,)
            NaN, both, until the window is whole and the recursive sections have settled.

        Raises
        ------
        InvalidData
            If shapes or types do not fit; the state is then unchanged.
        """
        y = samples("raw", raw)
        value, u = outputs(y, out)
        if self._plain is None:
            kernels.correct(self._packed, self._state, y, self._time, _NONE, value, u)
        else:
            self._plain.run(y, self._time, _NONE, value, u)
        return value, u
