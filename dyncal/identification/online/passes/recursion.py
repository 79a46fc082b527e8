"""One pass over a block: innovations, sensitivities and their sums, sample by sample."""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.online.passes.gain import innovation_gain
from dyncal.identification.online.passes.layout import CLOCK, KAPPA, NOTHING, OFFSET, ROWS
from dyncal.identification.online.passes.steps import discretise
from dyncal.kernels import kernel

_FARTHEST: Final = 45.0  # logarithms beyond this are no time constants of sensors


@kernel()
def _run(  # noqa: C901 - one loop over samples, kept together for the compiler
    shape: tuple[int, ...], at: int, end: int, y: FloatArray, r: FloatArray, slope: FloatArray, index: Int64Array,
    base: FloatArray, slopes: FloatArray, c1: float, gain: FloatArray, gain_slope: FloatArray, stride: int, fresh: bool,
    x: FloatArray, s: FloatArray, z: FloatArray, gram: FloatArray, initial: FloatArray, e: FloatArray,
) -> None:  # fmt: skip
    """Run the recursion over samples `at` to `end` of a block, in place; from 0 on all sums are written anew.

    Otherwise state, sensitivities and sums are those after sample `at` - 1, and what comes of it is that of a pass in
    one piece, to the last bit. `shape` is any tuple of p numbers: its length alone counts, and is known to the
    compiler, so that each kind has a loop of its own. s (2, ROWS) are the sensitivities by state; z (2, 2) those of the
    states to the initial ones, for a fresh block, and `initial` (2, 2 + ROWS) the sums of their outputs with each other
    and with the rest.
    """
    p = len(shape)
    k0, k1, l0, l1 = gain[0], gain[1], gain_slope[0], gain_slope[1]
    psi = np.zeros(ROWS)
    if at == 0:
        gram[:] = 0.0
        initial[:] = 0.0
    x0, x1 = x[0], x[1]
    s0, s1 = s[0], s[1]
    z00, z01, z10, z11 = z[0, 0], z[0, 1], z[1, 0], z[1, 1]
    q = -1
    f00 = f01 = f10 = f11 = g00 = g0h = g01 = g10 = g1h = g11 = 0.0
    oo, oc, cc = gram[OFFSET, OFFSET], gram[OFFSET, CLOCK], gram[CLOCK, CLOCK]  # of the disturbances, in registers
    oe, ce = gram[OFFSET, ROWS - 1], gram[CLOCK, ROWS - 1]
    d = slopes[0]
    for k in range(at, end):
        e[k] = 0.0
        if k > 0:
            if index[k - 1] != q:
                q = index[k - 1]
                b, d = base[q], slopes[q]
                f00, f01, g00, g0h, g01 = b[0, 0], b[0, 1], b[0, 2], b[0, 3], b[0, 4]
                f10, f11, g10, g1h, g11 = b[1, 0], b[1, 1], b[1, 2], b[1, 3], b[1, 4]
            at = stride * k
            r0, rh, r1 = r[at - stride], r[at - 1], r[at]
            for i in range(p):
                a0 = d[i, 0, 0] * x0 + d[i, 0, 1] * x1 + d[i, 0, 2] * r0 + d[i, 0, 3] * rh + d[i, 0, 4] * r1
                u0 = s0[i]
                s0[i] = f00 * u0 + a0
                if p > 2:
                    a1 = d[i, 1, 0] * x0 + d[i, 1, 1] * x1 + d[i, 1, 2] * r0 + d[i, 1, 3] * rh + d[i, 1, 4] * r1
                    u1 = s1[i]
                    s0[i] += f01 * u1
                    s1[i] = f10 * u0 + f11 * u1 + a1
            for i in range(KAPPA, ROWS - 1):
                u0, u1 = s0[i], s1[i]
                s0[i] = f00 * u0 + f01 * u1
                if p > 2:
                    s1[i] = f10 * u0 + f11 * u1
            v0, vh, v1 = slope[at - stride], slope[at - 1], slope[at]
            s0[OFFSET] += g00 + g0h + g01
            s0[CLOCK] -= g00 * v0 + g0h * vh + g01 * v1
            u0, u1 = x0, x1
            x0 = f00 * u0 + f01 * u1 + g00 * r0 + g0h * rh + g01 * r1
            if p > 2:
                s1[OFFSET] += g10 + g1h + g11
                s1[CLOCK] -= g10 * v0 + g1h * vh + g11 * v1
                x1 = f10 * u0 + f11 * u1 + g10 * r0 + g1h * rh + g11 * r1
            if fresh:
                z00, z01 = f00 * z00 + f01 * z01, f10 * z00 + f11 * z01
                z10, z11 = f00 * z10 + f01 * z11, f10 * z10 + f11 * z11
        if (k > 0 or fresh) and y[k] == y[k]:  # NaN: time passes, and nothing is measured
            error = y[k] - x0 - c1 * x1
            e[k] = error
            for i in range(p):
                psi[i] = s0[i] + c1 * s1[i]
            for i in range(KAPPA, ROWS - 1):
                psi[i] = s0[i] + c1 * s1[i]
            psi[ROWS - 1] = error
            for i in range(p):
                for j in range(i, p):
                    gram[i, j] += psi[i] * psi[j]
                for j in range(KAPPA, ROWS):
                    gram[i, j] += psi[i] * psi[j]
            for j in range(KAPPA, ROWS):
                gram[KAPPA, j] += psi[KAPPA] * psi[j]
            gram[ROWS - 1, ROWS - 1] += error * error
            oo += psi[OFFSET] * psi[OFFSET]
            oc += psi[OFFSET] * psi[CLOCK]
            cc += psi[CLOCK] * psi[CLOCK]
            oe += psi[OFFSET] * error
            ce += psi[CLOCK] * error
            if fresh:
                o0, o1 = z00 + c1 * z01, z10 + c1 * z11
                initial[0, 0] += o0 * o0
                initial[0, 1] += o0 * o1
                initial[1, 1] += o1 * o1
                for j in range(ROWS):
                    initial[0, 2 + j] += o0 * psi[j]
                    initial[1, 2 + j] += o1 * psi[j]
                z00, z01 = z00 - k0 * o0, z01 - k1 * o0
                z10, z11 = z10 - k0 * o1, z11 - k1 * o1
                if abs(z00) + abs(z01) + abs(z10) + abs(z11) < NOTHING:  # or numbers become denormal, and slow
                    z00 = z01 = z10 = z11 = 0.0
            for i in range(p):
                s0[i] -= k0 * psi[i]
            for i in range(KAPPA, ROWS - 1):
                s0[i] -= k0 * psi[i]
            s0[KAPPA] += l0 * error
            x0 += k0 * error
            if p > 2:
                for i in range(p):
                    s1[i] -= k1 * psi[i]
                for i in range(KAPPA, ROWS - 1):
                    s1[i] -= k1 * psi[i]
                s1[KAPPA] += l1 * error
                x1 += k1 * error
    x[0], x[1] = x0, x1
    z[0, 0], z[0, 1], z[1, 0], z[1, 1] = z00, z01, z10, z11
    gram[OFFSET, OFFSET], gram[OFFSET, CLOCK], gram[CLOCK, CLOCK] = oo, oc, cc
    gram[OFFSET, ROWS - 1], gram[CLOCK, ROWS - 1] = oe, ce
    for i in range(ROWS):
        for j in range(i):
            gram[i, j] = gram[j, i]


