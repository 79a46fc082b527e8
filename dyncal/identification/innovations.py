"""One pass over a block: innovations, their sensitivities and the Gram matrix of both.

The model of a block is the innovations form (Ljung, System Identification, 2nd ed., 4.3 and 11; docs/metrology.md)::

    e_k = y_k - c x_k,      x_k⁺ = x_k + K e_k,      x_{k+1} = Φ x_k⁺ + Γ0 r_k + Γ1 r_{k+1}

with K = 0 for output error. Coordinates are h = (η, κ), K = K(κ); a sensitivity s_i = ∂x/∂h_i obeys the
differentiated recursion.
"""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

_SIGNATURE = (
    "void(f8[::1], f8[::1], f8[:, ::1], i8[::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, :, ::1],"
    " f8[::1], f8[::1], f8[::1], i8, i8, f8[::1], f8[:, ::1], f8[:, ::1], f8[::1])"
)


@kernel(_SIGNATURE)
def innovations_pass(  # noqa: C901 - one loop over samples, kept together for the compiler
    y: FloatArray,
    r: FloatArray,
    d: FloatArray,
    index: Int64Array,
    phi: FloatArray,
    gamma: FloatArray,
    dphi: FloatArray,
    dgamma: FloatArray,
    c: FloatArray,
    gain: FloatArray,
    gain_slope: FloatArray,
    stride: int,
    fresh: int,
    x: FloatArray,
    s: FloatArray,
    gram: FloatArray,
    e: FloatArray,
) -> None:
    """Run the recursion over a block, in place.

    Parameters
    ----------
    y : float64, shape (n + 1,)
        Indications; sample 0 is the last one of the block before, or the first of all if `fresh`.
    r : float64, shape (n·stride + 1,)
        Reference at the samples, and at stride - 1 instants between them.
    d : float64, shape (n_considered, n·stride + 1)
        Unit disturbances of the reference whose effect is to be known (offset, clock).
    index : int64, shape (n·stride,)
        Which interval of the discretisation lies between instants k and k + 1 of `r`.
    phi, gamma, dphi, dgamma
        `dyncal.models.Discretisation`.
    c, gain, gain_slope : float64, shape (2,)
        Output row, innovation gain K and dK/dκ.
    fresh : int
        Not 0: sample 0 is an observation of this block, and `x` is the state predicted for it; otherwise `x` is the
        filtered state at sample 0.
    x : float64, shape (2,)
        State; on return, the filtered state at the last sample.
    s : float64, shape (m, 2)
        Sensitivities of `x`, in and out: η, κ, then rows without forcing (initial state), then `n_considered` rows.
    gram : float64, shape (m + 1, m + 1)
        On return the Gram matrix of (∂ŷ/∂ each row of s, e), upper triangle mirrored.
    e : float64, shape (n + 1,)
        On return the innovations; e[0] = 0 unless `fresh`.
    """
    n = r.size
    m = s.shape[0]
    p = dphi.shape[1]
    first_considered = m - d.shape[0]
    psi = np.empty(m + 1)
    for i in range(m + 1):
        for j in range(m + 1):
            gram[i, j] = 0.0
    e[0] = 0.0
    for k in range(n):
        if k > 0:
            q = index[k - 1]
            f00 = phi[q, 0, 0]
            f01 = phi[q, 0, 1]
            f10 = phi[q, 1, 0]
            f11 = phi[q, 1, 1]
            r0 = r[k - 1]
            r1 = r[k]
            x0 = x[0]
            x1 = x[1]
            for i in range(m):
                s0 = s[i, 0]
                s1 = s[i, 1]
                s[i, 0] = f00 * s0 + f01 * s1
                s[i, 1] = f10 * s0 + f11 * s1
            for i in range(p):
                s[i, 0] += (
                    dphi[q, i, 0, 0] * x0 + dphi[q, i, 0, 1] * x1 + dgamma[q, i, 0, 0] * r0 + dgamma[q, i, 0, 1] * r1
                )
                s[i, 1] += (
                    dphi[q, i, 1, 0] * x0 + dphi[q, i, 1, 1] * x1 + dgamma[q, i, 1, 0] * r0 + dgamma[q, i, 1, 1] * r1
                )
            for j in range(d.shape[0]):
                i = first_considered + j
                s[i, 0] += gamma[q, 0, 0] * d[j, k - 1] + gamma[q, 0, 1] * d[j, k]
                s[i, 1] += gamma[q, 1, 0] * d[j, k - 1] + gamma[q, 1, 1] * d[j, k]
            x[0] = f00 * x0 + f01 * x1 + gamma[q, 0, 0] * r0 + gamma[q, 0, 1] * r1
            x[1] = f10 * x0 + f11 * x1 + gamma[q, 1, 0] * r0 + gamma[q, 1, 1] * r1
        if k % stride == 0 and (k > 0 or fresh != 0):
            error = y[k // stride] - c[0] * x[0] - c[1] * x[1]
            e[k // stride] = error
            for i in range(m):
                psi[i] = c[0] * s[i, 0] + c[1] * s[i, 1]
            psi[m] = error
            for i in range(m + 1):
                for j in range(i, m + 1):
                    gram[i, j] += psi[i] * psi[j]
            for i in range(m):
                s[i, 0] -= gain[0] * psi[i]
                s[i, 1] -= gain[1] * psi[i]
            s[p, 0] += gain_slope[0] * error
            s[p, 1] += gain_slope[1] * error
            x[0] += gain[0] * error
            x[1] += gain[1] * error
    for i in range(m + 1):
        for j in range(i):
            gram[i, j] = gram[j, i]
