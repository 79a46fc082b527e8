"""The kernel of the Kalman likelihood: one filter pass with its score.

The joint model of measurand and sensor (`dyncal.identification.kalman.joint`) is ``dξ = A ξ dt + dβ``, dβ of intensity
G, seen at instants t_k by two channels with scalar measurements ``z_j = o_j + H_j ξ + v_j``, var v_j = R_j: channel 0
is the reference, channel 1 the sensor. A measurement that is missing is not-a-number. With rows i for whatever the
measurements depend on (Gupta & Mehra, IEEE Trans. Autom. Control 19 (1974) 774; Kalman filter differentiated)::

    -2 ln L = Σ e²/S + ln S,    score_i = Σ ψ_i e/S + ½(e²/S - 1) ∂_i S/S,    I_ij = Σ ψ_i ψ_j/S + ½ ∂_i S ∂_j S/S²

e the innovation of one scalar measurement, S its variance, ψ = -∂e. The first `n_cov` rows change the covariances as
well; the rest act on the mean alone (initial state, offsets), and are linear.

Between evenly spaced samples the gains come to rest. Once they and their derivatives have not moved by more than 1e-13
for a few steps, they are kept until the interval changes or a measurement is missing. Relative to themselves: the
derivatives have units of their own, and that in a clock's offset [1/s] is thousands of times the gain.
"""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel


