"""Relaxations with common time constants in several transients, by variable projection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final

import numpy as np
from scipy.optimize import least_squares

from dyncal.domain.samples import FloatArray
from dyncal.identification.in_situ.conduction import HIGHEST_BIOT, LOWEST_BIOT, Body, modes

_BIN: Final = 0.02  # of the time since the step: a mode is a straight line over that
_GRID: Final = 10
_BIOTS: Final = (0.1, 1.0, 10.0, 100.0)
_RADII: Final = (0.0, 0.3, 0.6)
_STARTS: Final = 3
_APART: Final = 1.3
_U_LOG_BIOT: Final = 2.5  # a thermometer in a fluid: from 0.01 to 300 about 2
_U_RADIUS: Final = 0.5


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
    taus : callable
        z → time constants [s], shape (m,), the slowest first.
    mix : callable
        z → matrix (m, k): each of k free amplitudes is spread over the modes by a column.
    starts : sequence of z
        Where a search begins.
    bounds : (lowest z, highest z)
    prior : float64, shape (k,)
        1/u² of each z, 0 where nothing is known.
    complete : bool
        Whether there are no modes but these.
    """

    name: str
    taus: Callable[[FloatArray], FloatArray]
    mix: Callable[[FloatArray], FloatArray]
    starts: Sequence[FloatArray]
    bounds: tuple[FloatArray, FloatArray]
    prior: FloatArray
    complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """A fit: z with JᵀJ (k, k), time constants (m,), amplitudes (n_transients, m), weighted residuals (n,)."""

    structure: Structure
    z: FloatArray
    normal: FloatArray
    tau_s: FloatArray
    amplitudes: FloatArray
    n_linear: int
    e: FloatArray

    @property
    def sse(self) -> float:
        """Weighted sum of squares."""
        return float(self.e @ self.e)

    @property
    def n_degrees(self) -> int:
        """Degrees of freedom."""
        return max(self.e.size - self.n_linear - self.z.size, 1)

    def cov(self, variance: float) -> FloatArray:
        """Return the covariance of z for the noise variance of one sample."""
        return np.asarray(np.linalg.pinv(self.normal / variance + np.diag(self.structure.prior), hermitian=True))


def free(m: int, shortest_s: float, longest_s: float) -> Structure:
    """Return m modes of which nothing is known."""
    grid = np.log(np.geomspace(shortest_s, 0.7 * longest_s, _GRID))[::-1]
    return Structure(
        f"{m} free {'modes' if m > 1 else 'mode'}",
        taus=lambda z: np.exp(np.sort(z)[::-1]),
        mix=lambda z: np.eye(z.size),
        starts=[np.array(chosen) for chosen in combinations(grid, m)],
        bounds=(np.full(m, np.log(shortest_s) - 1), np.full(m, np.log(longest_s) + 3)),
        prior=np.zeros(m),
        complete=False,
    )


def conducting(shape: Body, shortest_s: float, longest_s: float) -> Structure:
    """Return a body of heat conduction: z = (ln τ1, ln Bi, r), r the place of the element in it."""
    grid = np.log(np.geomspace(3 * shortest_s, 0.7 * longest_s, _GRID))

    def parts(z: FloatArray) -> tuple[FloatArray, FloatArray]:
        return modes(shape, float(z[1]), float(z[2]))

    return Structure(
        str(shape),
        taus=lambda z: np.exp(z[0]) * parts(z)[0],
        mix=lambda z: parts(z)[1][:, None],
        starts=[np.array(start) for start in product(grid, np.log(_BIOTS), _RADII)],
        bounds=(
            np.array([np.log(shortest_s), np.log(LOWEST_BIOT), 0.0]),
            np.array([np.log(longest_s) + 3, np.log(HIGHEST_BIOT), 0.95]),
        ),
        prior=np.array([0.0, 1 / _U_LOG_BIOT**2, 1 / _U_RADIUS**2]),
        complete=True,
    )


def fit_modes(transients: Sequence[Transient], structure: Structure, *, drift: bool) -> Modes | None:
    """Fit a structure; None where its modes come out as one.

    Each transient is ``c + d t + Σ a_i exp(-t/τ_i)`` with its own c, amplitudes and, with `drift`, d: these are
    eliminated (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413).
    """
    fixed = [_fixed(transient, drift=drift) for transient in transients]

    def residuals(z: FloatArray) -> FloatArray:
        return _project(transients, fixed, structure, z)[0]

    ranked = sorted(structure.starts, key=lambda z: float(np.sum(residuals(z) ** 2)))
    solved = [least_squares(residuals, z, bounds=structure.bounds, x_scale="jac") for z in ranked[:_STARTS]]
    found = min(solved, key=lambda each: float(each.cost))
    tau = structure.taus(found.x)
    if not structure.complete and tau.size > 1 and float(np.min(tau[:-1] / tau[1:])) < _APART:
        return None
    e, amplitudes = _project(transients, fixed, structure, found.x)
    n_linear = len(transients) * (structure.mix(found.x).shape[1] + fixed[0].shape[1])
    jacobian = np.asarray(found.jac, dtype=np.float64)
    return Modes(structure, found.x, jacobian.T @ jacobian, tau, amplitudes, n_linear, e)


def _fixed(transient: Transient, *, drift: bool) -> FloatArray:
    """Return an orthonormal basis of what has no time constant: offset and drift."""
    columns = np.ones((transient.t_s.size, 2 if drift else 1))
    columns[:, 1:] = (transient.t_s / transient.t_s[-1])[:, None]
    return np.asarray(np.linalg.qr(columns * transient.weight[:, None])[0])


def _project(
    transients: Sequence[Transient], fixed: Sequence[FloatArray], structure: Structure, z: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return weighted residuals (n,) and amplitudes of the modes (n_transients, m)."""
    tau, mix = structure.taus(z), structure.mix(z)
    errors, amplitudes = [], []
    for transient, q in zip(transients, fixed, strict=True):
        shapes = np.exp(-transient.t_s[:, None] / tau) @ mix
        both = np.concatenate([shapes, transient.y[:, None]], axis=1) * transient.weight[:, None]
        both -= q @ (q.T @ both)
        linear = np.linalg.lstsq(both[:, :-1], both[:, -1], rcond=1e-12)[0]
        errors.append(both[:, -1] - both[:, :-1] @ linear)
        amplitudes.append(mix @ linear)
    return np.concatenate(errors), np.array(amplitudes)


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