@kernel()
def _run_lag(
    at: int, end: int, y: FloatArray, r: FloatArray, slope: FloatArray, index: Int64Array,
    base: FloatArray, slopes: FloatArray, gain: FloatArray, gain_slope: FloatArray, stride: int,
    x: FloatArray, s: FloatArray, gram: FloatArray, e: FloatArray,
) -> None:  # fmt: skip
    """Do as `_run`, to the last bit, for a sensor of one state that is under way, without a product with what is 0.

    All that is carried from sample to sample is in variables of its own: the compiler cannot know of arrays that they
    do not lie over each other, and writes and reads them at each sample. Sensitivities (a gain, b time constant, k, o
    offset, c clock) and sums bear the letters of their rows; e is the innovation.
    """
    if at == 0:
        gram[:] = 0.0
    k0, l0, x0 = gain[0], gain_slope[0], x[0]
    a, b, k, o, c = s[0, 0], s[0, 1], s[0, KAPPA], s[0, OFFSET], s[0, CLOCK]
    last = ROWS - 1
    aa, ab, ak, ao, ac = gram[0, 0], gram[0, 1], gram[0, KAPPA], gram[0, OFFSET], gram[0, CLOCK]
    bb, bk, bo, bc = gram[1, 1], gram[1, KAPPA], gram[1, OFFSET], gram[1, CLOCK]
    kk, ko, kc = gram[KAPPA, KAPPA], gram[KAPPA, OFFSET], gram[KAPPA, CLOCK]
    oo, oc, cc = gram[OFFSET, OFFSET], gram[OFFSET, CLOCK], gram[CLOCK, CLOCK]
    ae, be, ke, oe, ce, ee = (
        gram[0, last], gram[1, last], gram[KAPPA, last], gram[OFFSET, last], gram[CLOCK, last], gram[last, last],
    )  # fmt: skip
    q = -1
    f = g0 = gh = g1 = dax = da0 = dah = da1 = dbx = db0 = dbh = db1 = 0.0
    for n in range(at, end):
        e[n] = 0.0
        if n == 0:  # the last sample of the block before
            continue
        if index[n - 1] != q:
            q = index[n - 1]
            f, g0, gh, g1 = base[q, 0, 0], base[q, 0, 2], base[q, 0, 3], base[q, 0, 4]
            dax, da0, dah, da1 = slopes[q, 0, 0, 0], slopes[q, 0, 0, 2], slopes[q, 0, 0, 3], slopes[q, 0, 0, 4]
            dbx, db0, dbh, db1 = slopes[q, 1, 0, 0], slopes[q, 1, 0, 2], slopes[q, 1, 0, 3], slopes[q, 1, 0, 4]
        there = stride * n
        r0, rh, r1 = r[there - stride], r[there - 1], r[there]
        a = f * a + (dax * x0 + da0 * r0 + dah * rh + da1 * r1)
        b = f * b + (dbx * x0 + db0 * r0 + dbh * rh + db1 * r1)
        k = f * k
        o = f * o + (g0 + gh + g1)
        c = f * c - (g0 * slope[there - stride] + gh * slope[there - 1] + g1 * slope[there])
        x0 = f * x0 + g0 * r0 + gh * rh + g1 * r1
        if y[n] != y[n]:  # time passes, and nothing is measured
            continue
        error = y[n] - x0
        e[n] = error
        aa, ab, ak, ao, ac, ae = aa + a * a, ab + a * b, ak + a * k, ao + a * o, ac + a * c, ae + a * error
        bb, bk, bo, bc, be = bb + b * b, bk + b * k, bo + b * o, bc + b * c, be + b * error
        kk, ko, kc, ke = kk + k * k, ko + k * o, kc + k * c, ke + k * error
        oo, oc, cc, oe, ce, ee = oo + o * o, oc + o * c, cc + c * c, oe + o * error, ce + c * error, ee + error * error
        a, b, o, c = a - k0 * a, b - k0 * b, o - k0 * o, c - k0 * c
        k = k - k0 * k + l0 * error
        x0 += k0 * error
    x[0] = x0
    s[0, 0], s[0, 1], s[0, KAPPA], s[0, OFFSET], s[0, CLOCK] = a, b, k, o, c
    gram[0, 0], gram[0, 1], gram[0, KAPPA], gram[0, OFFSET], gram[0, CLOCK], gram[0, last] = aa, ab, ak, ao, ac, ae
    gram[1, 1], gram[1, KAPPA], gram[1, OFFSET], gram[1, CLOCK], gram[1, last] = bb, bk, bo, bc, be
    gram[KAPPA, KAPPA], gram[KAPPA, OFFSET], gram[KAPPA, CLOCK], gram[KAPPA, last] = kk, ko, kc, ke
    gram[OFFSET, OFFSET], gram[OFFSET, CLOCK], gram[CLOCK, CLOCK] = oo, oc, cc
    gram[OFFSET, last], gram[CLOCK, last], gram[last, last] = oe, ce, ee
    for i in range(ROWS):
        for j in range(i):
            gram[i, j] = gram[j, i]


