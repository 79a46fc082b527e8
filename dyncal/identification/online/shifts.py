"""What blocks say of an offset u = (zero, clock) of the reference that nothing allows for, beside the parameters.

u is considered, not estimated: with C = ∂ĥ/∂u (`renewal.renew_blocks`), the profile of the likelihood over h is that of
u alone, to first order uᵀJu - 2sᵀu, and a block adds to it what it says along ĥ + C̄u less what h takes of that::

    s ← f s + ψ_u e + C̄ᵀ ψ_h e,    J ← f J + U + XᵀC̄ + C̄ᵀX + C̄ᵀAC̄ - (C - C̄)ᵀ L (C - C̄)

with A, X, U = Σψψᵀ/σ² of h, of h and u, of u; f is what is remembered. û = J⁻¹s is what u would be if it were free.

Where û is certain, blocks are compared with the past as if it had been allowed for (`allowed_for`): each contradicts
the others else, and nothing is remembered from before a jump.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.online.matrices import invert
from dyncal.identification.online.renewal import JUMP, SHORTER, TREND
from dyncal.identification.shift import SURE, Shift, surest
from dyncal.kernels import kernel

_TOLD: Final = 1e-9  # of an unknown's own information: less of it is left only by rounding
_ALONE2: Final = SURE**2
_CLOCK: Final = 1
_CONTRADICTS: Final = 4.0  # as much less noise of a block with u free
_MIXED: Final = 0.25  # weight of a block in which a change falls: neither of what was nor of what is
MOST_SCATTER: Final = 2.0
"""Of blocks that counts where offsets are judged: what is wrong makes them contradict each other, and must not hide."""
_LONGER: Final = 4.0
"""As many times longer than the parameters u is remembered: it does not drift as they do."""


@kernel(
    "void(i8, f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1], f8[::1], f8[::1], f8[::1], f8[::1],"
    " i8[::1],"
    " f8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, ::1], i8[::1],"
    " f8[:, ::1])"
)
def weigh_shifts(  # noqa: C901 - loops of small matrices
    p: int, a: FloatArray, b: FloatArray, cross: FloatArray, own: FloatArray, pull: FloatArray, variance: FloatArray,
    usual: FloatArray, power: FloatArray, rate: FloatArray, found: Int64Array, information: FloatArray,
    before: FloatArray, considered: FloatArray, moved: FloatArray, weight: FloatArray, score: FloatArray,
    motion: FloatArray, told: Int64Array, shares: FloatArray,
) -> None:  # fmt: skip
    """Add what fitted blocks say of u; equations above.

    Parameters
    ----------
    p : int
        Coordinates of the model; the m - p others are of the noise.
    a, b, cross, own, pull, variance
        A (k, m, m), Σψ_h e (k, m), X (k, m, 2), U (k, 2, 2), Σψ_u e (k, 2), not divided by σ² (k,); a variance of
        infinity marks a block that is not taken in.
    usual, power : float64, shape (k,)
        σ² as it was before, and Σe² of the blocks: where σ² is that of the block itself, which is noisier, what u
        explains of that is no noise.
    rate : float64, shape (k,); found : int64, shape (k,)
        Share of the parameters that is forgotten with a block, and what `renewal.judge_blocks` found: nothing is
        remembered from before a jump.
    information : float64, shape (k, m, m); before, considered : float64, shape (k, m, 2)
        L with the block, C̄ and C.
    moved : float64, shape (k, 3)
        `passes.motion` of the blocks.
    weight : float64, shape (k, 2, 2); score : float64, shape (k, 2); motion : float64, shape (k, 3)
        In and out: J, s, and what is remembered of `moved`.
    told : int64, shape (k,)
        On return 1 where one of the two alone is beyond `SURE` standard uncertainties.
    shares : float64, shape (k, 2)
        On return by which a block counted, and what was kept of those before it.
    """
    m = b.shape[1]
    change = np.empty((m, 2))
    for k in range(told.size):
        told[k] = 0
        if not np.isfinite(variance[k]):
            continue
        louder = 1.0
        if variance[k] > usual[k]:
            left = power[k] - _explained(p, a[k], b[k], cross[k], own[k], pull[k])
            louder = variance[k] / min(max(left / power[k] * variance[k], usual[k]), variance[k])
        if found[k] == JUMP:
            louder *= _MIXED
        # what is found in a block that contradicts the past has come with it
        came = louder > _CONTRADICTS and not _certain(weight[k], score[k])
        kept = 0.0 if came or found[k] == JUMP else (SHORTER if found[k] == TREND else 1 - rate[k] / _LONGER)
        shares[k, 0], shares[k, 1] = louder, kept
        for i in range(3):
            motion[k, i] = kept * motion[k, i] + moved[k, i]
        for i in range(m):
            for j in range(2):
                change[i, j] = considered[k, i, j] - before[k, i, j]
        for i in range(2):
            along = pull[k, i]
            for n in range(m):
                along += before[k, n, i] * b[k, n]
            score[k, i] = kept * score[k, i] + louder * along / variance[k]
            for j in range(i + 1):
                new, taken = own[k, i, j], 0.0
                for n in range(m):
                    new += cross[k, n, i] * before[k, n, j] + before[k, n, i] * cross[k, n, j]
                    for o in range(m):
                        new += before[k, n, i] * a[k, n, o] * before[k, o, j]
                        taken += change[n, i] * information[k, n, o] * change[o, j]
                new /= variance[k]
                left = new - taken
                if i == j and not left > _TOLD * own[k, i, i] / variance[k]:
                    left = 0.0
                weight[k, i, j] = weight[k, j, i] = kept * weight[k, i, j] + louder * left
        if _certain(weight[k], score[k]):
            told[k] = 1


@kernel()
def _certain(weight: FloatArray, score: FloatArray) -> bool:
    """Tell whether one of the two alone is beyond `SURE` standard uncertainties."""
    certain = False
    for i in range(2):
        certain |= weight[i, i] > 0 and score[i] ** 2 > _ALONE2 * weight[i, i]
    return certain


@kernel()
def _explained(p: int, a: FloatArray, b: FloatArray, cross: FloatArray, own: FloatArray, pull: FloatArray) -> float:
    """Return by how much Σe² falls with η and u free."""
    n = p + 2
    whole, gradient, inverse = np.empty((n, n)), np.empty(n), np.empty((n, n))
    for i in range(n):
        gradient[i] = b[i] if i < p else pull[i - p]
        for j in range(n):
            if i < p and j < p:
                whole[i, j] = a[i, j]
            elif i < p:
                whole[i, j] = cross[i, j - p]
            elif j < p:
                whole[i, j] = cross[j, i - p]
            else:
                whole[i, j] = own[i - p, j - p]
    invert(whole, 1e-12, inverse)
    total = 0.0
    for i in range(n):
        for j in range(n):
            total += gradient[i] * inverse[i, j] * gradient[j]
    return total


@kernel("void(f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1])")
def allowed_for(
    a: FloatArray, b: FloatArray, cross: FloatArray, considered: FloatArray, weight: FloatArray, score: FloatArray
) -> None:
    """Take from Σψ_h e of blocks (k, m), in place, what a certain û has put there: (A C̄ + X) û.

    Parameters
    ----------
    a, cross, considered, weight, score
        As for `weigh_shifts`, A and X at the prior; J and s before the block.
    """
    m = b.shape[1]
    value = np.empty(2)
    for k in range(b.shape[0]):
        if not _certain(weight[k], score[k]):
            continue
        det = weight[k, 0, 0] * weight[k, 1, 1] - weight[k, 0, 1] ** 2
        if det > _TOLD * weight[k, 0, 0] * weight[k, 1, 1]:
            value[0] = (weight[k, 1, 1] * score[k, 0] - weight[k, 0, 1] * score[k, 1]) / det
            value[1] = (weight[k, 0, 0] * score[k, 1] - weight[k, 0, 1] * score[k, 0]) / det
        else:
            for i in range(2):
                value[i] = score[k, i] / weight[k, i, i] if weight[k, i, i] > 0 else 0.0
        for n in range(m):
            for i in range(2):
                along = cross[k, n, i]
                for o in range(m):
                    along += a[k, n, o] * considered[k, o, i]
                b[k, n] -= along * value[i]


def u_course(motion: FloatArray, dt_s: float) -> float:
    """Return the standard uncertainty [s] of when a reference moved, which is known to an interval only.

    Each of N moves from one sample to the next takes place somewhere within it: Ts/√12 by itself, Ts/√(12 N) for all of
    them, N = (Σ|Δr|)²/Σ(Δr)². Of a smooth one that is not left open: the share Σ(Δ²r)²/2Σ(Δr)² counts, 1 for steps.

    Parameters
    ----------
    motion : float64, shape (3,)
        Σ|Δr|, Σ(Δr)², Σ(Δ²r)².
    dt_s : float
        Interval Ts [s].
    """
    length, power, bend = motion.tolist()
    if not (power > 0 and length > 0):
        return 0.0
    return dt_s * float(np.sqrt(min(bend / (2 * power), 1.0) / 12 * (power / length / length)))


def u_bend(motion: FloatArray, dt_s: float) -> float:
    """Return the standard uncertainty [s] of a shift for which a bend between samples can be taken.

    What runs through the samples of a smooth reference misses Ts²/12 r̈ of it on average, against Δ ṙ for a shift by Δ:
    Δ = Ts/12 · (Σ(Δ²r)²/Σ(Δr)²)^½. The two are alike in so far as the parameters take up what tells them apart. Of
    steps there is no bend (`u_course` has them): the share 1 - Σ(Δ²r)²/2Σ(Δr)² counts.

    Parameters
    ----------
    motion, dt_s : as for `u_course`
    """
    _, power, bend = motion.tolist()
    if not power > 0:
        return 0.0
    return float(dt_s / 12 * np.sqrt(bend / power) * max(1 - bend / (2 * power), 0.0))


def shifts(
    weight: FloatArray, score: FloatArray, considered: FloatArray, cov: FloatArray, u_clock_s: float, scatter: float
) -> tuple[list[Shift], list[Shift]]:
    """Return what zero and clock would be, each alone and both together; those that the data do not tell left out.

    Parameters
    ----------
    weight, score : float64, shapes (2, 2), (2,)
        J and s.
    considered : float64, shape (m, 2)
        C.
    cov : float64, shape (p, p)
        Of the model's coordinates, as reported.
    u_clock_s : float
        `u_course`.
    scatter : float
        By which variances are multiplied (Birge): blocks that contradict each other say less of anything.
    """
    p = cov.shape[0]
    u_eta = np.sqrt(np.maximum(np.diag(cov), 1e-300))

    def shift(i: int, value: float, variance: float, moved: FloatArray) -> Shift:
        u = float(np.hypot(np.sqrt(scatter * variance), u_clock_s if i == _CLOCK else 0.0))
        return Shift(i == _CLOCK, float(value), u, float(np.max(np.abs(moved) / u_eta)))

    effect = considered[:p]
    there = [i for i in range(2) if weight[i, i] > 0]
    alone = [shift(i, score[i] / weight[i, i], 1 / weight[i, i], effect[:, i] * score[i] / weight[i, i]) for i in there]
    scale = np.sqrt(np.diag(weight))
    if len(there) < 2 or 1 - abs(weight[0, 1]) / (scale[0] * scale[1]) <= _TOLD:
        return alone, alone
    inverse = np.linalg.inv(weight / np.outer(scale, scale)) / np.outer(scale, scale)
    value = inverse @ score
    return alone, [shift(i, float(value[i]), float(inverse[i, i]), effect @ value) for i in range(2)]


def unstated(alone: list[Shift], together: list[Shift], u_reference: float, u_clock_s: float) -> Shift | None:
    """Return the shift that is certain and matters, alone and beside the other (which may stand for it); else None."""
    stated = {False: u_reference, True: u_clock_s}
    if not any(each.matters(stated[each.clock]) for each in alone):
        return None
    sure = [each for each in together if each.matters(stated[each.clock])]
    return surest(sure) if sure else None
