"""Sums of biquads with shared poles that follow several frequency responses at once (vector fitting).

f_i(z) = d_i + Σ_j (1 - z⁻¹)(β_j0 + β_j1 z⁻¹)/(1 + a_j1 z⁻¹ + a_j2 z⁻²): exact at DC whatever the β. Poles are moved to
the zeros of the σ(z) = 1 + Σ_j z⁻¹(γ_j0 + γ_j1 z⁻¹)/den_j that makes σ f_i such a sum best, with weights (Gustavsen &
Semlyen, IEEE Trans. Power Delivery 14 (1999) 1052, in discrete time); a pole outside the unit circle is mirrored into
it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.models.base import ComplexArray

WIDEST_POLE: Final = 0.9999
_ROUNDS: Final = 10


def fit(
    target: ComplexArray, z: ComplexArray, root: FloatArray, at_dc: FloatArray, denominators: FloatArray, enough: float
) -> tuple[FloatArray, float]:
    """Return biquads, shape (k, p, 5), whose sums over k follow `target`, and the largest relative rms error.

    Parameters
    ----------
    target : complex128, shape (n, p)
    z : complex128, shape (n,)
        z⁻¹ at the frequencies.
    root : float64, shape (n,)
        Square root of the weight.
    at_dc : float64, shape (p,)
        f_i at DC.
    denominators : float64, shape (k, 2)
        Rows a1 a2 to start from, poles inside the unit circle.
    enough : float
        Error at which no more is tried.
    """
    moving = target - at_dc
    size = np.linalg.norm(root[:, None] * target, axis=0)
    best, error = _numerators(moving, z, root, denominators), np.inf
    here = denominators
    for _ in range(_ROUNDS):
        rows = _numerators(moving, z, root, here)
        now = float(np.max(np.linalg.norm(root[:, None] * (response(rows, z) - moving), axis=0) / size))
        if now < error:
            best, error = rows, now
        if error <= enough:
            break
        here = _relocated(moving, z, root, here, size)
    shift = np.zeros_like(best)
    shift[0, :, 0] = at_dc
    shift[0, :, 1:3] = at_dc[:, None] * best[0, :, 3:]
    return best + shift, error


def response(rows: FloatArray, z: ComplexArray) -> ComplexArray:
    """Return Σ over k of the biquads' responses, rows of shape (k, p, 5): shape (n, p)."""
    power = np.stack([np.ones_like(z), z, z * z])
    total: ComplexArray = ((rows[..., :3] @ power) / (1 + rows[..., 3:] @ power[1:])).sum(axis=0).T
    return total


def of_poles(poles: ComplexArray) -> FloatArray:
    """Return denominators a1 a2, shape (k, 2), with these poles (conjugates in pairs), reals paired; 0 fills up."""
    upper = poles[poles.imag > 0]
    rows = [(-2 * float(p.real), float(abs(p)) ** 2) for p in upper]
    reals = sorted(float(p.real) for p in poles[poles.imag == 0])
    for p, q in zip(reals[::2], [*reals[1::2], 0.0], strict=False):
        rows.append((-(p + q), p * q))
    return np.array(rows).reshape(-1, 2)


def inside(poles: ComplexArray) -> ComplexArray:
    """Return poles mirrored into the unit circle, none beyond `WIDEST_POLE`."""
    radius = np.abs(poles)
    mirrored = np.where(radius > 1, poles / np.maximum(radius, 1e-300) ** 2, poles)
    radius = np.abs(mirrored)
    held: ComplexArray = np.where(radius > WIDEST_POLE, mirrored * (WIDEST_POLE / np.maximum(radius, 1e-300)), mirrored)
    return held


def _basis(z: ComplexArray, denominators: FloatArray) -> ComplexArray:
    """Return 1/den_j and z⁻¹/den_j, shape (n, 2k)."""
    ones = 1 / (1 + np.outer(z, denominators[:, 0]) + np.outer(z * z, denominators[:, 1]))
    return np.stack([ones, ones * z[:, None]], axis=-1).reshape(z.size, -1)


def _numerators(target: ComplexArray, z: ComplexArray, root: FloatArray, denominators: FloatArray) -> FloatArray:
    matrix = root[:, None] * (1 - z)[:, None] * _basis(z, denominators)
    beta = _least_squares(matrix, root[:, None] * target).reshape(-1, 2, target.shape[1])
    rows = np.zeros((denominators.shape[0], target.shape[1], 5))
    rows[..., 0], rows[..., 1], rows[..., 2] = beta[:, 0], beta[:, 1] - beta[:, 0], -beta[:, 1]
    rows[..., 3:] = denominators[:, None, :]
    return rows


def _relocated(
    target: ComplexArray, z: ComplexArray, root: FloatArray, denominators: FloatArray, size: FloatArray
) -> FloatArray:
    p = target.shape[1]
    basis = _basis(z, denominators)
    q = basis.shape[1]
    own = (1 - z)[:, None] * basis
    reduced, right = [], []
    for i in range(p):
        weight = root / size[i]
        both = np.column_stack([own, -target[:, i, None] * z[:, None] * basis, target[:, i]]) * weight[:, None]
        tall = np.vstack([both.real, both.imag])
        # the own numerators are eliminated: what remains of the triangle is about σ alone
        triangle: FloatArray = np.asarray(np.linalg.qr(tall / _norms(tall), mode="r"))
        rest = triangle[q:, q:] * _norms(tall)[q:]
        reduced.append(rest[:, :q])
        right.append(rest[:, q])
    gamma = _least_squares(np.concatenate(reduced), np.concatenate(right)[:, None])[:, 0]
    return _paired(inside(_zeros(denominators, gamma)))


def _zeros(denominators: FloatArray, gamma: FloatArray) -> ComplexArray:
    """Return the zeros of 1 + Σ z⁻¹(γ_j0 + γ_j1 z⁻¹)/den_j: eigenvalues of A - b c (no polynomial of high degree)."""
    k = denominators.shape[0]
    a, b = np.zeros((2 * k, 2 * k)), np.zeros(2 * k)
    for j, (a1, a2) in enumerate(denominators):
        a[2 * j : 2 * j + 2, 2 * j : 2 * j + 2] = [[-a1, -a2], [1.0, 0.0]]
        b[2 * j] = 1.0
    return np.asarray(np.linalg.eigvals(a - np.outer(b, gamma)), np.complex128)


def _paired(poles: ComplexArray) -> FloatArray:
    poles = np.where(np.abs(poles.imag) < 1e-12, poles.real + 0j, poles)
    return of_poles(poles)


def _least_squares(matrix: ComplexArray | FloatArray, right: ComplexArray | FloatArray) -> FloatArray:
    tall: FloatArray = np.vstack([matrix.real, matrix.imag])
    side: FloatArray = np.vstack([right.real, right.imag])
    norms = _norms(tall)
    solution: FloatArray = np.linalg.lstsq(tall / norms, side, rcond=1e-13)[0] / norms[:, None]
    return solution


def _norms(matrix: FloatArray) -> FloatArray:
    norms = np.linalg.norm(matrix, axis=0)
    return np.where(norms > 0, norms, 1.0)