@kernel()
def _eliminate(n: int, initial: FloatArray, z: FloatArray, gram: FloatArray, x: FloatArray, s: FloatArray) -> None:
    """Solve the initial state out of the normal equations: it is linear, and different in every segment."""
    g00, g01, g11 = initial[0, 0], initial[0, 1], initial[1, 1]
    if n == 1:
        g01, g11 = 0.0, 0.0
    ridge = 1e-12 * max(g00 + g11, 1e-300)
    g00, g11 = g00 + ridge, g11 + ridge
    det = g00 * g11 - g01 * g01
    solved = np.empty((2, ROWS))
    for j in range(ROWS):
        b0, b1 = initial[0, 2 + j], (initial[1, 2 + j] if n == 2 else 0.0)
        solved[0, j], solved[1, j] = (g11 * b0 - g01 * b1) / det, (g00 * b1 - g01 * b0) / det
    for a in range(n):
        for i in range(ROWS):
            for j in range(ROWS):
                gram[i, j] -= initial[a, 2 + i] * solved[a, j]
        # the optimal initial state moves with every other coordinate: x0 = G⁻¹(g_e - G_h δh)
        for k in range(2):
            x[k] += z[a, k] * solved[a, ROWS - 1]
            for i in range(ROWS - 1):
                s[k, i] -= z[a, k] * solved[a, i]


