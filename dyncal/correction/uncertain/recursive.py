"""A recursive filter with uncertain coefficients, over a stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from dyncal.correction import inputs
from dyncal.correction.inputs import Numbers
from dyncal.correction.streaming.plain import Recursion
from dyncal.correction.streaming.slots import usable
from dyncal.correction.uncertain import plain_recursive
from dyncal.correction.uncertain import recursive_kernels as kernels
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.kernels import HAVE_NUMBA

Past = Literal["unknown", "constant"]

SETTLED: Final = 1e-3  # share of a transient at which it counts as over
_LONGEST: Final = 65_536
_MOST_ORDER: Final = 64
_LIVE, _AGE, _CONSTANT, _PAST = 0, 1, 2, 3
# looked up once: a call with one sample costs little more than such things
_second_order, _empty, _ARRAY, _VALUE = kernels.second_order, np.empty, np.ndarray, np.dtype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class RecursiveFilter:
    """B(z)/A(z) with the covariance of its coefficients, checked and brought into the form that kernels run.

    Attributes
    ----------
    a : float64, shape (p,)
        Denominator without its leading 1; p is 2 or more, filled with zeros.
    b : float64, shape (p + 1,)
    factor : float64, shape (rank, 2p + 1)
        F of u² = noise + ‖F (q[n-1] … q[n-p], w[n] … w[n-p])‖² (`dyncal.correction.uncertain.recursive_kernels`).
    state_cov : float64, shape (p, p)
        Stationary covariance of (w[n-1] …) for white noise of unit variance at the input.
    variance : float
        Variance of y from the noise of x.
    settle : int
        Samples after which a transient is over.
    """

    a: FloatArray
    b: FloatArray
    factor: FloatArray
    state_cov: FloatArray
    variance: float
    settle: int

    @property
    def order(self) -> int:
        """Order p, 2 or more."""
        return self.a.size


def prepare(
    b: Numbers,
    a: Numbers,
    cov: npt.ArrayLike | None = None,
    *,
    u_x: float = 0.0,
    autocovariance: Numbers | None = None,
) -> RecursiveFilter:
    """Check a filter and bring it into the form that kernels run; as `UncertainIIR`, which calls it."""
    numerator, denominator = inputs.numbers("b", b), inputs.numbers("a", a)
    if denominator[0] != 1.0:
        raise InvalidData(f"a must begin with 1, not {denominator[0]:g}: scale b and the covariance with it")
    p = max(numerator.size - 1, denominator.size - 1, 2)
    if p > _MOST_ORDER:
        raise InvalidData(f"a filter of order {p}, at most {_MOST_ORDER} is run")
    places = np.concatenate([np.arange(denominator.size - 1), p + np.arange(numerator.size)])
    whole = np.zeros((2 * p + 1, 2 * p + 1))
    whole[np.ix_(places, places)] = inputs.covariance("the covariance of (a1 …, b0 …)", cov, places.size)
    ap, bp = np.zeros(p), np.zeros(p + 1)
    ap[: denominator.size - 1], bp[: numerator.size] = denominator[1:], numerator
    radii = np.abs(np.roots(denominator))
    if radii.size and not radii.max() < 1:
        raise InvalidData(f"the filter is not stable: a pole at radius {radii.max():.9g}")
    signs = np.concatenate([-np.ones(p), np.ones(p + 1)])  # ∂y/∂a_k = -q[n-k]
    factor = inputs.factor(whole) * signs
    recursion = float(np.prod(1 / (1 - radii)))  # at least Σ|h| of 1/A
    width = max(1.0, float(np.abs(bp).sum()) * max(1.0, recursion))
    inputs.check_gain("the filter", recursion * width * max(1.0, float(np.abs(factor).sum())))
    state_cov = _stationary(ap)
    covariances = _output_covariances(ap, bp, state_cov, 1 if autocovariance is None else len(autocovariance))
    variance = inputs.standard_uncertainty("u_x", u_x) ** 2 * float(covariances[0])
    if autocovariance is not None:
        variance += coloured(inputs.numbers("autocovariance", autocovariance), covariances)
    return RecursiveFilter(ap, bp, factor, state_cov, variance, _settling(ap, bp, float(radii.max(initial=0.0))))


def check_past(past: Past) -> None:
    """Raise `InvalidData` unless it is one of the two."""
    if past not in get_args(Past):
        raise InvalidData(f"past is 'unknown' or 'constant', not {past!r}")


def coloured(autocovariance: FloatArray, covariances: FloatArray) -> float:
    """Return Σ_k r[|k|] c[|k|]: the variance that stationary noise of autocovariance r leaves, c for white noise."""
    if not (autocovariance[0] >= 0 and np.all(np.abs(autocovariance) <= autocovariance[0])):
        raise InvalidData("an autocovariance is largest at lag 0, and not negative there")
    total = 2 * float(autocovariance @ covariances) - float(autocovariance[0] * covariances[0])
    if total < -1e-9 * float(autocovariance[0] * covariances[0]):
        raise InvalidData("the autocovariance is indefinite: the noise would have a negative variance after the filter")
    return max(total, 0.0)


class UncertainIIR:
    """Filters a stream by y = B(z)/A(z) x and gives y its standard uncertainty, sample by sample.

    u² = φᵀ U φ + the variance of the noise of x after the filter, with φ = ∂y/∂(a1 …, b0 …) by a state-space recursion
    (Link & Elster, Meas. Sci. Technol. 20 (2009) 055104). The result does not depend on how the stream is cut: to the
    last bit with kernels, to 1e-12 with numpy. First order in the coefficients.

    Parameters
    ----------
    b, a : sequence of float
        Coefficients of z⁰, z⁻¹ …; a begins with 1. All poles inside the unit circle; order at most 64.
    cov : (n, n), optional
        Covariance of (a1 …, b0 b1 …), n = len(a) + len(b) - 1. Without it the coefficients are exact.
    u_x : float
        Standard deviation of white noise in x.
    autocovariance : sequence of float, optional
        Autocovariance r[0], r[1] … of further stationary noise in x; zero beyond.
    past : {"unknown", "constant"}
        What x was before the first sample. Unknown: y and u are NaN until the transient has fallen to 1e-3. Constant:
        as the first sample, and y begins with it (the convention of PyDynamic's `IIRuncFilter`).
    compiled : bool, optional
        Whether to run the numba kernels; by default where numba is installed.

    Notes
    -----
    A sample that is not finite, or beyond 1e100, gives NaN, never enters a state, and makes the past unknown.

    Raises
    ------
    InvalidData
        If the filter is not stable, the covariance indefinite, shapes do not fit, a number is not finite.
    """

    def __init__(
        self,
        b: Numbers,
        a: Numbers,
        cov: npt.ArrayLike | None = None,
        *,
        u_x: float = 0.0,
        autocovariance: Numbers | None = None,
        past: Past = "unknown",
        compiled: bool | None = None,
    ) -> None:
        check_past(past)
        self.filter = prepare(b, a, cov, u_x=u_x, autocovariance=autocovariance)
        self._white = u_x * u_x
        self._constant = past == "constant"
        self._compiled = HAVE_NUMBA if compiled is None else compiled
        self._variance = np.array([self.filter.variance])
        self._plain = None if self._compiled else plain_recursive.PlainIIR(self.filter)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        f = self.filter
        head = packed(f) if f.order == 2 else np.empty(0)
        # of order 2 all numbers lie in one array, the state at its end
        self._all = np.concatenate([head, self._variance, np.zeros(_PAST + 2 * f.order)])
        self._state = self._all[head.size + 1 :]
        self._state[_CONSTANT] = float(self._constant)
        self._lean = self._compiled and f.order == 2
        self._cov: FloatArray | None = None  # of the state from noise whose variance is not constant

    def process(
        self, x: Numbers, u_x: Numbers | None = None, *, out: tuple[FloatArray, FloatArray] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Filter the next samples.

        Parameters
        ----------
        x : float64, shape (n,)
        u_x : float64, shape (n,), optional
            Standard deviation of the white noise in each sample, instead of the constructor's; where it is not finite
            the sample is worth nothing.
        out : (float64, float64), each of shape (n,), optional
            Where y and u are written; neither may lie over x.

        Returns
        -------
        y, u : float64, shape (n,)

        Raises
        ------
        InvalidData
            If shapes do not fit or a u_x is negative; the state is then unchanged.
        """
        if type(x) is not _ARRAY or x.dtype is not _VALUE or x.ndim != 1 or not x.flags.carray:
            x = inputs.samples("x", x)
        if self._lean and u_x is None and out is None:  # as below, at the least cost
            n = x.size
            y, u = _empty(n), _empty(n)
            _second_order(self._all, x, y, u)
            return y, u
        y, u = inputs.outputs(x, out)
        f, variance = self.filter, self._variance
        if u_x is not None or self._cov is not None:
            x, variance = self._varying(x, u_x)
        if self._plain is not None:
            self._plain.run(self._state, x, variance, y, u)
        elif self._lean:
            kernels.second_order(self._all, x, y, u)
        else:
            kernels.any_order(f.a, f.b, f.factor, self._state, x, variance, y, u, float(f.settle))
        return y, u

    def _varying(self, x: FloatArray, u_x: Numbers | None) -> tuple[FloatArray, FloatArray]:
        """Return x, NaN where its u is, and the variance of y from noise of the given standard deviations."""
        given = np.full(x.size, math.sqrt(self._white)) if u_x is None else inputs.deviations(u_x, x)
        good = usable(x) & np.isfinite(given)
        square = np.where(good, given, 0.0) ** 2
        self._lean = False
        f = self.filter
        fixed = f.variance - self._white * float(_output_covariances(f.a, f.b, f.state_cov, 1)[0])
        variance = np.empty(x.size)
        run = kernels.noise_variance if self._compiled else plain_recursive.noise_variance
        live = self._state[_LIVE] != 0.0
        low = 0
        for high in [*(np.flatnonzero(~good)).tolist(), x.size]:  # a stretch without a bad sample at a time
            if high > low:
                if self._cov is None or not live:
                    self._cov = f.state_cov * (square[low] if not live else self._white)
                    live = True
                run(f.a, f.b, self._cov, square[low:high], variance[low:high])
            if high < x.size:
                variance[high], live = 0.0, False
            low = high + 1
        return np.where(good, x, np.nan), variance + max(fixed, 0.0)


def packed(recursive: RecursiveFilter) -> FloatArray:
    """Return (settle, a1, a2, b0, b1, b2, F row by row from its diagonal) of a filter of order 2, shape (21,)."""
    square = np.zeros((5, 5))
    square[: recursive.factor.shape[0]] = recursive.factor
    return np.concatenate([[recursive.settle], recursive.a, recursive.b, square[np.triu_indices(5)]])


def _stationary(a: FloatArray) -> FloatArray:
    """Return the stationary covariance of (w[n-1] … w[n-p]), w + Σ a_k w[n-k] white of unit variance.

    A Toeplitz matrix of the autocovariances, by the Levinson recursion backward and forward: no matrix equation, which
    would lose digits near the unit circle.
    """
    p = a.size
    predictors = [a]  # of order p, p - 1 … 1
    for m in range(p, 2, -1):
        of, k = predictors[-1], predictors[-1][m - 1]
        _check_inside(1 - k * k)
        predictors.append((of[: m - 1] - k * of[m - 2 :: -1]) / (1 - k * k))
    a1, a2 = predictors[-1]  # for the last two steps in closed form: they would lose digits
    _check_inside(min(1 - a2 * a2, 1 + a2 - a1, 1 + a2 + a1))  # Jury's conditions: roots are known to √ε only
    predictors.append(np.array([a1 / (1 + a2)]))
    r = np.zeros(p)
    r[0] = (1 + a2) / ((1 - a2) * (1 + a2 - a1) * (1 + a2 + a1))
    r[0] /= float(np.prod([1 - of[-1] ** 2 for of in predictors[:-2]]))
    for m in range(1, p):
        r[m] = -predictors[p - m] @ r[m - 1 :: -1]
    return r[np.abs(np.subtract.outer(np.arange(p), np.arange(p)))]


def _check_inside(distance: float) -> None:
    if not distance > 0:
        raise InvalidData("the filter is not stable: a pole at radius 1, as near as its coefficients can tell")


def _output_covariances(a: FloatArray, b: FloatArray, P: FloatArray, lags: int) -> FloatArray:
    """Return the autocovariance of y for white noise of unit variance, shape (lags,)."""
    A = np.eye(a.size, k=-1)
    A[0] = -a
    c = b[1:] - b[0] * a
    found = np.empty(max(lags, 1))
    found[0] = b[0] ** 2 + c @ P @ c
    v = A @ P @ c
    v[0] += b[0]
    for k in range(1, found.size):
        found[k] = c @ v
        v = A @ v
    return found


def _settling(a: FloatArray, b: FloatArray, radius: float) -> int:
    """Return after how many samples an unknown past has lost its influence on y and on its derivatives.

    The sums over what is left of the impulse responses of 1/A, B/A and B/A² are then `SETTLED` of the whole.
    """
    about = math.log(SETTLED) / math.log(radius) if radius > 1e-4 else 0.0
    x = np.eye(1, min(int(6 * about) + 4 * a.size, _LONGEST))[0]  # n·ρⁿ has fallen far below
    A = np.eye(a.size, k=-1)
    A[0] = -a
    poles = Recursion(A, np.eye(1, a.size)[0], A[:1], np.ones(1))
    w = poles.run(x, np.zeros(a.size))[0]
    y = np.convolve(w, b)[: x.size]
    q = poles.run(y, np.zeros(a.size))[0]
    left = np.array([np.cumsum(np.abs(h[::-1]))[::-1] for h in (w, y, q)])
    over = np.flatnonzero((left <= SETTLED * left[:, :1]).all(axis=0))
    return max(int(over[0]) if over.size else _LONGEST, a.size)
