"""Models as ratios of polynomials, in which starts are looked for: B(s)/A(s) with A(0) = 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.polynomial import polynomial

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models import Rational, ResponseModel
from dyncal.models.base import ComplexArray

_DAMPINGS: Final = (0.02, 0.1, 0.4, 1.2)
_APART: Final = 1.1  # ratio of two lags below which they are taken for one


@dataclass(frozen=True, slots=True)
class Shape:
    """How many poles and zeros a model has, which of its A(s) to try, and which θ belongs to (b, a).

    `grid(dt, length)` returns rows a1 … an, shape (n_candidates, n), in seconds to the k; `theta(b, a)` takes b0 … bm
    and a1 … an, and raises `InvalidData` where no such sensor exists.
    """

    n_poles: int
    n_zeros: int
    grid: Callable[[float, float], FloatArray]
    theta: Callable[[FloatArray, FloatArray], FloatArray]


def shape_of(model: ResponseModel) -> Shape | None:
    """Return the shape of a model; None for one without dynamics."""
    if model.kind is ModelKind.FIRST_ORDER:
        return Shape(1, 0, _lags, lambda b, a: np.array([b[0], a[0]]))
    if model.kind is ModelKind.SECOND_ORDER:
        return Shape(2, 0, _resonances, _second_order)
    if model.kind is ModelKind.LEAD_LAG:
        return Shape(2, 1, _pairs, _lead_lag)
    if isinstance(model, Rational) and model.n_poles:
        return Shape(model.n_poles, model.n_zeros, grid_of_order(model.n_poles), lambda b, a: np.concatenate([b, a]))
    return None


def _lags(dt: float, length: float) -> FloatArray:
    return np.geomspace(0.1 * dt, length, 16)[:, None]


def _resonances(dt: float, length: float) -> FloatArray:
    f0 = np.geomspace(min(0.5 / length, 0.05 / dt), 1.5 / dt, 20)
    omega, damping = (axis.ravel() for axis in np.meshgrid(2 * np.pi * f0, _DAMPINGS))
    return np.stack([2 * damping / omega, 1 / omega**2], axis=-1)


def _pairs(dt: float, length: float) -> FloatArray:
    taus = np.geomspace(0.2 * dt, length, 11)
    return np.array([[slow + fast, slow * fast] for fast, slow in combinations(taus, 2)])


def grid_of_order(n: int) -> Callable[[float, float], FloatArray]:
    """Return a grid over n poles: lags, resonances, and patterns of both."""

    def grid(dt: float, length: float) -> FloatArray:
        if n == 1:
            return _lags(dt, length)
        if n == 2:
            return np.concatenate([_pairs(dt, length), _resonances(dt, length)])
        found = []
        angles = np.pi * (2 * np.arange(n) + n + 1) / (2 * n)
        for omega in 2 * np.pi * np.geomspace(1 / length, 0.7 / dt, 16):
            for damped in (0.3, 1.0):  # a resonance among lags, and a Butterworth pattern
                poles = omega * (damped * np.cos(angles) + 1j * np.sin(angles))
                found.append(coefficients(poles))
            found.append(coefficients(-omega * np.geomspace(0.3, 3.0, n)))
        return np.array(found)

    return grid


def coefficients(poles: FloatArray | ComplexArray) -> FloatArray:
    """Return a1 … an of A(s) = Π(1 - s/pole)."""
    a = polynomial.polyfromroots(poles).real
    return np.asarray(a[1:] / a[0], dtype=np.float64)


def stabilised(a: FloatArray) -> FloatArray | None:
    """Return a1 … an with the poles on the right reflected to the left; None where that is no polynomial any more."""
    full = np.append(1.0, a)
    if not bool(np.all(np.isfinite(full))) or full[-1] == 0:
        return None
    w = abs(full[-1]) ** (-1 / a.size)
    poles = polynomial.polyroots(full * w ** np.arange(full.size))
    if not bool(np.all(np.isfinite(poles))) or bool(np.any(poles == 0)):
        return None
    left = -np.maximum(np.abs(poles.real), 1e-6 * np.abs(poles)) + 1j * poles.imag
    return coefficients(w * left)


def _second_order(b: FloatArray, a: FloatArray) -> FloatArray:
    if not (a[0] > 0 and a[1] > 0):
        raise InvalidData("no stable resonance")
    omega = 1 / np.sqrt(a[1])
    return np.array([b[0], a[0] * omega / 2, omega / (2 * np.pi)])


def _lead_lag(b: FloatArray, a: FloatArray) -> FloatArray:
    if not (a[0] > 0 and a[1] > 0) or b[0] == 0:
        raise InvalidData("no two lags")
    spread = np.sqrt(max(a[0] ** 2 - 4 * a[1], 0.0))
    slow, fast = (a[0] + spread) / 2, (a[0] - spread) / 2
    if not fast > 0 or slow < _APART * fast:
        middle = np.sqrt(a[1])
        slow, fast = middle * np.sqrt(_APART), middle / np.sqrt(_APART)
    return np.array([b[0], slow, fast, b[1] / b[0]])
