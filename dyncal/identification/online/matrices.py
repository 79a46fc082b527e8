"""Compiled algebra of small dense matrices."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.kernels import kernel

_SWEEPS: Final = 30


@kernel()
def cholesky(a: FloatArray, ridge: float, root: FloatArray, scale: FloatArray) -> None:
    """Write the lower factor of a, scaled to a unit diagonal and with a ridge on it, and the scale √diag a."""
    m = scale.size
    for i in range(m):
        scale[i] = np.sqrt(max(a[i, i], 1e-300))
    for i in range(m):
        for j in range(i + 1):
            value = a[i, j] / (scale[i] * scale[j]) + (ridge if i == j else 0.0)
            for k in range(j):
                value -= root[i, k] * root[j, k]
            root[i, j] = np.sqrt(max(value, 1e-15)) if i == j else value / root[j, j]
        for j in range(i + 1, m):
            root[i, j] = 0.0


@kernel()
def forward(root: FloatArray, b: FloatArray, x: FloatArray) -> None:
    """Solve root x = b for a lower triangle; x may be b."""
    for i in range(x.size):
        value = b[i]
        for k in range(i):
            value -= root[i, k] * x[k]
        x[i] = value / root[i, i]


@kernel("void(f8[:, ::1], f8, f8[:, ::1])")
def invert(a: FloatArray, ridge: float, out: FloatArray) -> None:
    """Write the inverse of a positive definite a (m, m), scaled so that units do not matter, with a ridge."""
    m = a.shape[0]
    root, scale, column, half = np.empty((m, m)), np.empty(m), np.empty(m), np.empty((m, m))
    cholesky(a, ridge, root, scale)
    for j in range(m):
        column[:] = 0.0
        column[j] = 1.0
        forward(root, column, half[j])
    for i in range(m):
        for j in range(m):
            value = 0.0
            for k in range(max(i, j), m):  # (R Rᵀ)⁻¹ = R⁻ᵀ R⁻¹
                value += half[i, k] * half[j, k]
            out[i, j] = value / (scale[i] * scale[j])


@kernel()
def diagonalise(a: FloatArray, vectors: FloatArray) -> None:
    """Leave the eigenvalues of a symmetric a on its diagonal, by Jacobi's rotations, vectors in columns."""
    m = a.shape[0]
    vectors[:] = 0.0
    for i in range(m):
        vectors[i, i] = 1.0
    for _ in range(_SWEEPS):
        off = size = 0.0
        for i in range(m):
            size += a[i, i] ** 2
            for j in range(i):
                off += a[i, j] ** 2
        if off <= 1e-30 * size:
            return
        for i in range(m - 1):
            for j in range(i + 1, m):
                if a[i, j] == 0.0:
                    continue
                t = (a[j, j] - a[i, i]) / (2 * a[i, j])
                t = (1.0 if t >= 0 else -1.0) / (abs(t) + np.sqrt(1 + t * t))
                c = 1 / np.sqrt(1 + t * t)
                s = t * c
                for k in range(m):
                    u, v = a[k, i], a[k, j]
                    a[k, i], a[k, j] = c * u - s * v, s * u + c * v
                for k in range(m):
                    u, v = a[i, k], a[j, k]
                    a[i, k], a[j, k] = c * u - s * v, s * u + c * v
                for k in range(m):
                    u, v = vectors[k, i], vectors[k, j]
                    vectors[k, i], vectors[k, j] = c * u - s * v, s * u + c * v
