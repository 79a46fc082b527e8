"""Relaxations with common time constants in several transients, by variable projection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.optimize import least_squares

from dyncal.domain.samples import FloatArray
from dyncal.identification.in_situ.conduction import HIGHEST_BIOT, LOWEST_BIOT, Body, modes

_BIN: Final = 0.02  # of the time since the step: a mode is a straight line over that
_GRID: Final = 10
_BIOTS: Final = np.log(np.geomspace(0.03, 300.0, 9))
_RADII: Final = np.array([0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
_ODDS: Final = {Body.SLAB: 1.0, Body.CYLINDER: 4.0, Body.SPHERE: 1.0}  # a thermometer is a rod, but for its tip
_SLIGHTLY: Final = 1e-3
_STARTS: Final = 3
_APART: Final = 1.3
_LONGEST: Final = 36.0  # time constants after which a mode is rounding
_NOTHING: Final = 1e-300
_FARTHEST: Final = 0.3
_SAME: Final = 0.1  # coordinates that near are one optimum
_PRIOR: Final = np.array([0.0, 0.3, 0.0])  # a rod of 6 mm in gas to one in fast water: Biot numbers from 0.025 to 75
_U_PRIOR: Final = np.array([np.inf, 2.0, 0.5])


@dataclass(frozen=True, slots=True, eq=False)
class Transient:
    """Means over bins that widen with time: times since the step [s], values, and √(samples in a bin), shape (n,)."""

    t_s: FloatArray
    y: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, t_s: FloatArray, y: FloatArray) -> Transient:
        """Return the means of samples."""
        first = [0]
        while first[-1] < t_s.size:
            here = first[-1]
            first.append(max(here + 1, int(np.searchsorted(t_s, t_s[here] * (1 + _BIN)))))
        edges = np.array(first[:-1])
        counts = np.diff(np.append(edges, t_s.size))
        return cls(np.add.reduceat(t_s, edges) / counts, np.add.reduceat(y, edges) / counts, np.sqrt(counts))


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """How the shape of a relaxation comes from coordinates z.

    Attributes
    ----------
    parts : callable
        z → time constants [s], shape (m,), the slowest first, and a matrix (m, k): each of k free amplitudes is spread
        over the modes by a column.
    starts : float64, shape (…, k)
        A grid of z where searches begin: of bodies two axes, from its minima; of free modes one.
    bounds : (lowest z, highest z)
    expected, u_expected : float64, shape (k,)
        Mean and standard deviation of z before there are data; infinite where nothing is known.
    complete : bool
        Whether there are no modes but these.
    odds : float
        Before there are data, relative to the other structures.
    """

    name: str
    parts: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    starts: FloatArray
    bounds: tuple[FloatArray, FloatArray]
    expected: FloatArray
    u_expected: FloatArray
    complete: bool
    odds: float = 1.0

    def taus(self, z: FloatArray) -> FloatArray:
        """Return the time constants [s], shape (m,), the slowest first."""
        return self.parts(z)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """What one z leaves when the amplitudes have been eliminated.

    Attributes
    ----------
    e : float64, shape (n,)
        Weighted residuals.
    amplitudes : float64, shape (n_transients, m)
    n_free : int
        Amplitudes that each transient has to itself.
    log_gram : float
        Sum over transients of the logarithm of the determinant of these amplitudes' JᵀJ.
    """

    e: FloatArray
    amplitudes: FloatArray
    n_free: int
    log_gram: float


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """A fit: z with JᵀJ (k, k), time constants (m,), amplitudes, offsets and drifts in all, and what is left."""

    structure: Structure
    z: FloatArray
    normal: FloatArray
    tau_s: FloatArray
    n_linear: int
    left: Projected

    @property
    def sse(self) -> float:
        """Weighted sum of squares."""
        return float(self.left.e @ self.left.e)

    @property
    def n_degrees(self) -> int:
        """Degrees of freedom."""
        return max(self.left.e.size - self.n_linear - self.z.size, 1)

    def cov(self, variance: float) -> FloatArray:
        """Return the covariance of z for the noise variance of one sample."""
        known = np.diag(self.structure.u_expected**-2.0)
        return np.asarray(np.linalg.pinv(self.normal / variance + known, hermitian=True))


def free(m: int, shortest_s: float, longest_s: float) -> Structure:
    """Return m modes of which nothing is known."""
    grid = np.log(np.geomspace(shortest_s, 0.7 * longest_s, _GRID))[::-1]
    return Structure(
        f"{m} free {'modes' if m > 1 else 'mode'}",
        parts=lambda z: (np.exp(np.sort(z)[::-1]), np.eye(z.size)),
        starts=np.array(list(combinations(grid, m))),
        bounds=(np.full(m, np.log(shortest_s) - 1), np.full(m, np.log(longest_s) + 3)),
        expected=np.zeros(m),
        u_expected=np.full(m, np.inf),
        complete=False,
    )


def conducting(shape: Body, shortest_s: float, longest_s: float, tau1_s: float) -> Structure:
    """Return a body of heat conduction: z = (ln τ1, ln Bi, r), r the place of the element in it; τ1 about `tau1_s`."""
    grid = np.stack(np.meshgrid(np.log(tau1_s), _BIOTS, _RADII, indexing="ij"), axis=-1)[0]

    def parts(z: FloatArray) -> tuple[FloatArray, FloatArray]:
        ratio, share = modes(shape, float(z[1]), float(z[2]))
        return np.exp(z[0]) * ratio, share[:, None]

    return Structure(
        str(shape),
        parts=parts,
        starts=grid,
        bounds=(
            np.array([np.log(shortest_s), np.log(LOWEST_BIOT), 0.0]),
            np.array([np.log(longest_s) + 3, np.log(HIGHEST_BIOT), 0.95]),
        ),
        expected=_PRIOR,
        u_expected=_U_PRIOR,
        complete=True,
        odds=_ODDS[shape],
    )


def fit_modes(transients: Sequence[Transient], structure: Structure, *, drift: bool) -> list[Modes]:
    """Return the optima of a structure, the best first; none where its modes come out as one.

    Each transient is ``c + d t + Σ a_i exp(-t/τ_i)`` with its own c, amplitudes and, with `drift`, d: these are
    eliminated (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413).
    """
    project = projector(transients, structure, drift=drift)

    def residuals(z: FloatArray) -> FloatArray:
        return project(z).e

    begins = _minima(structure.starts, residuals) if structure.complete else _lowest(structure.starts, residuals)
    bounds = structure.bounds
    solved = [least_squares(residuals, np.clip(z, *bounds), bounds=bounds, x_scale="jac") for z in begins]
    fits: list[Modes] = []
    for found in sorted(solved, key=lambda each: float(each.cost)):
        tau = structure.taus(found.x)
        apart = structure.complete or tau.size == 1 or float(np.min(tau[:-1] / tau[1:])) >= _APART
        if apart and all(float(np.max(np.abs(found.x - fit.z))) > _SAME for fit in fits):
            there, jacobian = project(found.x), np.asarray(found.jac, dtype=np.float64)
            n_linear = len(transients) * (there.n_free + 1 + drift)
            fits.append(Modes(structure, found.x, jacobian.T @ jacobian, tau, n_linear, there))
    return fits if structure.complete else fits[:1]


Residuals: TypeAlias = Callable[[FloatArray], FloatArray]


def _lowest(starts: FloatArray, residuals: Residuals) -> FloatArray:
    """Return the best of a list, shape (3, k) or less."""
    left = [float(np.sum(residuals(z) ** 2)) for z in starts]
    return np.asarray(starts[np.argsort(left)[:_STARTS]])


def _minima(starts: FloatArray, residuals: Residuals) -> FloatArray:
    """Return the lowest minima of a grid (n, m, k), the first coordinate at its best in each point, shape (3, k)."""
    step = np.eye(starts.shape[-1])[0] * _SLIGHTLY
    found, left = starts.copy(), np.empty(starts.shape[:-1])
    for at in np.ndindex(left.shape):
        e = residuals(starts[at])
        slope = (residuals(starts[at] + step) - e) / _SLIGHTLY
        by = float(slope @ e / max(float(slope @ slope), _NOTHING))
        found[at][0] -= np.clip(by, -_FARTHEST, _FARTHEST)
        left[at] = np.sum((e - by * slope) ** 2)
    around = sliding_window_view(np.pad(left, 1, constant_values=np.inf), (3, 3)).min(axis=(2, 3))
    lowest = np.argwhere(left <= around)
    order = np.argsort(left[tuple(lowest.T)])[:_STARTS]
    return np.asarray(found[tuple(lowest[order].T)])


Project: TypeAlias = Callable[[FloatArray], Projected]


def projector(transients: Sequence[Transient], structure: Structure, *, drift: bool) -> Project:
    """Return the residuals and amplitudes as a function of z."""
    fixed = [_fixed(transient, drift=drift) for transient in transients]
    targets = [_without(q, transient.y * transient.weight) for q, transient in zip(fixed, transients, strict=True)]

    def project(z: FloatArray) -> Projected:
        tau, mix = structure.parts(z)
        errors, amplitudes, log_gram = [], [], 0.0
        shapes, of = np.empty(0), None
        for transient, q, y in zip(transients, fixed, targets, strict=True):
            if of is None or not np.array_equal(transient.t_s, of.t_s):
                shapes, of = _without(q, _relaxations(transient, tau, mix)), transient
            linear = _least(shapes, y)
            errors.append(y - shapes @ linear)
            amplitudes.append(mix @ linear)
            log_gram += float(np.linalg.slogdet(shapes.T @ shapes)[1])
        return Projected(np.concatenate(errors), np.array(amplitudes), mix.shape[1], log_gram)

    return project


def _relaxations(transient: Transient, tau: FloatArray, mix: FloatArray) -> FloatArray:
    """Return Σ_i mix_ik exp(-t/τ_i) for each k, weighted, shape (n, k)."""
    seen = tau > transient.t_s[0] / _LONGEST
    decayed = np.exp(-transient.t_s[:, None] / tau[seen])
    return np.asarray((decayed @ mix[seen]) * transient.weight[:, None])


def _least(shapes: FloatArray, y: FloatArray) -> FloatArray:
    """Return the least-squares amplitudes, shape (k,)."""
    if shapes.shape[1] == 1:
        return np.asarray(shapes.T @ y / max(float(np.sum(shapes**2)), _NOTHING))
    return np.asarray(np.linalg.lstsq(shapes, y, rcond=1e-12)[0])


def _without(q: FloatArray, columns: FloatArray) -> FloatArray:
    return np.asarray(columns - q @ (q.T @ columns))


def _fixed(transient: Transient, *, drift: bool) -> FloatArray:
    """Return an orthonormal basis of what has no time constant: offset and drift."""
    columns = np.ones((transient.t_s.size, 2 if drift else 1))
    columns[:, 1:] = (transient.t_s / transient.t_s[-1])[:, None]
    return np.asarray(np.linalg.qr(columns * transient.weight[:, None])[0])


def correlation(transients: Sequence[Transient], e: FloatArray) -> float:
    """Return the factor by which correlated residuals widen variances, 1 + 2 Σ ρ_k, Bartlett-weighted, at least 1."""
    total, power, row = 0.0, float(e @ e), 0
    if power == 0:
        return 1.0
    for transient in transients:
        part = e[row : row + transient.y.size]
        row += part.size
        lags = min(int(4 * (part.size / 100) ** (1 / 3)), part.size // 4)
        for k in range(1, lags + 1):
            total += (1 - k / (lags + 1)) * float(part[k:] @ part[:-k])
    return max(1.0, 1 + 2 * total / power)
