"""The likelihood of frequency-response points: whitened residuals, their Jacobian, and its minimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.identification.frequency_response.points import Form, FrequencyPoints
from dyncal.models.base import ComplexArray, ResponseModel

_MAX_PASSES: Final = 60
_SAME: Final = 1e-3
_TOLERANCE: Final = 1e-10
_MAX_DAMPING: Final = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Where the likelihood is greatest: coordinates x (q,), whitened residuals (m,) and their Jacobian (m, q)."""

    x: FloatArray
    residuals: FloatArray
    jacobian: FloatArray
    converged: bool

    @property
    def chi2(self) -> float:
        """Sum of squares, the priors of the laboratories' systematic errors included."""
        return float(self.residuals @ self.residuals)


class Problem:
    """Points of one or more laboratories under one model.

    Coordinates x are (η, ν): η is θ with the logarithms of what must be positive; ν are the laboratories' magnitude
    factors, exp(u_m ν), and time offsets, u_δ ν, each with the prior N(0, 1), where a laboratory has any. With y the
    points and M = H exp(u_m ν - jω u_δ ν'), the residual is y - M or, for `Form.POLAR`, ln(y/M) with its imaginary part
    on the branch nearest 0, and is whitened by the inverse Cholesky factor of the covariance.
    """

    def __init__(self, model: ResponseModel, laboratories: Sequence[FrequencyPoints]) -> None:
        self.model = model
        self.laboratories = tuple(laboratories)
        self._log = np.array([name in model.positive for name in model.names])
        column = model.n_parameters
        self.columns: list[tuple[int | None, int | None]] = []
        for points in self.laboratories:
            magnitude = column if points.u_magnitude > 0 else None
            column += points.u_magnitude > 0
            offset = column if points.u_delay_s > 0 else None
            column += points.u_delay_s > 0
            self.columns.append((magnitude, offset))
        self.n_coordinates = column
        self.n_values = 2 * sum(map(len, self.laboratories))

    def coordinates(self, theta: FloatArray) -> FloatArray:
        """Return x for θ, the laboratories without systematic errors."""
        x = np.zeros(self.n_coordinates)
        x[: theta.size] = np.where(self._log, np.log(np.where(self._log, theta, 1.0)), theta)
        return x

    def theta(self, x: FloatArray) -> FloatArray:
        """Return θ of x."""
        eta = x[: self.model.n_parameters]
        return np.where(self._log, np.exp(np.clip(np.where(self._log, eta, 0.0), -300, 300)), eta)

    def scale(self, x: FloatArray) -> FloatArray:
        """Return the diagonal of ∂θ/∂η, shape (p,)."""
        return np.where(self._log, self.theta(x), 1.0)

    def evaluate(self, x: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Return residuals and Jacobian, the points' first and then the priors'; None where no sensor is."""
        try:
            theta = self.model.check_physical(self.theta(x))
        except InvalidData:
            return None
        residuals, jacobians = [], []
        for points, columns in zip(self.laboratories, self.columns, strict=True):
            h = self.model.frequency_response(theta, points.f_hz)
            if not bool(np.all(np.isfinite(h) & (h != 0))):
                return None
            dh = self.model.jacobian(theta, points.f_hz) * self.scale(x)
            r, jacobian = self._laboratory(points, columns, x, h, dh)
            residuals.append(r)
            jacobians.append(jacobian)
        p = self.model.n_parameters
        residuals.append(x[p:])
        jacobians.append(np.eye(x.size)[p:])
        both = np.concatenate(residuals), np.concatenate(jacobians)
        return both if bool(np.all(np.isfinite(both[0])) and np.all(np.isfinite(both[1]))) else None

    def _laboratory(
        self,
        points: FrequencyPoints,
        columns: tuple[int | None, int | None],
        x: FloatArray,
        h: ComplexArray,
        dh: ComplexArray,
    ) -> tuple[FloatArray, FloatArray]:
        # in ln M, where systematic errors are linear
        relative = np.zeros((len(points), x.size), dtype=np.complex128)
        relative[:, : dh.shape[1]] = dh / h[:, None]
        shift = np.zeros(len(points), dtype=np.complex128)
        omega = 2 * np.pi * points.f_hz
        effects = np.full(len(points), points.u_magnitude, dtype=np.complex128), -1j * omega * points.u_delay_s
        for column, effect in zip(columns, effects, strict=True):
            if column is not None:
                relative[:, column] = effect
                shift += effect * x[column]
        m = h * np.exp(shift)
        if points.form is Form.POLAR:
            error, derivative = np.log(points.response / m), -relative
        else:
            error, derivative = points.response - m, -relative * m[:, None]
        return _whiten(points.whitener, error[:, None])[:, 0], _whiten(points.whitener, derivative)


def _whiten(whitener: FloatArray, values: ComplexArray) -> FloatArray:
    """Return the whitened real and imaginary parts of values (n, k), shape (2n, k)."""
    if whitener.ndim == 2:
        return np.asarray(whitener @ np.concatenate([values.real, values.imag]))
    parts = whitener @ np.stack([values.real, values.imag], axis=1)
    return np.asarray(parts.reshape(2 * values.shape[0], values.shape[1]))


def solve(problem: Problem, start: FloatArray, best: float = -np.inf) -> Solution | None:
    """Minimise the sum of squares from x = `start` (Levenberg-Marquardt).

    None if the start is no sensor, or on the way to a minimum that was found before, where it was `best`.
    """
    x = start
    now = problem.evaluate(x)
    if now is None:
        return None
    damping, converged = 1e-3, False
    for _ in range(_MAX_PASSES):
        r, jacobian = now
        cost = float(r @ r)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ r
        diagonal = np.maximum(np.diag(normal), 1e-300)
        # what a full step could still gain; its part in cost of a point is far below rounding of a standard deviation
        gain = float(gradient @ _step(normal, diagonal, gradient, 1e-12))
        if gain < _TOLERANCE * (1 + 1e-4 * cost):
            converged = True
            break
        if abs(cost - gain - best) < _SAME:
            return None
        while damping < _MAX_DAMPING:
            trial = x - _step(normal, diagonal, gradient, damping)
            then = problem.evaluate(trial)
            if then is not None and float(then[0] @ then[0]) < cost:
                x, now, damping = trial, then, max(damping / 10, 1e-12)
                break
            damping *= 10
        else:
            # nowhere is better: rounding, unless the slope says otherwise
            converged = float(gradient @ gradient / diagonal.max()) < 1e-6 * (1 + cost)
            break
    return Solution(x, *now, converged)


def _step(normal: FloatArray, diagonal: FloatArray, gradient: FloatArray, damping: float) -> FloatArray:
    """Return the damped Gauss-Newton step, in coordinates scaled to unit curvature."""
    root = np.sqrt(diagonal)
    scaled = normal / (root[:, None] * root) + damping * np.eye(root.size)
    return np.asarray(np.linalg.solve(scaled, gradient / root) / root)
