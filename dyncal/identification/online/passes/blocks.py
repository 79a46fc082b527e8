"""The fit of blocks of many sensors in one compiled call."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.online.matrices import cholesky, forward
from dyncal.identification.online.passes.evidence import (
    STILL,
    SURELY,
    motion,
    repeats,
    saturated,
    unexplained,
    whiteness,
)
from dyncal.identification.online.passes.layout import (
    CLIPPED,
    CLOCK,
    CONVERGED,
    KAPPA,
    MOTION,
    NOISE_SHARE,
    OFFSET,
    POWER,
    REPEATED,
    ROWS,
    SSE,
    UNEXPLAINED,
    BoolArray,
)
from dyncal.identification.online.passes.recursion import evaluate
from dyncal.identification.online.passes.reference import prepare
from dyncal.kernels import kernel

_MAX_PASSES: Final = 12
_GOOD_STEP: Final = 1e-3  # squared length of a last step, in posterior standard deviations
_SHORT_STEP: Final = 0.1  # in logarithms: the linear model is trusted that far
_LONGEST_STEP: Final = 2.0


@kernel()
def solve(a: FloatArray, b: FloatArray, ridge: float, m: int, x: FloatArray) -> None:
    """Solve (a + ridge·diag a) x = b for a positive definite a (m, m), scaled to a unit diagonal (Cholesky)."""
    root, scale = np.empty((m, m)), np.empty(m)
    cholesky(a, ridge, root, scale)
    for i in range(m):
        x[i] = b[i] / scale[i]
    forward(root, x, x)
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            x[i] -= root[k, i] * x[k]
        x[i] /= root[i, i]
    for i in range(m):
        x[i] /= scale[i]


@kernel()
def compact(gram: FloatArray, m: int, a: FloatArray, b: FloatArray) -> None:
    """Write a (m, m) and b (m,) of the coordinates (η, κ) from a Gram matrix."""
    for i in range(m):
        k = i if i < m - 1 else KAPPA
        b[i] = gram[k, ROWS - 1]
        for j in range(m):
            a[i, j] = gram[k, j if j < m - 1 else KAPPA]


@kernel()
def observed(y: FloatArray, fresh: bool) -> int:
    """Count the indications of a block."""
    n = 0
    for k in range(0 if fresh else 1, y.size):
        n += y[k] == y[k]
    return n


@kernel()
def _quadratic(matrix: FloatArray, v: FloatArray) -> float:
    total = 0.0
    for i in range(v.size):
        for j in range(v.size):
            total += v[i] * matrix[i, j] * v[j]
    return total


@kernel(
    "void(i8, i8[::1], f8[:, ::1], i8[::1], i8[::1], b1[::1], i8[::1], f8[:, :, ::1], f8[:, ::1], f8[:, ::1],"
    " f8[:, :, ::1], f8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1])"
)
def fit_blocks(  # noqa: C901 - a descent that must not leave compiled code
    kind: int, t_ns: Int64Array, values: FloatArray, begin: Int64Array, size: Int64Array, fresh: BoolArray,
    interpolation: Int64Array, taps: FloatArray, origin: FloatArray, prior: FloatArray, information: FloatArray,
    variance: FloatArray, x0: FloatArray, s0: FloatArray, x: FloatArray, s: FloatArray, gram: FloatArray,
    result: FloatArray,
) -> None:  # fmt: skip
    """Fit blocks of many sensors around what is known: minimise Σe²/σ² + (h - h̄)ᵀL(h - h̄) by Levenberg-Marquardt.

    The last step, when it is small against the posterior, is made by the linear model without another pass; so the Gram
    matrix on return is that of the last pass, moved in its column of e to the fitted h.

    Parameters
    ----------
    t_ns : int64, shape (n,); values : float64, shape (2, n)
        Samples of all blocks, indication and reference.
    begin, size : int64, shape (k,)
        Where each block lies in them: sample 0 and number of samples, with the interpolation's context at either end.
    fresh : bool, shape (k,); interpolation : int64, shape (k,); taps
        As for `evaluate` and `prepare`.
    origin, prior : float64, shape (k, p + 1)
        Coordinates that `x0`, `s0` belong to, and h̄; the fit begins at `origin`, whose η shapes K(κ).
    information : float64, shape (k, p + 1, p + 1); variance : float64, shape (k,)
        L and σ².
    x0, s0
        Filtered states at sample 0 and their sensitivities.
    x, s, gram
        In: those of a pass at `origin`. On return: those of the fit.
    result : float64, shape (k, p + 1 + N_RESULT)
        On return h, then `CONVERGED`, `SSE`, `POWER` (mean e² of the last pass), `LJUNG_BOX` and `LAGS`, `NOISE_SHARE`
        (1 - cK), `UNEXPLAINED`, for indication and reference `CLIPPED` side, level and share, and `REPEATED`, the
        number of samples that are what their predecessor was, of the channel that has more of them; `MOTION`, three
        sums of the reference's differences (`evidence.motion`).
    """
    m = prior.shape[1]
    longest, context = size.max(), taps.shape[2] // 2
    fine, slope = np.empty(2 * longest), np.empty(2 * longest)
    index, steps_s = np.empty(longest, dtype=np.int64), np.empty(longest + 1)
    e, gain = np.empty(longest), np.empty(2)
    a, b, hessian = np.empty((m, m)), np.empty(m), np.empty((m, m))
    gradient, step, away, there = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    new_x, new_s, new_gram = np.empty(2), np.empty((2, ROWS)), np.empty((ROWS, ROWS))
    for k in range(begin.size):
        first, n = begin[k], size[k] - 2 * context
        y = values[0, first + context : first + context + n]
        stride, n_steps = prepare(
            t_ns[first : first + size[k]], values[1, first : first + size[k]], taps, interpolation[k],
            fine, slope, index, steps_s,
        )  # fmt: skip
        points = stride * (n - 1) + 1
        h = origin[k].copy()
        damping = 0.0
        for i in range(m):
            away[i] = h[i] - prior[k, i]
        cost = gram[k, ROWS - 1, ROWS - 1] / variance[k] + _quadratic(information[k], away)
        converged, known = False, False
        for n_passes in range(_MAX_PASSES + 1):
            compact(gram[k], m, a, b)
            for i in range(m):
                gradient[i] = b[i] / variance[k]
                for j in range(m):
                    hessian[i, j] = a[i, j] / variance[k] + information[k, i, j]
                    gradient[i] -= information[k, i, j] * (h[j] - prior[k, j])
            solve(hessian, gradient, damping + 1e-13, m, step)
            reach = 0.0
            for i in range(1, m):
                reach = max(reach, abs(step[i]))
            if reach > _LONGEST_STEP:  # a direction without information must not be run along
                for i in range(m):
                    step[i] *= _LONGEST_STEP / reach
                reach = _LONGEST_STEP
            small = _quadratic(hessian, step) < _GOOD_STEP and reach < _SHORT_STEP
            if small or n_passes == _MAX_PASSES:
                converged = small
                if not small:
                    step[:] = 0.0
                if known:
                    break
                there[:] = h  # the innovations of the first pass were not kept
            else:
                for i in range(m):
                    there[i] = h[i] + step[i]
            new_x[:], new_s[:] = x0[k], s0[k]
            ok = evaluate(
                kind, there, origin[k], y, fine[:points], slope[:points], index[: n - 1], steps_s[:n_steps], stride,
                steps_s[n_steps], fresh[k], new_x, new_s, new_gram, e[:n], gain,
            )  # fmt: skip
            if small or n_passes == _MAX_PASSES:
                break
            for i in range(m):
                away[i] = there[i] - prior[k, i]
            new = new_gram[ROWS - 1, ROWS - 1] / variance[k] + _quadratic(information[k], away)
            known = ok and new < cost
            if known:
                h[:], cost = there, new
                x[k], s[k], gram[k] = new_x, new_s, new_gram
                damping = damping / 10 if damping > 1e-6 else 0.0
            else:
                damping = max(10 * damping, 1e-3)
        _conclude(gram[k], x[k], s[k], h, step, a, b)
        result[k, :m] = h
        out = result[k, m:]
        out[CONVERGED] = 1.0 if converged else 0.0
        out[SSE] = max(gram[k, ROWS - 1, ROWS - 1], 0.0)
        whiteness(e[(0 if fresh[k] else 1) : n], out)
        out[POWER] *= (n if fresh[k] else n - 1) / max(observed(y, fresh[k]), 1)
        out[NOISE_SHARE] = min(max(1 - gain[0] - (gain[1] if kind == 2 else 0.0), 0.01), 1.0)
        out[UNEXPLAINED] = unexplained(kind, h[: m - 1], y, fine[:points], index[: n - 1], steps_s[:n_steps], stride)
        raw, shown = values[1, first + context : first + context + n], out[CLIPPED : CLIPPED + 6]
        out[REPEATED] = max(repeats(y), repeats(raw))
        motion(raw, out[MOTION : MOTION + 3])
        saturated(
            kind, h, origin[k], y, raw, fine[:points], index[: n - 1], steps_s[:n_steps], stride, steps_s[n_steps],
            fresh[k], e[:n], STILL, shown,
        )  # fmt: skip
        if shown[0] != 0 or shown[3] != 0:  # in the fit the noise's coordinate has taken much of it for noise
            new_x[:], new_s[:] = x0[k], s0[k]
            evaluate(
                kind, origin[k], origin[k], y, fine[:points], slope[:points], index[: n - 1], steps_s[:n_steps],
                stride, steps_s[n_steps], fresh[k], new_x, new_s, new_gram, e[:n], gain,
            )  # fmt: skip
            saturated(
                kind, origin[k], origin[k], y, raw, fine[:points], index[: n - 1], steps_s[:n_steps], stride,
                steps_s[n_steps], fresh[k], e[:n], SURELY, shown,
            )  # fmt: skip


@kernel()
def _conclude(
    gram: FloatArray, x: FloatArray, s: FloatArray, h: FloatArray, step: FloatArray, a: FloatArray, b: FloatArray
) -> None:
    """Move a pass by a small step, by its linear model: h, state, b and Σe²."""
    m = h.size
    change = 0.0
    for i in range(m):
        row = i if i < m - 1 else KAPPA
        h[i] += step[i]
        x[0] += s[0, row] * step[i]
        x[1] += s[1, row] * step[i]
        change += 2 * b[i] * step[i]
        left = b[i]
        for j in range(m):
            change -= step[i] * a[i, j] * step[j]
            left -= a[i, j] * step[j]
        gram[row, ROWS - 1] = left
        gram[ROWS - 1, row] = left
    for row in (OFFSET, CLOCK):
        for i in range(m):
            gram[row, ROWS - 1] -= gram[row, i if i < m - 1 else KAPPA] * step[i]
        gram[ROWS - 1, row] = gram[row, ROWS - 1]
    gram[ROWS - 1, ROWS - 1] -= change
