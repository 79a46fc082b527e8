"""Where a fit starts: a grid of what is not linear, the rest solved exactly; rational models from the data alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response.points import FrequencyPoints
from dyncal.models.base import ComplexArray, ResponseModel
from dyncal.models.delayed import Delayed
from dyncal.models.rational import Rational

_STARTS: Final = 3
_DELAYS: Final = 33
_PASSES: Final = 12
_DAMPINGS: Final = (0.003, 0.02, 0.1, 0.4, 1.0, 3.0)


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """All laboratories' points as one: frequencies, responses, weights 1/u²."""

    f_hz: FloatArray
    response: ComplexArray
    weight: FloatArray

    @classmethod
    def of(cls, laboratories: Sequence[FrequencyPoints]) -> Pooled:
        """Pool the points; systematic errors are left to the fit."""
        response = np.concatenate([points.response for points in laboratories])
        u = np.concatenate([points.relative_u for points in laboratories]) * np.abs(response)
        return cls(np.concatenate([points.f_hz for points in laboratories]), response, 1 / u**2)

    @property
    def s(self) -> ComplexArray:
        """Return j2πf [rad/s]."""
        return np.asarray(2j * np.pi * self.f_hz)

    def advanced(self, delay_s: float) -> Pooled:
        """Return the points without a dead time [s]."""
        return Pooled(self.f_hz, np.asarray(self.response * np.exp(self.s * delay_s)), self.weight)

    def span(self) -> tuple[float, float]:
        """Return the lowest frequency above 0 and the highest [Hz]."""
        positive = self.f_hz[self.f_hz > 0]
        if positive.size == 0:
            raise InvalidData("all frequencies are 0 Hz: there is no dynamics in these points")
        return float(positive.min()), float(positive.max())


def starts(model: ResponseModel, laboratories: Sequence[FrequencyPoints]) -> list[FloatArray]:
    """Return start values of θ, the best first.

    Dead times are sought from 0 to 4 turns at the highest frequency.

    Raises
    ------
    InvalidData
        If there is no way to start a model of this kind, or no frequency above 0.
    """
    pooled = Pooled.of(laboratories)
    if not isinstance(model, Delayed):
        return [theta for _, theta in _ranked(model, pooled)]
    found = []
    for delay in np.arange(_DELAYS) / (8 * pooled.span()[1]):
        ranked = _ranked(model.model, pooled.advanced(float(delay)))[:1]
        found += [(cost, np.append(theta, delay)) for cost, theta in ranked]
    return [theta for _, theta in sorted(found, key=lambda each: each[0])[:_STARTS]]


def _ranked(model: ResponseModel, pooled: Pooled) -> list[tuple[float, FloatArray]]:
    if isinstance(model, Rational):
        return _rational(model, pooled)
    match model.kind:
        case ModelKind.FIRST_ORDER:
            grid = _lags(pooled, 32)[:, None]
            return _linear(pooled, grid, 1 / (1 + pooled.s * grid), lambda p, c: [c[0], p[0]])
        case ModelKind.SECOND_ORDER:
            low, high = pooled.span()
            grid = np.array([(d, f0) for f0 in np.geomspace(low / 3, 30 * high, 36) for d in _DAMPINGS])
            x = pooled.s / (2 * np.pi * grid[:, 1:])
            return _linear(pooled, grid, 1 / (1 + 2 * grid[:, :1] * x + x**2), lambda p, c: [c[0], p[0], p[1]])
        case ModelKind.LEAD_LAG:
            lags = _lags(pooled, 14)
            grid = np.array([(long, short) for i, short in enumerate(lags) for long in lags[i + 1 :]])
            both = 1 / ((1 + pooled.s * grid[:, :1]) * (1 + pooled.s * grid[:, 1:]))
            return _linear(pooled, grid, both, lambda p, c: [c[0], p[0], p[1], c[1] / c[0]], pooled.s * both)
    raise InvalidData(f"a {model.label} model cannot be fitted to frequency-response points")


