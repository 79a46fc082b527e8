"""An FIR filter with uncertain taps, over a stream."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dyncal.correction import inputs
from dyncal.correction.inputs import Numbers
from dyncal.correction.streaming import kernels, plain
from dyncal.correction.streaming.slots import usable
from dyncal.correction.uncertain.recursive import Past, check_past, coloured
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA

_MOST_TAPS = 4096


class UncertainFIR:
    """Filters a stream by y[n] = Σ_j taps[j] x[n-j] and gives y its standard uncertainty, sample by sample.

    With x the window, g the taps, U their covariance and Σ that of the noise of x (Elster & Link, Metrologia 45 (2008)
    464, eq. 34):

        u² = gᵀ Σ g + xᵀ U x + tr(U Σ).

    xᵀ U x is a sum of squares by a factor of U, as many FIR filters as U has rank. The result does not depend on how
    the stream is cut: to the last bit with kernels, to 1e-12 with numpy. Exact, not of first order.

    Parameters
    ----------
    taps : sequence of float
        At most 4096.
    cov : (n, n), optional
        Covariance of the taps. Without it they are exact.
    u_x : float
        Standard deviation of white noise in x.
    autocovariance : sequence of float, optional
        Autocovariance r[0], r[1] … of further stationary noise in x; zero beyond.
    past : {"unknown", "constant"}
        What x was before the first sample. Unknown: y and u are NaN until the window is whole. Constant: as the first
        sample, and y begins with it.
    compiled : bool, optional
        Whether to run the numba kernels; by default where numba is installed.

    Notes
    -----
    A sample that is not finite, or beyond 1e100, gives NaN as long as it is in the window.

    Raises
    ------
    InvalidData
        If the covariance is indefinite, shapes do not fit, a number is not finite.
    """

    def __init__(
        self,
        taps: Numbers,
        cov: npt.ArrayLike | None = None,
        *,
        u_x: float = 0.0,
        autocovariance: Numbers | None = None,
        past: Past = "unknown",
        compiled: bool | None = None,
    ) -> None:
        check_past(past)
        self.taps = inputs.numbers("taps", taps)
        n = self.taps.size
        if n > _MOST_TAPS:
            raise InvalidData(f"{n} taps, at most {_MOST_TAPS} are run")
        whole = inputs.covariance("the covariance of the taps", cov, n)
        self.factor = inputs.factor(whole)
        inputs.check_gain("the filter", float(np.abs(self.taps).sum() + np.abs(self.factor).sum()))
        self._squares = self.taps**2 + np.diag(whole)  # what a variance at the input is worth, tap by tap
        self._white = inputs.standard_uncertainty("u_x", u_x) ** 2
        self._fixed = 0.0
        if autocovariance is not None:
            r = inputs.numbers("autocovariance", autocovariance)
            # tr(U Σ) is the same sum over the diagonals of U as gᵀ Σ g over those of g gᵀ
            diagonals = [np.trace(whole, k) + self.taps[: n - k] @ self.taps[k:] for k in range(min(r.size, n))]
            self._fixed = coloured(r, np.pad(np.array(diagonals), (0, r.size - len(diagonals))))
        self._variance = np.array([self._white * float(self._squares.sum()) + self._fixed])
        self._past: Past = past
        self._compiled = HAVE_NUMBA if compiled is None else compiled
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._window = np.full(self.taps.size - 1, np.nan)
        self._variances: FloatArray | None = None  # of the window's samples, where they are given
        self._new = True

    def process(
        self, x: Numbers, u_x: Numbers | None = None, *, out: tuple[FloatArray, FloatArray] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Filter the next samples; arguments, results and errors as `UncertainIIR.process`."""
        x = inputs.samples("x", x)
        y, u = inputs.outputs(x, out)
        given = None if u_x is None else inputs.deviations(u_x, x) ** 2
        if not x.size:
            return y, u
        if given is not None:
            x = np.where(np.isfinite(given), x, np.nan)
        if self._new:
            if self._past == "constant":
                self._window[:] = x[0] if abs(x[0]) < 1e100 else np.nan
            self._new = False
            if given is not None:
                self._variances = np.full(self.taps.size - 1, np.nan_to_num(given[0]))
        variance = self._variance
        if given is not None or self._variances is not None:
            variance = self._varying(given, x.size)
        if self._compiled:
            kernels.uncertain_fir(self.taps, self.factor, self._window, x, variance, y, u)
        else:
            self._run_plain(x, variance, y, u)
        return y, u

    def _varying(self, given: FloatArray | None, n: int) -> FloatArray:
        """Return the variance of y from noise of the given variances, shape (n,)."""
        before = np.full(self.taps.size - 1, self._white) if self._variances is None else self._variances
        fresh = np.full(n, self._white) if given is None else np.nan_to_num(given)
        extended = np.concatenate([before, fresh])
        self._variances = extended[n:].copy()
        carried = np.empty(n)
        (kernels.fir if self._compiled else plain.fir)(self._squares, extended, carried)
        return carried + self._fixed

    def _run_plain(self, x: FloatArray, variance: FloatArray, y: FloatArray, u: FloatArray) -> None:
        extended = np.concatenate([self._window, np.where(usable(x), x, np.nan)])
        plain.fir(self.taps, extended, y)
        square = np.broadcast_to(variance, x.shape).copy()
        for row in self.factor:
            part = np.empty(x.size)
            plain.fir(row, extended, part)
            square += part * part
        u[:] = np.where(np.isnan(y), np.nan, np.sqrt(square))
        self._window = extended[x.size :].copy()
