"""Refined instrumental variables for continuous-time models, and the grid they begin from.

SRIVC (Young; Garnier & Wang, Identification of Continuous-time Models from Sampled Data, ch. 4): filter indication and
reference with 1/A(s), regress A'(s)y = B'(s)u on them with the noise-free output of the last estimate as instrument,
and again with the new A. Noise on y does not bias it, and it comes to rest from starts that are off by a factor of 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.kernels import run_states, screen
from dyncal.identification.record_fit.shapes import stabilised
from dyncal.models.exponential import exponential

_ROUNDS: Final = 12
_AT_REST: Final = 1e-3
_RIDGE: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Uniform:
    """A gap-free, evenly sampled piece of a record: y and u (n,), interval dt [s]; for starts only."""

    y: FloatArray
    u: FloatArray
    dt_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """B(s)/A(s) with b0 … bm and a1 … an, and the sum of squares it leaves."""

    b: FloatArray
    a: FloatArray
    sse: float


def discretised(a: FloatArray, dt_s: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return Φ (m, n, n), Γ (m, n, 2) and the time scales w (m,) of 1/A(s), first-order hold.

    The state is (1, s/w, …, (s/w)^(n-1))/A u, w = |an|^(-1/n): the companion form in scaled time.

    Parameters
    ----------
    a : float64, shape (m, n)
        a1 … an of m candidates.
    """
    m, n = a.shape
    w = np.abs(a[:, -1]) ** (-1 / n)
    alpha = np.concatenate([np.ones((m, 1)), a], axis=1) * w[:, None] ** np.arange(n + 1)
    q = w * dt_s
    generator = np.zeros((m, n + 2, n + 2))
    generator[:, n, n + 1] = 1.0
    generator[:, np.arange(n - 1), np.arange(1, n)] = q[:, None]
    generator[:, n - 1, :n] = -q[:, None] * alpha[:, :-1] / alpha[:, -1:]
    generator[:, n - 1, n] = q / alpha[:, -1]
    full = exponential(generator)
    level, rise = full[:, :n, n], full[:, :n, n + 1]
    return (
        np.ascontiguousarray(full[:, :n, :n]),
        np.ascontiguousarray(np.stack([level - rise, rise], axis=-1)),
        w,
    )


def screened(data: Uniform, a: FloatArray, n_zeros: int) -> list[Ratio]:
    """Return the ratios for candidates a (m, n), numerator and initial state by least squares, best first."""
    m, n = a.shape
    used = min(n_zeros, n - 1) + 1
    phi, gamma, w = discretised(a, data.dt_s)
    gram = np.empty((m, used + n + 1, used + n + 1))
    with np.errstate(over="ignore", invalid="ignore"):
        screen(phi, gamma, used, data.y, data.u, gram)
    good = np.flatnonzero(np.all(np.isfinite(gram), axis=(1, 2)))
    gram = gram[good]
    solution = least_squares(gram[:, :-1, :-1], gram[:, :-1, -1])
    sse = gram[:, -1, -1] - np.sum(gram[:, :-1, -1] * solution, axis=1)
    b = np.zeros((good.size, n_zeros + 1))
    b[:, :used] = solution[:, :used] / w[good, None] ** np.arange(used)
    return [Ratio(b[k], a[good[k]], float(sse[k])) for k in np.argsort(sse, kind="stable").tolist()]


def srivc(data: Uniform, begin: Ratio, n_zeros: int, rounds: int = _ROUNDS) -> Ratio:
    """Refine a ratio; return the best one met on the way, `begin` included."""
    best = here = begin
    for _ in range(rounds):
        new = _round(data, here, n_zeros)
        if new is None:
            break
        ranked = screened(data, new[None], n_zeros)
        if not ranked:
            break
        change = float(np.max(np.abs(new / here.a - 1)))
        here = ranked[0]
        if here.sse < best.sse:
            best = here
        if change < _AT_REST:
            break
    return best


def _round(data: Uniform, here: Ratio, n_zeros: int) -> FloatArray | None:
    """Return the next a1 … an, stable; None where the instruments say nothing."""
    n = here.a.size
    used = min(n_zeros, n - 1) + 1
    phi, gamma, w = discretised(here.a[None], data.dt_s)
    weights = w[0] ** np.arange(n + 1)
    alpha = np.append(1.0, here.a) * weights
    beta = here.b[:used] * weights[:used]
    from_u = _run(phi[0], gamma[0], data.u)
    model = from_u[:, :used] @ beta
    from_y, from_model = _run(phi[0], gamma[0], data.y), _run(phi[0], gamma[0], model)
    decays = [_run(phi[0], gamma[0], np.zeros_like(data.u), start)[:, 0] for start in np.eye(n)]
    rest = [from_u[:, :used], np.stack(decays, axis=-1)]
    regressors = np.column_stack([-_derivatives(data.y, from_y, alpha)[:, 1:], *rest])
    instruments = np.column_stack([-_derivatives(model, from_model, alpha)[:, 1:], *rest])
    normal, right = instruments.T @ regressors, instruments.T @ from_y[:, 0]
    if not bool(np.all(np.isfinite(normal))):
        return None
    solution = least_squares(normal, right)
    return stabilised(solution[:n] / weights[1:])


def _derivatives(u: FloatArray, states: FloatArray, alpha: FloatArray) -> FloatArray:
    """Return (s/w)^k/A u for k = 0 … n: the last from A itself."""
    last = (u - states @ alpha[:-1]) / alpha[-1]
    return np.column_stack([states, last])


def _run(phi: FloatArray, gamma: FloatArray, u: FloatArray, start: FloatArray | None = None) -> FloatArray:
    states = np.empty((u.size, phi.shape[0]))
    states[0] = 0.0 if start is None else start
    run_states(phi, gamma, u, states)
    return states


def least_squares(normal: FloatArray, right: FloatArray) -> FloatArray:
    """Solve normal equations (..., k, k), scaled to a unit diagonal so that units do not matter, with a tiny ridge."""
    scale = np.sqrt(np.maximum(np.abs(np.diagonal(normal, axis1=-2, axis2=-1)), 1e-300))
    unit = normal / (scale[..., :, None] * scale[..., None, :]) + _RIDGE * np.eye(scale.shape[-1])
    try:
        solution: FloatArray = np.linalg.solve(unit, (right / scale)[..., None])[..., 0] / scale
    except np.linalg.LinAlgError:
        return np.zeros_like(right)
    return solution