@kernel()
def _found_state(n: int, initial: FloatArray, x: FloatArray) -> None:
    """Move the initial state, of which n components are free, to where Σe² is least, all else being equal."""
    g00, g01, g11 = initial[0, 0], initial[0, 1], initial[1, 1]
    if n == 1:
        g01, g11 = 0.0, 0.0
    ridge = 1e-12 * max(g00 + g11, 1e-300)
    g00, g11 = g00 + ridge, g11 + ridge
    det = g00 * g11 - g01 * g01
    b0, b1 = initial[0, 1 + ROWS], (initial[1, 1 + ROWS] if n == 2 else 0.0)
    x[0] += (g11 * b0 - g01 * b1) / det
    if n == 2:
        x[1] += (g00 * b1 - g01 * b0) / det


@kernel()
def _stable(base: FloatArray, n_steps: int, gain: FloatArray, c1: float) -> bool:
    """Check the poles of the predictor, Φ(I - Kc), for the intervals of a block (Jury's conditions)."""
    for q in range(n_steps):
        b = base[q]
        a00 = b[0, 0] * (1 - gain[0]) - b[0, 1] * gain[1]
        a01 = -b[0, 0] * gain[0] * c1 + b[0, 1] * (1 - gain[1] * c1)
        a10 = b[1, 0] * (1 - gain[0]) - b[1, 1] * gain[1]
        a11 = -b[1, 0] * gain[0] * c1 + b[1, 1] * (1 - gain[1] * c1)
        det = a00 * a11 - a01 * a10
        if not (abs(det) < 1 and abs(a00 + a11) < 1 + det):
            return False
    return True


@kernel()
def modelled(
    kind: int, h: FloatArray, origin: FloatArray, steps_s: FloatArray, stride: int, middle_s: float,
    base: FloatArray, slopes: FloatArray, gain: FloatArray, gain_slope: FloatArray,
) -> bool:  # fmt: skip
    """Write what a pass at `h` takes from interval to interval; False where there is no such pass (`evaluate`)."""
    p = h.size - 1
    for i in range(1, p + 1):
        if not abs(h[i]) <= _FARTHEST:
            return False
    discretise(kind, h[:p], steps_s, stride, base, slopes)
    innovation_gain(kind, origin[:p], middle_s, h[p], gain, gain_slope)
    return _stable(base, steps_s.size, gain, 1.0 if kind == 2 else 0.0)


@kernel()
def advance(
    kind: int, at: int, end: int, y: FloatArray, r: FloatArray, slope: FloatArray, index: Int64Array,
    base: FloatArray, slopes: FloatArray, gain: FloatArray, gain_slope: FloatArray, stride: int, fresh: bool,
    x: FloatArray, s: FloatArray, z: FloatArray, gram: FloatArray, initial: FloatArray, e: FloatArray,
) -> None:  # fmt: skip
    """Do as `_run`, in the loop of this kind."""
    c1 = 1.0 if kind == 2 else 0.0
    if kind == 0 and not fresh:
        _run_lag(at, end, y, r, slope, index, base, slopes, gain, gain_slope, stride, x, s, gram, e)
    elif kind == 0:
        _run(
            (0, 0), at, end, y, r, slope, index, base, slopes, c1, gain, gain_slope, stride, fresh,
            x, s, z, gram, initial, e,
        )  # fmt: skip
    elif kind == 1:
        _run(
            (0, 0, 0), at, end, y, r, slope, index, base, slopes, c1, gain, gain_slope, stride, fresh,
            x, s, z, gram, initial, e,
        )  # fmt: skip
    else:
        _run(
            (0, 0, 0, 0), at, end, y, r, slope, index, base, slopes, c1, gain, gain_slope, stride, fresh,
            x, s, z, gram, initial, e,
        )  # fmt: skip


