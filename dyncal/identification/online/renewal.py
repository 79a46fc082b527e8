"""Compiled renewal of what is known of many sensors: jumps, trends, forgetting, and what a block says by itself.

Small dense algebra on the coordinates h (m of them, the first p of the model, the others of the noise), one block of
each sensor at a time; equations in the docstrings, readable references in tests/unit/identification/references.py.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

WEAK: Final = 1e-6
"""Share of the information that survives a jump."""
SHORTER: Final = 0.2
"""Share that survives when the blocks keep disagreeing in one direction."""
MEAN_WEIGHT: Final = 0.25
DISPERSION_WEIGHT: Final = 0.04
MOST_EXCESS: Final = 8.0
CHANCE: Final = 1.4
"""Dispersion that chance exceeds once in two hundred blocks: less is taken for 1."""

QUIET: Final = 0
TREND: Final = 1
JUMP: Final = 2
"""What `judge_blocks` finds."""

_SWEEPS: Final = 30


def significant(dispersion: FloatArray) -> FloatArray:
    """Return what running Birge ratios multiply variances by: 1 up to what chance does."""
    return np.where(dispersion > CHANCE, dispersion, 1.0)


@kernel()
def _cholesky(a: FloatArray, ridge: float, root: FloatArray, scale: FloatArray) -> None:
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
def _forward(root: FloatArray, b: FloatArray, x: FloatArray) -> None:
    """Solve root x = b for a lower triangle."""
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
    _cholesky(a, ridge, root, scale)
    for j in range(m):
        column[:] = 0.0
        column[j] = 1.0
        _forward(root, column, half[j])
    for i in range(m):
        for j in range(m):
            value = 0.0
            for k in range(max(i, j), m):  # (R Rᵀ)⁻¹ = R⁻ᵀ R⁻¹
                value += half[i, k] * half[j, k]
            out[i, j] = value / (scale[i] * scale[j])


@kernel()
def _diagonalise(a: FloatArray, vectors: FloatArray) -> None:
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


@kernel("void(f8[:, ::1], f8[:, ::1], f8)")
def forget(information: FloatArray, new: FloatArray, rate: float) -> None:  # noqa: C901 - loops of small matrices
    """Take from L (m, m) the share that new information A replaces, direction by direction, in place.

    With A v = a L v, the direction v loses min(a, rate): never more than comes in, so that nothing is forgotten while
    nothing is learnt, and the covariance cannot blow up.
    """
    if rate <= 0:
        return
    m = information.shape[0]
    root, scale, half = np.empty((m, m)), np.empty(m), np.empty((m, m))
    shares, vectors, column = np.empty((m, m)), np.empty((m, m)), np.empty(m)
    _cholesky(information, 1e-13, root, scale)
    for j in range(m):
        for i in range(m):
            column[i] = new[i, j] / (scale[i] * scale[j])
        _forward(root, column, half[j])  # half = (R⁻¹ A)ᵀ
    for j in range(m):
        for i in range(m):
            column[i] = half[i, j]
        _forward(root, column, shares[j])
    for i in range(m):
        for j in range(i):
            shares[i, j] = shares[j, i] = (shares[i, j] + shares[j, i]) / 2
    _diagonalise(shares, vectors)
    turned = half
    for i in range(m):
        for j in range(m):
            turned[i, j] = 0.0
            for k in range(i + 1):
                turned[i, j] += root[i, k] * vectors[k, j]
    for i in range(m):
        for j in range(m):
            value = 0.0
            for k in range(m):
                value += turned[i, k] * turned[j, k] * (1 - min(max(shares[k, k], 0.0), rate))
            information[i, j] = value * scale[i] * scale[j]


@kernel("void(i8, f8[:, ::1], f8[::1], f8, f8[:, ::1], f8[::1])")
def whiten(p: int, a: FloatArray, b: FloatArray, variance: float, information: FloatArray, white: FloatArray) -> None:
    """Write the whitened gradient of a block at the prior, (p,), standard normal while nothing has changed.

    It is that of the model's coordinates alone: those of the noise are nearly orthogonal to them, and their own scores
    are skewed where there is no such noise to be found. Its squared norm is D = bᵀ(A + A P A)⁻¹b
    with A = ΣψψT/σ², b = Σψe/σ² (docs/metrology.md).
    """
    m = information.shape[0]
    cov, unit, spread = np.empty((m, m)), np.empty((p, p)), np.empty((p, p))
    scale, root, ones = np.empty(p), np.empty((p, p)), np.empty(p)
    invert(information, 1e-13, cov)
    for i in range(p):
        scale[i] = np.sqrt(max(a[i, i] / variance, 1e-300))
    for i in range(p):
        ones[i] = b[i] / variance / scale[i]
        for j in range(p):
            unit[i, j] = a[i, j] / variance / (scale[i] * scale[j])
            cov[i, j] *= scale[i] * scale[j]
    for i in range(p):
        for j in range(p):
            value = unit[i, j]
            for k in range(p):
                for n in range(p):
                    value += unit[i, k] * cov[k, n] * unit[n, j]
            spread[i, j] = value
    # not scaled once more: the order of the coordinates and their scale make `white` what it is
    for i in range(p):
        for j in range(i + 1):
            value = spread[i, j] + (1e-12 if i == j else 0.0)
            for k in range(j):
                value -= root[i, k] * root[j, k]
            root[i, j] = np.sqrt(max(value, 1e-15)) if i == j else value / root[j, j]
    _forward(root, ones, white)


@kernel(
    "void(i8, f8[:, :, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[::1], f8[:, :, ::1], f8[:, ::1], f8[::1], i8[::1])"
)
def judge_blocks(
    p: int, a: FloatArray, b: FloatArray, variance: FloatArray, floor: FloatArray, limits: FloatArray,
    information: FloatArray, trend: FloatArray, dispersion: FloatArray, found: Int64Array,
) -> None:  # fmt: skip
    """Compare blocks with what was known, and give up of that what they contradict.

    Parameters
    ----------
    p : int
        Coordinates of the model; the m - p others are of the noise.
    a : float64, shape (k, m, m); b : float64, shape (k, m); variance : float64, shape (k,)
        ΣψψT and Σψe of the blocks at the prior, and σ² times `significant` dispersion.
    floor : float64, shape (m - p, m - p)
        Information on the noise coordinates that is there before any data.
    limits : float64, shape (2,)
        Of D for a jump and for a trend.
    information : float64, shape (k, m, m); trend : float64, shape (k, p); dispersion : float64, shape (k,)
        In and out: L, running mean of the whitened disagreement, running mean of the Birge ratio of the blocks'
        disagreement.
    found : int64, shape (k,)
        On return `JUMP` where one block alone contradicts the past, `TREND` where the blocks keep disagreeing in one
        direction: of the past there is left then `WEAK`, or `SHORTER`. Of the noise nothing is given up: a sensor that
        changes does not change the reference's noise, and a free K would take the change for noise of the input.
    """
    white = np.empty(p)
    for k in range(found.size):
        whiten(p, a[k], b[k], variance[k], information[k], white)
        d = 0.0
        for i in range(p):
            d += white[i] ** 2
        found[k] = QUIET
        # of the blocks to what their information claims by itself; a sensor that jumps once does not carry it far
        ratio = min(d / p, MOST_EXCESS) * (dispersion[k] if dispersion[k] > CHANCE else 1.0)
        dispersion[k] += DISPERSION_WEIGHT * (ratio - dispersion[k])
        if d > limits[0]:
            found[k] = JUMP
        else:
            length = 0.0
            for i in range(p):
                trend[k, i] = (1 - MEAN_WEIGHT) * trend[k, i] + MEAN_WEIGHT * white[i]
                length += trend[k, i] ** 2
            if length * (2 - MEAN_WEIGHT) / MEAN_WEIGHT > limits[1]:
                found[k] = TREND
        if found[k] != QUIET:
            _weaken(p, WEAK if found[k] == JUMP else SHORTER, floor, information[k])
            trend[k] = 0.0


@kernel()
def _weaken(p: int, share: float, floor: FloatArray, information: FloatArray) -> None:
    root = np.sqrt(share)
    m = information.shape[0]
    for i in range(m):
        for j in range(m):
            information[i, j] *= (root if i < p else 1.0) * (root if j < p else 1.0)
            if i >= p and j >= p:
                information[i, j] += floor[i - p, j - p]


@kernel("void(i8, f8[::1], f8[::1], f8[:, ::1])")
def to_physical(kind: int, h: FloatArray, theta: FloatArray, jacobian: FloatArray) -> None:
    """Write θ (p,) and ∂θ/∂η (p, p) of the kinds in `passes.CODES`, as their models have them."""
    p = theta.size
    jacobian[:] = 0.0
    theta[0] = h[0]
    jacobian[0, 0] = 1.0
    for i in range(1, p):
        theta[i] = np.exp(h[i])
        jacobian[i, i] = theta[i]
    if kind == 2:
        alpha = h[3]
        theta[3] = theta[2] + alpha * (theta[1] - theta[2])
        jacobian[3, 1], jacobian[3, 2] = alpha * theta[1], (1 - alpha) * theta[2]
        jacobian[3, 3] = theta[1] - theta[2]


@kernel(
    "void(i8, f8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[::1], f8[:, :, ::1], f8[:, :, ::1],"
    " f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1])"
)
def renew_blocks(  # noqa: C901 - loops of small matrices
    kind: int, rate: FloatArray, h: FloatArray, a: FloatArray, b: FloatArray, cross: FloatArray, variance: FloatArray,
    information: FloatArray, considered: FloatArray,
    theta: FloatArray, cov: FloatArray, score: FloatArray, evidence: FloatArray,
) -> None:  # fmt: skip
    """Take fitted blocks in: L ← F(L) + A, and what the considered disturbances do to the new estimates.

    Parameters
    ----------
    kind : int
        `passes.CODES`.
    rate : float64, shape (k,)
        Largest share that is forgotten with a block.
    h : float64, shape (k, m)
        Fitted coordinates.
    a, b, cross, variance
        ΣψψT (k, m, m), Σψe (k, m), Σψψ of the disturbances (k, m, 2) and σ² (k,) there; a variance of infinity marks a
        block that is not taken in.
    information : float64, shape (k, m, m); considered : float64, shape (k, m, 2)
        In and out: L, and ∂h/∂(reference offset, clock offset) = L⁻¹(F(L) C̄ - cross/σ²).
    theta, cov : float64, shapes (k, p), (k, p, p)
        On return the estimate and its covariance, without systematic contributions.
    score, evidence : float64, shapes (k, p), (k, p, p)
        On return the block's own score and information in θ at its linearisation, marginal over the noise's coordinates
        as all blocks know them.
    """
    m, p = h.shape[1], theta.shape[1]
    new, inverse, mixed = np.empty((m, m)), np.empty((m, m)), np.empty((m, 2))
    jacobian = np.empty((p, p))
    for k in range(h.shape[0]):
        taken = np.isfinite(variance[k])
        if taken:
            for i in range(m):
                for j in range(m):
                    new[i, j] = a[k, i, j] / variance[k]
            forget(information[k], new, rate[k])
            for i in range(m):
                for j in range(2):
                    mixed[i, j] = -cross[k, i, j] / variance[k]
                    for n in range(m):
                        mixed[i, j] += information[k, i, n] * considered[k, n, j]
            for i in range(m):
                for j in range(m):
                    information[k, i, j] += new[i, j]
        invert(information[k], 1e-13, inverse)
        if taken:
            for i in range(m):
                for j in range(2):
                    considered[k, i, j] = 0.0
                    for n in range(m):
                        considered[k, i, j] += inverse[i, n] * mixed[n, j]
        to_physical(kind, h[k], theta[k], jacobian)
        _transform(jacobian, inverse, cov[k])
        if taken:
            _evidence(jacobian, a[k], b[k], variance[k], information[k], score[k], evidence[k])
        else:
            score[k], evidence[k] = 0.0, 0.0


@kernel()
def _transform(jacobian: FloatArray, cov: FloatArray, out: FloatArray) -> None:
    p = jacobian.shape[0]
    for i in range(p):
        for j in range(p):
            value = 0.0
            for k in range(p):
                for n in range(p):
                    value += jacobian[i, k] * cov[k, n] * jacobian[j, n]
            out[i, j] = value


@kernel()
def _evidence(
    jacobian: FloatArray, a: FloatArray, b: FloatArray, variance: float, known: FloatArray,
    score: FloatArray, evidence: FloatArray,
) -> None:  # fmt: skip
    """Write what a block says of θ by itself, the noise's coordinates being as well known as they are with all blocks.

    A block's own cross products of θ and noise would not do: their sensitivities are made of the same innovations, so
    that eliminating the noise by one short block's sums claims too much. At the fitted point, where the noise is at
    its best, the score of θ needs no correction.
    """
    m, p = a.shape[0], jacobian.shape[0]
    noise, inverse = np.empty((m - p, m - p)), np.empty((m - p, m - p))
    reduced, slope = np.empty((p, p)), np.empty(p)
    for i in range(m - p):
        for j in range(m - p):
            noise[i, j] = known[p + i, p + j]
    invert(noise, 1e-13, inverse)
    mix = np.zeros((p, m - p))
    for i in range(p):
        for j in range(m - p):
            for k in range(m - p):
                mix[i, j] += a[i, p + k] / variance * inverse[k, j]
    for i in range(p):
        slope[i] = b[i] / variance
        for j in range(p):
            reduced[i, j] = a[i, j] / variance
            for k in range(m - p):
                reduced[i, j] -= mix[i, k] * a[p + k, j] / variance
    outward, unit = np.empty((p, p)), np.empty(p)  # (∂θ/∂η)⁻ᵀ; the Jacobian of every kind is a lower triangle
    for i in range(p):
        unit[:] = 0.0
        unit[i] = 1.0
        _forward(jacobian, unit, outward[i])
    for i in range(p):
        score[i] = 0.0
        for k in range(p):
            score[i] += outward[i, k] * slope[k]
    _transform(outward, reduced, evidence)
