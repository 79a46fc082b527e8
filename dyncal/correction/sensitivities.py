"""Sensitivity biquads that hold in the band where the corrected signal lives.

A model gives biquads by the bilinear transform, right far below Nyquist. A sensor that is sampled a few times a period
needs better: numerators and the shared denominator are fitted to the exact -∂ln H/∂θ_i with the corrected signal's own
spectrum as weight (linear least squares, reweighted by the last denominator: Sanathanan & Koerner, IEEE Trans. Autom.
Control 8 (1963) 56).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.correction import safety
from dyncal.correction.folding import ComplexArray
from dyncal.domain.samples import FloatArray

_GOOD_ENOUGH: Final = 0.01
_WIDEST_POLE: Final = 0.9999
_ROUNDS: Final = 8
_MOST_POINTS: Final = 1 << 14


def refine(biquads: FloatArray, exact: ComplexArray, angle: FloatArray, weight: FloatArray) -> FloatArray:
    """Return biquads that follow `exact`, the given ones where they do so to 1 %.

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