@kernel(
    "i8(f8[:, ::1], i8[::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, :, ::1],"
    " f8[:, ::1], f8[:, :, ::1], f8[::1], f8[:, ::1], f8[::1], f8[:, ::1], i8, i8,"
    " f8[::1], f8[:, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[::1])"
)
def filter_pass(  # noqa: C901 - one loop over samples, kept together for the compiler
    z: FloatArray,
    index: Int64Array,
    phi: FloatArray,
    q: FloatArray,
    dphi: FloatArray,
    dq: FloatArray,
    rows: FloatArray,
    drows: FloatArray,
    noise: FloatArray,
    dnoise: FloatArray,
    offset: FloatArray,
    doffset: FloatArray,
    fresh: int,
    rest: int,
    x: FloatArray,
    s: FloatArray,
    p: FloatArray,
    dp: FloatArray,
    information: FloatArray,
    score: FloatArray,
    eps: FloatArray,
    cost: FloatArray,
) -> int:
    """Run the filter and its derivatives over a segment, in place; return the steps taken with gains at rest.

    Parameters
    ----------
    z : float64, shape (k, 2)
        Measurements of reference and sensor; NaN where there is none.
    index : int64, shape (k - 1,)
        Which interval of the discretisation lies between instants i and i + 1.
    phi, q : float64, shape (i, n, n)
    dphi, dq : float64, shape (i, n, n, m_cov)
    rows, drows : float64, shapes (2, n), (2, n, m)
        Measurement rows H and their derivatives.
    noise, dnoise : float64, shapes (2,), (2, m_cov)
        Measurement variances R and their derivatives.
    offset, doffset : float64, shapes (2,), (2, m)
        Constant part of the measurements.
    fresh : int
        Not 0: the state is the one predicted for instant 0; otherwise it is filtered, and z[0] is not used again.
    rest : int
        0 forbids the shortcut for gains at rest.
    x, s : float64, shapes (n,), (n, m)
        State and its derivatives, in and out (filtered at the last instant).
    p, dp : float64, shapes (n, n), (n, n, m_cov)
        Covariance and its derivatives, in and out.
    information, score : float64, shapes (m, m), (m,)
        Out.
    eps : float64, shape (k, 2)
        Out: standardised innovations e/√S, NaN where there is none.
    cost : float64, shape (1,)
        Out: Σ e²/S + ln S.
    """
    n = x.size
    m = s.shape[1]
    mc = dp.shape[2]
    new, copy = np.empty(n), np.empty((n, n))
    ns, dcopy = np.empty((n, m)), np.empty((n, n, mc))
    psi, scaled, ds = np.empty(m), np.empty(m), np.empty(mc)
    gain, dgain = np.zeros((2, n)), np.zeros((2, n, mc))
    shift, reach = np.empty(mc), np.empty(mc)
    variance, dvariance = np.ones(2), np.zeros((2, mc))
    pcol, dpcol = np.empty(n), np.empty((n, mc))
    kept_squares, kept_count = np.zeros(2), np.zeros(2)
    information[:, :] = 0.0
    score[:] = 0.0
    total = 0.0
    calm, resting, last, n_rest = 0, False, -1, 0
    for k in range(z.shape[0]):
        both = z[k, 0] == z[k, 0] and z[k, 1] == z[k, 1]
        if k > 0:
            i = index[k - 1]
            if i != last:
                resting, calm, last = False, 0, i
            # the mean and its derivatives
            for a in range(n):
                v = 0.0
                for b in range(n):
                    v += phi[i, a, b] * x[b]
                new[a] = v
                for r in range(m):
                    ns[a, r] = 0.0
                for b in range(n):
                    f = phi[i, a, b]
                    for r in range(m):
                        ns[a, r] += f * s[b, r]
                    f = x[b]
                    for r in range(mc):
                        ns[a, r] += dphi[i, a, b, r] * f
            for a in range(n):
                x[a] = new[a]
                for r in range(m):
                    s[a, r] = ns[a, r]
            if k % 64 == 0:  # what an initial state has left behind would end in denormal numbers, which are slow
                for a in range(n):
                    for r in range(m):
                        if abs(s[a, r]) < 1e-140:
                            s[a, r] = 0.0
            # the covariance that is carried along while resting is the filtered one of the last full step: it is at
            # rest too, and so good for a later full step
            if not (resting and both):
                _predict(phi[i], q[i], dphi[i], dq[i], p, dp, copy, dcopy)
        if k == 0 and fresh == 0:
            eps[0, 0] = eps[0, 1] = np.nan
            continue
        fast = resting and both
        resting = resting and both
        if both:
            n_rest += 1 if fast else 0
        else:
            calm = 0
        moved, size, varied = 0.0, 0.0, 0.0
        if not fast:
            for r in range(mc):
                shift[r] = reach[r] = 0.0
        for j in range(2):
            if z[k, j] != z[k, j]:
                eps[k, j] = np.nan
                continue
            e = z[k, j] - offset[j]
            for r in range(m):
                psi[r] = doffset[j, r]
            for a in range(n):
                f, v = rows[j, a], x[a]
                e -= f * v
                for r in range(m):
                    psi[r] += f * s[a, r] + drows[j, a, r] * v
            if not fast:
                sj = 0.0
                for r in range(mc):
                    ds[r] = dnoise[j, r]
                for a in range(n):
                    v = 0.0
                    for r in range(mc):
                        dpcol[a, r] = 0.0
                    for b in range(n):
                        f, g = rows[j, b], p[a, b]
                        v += g * f
                        for r in range(mc):
                            dpcol[a, r] += dp[a, b, r] * f + g * drows[j, b, r]
                    pcol[a] = v
                for a in range(n):
                    f, v = rows[j, a], pcol[a]
                    sj += f * v
                    for r in range(mc):
                        ds[r] += f * dpcol[a, r] + drows[j, a, r] * v
                # a singular P may show less than nothing by rounding
                sj = max(sj, 0.0) + noise[j]
                inverse = 1.0 / sj
                for a in range(n):
                    v = pcol[a] * inverse
                    moved = max(moved, abs(v - gain[j, a]))
                    size = max(size, abs(v))
                    gain[j, a] = v
                    for r in range(mc):
                        f = (dpcol[a, r] - v * ds[r]) * inverse
                        shift[r] = max(shift[r], abs(f - dgain[j, a, r]))
                        reach[r] = max(reach[r], abs(f))
                        dgain[j, a, r] = f
                varied = max(varied, abs(variance[j] - sj) / sj)
                variance[j] = sj
                for r in range(mc):
                    varied = max(varied, abs(dvariance[j, r] - ds[r]) / max(sj, abs(ds[r])))
                    dvariance[j, r] = ds[r]
                _update(rows[j], gain[j], dgain[j], noise[j], pcol, dpcol, ds, p, dp, copy)
                f = 0.5 * (e * e * inverse - 1.0) * inverse
                for r in range(mc):
                    score[r] += f * ds[r]
                f = 0.5 * inverse * inverse
                for a in range(mc):
                    v = f * ds[a]
                    for r in range(a, mc):
                        information[a, r] += v * ds[r]
                total += np.log(sj)
            else:
                kept_squares[j] += e * e
                kept_count[j] += 1.0
            inverse = 1.0 / variance[j]
            total += e * e * inverse
            eps[k, j] = e * np.sqrt(inverse)
            for r in range(m):
                scaled[r] = psi[r] * inverse
            for a in range(m):
                v = scaled[a]
                for r in range(a, m):
                    information[a, r] += v * psi[r]
                score[a] += v * e
            for a in range(n):
                f = gain[j, a]
                x[a] += f * e
                for r in range(m):
                    s[a, r] -= f * psi[r]
                for r in range(mc):
                    s[a, r] += dgain[j, a, r] * e
        if both and not fast:
            still = moved <= 1e-13 * size and varied <= 1e-13
            for r in range(mc):
                still = still and shift[r] <= 1e-13 * max(size, reach[r])
            calm = calm + 1 if still else 0
            if calm >= 4 and rest != 0:
                resting = True
        if fast and (
            k + 1 == z.shape[0] or index[k] != last or z[k + 1, 0] != z[k + 1, 0] or z[k + 1, 1] != z[k + 1, 1]
        ):
            for j in range(2):
                inverse = 1.0 / variance[j]
                f = 0.5 * (kept_squares[j] * inverse - kept_count[j]) * inverse
                for r in range(mc):
                    score[r] += f * dvariance[j, r]
                f = 0.5 * inverse * inverse * kept_count[j]
                for a in range(mc):
                    for r in range(a, mc):
                        information[a, r] += f * dvariance[j, a] * dvariance[j, r]
                total += kept_count[j] * np.log(variance[j])
                kept_squares[j] = kept_count[j] = 0.0
    for a in range(m):
        for r in range(a):
            information[a, r] = information[r, a]
    cost[0] = total
    return n_rest