def _lags(pooled: Pooled, n: int) -> FloatArray:
    low, high = pooled.span()
    return np.geomspace(0.05 / (2 * np.pi * high), 20 / (2 * np.pi * low), n)


def _linear(
    pooled: Pooled,
    grid: FloatArray,
    first: ComplexArray,
    theta: Callable[[FloatArray, FloatArray], list[float]],
    second: ComplexArray | None = None,
) -> list[tuple[float, FloatArray]]:
    """Solve the linear coefficients for each row of the grid (g, q), given one or two responses (g, n); rank."""
    basis = np.stack([first] if second is None else [first, second], axis=-1)
    size = np.sqrt(np.einsum("gnl,n->gl", np.abs(basis) ** 2, pooled.weight))
    basis = basis / size[:, None]
    normal = np.einsum("gnl,n,gnk->glk", basis.conj(), pooled.weight, basis).real
    right = np.einsum("gnl,n,n->gl", basis.conj(), pooled.weight, pooled.response).real
    solved = np.linalg.solve(normal + 1e-12 * np.eye(normal.shape[-1]), right[..., None])[..., 0]
    costs = -np.einsum("gl,gl->g", solved, right)
    best = np.argsort(costs)[:_STARTS]
    chosen = [(float(costs[k]), theta(grid[k], solved[k] / size[k])) for k in best if solved[k, 0] != 0]
    return [(cost, np.array(values)) for cost, values in chosen]


def _rational(model: Rational, pooled: Pooled) -> list[tuple[float, FloatArray]]:
    """Iterate |B - yA|²/|A of the last pass|² (Sanathanan & Koerner, IEEE Trans. Autom. Control 8 (1963) 56)."""
    w = 2 * np.pi * pooled.span()[1] if model.n_poles else 1.0
    s = (pooled.s / w)[:, None] ** np.arange(model.n_poles + 1)
    m = model.n_zeros + 1
    units = w ** -np.concatenate([np.arange(m), np.arange(1, model.n_poles + 1)])
    columns = np.concatenate([s[:, :m], -pooled.response[:, None] * s[:, 1:]], axis=1)
    denominator: ComplexArray = np.ones(pooled.f_hz.size, dtype=np.complex128)
    found = []
    for _ in range(_PASSES):
        values = _least_squares(columns, pooled.response, np.sqrt(pooled.weight) / np.abs(denominator))
        a = _stable(np.concatenate([[1.0], values[m:]]))
        denominator = s @ a
        b = _least_squares(s[:, :m] / denominator[:, None], pooled.response, np.sqrt(pooled.weight))
        error = pooled.response - (s[:, :m] @ b) / denominator
        cost = float(pooled.weight @ np.abs(error) ** 2) - float(pooled.weight @ np.abs(pooled.response) ** 2)
        found.append((cost, np.concatenate([b, a[1:]]) * units))
    return sorted(found, key=lambda each: each[0])[:_STARTS]


def _least_squares(columns: ComplexArray, right: ComplexArray, weight: FloatArray) -> FloatArray:
    weighted, values = columns * weight[:, None], right * weight
    solution = np.linalg.lstsq(
        np.concatenate([weighted.real, weighted.imag]), np.concatenate([values.real, values.imag]), rcond=None
    )
    return np.asarray(solution[0], dtype=np.float64)


def _stable(a: FloatArray) -> FloatArray:
    """Return the polynomial, lowest power first, with its roots mirrored into the left half plane, and a[0] = 1."""
    if a.size == 1:
        return a
    leading = a.copy()
    if leading[-1] == 0:
        leading[-1] = 1e-6
    roots = np.roots(leading[::-1])
    left = np.minimum(-np.abs(roots.real), -1e-3 * np.abs(roots)) + 1j * roots.imag
    mirrored = np.real(np.poly(left))[::-1]
    return np.asarray(mirrored / mirrored[0], dtype=np.float64)
