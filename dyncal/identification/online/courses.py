"""What blocks say of parameters that move steadily, beside an offset of zero or clock (`online.shifts`).

An estimate that forgets follows a drift and lags behind it; its lag times the level passes for an offset of zero, with
u that knows nothing of it. So a steady course of the parameters is considered too: h(t) = h + w (t - t_now), w as
unknown as u. With D = ∂ĥ/∂w, which grows by the time that passes and shrinks with what is forgotten::

    D̄ = D + Δt·1,    D = L⁻¹ F(L) D̄

a block adds to the profile of the likelihood, quadratic in (u, w), what it says along D̄::

    s_w ← f s_w + D̄ᵀ ψ_h e,    J_wu ← f J_wu + D̄ᵀX + D̄ᵀAC̄ - (D - D̄)ᵀ L (C - C̄),
    J_ww ← f J_ww + D̄ᵀAD̄ - (D - D̄)ᵀ L (D - D̄)

in the weights of `shifts.weigh_shifts`. `beside_courses` is the profile of u alone, over all w.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.online.matrices import invert
from dyncal.kernels import kernel

_RIDGE: Final = 1e-9  # of a unit diagonal: courses that the data do not tell apart


@kernel(
    "void(i8, f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1],"
    " f8[:, :, ::1], f8[::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1])"
)
def weigh_courses(  # noqa: C901 - loops of small matrices
    p: int, a: FloatArray, b: FloatArray, cross: FloatArray, variance: FloatArray, shares: FloatArray,
    information: FloatArray, before: FloatArray, considered: FloatArray, elapsed_s: FloatArray, course: FloatArray,
    weight: FloatArray, score: FloatArray,
) -> None:  # fmt: skip
    """Add what fitted blocks say of w; equations above.

    Parameters
    ----------
    p, a, b, cross, variance, information, before, considered
        As for `shifts.weigh_shifts`; a variance of infinity marks a block that is not taken in.
    shares : float64, shape (k, 2)
        By which a block counts, and what is kept of those before it: as `weigh_shifts` says on return.
    elapsed_s : float64, shape (k,)
        Δt from the end of the last block that was taken in to the end of this one.
    course : float64, shape (k, m, p)
        In and out: D = ∂ĥ/∂w [s].
    weight, score : float64, shapes (k, p, 2 + p), (k, p)
        In and out: (J_wu, J_ww) and s_w.
    """
    m = b.shape[1]
    q = p + 2
    there, change = np.empty((m, q)), np.empty((m, q))  # C̄, D̄, and how the block moves them
    left, inverse, pushed = np.empty((m, m)), np.empty((m, m)), np.empty((m, q))
    for k in range(variance.size):
        if not np.isfinite(variance[k]):
            continue
        for i in range(m):
            for j in range(2):
                there[i, j] = before[k, i, j]
                change[i, j] = considered[k, i, j] - before[k, i, j]
            for j in range(p):
                there[i, j + 2] = course[k, i, j] + (elapsed_s[k] if i == j else 0.0)
            for n in range(m):
                left[i, n] = information[k, i, n] - a[k, i, n] / variance[k]
        invert(information[k], 1e-13, inverse)
        for i in range(m):
            for j in range(2, q):
                pushed[i, j] = 0.0
                for n in range(m):
                    pushed[i, j] += left[i, n] * there[n, j]
        for i in range(m):
            for j in range(2, q):
                moved = 0.0
                for n in range(m):
                    moved += inverse[i, n] * pushed[n, j]
                course[k, i, j - 2] = moved
                change[i, j] = moved - there[i, j]
        louder, kept = shares[k]
        for w in range(p):
            along = 0.0
            for n in range(m):
                along += there[n, w + 2] * b[k, n]
            score[k, w] = kept * score[k, w] + louder * along / variance[k]
            for j in range(q):
                new, taken = 0.0, 0.0
                for n in range(m):
                    new += there[n, w + 2] * cross[k, n, j] if j < 2 else 0.0
                    for o in range(m):
                        new += there[n, w + 2] * a[k, n, o] * there[o, j]
                        taken += change[n, w + 2] * information[k, n, o] * change[o, j]
                weight[k, w, j] = kept * weight[k, w, j] + louder * (new / variance[k] - taken)


@kernel("void(f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1])")
def beside_courses(  # noqa: C901 - loops of small matrices
    weight: FloatArray, score: FloatArray, course_weight: FloatArray, course_score: FloatArray
) -> None:
    """Leave of J (k, 2, 2) and s (k, 2) of u, in place, what they are over all courses; the others as above."""
    p = course_score.shape[1]
    known, inverse, reduced = np.empty((p, p)), np.empty((p, p)), np.empty((2, p))
    for k in range(score.shape[0]):
        told = True
        for i in range(p):
            told &= course_weight[k, i, i + 2] > 0
            for j in range(p):
                known[i, j] = course_weight[k, i, j + 2]
        if not told:
            continue
        invert(known, _RIDGE, inverse)
        for i in range(2):
            for j in range(p):
                reduced[i, j] = 0.0
                for n in range(p):
                    reduced[i, j] += course_weight[k, n, i] * inverse[n, j]
        for i in range(2):
            for j in range(p):
                score[k, i] -= reduced[i, j] * course_score[k, j]
        for i in range(2):
            for n in range(2):
                for j in range(p):
                    weight[k, i, n] -= reduced[i, j] * course_weight[k, j, n]
            if not weight[k, i, i] > 0:  # rounding
                weight[k, i, :] = 0.0
                weight[k, :, i] = 0.0