@kernel(inline=True)
def _predict(
    phi: FloatArray,
    q: FloatArray,
    dphi: FloatArray,
    dq: FloatArray,
    p: FloatArray,
    dp: FloatArray,
    copy: FloatArray,
    dcopy: FloatArray,
) -> None:
    """P ← Φ P Φᵀ + Q and its derivatives, in place."""
    n, m = p.shape[0], dp.shape[2]
    for a in range(n):
        for b in range(n):
            v = 0.0
            for r in range(m):
                dcopy[a, b, r] = 0.0
            for c in range(n):
                f, g = phi[a, c], p[c, b]
                v += f * g
                for r in range(m):
                    dcopy[a, b, r] += f * dp[c, b, r] + dphi[a, c, r] * g
            copy[a, b] = v
    for a in range(n):
        for b in range(a, n):
            v = q[a, b]
            for r in range(m):
                dp[a, b, r] = dq[a, b, r]
            for c in range(n):
                f, g = phi[b, c], copy[a, c]
                v += g * f
                for r in range(m):
                    dp[a, b, r] += dcopy[a, c, r] * f + g * dphi[b, c, r]
            p[a, b] = v
            p[b, a] = v
            for r in range(m):
                dp[b, a, r] = dp[a, b, r]


@kernel(inline=True)
def _update(
    row: FloatArray,
    gain: FloatArray,
    dgain: FloatArray,
    noise: float,
    pcol: FloatArray,
    dpcol: FloatArray,
    ds: FloatArray,
    p: FloatArray,
    dp: FloatArray,
    copy: FloatArray,
) -> None:
    """P ← (I - KH) P (I - KH)ᵀ + K R Kᵀ (Joseph) and the derivatives of P - K S Kᵀ, in place."""
    n, m = p.shape[0], dp.shape[2]
    for a in range(n):
        for b in range(n):
            copy[a, b] = p[a, b] - gain[a] * pcol[b]
    for a in range(n):
        v = 0.0
        for b in range(n):
            v += copy[a, b] * row[b]
        for b in range(a, n):
            f = copy[a, b] - v * gain[b] + gain[a] * noise * gain[b]
            p[a, b] = f
            p[b, a] = f
            for r in range(m):
                # d(K S Kᵀ) = dK (PHᵀ)ᵀ + K d(PHᵀ)ᵀ
                dp[a, b, r] -= dgain[a, r] * pcol[b] + gain[a] * dpcol[b, r]
                dp[b, a, r] = dp[a, b, r]
