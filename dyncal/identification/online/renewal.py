"""Compiled renewal of what is known of many sensors: jumps, trends, forgetting, and what a block says by itself.

Small dense algebra on the coordinates h (m of them, the first p of the model, the others of the noise), one block of
each sensor at a time; equations in the docstrings, readable references in tests/unit/identification/references.py.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.online.matrices import cholesky, diagonalise, forward, invert
from dyncal.kernels import kernel

WEAK: Final = 1e-6
"""Share of the information that survives a jump."""
SHORTER: Final = 0.2
"""Share that survives when the blocks keep disagreeing in one direction."""
MEAN_WEIGHT: Final = 0.25
DISPERSION_WEIGHT: Final = 0.04
MOST_EXCESS: Final = 8.0
CHANCE: Final = 1.5
"""Dispersion that chance exceeds once in two hundred blocks: less is taken for 1."""
TRACE: Final = 1e-4
"""Share of what was known that stands for a block in directions of which that says nothing."""

QUIET: Final = 0
TREND: Final = 1
JUMP: Final = 2
"""What `judge_blocks` finds."""


def significant(dispersion: FloatArray) -> FloatArray:
    """Return what running Birge ratios multiply variances by: 1 up to what chance does."""
    return np.where(dispersion > CHANCE, dispersion, 1.0)


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
    cholesky(information, 1e-13, root, scale)
    for j in range(m):
        for i in range(m):
            column[i] = new[i, j] / (scale[i] * scale[j])
        forward(root, column, half[j])  # half = (R⁻¹ A)ᵀ
    for j in range(m):
        for i in range(m):
            column[i] = half[i, j]
        forward(root, column, shares[j])
    for i in range(m):
        for j in range(i):
            shares[i, j] = shares[j, i] = (shares[i, j] + shares[j, i]) / 2
    diagonalise(shares, vectors)
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
    forward(root, ones, white)


@kernel("f8(i8, f8[::1], f8[:, ::1], f8[::1], f8, f8[:, ::1], f8[:, ::1])")
def differ(
    p: int, h: FloatArray, a: FloatArray, b: FloatArray, variance: float, information: FloatArray, newest: FloatArray
) -> float:
    """Return D/p of a block against the one before it, and keep the block in place of that; NaN for the first.

    As `whiten` has it of a block against all before, with what the block before says by itself in place of these: two
    blocks in a row differ by what scatters, and by little of a drift. `newest` (p, p + 1) is A and A(h̄ + A⁻¹b) of the
    newest block; h (m,) is h̄. Where that block says nothing, a trace of what was known (`TRACE`) does.
    """
    white, before, gap, pull = np.empty(p), np.empty((p, p)), np.empty(p), np.empty(p)
    inverse = np.empty((p, p))
    first = not newest[0, 0] > 0
    for i in range(p):
        pull[i] = newest[i, p]  # of the gradient at h̄
        for j in range(p):
            before[i, j] = newest[i, j] + TRACE * information[i, j]
            pull[i] -= newest[i, j] * h[j]
    if not first:
        invert(before, 1e-13, inverse)
        for i in range(p):
            gap[i] = b[i]
            for j in range(p):
                for k in range(p):
                    gap[i] -= a[i, j] * inverse[j, k] * pull[k]
        whiten(p, a, gap, variance, before, white)
    for i in range(p):
        newest[i, p] = b[i] / variance
        for j in range(p):
            newest[i, j] = a[i, j] / variance
            newest[i, p] += newest[i, j] * h[j]
    d = 0.0
    for i in range(p):
        d += white[i] ** 2
    return np.nan if first else d / p


@kernel(
    "void(i8, f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[::1], f8[:, :, ::1], f8[:, ::1], f8[::1],"
    " f8[:, :, ::1], i8[::1])"
)
def judge_blocks(
    p: int, h: FloatArray, a: FloatArray, b: FloatArray, variance: FloatArray, floor: FloatArray, limits: FloatArray,
    information: FloatArray, trend: FloatArray, dispersion: FloatArray, newest: FloatArray, found: Int64Array,
) -> None:  # fmt: skip
    """Compare blocks with what was known, and give up of that what they contradict.

    Parameters
    ----------
    p : int
        Coordinates of the model; the m - p others are of the noise.
    h : float64, shape (k, m); a : float64, shape (k, m, m); b : float64, shape (k, m); variance : float64, shape (k,)
        The prior h̄, ΣψψT and Σψe of the blocks at the prior, and σ² times `significant` dispersion.
    floor : float64, shape (m - p, m - p)
        Information on the noise coordinates that is there before any data.
    limits : float64, shape (2,)
        Of D for a jump and for a trend.
    information : float64, shape (k, m, m); trend : float64, shape (k, p); dispersion : float64, shape (k,)
        In and out: L, running mean of the whitened disagreement, running mean of the Birge ratio of each block and the
        one before it.
    newest : float64, shape (k, p, p + 1)
        In and out: what the newest block says by itself (`differ`).
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
        # of blocks in a row, for a sensor that drifts does not scatter; one that jumps once does not carry it far
        ratio = differ(p, h[k], a[k], b[k], variance[k], information[k], newest[k])
        if ratio >= 0:
            ratio = min(ratio, MOST_EXCESS) * (dispersion[k] if dispersion[k] > CHANCE else 1.0)
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
        forward(jacobian, unit, outward[i])
    for i in range(p):
        score[i] = 0.0
        for k in range(p):
            score[i] += outward[i, k] * slope[k]
    _transform(outward, reduced, evidence)