@kernel()
def sound(x: FloatArray, gram: FloatArray) -> bool:
    """Tell whether all numbers of a pass are finite."""
    total = x[0] + x[1]
    for i in range(ROWS):
        for j in range(ROWS):
            total += gram[i, j]
    return bool(np.isfinite(total))


@kernel(
    "b1(i8, f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], i8[::1], f8[::1], i8, f8, b1,"
    " f8[::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1])"
)
def evaluate(
    kind: int, h: FloatArray, origin: FloatArray,
    y: FloatArray, r: FloatArray, slope: FloatArray, index: Int64Array, steps_s: FloatArray, stride: int,
    middle_s: float, fresh: bool, x: FloatArray, s: FloatArray, gram: FloatArray, e: FloatArray, gain: FloatArray,
) -> bool:  # fmt: skip
    """Run one pass over a block at `h`, the initial state of a fresh one eliminated; False where there is no such pass.

    Parameters
    ----------
    kind : int
        `CODES`.
    h, origin : float64, shape (p + 1,)
        Coordinates (η, κ), and those that `x` and `s` belong to; the η of `origin` also shapes K(κ).
    y : float64, shape (n + 1,)
        Indications, NaN where there was none; sample 0 is the last one of the block before, or the first of all if
        `fresh`.
    r, slope : float64, shape (n·stride + 1,)
        Reference and its time derivative, at the samples and at stride - 1 instants between them.
    index : int64, shape (n,)
        Which of the intervals `steps_s` lies between samples k and k + 1.
    middle_s : float
        Mean interval [s], which K is made for.
    fresh : bool
        Sample 0 is an observation of this block, and the state is found; otherwise `x`, `s` hold at sample 0.
    x : float64, shape (2,)
        Filtered state, in and out.
    s : float64, shape (2, ROWS)
        Its sensitivities, in and out.
    gram : float64, shape (ROWS, ROWS)
        On return the Gram matrix of (∂ŷ/∂ each row, e).
    e : float64, shape (n + 1,)
        On return the innovations; 0 where nothing was measured, and at sample 0 unless `fresh`.
    gain : float64, shape (2,)
        On return K.

    The pass is refused where a logarithm is out of all reason, the predictor is unstable, or numbers overflow.
    """
    p = h.size - 1
    base, slopes = np.empty((steps_s.size, 2, 5)), np.empty((steps_s.size, 4, 2, 5))
    gain_slope = np.empty(2)
    if not modelled(kind, h, origin, steps_s, stride, middle_s, base, slopes, gain, gain_slope):
        return False
    z = np.zeros((2, 2))
    if fresh:
        s[:] = 0.0
        x[0] = h[0] * r[0] * (1 - h[3] if kind == 2 else 1.0)
        x[1] = h[0] * h[3] * r[0] if kind == 2 else 0.0
    else:
        for k in range(2):
            for i in range(p):
                x[k] += s[k, i] * (h[i] - origin[i])
            x[k] += s[k, KAPPA] * (h[p] - origin[p])
    initial, begun = np.empty((2, 2 + ROWS)), x.copy()
    # where the initial state is found, the sensitivities hold at the one that the first round finds
    for rounds in range(2 if fresh else 1):
        if rounds > 0:
            _found_state(1 if kind == 0 else 2, initial, begun)
            x[:], s[:], z[:] = begun, 0.0, 0.0
        if fresh:
            z[0, 0], z[1, 1] = 1.0, (0.0 if kind == 0 else 1.0)
        advance(
            kind, 0, y.size, y, r, slope, index, base, slopes, gain, gain_slope, stride, fresh,
            x, s, z, gram, initial, e,
        )  # fmt: skip
    if not sound(x, gram):
        return False
    if fresh:
        _eliminate(1 if kind == 0 else 2, initial, z, gram, x, s)
    return True
