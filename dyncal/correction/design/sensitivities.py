"""Sensitivity biquads that hold in the band where the corrected signal lives.

A model of first or second order gives biquads by the bilinear transform, right far below Nyquist. A sensor that is
sampled a few times a period needs better: numerators and the shared denominator are fitted to the exact -∂ln H/∂θ_i
with the corrected signal's own spectrum as weight (linear least squares, reweighted by the last denominator: Sanathanan
& Koerner, IEEE Trans. Autom. Control 8 (1963) 56). Rational models and dead times start from the poles and zeros
themselves and take as many biquads as 0.3 % needs (`dyncal.correction.design.rational_fit`). What no causal filter
follows, such as the sensitivity to a zero in the right half-plane, is stationary variance: `unexplained`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dyncal.correction import safety
from dyncal.correction.design import rational_fit
from dyncal.correction.design.sensor import DELAY, Sensor
from dyncal.correction.folding import ComplexArray
from dyncal.domain.samples import FloatArray
from dyncal.models import Delayed, ResponseModel, SensorModel

_GOOD_ENOUGH: Final = 3e-3
_ONE_IS_ENOUGH: Final = 5e-3  # error up to which a second biquad, and its time on the edge, is spared
_WIDEST_POLE: Final = rational_fit.WIDEST_POLE
_ROUNDS: Final = 8
_MOST_POINTS: Final = 1 << 14
_FEW_POINTS: Final = 1 << 12
_MOST_BIQUADS: Final = 4


def fit_sensitivities(sensor: Sensor, dt_s: float, omega: FloatArray, weight: FloatArray) -> FloatArray:
    """Return sensitivity biquads, shape (k p, 5): row r about parameter r mod p, rows of one parameter add.

    Parameters
    ----------
    sensor : Sensor
    dt_s : float
        Sampling interval [s].
    omega : float64, shape (n,)
        Frequencies [rad/s], below Nyquist.
    weight : float64, shape (n,)
        Power of the corrected signal there.
    """
    exact = sensor.log_sensitivities(omega)
    groups = []
    for columns, start in _starts(sensor, dt_s, omega, weight):
        if start.ndim == 2:  # biquads by the bilinear transform
            groups += _few_biquads(sensor, exact, columns, start, omega * dt_s, weight)
        else:
            groups.append((columns, _sum_of_biquads(sensor, exact[:, columns], columns, start, omega * dt_s, weight)))
    k = max(rows.shape[0] for _, rows in groups)
    whole = np.zeros((k, sensor.theta.size, 5))
    for columns, rows in groups:
        whole[: rows.shape[0], columns] = rows
    return whole.reshape(-1, 5)


def unexplained(
    sensor: Sensor, biquads: FloatArray, dt_s: float, omega: FloatArray, weight: FloatArray, cov: FloatArray
) -> float:
    """Return the variance of cᵀ δθ that the biquads leave out: Σ weight rᵀ U r*, r the error of the responses."""
    p = sensor.theta.size
    z = np.exp(-1j * omega * dt_s)
    wrong = rational_fit.response(biquads.reshape(-1, p, 5), z) - sensor.log_sensitivities(omega)
    square = np.einsum("ni,ij,nj->n", wrong, cov, np.conj(wrong)).real
    return float(np.sum(weight * np.maximum(square, 0.0)))


def _starts(sensor: Sensor, dt_s: float, omega: FloatArray, weight: FloatArray) -> list[tuple[list[int], FloatArray]]:
    """Return columns that share poles, with biquads (p, 5) or denominators (1, k, 2) to start from."""
    inner: ResponseModel = sensor.model.model if isinstance(sensor.model, Delayed) else sensor.model
    names, n = sensor.model.names, len(inner.names)
    groups: list[tuple[list[int], FloatArray]] = []
    if isinstance(inner, SensorModel) and not any(name[0] in "ab" for name in inner.names[1:]):
        bilinear = inner.sensitivity_biquads(sensor.theta[:n], dt_s)
        behind = bool(np.any(sensor.zeros.real >= 0))  # only a two-mode sensor has a zero: its last parameter
        groups.append((list(range(n - behind)), bilinear[: n - behind]))
        if behind:
            groups.append(([n - 1], _mapped(sensor.zeros, dt_s)))
    else:
        b = [i for i in range(n) if names[i] == "gain" or names[i].startswith("b")]
        a = [i for i in range(n) if i not in b]
        groups.append((b, _mapped(sensor.zeros, dt_s)))
        if a:
            groups.append((a, _mapped(sensor.poles, dt_s)))
    if names[-1] == DELAY:
        centre = float(np.sum(weight * omega) / max(float(np.sum(weight)), 1e-300))
        groups.append(([n], _mapped(np.array([-4 * max(centre, 1e-6 / dt_s) + 0j]), dt_s)))
    return groups


def _few_biquads(
    sensor: Sensor, exact: ComplexArray, columns: list[int], start: FloatArray, angle: FloatArray, weight: FloatArray
) -> list[tuple[list[int], FloatArray]]:
    """Return columns with rows (k, p, 5): one biquad each where that is enough, else sums of them."""
    rows = refine(start, exact[:, columns], angle, weight)
    stride = -(-angle.size // _FEW_POINTS)
    z, root = np.exp(-1j * angle[::stride]), np.sqrt(weight[::stride])
    groups = []
    for a1, a2 in dict.fromkeys((float(row[3]), float(row[4])) for row in rows):
        own = np.flatnonzero((rows[:, 3] == a1) & (rows[:, 4] == a2))
        mine = [columns[i] for i in own]
        best = rows[own][None]
        if (a1 or a2) and _error(rows[own], exact[::stride][:, mine], z, root) > _ONE_IS_ENOUGH:
            best = _sum_of_biquads(sensor, exact[:, mine], mine, np.array([[[a1, a2], [0.0, 0.0]]]), angle, weight)
        groups.append((mine, best))
    return groups


def _mapped(poles: ComplexArray, dt_s: float) -> FloatArray:
    left = np.where(poles.real > 0, -np.conj(poles), poles)
    z = rational_fit.inside(np.exp(left * dt_s))
    z = np.where(np.abs(z.imag) < 1e-12, z.real + 0j, z)
    return rational_fit.of_poles(z).reshape(1, -1, 2)


def _sum_of_biquads(
    sensor: Sensor, exact: ComplexArray, columns: list[int], start: FloatArray, angle: FloatArray, weight: FloatArray
) -> FloatArray:
    """Return rows (k, p, 5), with the fewest biquads that reach 0.3 %, or the best of a few."""
    stride = -(-angle.size // _FEW_POINTS)
    z, target, root = np.exp(-1j * angle[::stride]), exact[::stride], np.sqrt(weight[::stride])
    at_dc = np.where(np.array(columns) == 0, -1 / sensor.dc_gain, 0.0)
    if start.shape[1] == 0:  # a constant
        return np.concatenate([at_dc[:, None], np.zeros((at_dc.size, 4))], axis=1)[None]
    here = start[0]
    best, error = rational_fit.fit(target, z, root, at_dc, here, _GOOD_ENOUGH)
    spread = float(np.sqrt(np.sum(weight * angle**2) / np.sum(weight)))
    while error > _GOOD_ENOUGH and here.shape[0] < _MOST_BIQUADS:
        radius = math.exp(-min(3 * spread, 3.0) / here.shape[0])
        here = np.vstack([here, [-2 * radius * math.cos(min(spread, 3.0)), radius**2]])
        tried, now = rational_fit.fit(target, z, root, at_dc, here, _GOOD_ENOUGH)
        if now < 0.7 * error:
            best, error = tried, now
    return best


def refine(biquads: FloatArray, exact: ComplexArray, angle: FloatArray, weight: FloatArray) -> FloatArray:
    """Return biquads that follow `exact`, the given ones where they do so to 0.3 %.

    Parameters
    ----------
    biquads : float64, shape (p, 5)
        Rows b0 b1 b2 a1 a2 to start from.
    exact : complex128, shape (n, p)
        -∂ln H/∂θ_i at the angles.
    angle : float64, shape (n,)
        ω·dt, within 0 to π.
    weight : float64, shape (n,)
        Power of the corrected signal at the angles.

    Returns
    -------
    float64, shape (p, 5)
        With poles inside a radius of 0.9999, or those given.
    """
    stride = -(-angle.size // _MOST_POINTS)
    z = np.exp(-1j * angle[::stride])
    target, root = exact[::stride], np.sqrt(weight[::stride])
    refined = biquads.copy()
    moving = np.flatnonzero((biquads[:, 1:] != 0).any(axis=1))
    for a1, a2 in {(float(row[3]), float(row[4])) for row in biquads[moving]}:
        rows = moving[(biquads[moving, 3] == a1) & (biquads[moving, 4] == a2)]
        refined[rows] = _group(biquads[rows], target[:, rows], z, root)
    return refined


def _group(biquads: FloatArray, target: ComplexArray, z: ComplexArray, root: FloatArray) -> FloatArray:
    best, error = biquads, _error(biquads, target, z, root)
    unusable = not safety.pole_radius(biquads[:1, 3:5]) < _WIDEST_POLE
    if error <= _GOOD_ENOUGH and not unusable:
        return best
    denominator = np.array([0.0, 0.0]) if unusable else biquads[0, 3:5]
    if unusable:
        best = _solve(target, z, root, denominator, fixed=True)
        error = _error(best, target, z, root)
    for _ in range(_ROUNDS):
        tried = _solve(target, z, root, denominator, fixed=False)
        denominator = tried[0, 3:5]
        if not safety.pole_radius(tried[:1, 3:5]) < _WIDEST_POLE:
            break
        now = _error(tried, target, z, root)
        if now < error:
            best, error = tried, now
    return best


def _solve(
    target: ComplexArray, z: ComplexArray, root: FloatArray, denominator: FloatArray, *, fixed: bool
) -> FloatArray:
    """Minimise Σ_i ‖root (B_i - E_i A)/A_last‖² over B_i with no gain at DC, and over A unless it is `fixed`."""
    n, p = target.shape
    last = 1 + denominator[0] * z + denominator[1] * z * z
    # Parameters in different units count alike. Numerators made of 1 - z² and z - z² have no gain at DC, as ∂ln H/∂θ.
    scale = root[:, None] / last[:, None] / np.linalg.norm(root[:, None] * target, axis=0)
    matrix = np.zeros((p, n, 2 * p + 2), np.complex128)
    right = np.zeros((p, n), np.complex128)
    for i in range(p):
        matrix[i, :, 2 * i] = (1 - z * z) * scale[:, i]
        matrix[i, :, 2 * i + 1] = (z - z * z) * scale[:, i]
        matrix[i, :, -2] = -target[:, i] * z * scale[:, i]
        matrix[i, :, -1] = -target[:, i] * z * z * scale[:, i]
        right[i] = target[:, i] * scale[:, i]
    if fixed:
        right = right - matrix[:, :, -2:] @ denominator
        matrix = matrix[:, :, :-2]
    flat, side = matrix.reshape(p * n, -1), right.ravel()
    size = np.linalg.norm(flat, axis=0)
    # the same least squares on the triangle of an orthogonal reduction, which is small
    tall = np.column_stack([np.vstack([flat.real, flat.imag]) / size, np.concatenate([side.real, side.imag])])
    triangle: FloatArray = np.asarray(np.linalg.qr(tall, mode="r"))
    x = np.linalg.lstsq(triangle[:, :-1], triangle[:, -1])[0] / size
    if not fixed:
        denominator = x[-2:]
    rows = np.zeros((p, 5))
    rows[:, 0], rows[:, 1] = x[0 : 2 * p : 2], x[1 : 2 * p : 2]
    rows[:, 2] = -rows[:, 0] - rows[:, 1]
    rows[:, 3:] = denominator
    return rows


def _error(biquads: FloatArray, target: ComplexArray, z: ComplexArray, root: FloatArray) -> float:
    """Return the largest relative rms error among the rows, weighted."""
    power = np.stack([np.ones_like(z), z, z * z])
    denominators = 1 + biquads[:, 3:] @ power[1:]
    response = (biquads[:, :3] @ power / denominators).T
    wrong = np.linalg.norm(root[:, None] * (response - target), axis=0)
    return float(np.max(wrong / np.linalg.norm(root[:, None] * target, axis=0)))
