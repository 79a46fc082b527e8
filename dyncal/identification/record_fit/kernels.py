"""One pass over a segment of a record, and the two small recursions that find where to begin.

The pass runs any model of up to six states over sub-intervals of any length (`Track`), because neither irregular
sampling nor a dead time leaves one interval for all. In the innovations form (Ljung, System Identification, 2nd ed.,
4.3)::

    e_k = y_k - c x_k,      x_k⁺ = x_k + K e_k,      x₊ = Φ x⁺ + Γ0 u0 + Γ1 u1

with K = 0 for output error. Sensitivities s = ∂x/∂(η, T, offset, κ, initial state) obey the differentiated recursion:
reading the reference later by dT adds -u' dT to it, and its offset adds a constant.
"""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import kernel

N_DISTURBANCES = 2
"""Rows of `record_pass` after those of η: dead time T, offset of the reference; κ follows."""

LANES = 4
"""Rows are padded to a multiple of it."""
EVERY, NOTHING = 64, 1e-150
"""How often decays are looked at, and below what they are over: numbers below 1e-308 take a hundred times as long."""

_A1, _A2, _A3, _A4 = "f8[::1]", "f8[:, ::1]", "f8[:, :, ::1]", "f8[:, :, :, ::1]"
_PASS = (
    f"void(i8, i8, {_A1}, i8[::1], i8[::1], {_A1}, {_A1}, {_A1}, {_A1}, {_A3}, {_A3}, {_A4}, {_A4}, {_A1}, {_A2},"
    f" {_A1}, {_A1}, {_A1}, {_A2}, {_A1}, {_A2}, {_A2}, {_A1}, {_A2})"
)


@kernel(_PASS)
def record_pass(  # noqa: C901 - one loop over samples, kept together for the compiler
    first: int,
    rows: int,
    y: FloatArray,
    index: Int64Array,
    observed: Int64Array,
    u0: FloatArray,
    u1: FloatArray,
    slope: FloatArray,
    jump: FloatArray,
    phi: FloatArray,
    gamma: FloatArray,
    dphi: FloatArray,
    dgamma: FloatArray,
    kick: FloatArray,
    dkick: FloatArray,
    b: FloatArray,
    c: FloatArray,
    gain: FloatArray,
    dgain: FloatArray,
    x: FloatArray,
    s: FloatArray,
    gram: FloatArray,
    e: FloatArray,
    rowwise: FloatArray,
) -> None:
    """Run the recursion over a segment, in place.

    Parameters
    ----------
    first : int
        -1: y[0] belongs to the beginning, before the first sub-interval. 0: the run goes on from where it was cut.
    rows : int
        Rows that count: p + 3 + n. The others, up to a whole number of the processor's lanes, stay 0.
    y : float64, shape (n_y,)
        Indications.
    index, observed : int64, shape (n_j,)
        Which discretisation a sub-interval has, and which indication there is at its end: -1 for none.
    u0, u1, slope, jump : float64, shape (n_j,)
        Reference at both ends of a sub-interval, its slope there [1/s], and by how much it jumps at its end.
    phi, gamma, dphi, dgamma : float64, shapes (m, n, n), (m, 2, n), (m, n, n, p), (m, 2, n, p)
        Φ, (Γ0, Γ1) and derivatives in η.
    kick, dkick, b : float64, shapes (n,), (n, p), (n,)
        What a unit jump of the reference does to the state at once, and does to ∂x/∂T.
    c, gain : float64, shape (n,)
    dgain : float64, shape (n, p + 3)
        ∂K/∂(η, T, offset, κ).
    x : float64, shape (n,)
        State predicted for the first indication; on return the filtered state at the end.
    s : float64, shape (n, lanes), lanes > rows
        Sensitivities, in and out: η, T, offset, κ, then the initial state.
    gram : float64, shape (lanes, lanes)
        Σ of products of (∂ŷ/∂ each row, e) is added to its corner.
    e : float64, shape (n_y,)
        On return the innovations.
    rowwise : float64, shape (n_y, rows + 1) or (0, rows + 1)
        On return ∂ŷ/∂ each row, and e, of each indication; where it is empty they go into `gram` alone.
    """
    n, lanes = s.shape
    p = dphi.shape[3]
    psi = np.zeros(lanes)
    new_x = np.empty(n)
    new_s = np.empty((n, lanes))
    open_loop = True
    for i in range(n):
        open_loop = open_loop and gain[i] == 0.0
    for j in range(first, index.size):
        k = 0
        if j >= 0:
            q = index[j]
            a0 = u0[j]
            a1 = u1[j]
            if j % EVERY == 0:
                for i in range(n):
                    for r in range(rows - n, rows):
                        if abs(s[i, r]) < NOTHING:
                            s[i, r] = 0.0
            for i in range(n):
                f = phi[q, i, 0]
                total = gamma[q, 0, i] * a0 + gamma[q, 1, i] * a1 + f * x[0]
                for r in range(lanes):
                    new_s[i, r] = f * s[0, r]
                for g in range(1, n):
                    f = phi[q, i, g]
                    total += f * x[g]
                    for r in range(lanes):
                        new_s[i, r] += f * s[g, r]
                for r in range(p):
                    forced = dgamma[q, 0, i, r] * a0 + dgamma[q, 1, i, r] * a1
                    for g in range(n):
                        forced += dphi[q, i, g, r] * x[g]
                    new_s[i, r] += forced
                both = gamma[q, 0, i] + gamma[q, 1, i]
                new_s[i, p] -= both * slope[j]
                new_s[i, p + 1] += both
                new_x[i] = total
            for i in range(n):
                x[i] = new_x[i]
                for r in range(lanes):
                    s[i, r] = new_s[i, r]
            if jump[j] != 0.0:
                for i in range(n):
                    x[i] += kick[i] * jump[j]
                    s[i, p] -= b[i] * jump[j]
                    for r in range(p):
                        s[i, r] += dkick[i, r] * jump[j]
            k = observed[j]
        if k < 0:
            continue
        error = y[k]
        for r in range(lanes):
            psi[r] = 0.0
        for i in range(n):
            error -= c[i] * x[i]
            for r in range(lanes):
                psi[r] += c[i] * s[i, r]
        psi[rows] = error
        e[k] = error
        if rowwise.shape[0] > 0:
            for i in range(rows + 1):
                rowwise[k, i] = psi[i]
        for i in range(rows + 1):
            f = psi[i]
            for r in range(lanes):
                gram[i, r] += f * psi[r]
        if open_loop:
            continue
        for i in range(n):
            x[i] += gain[i] * error
            for r in range(rows):
                s[i, r] -= gain[i] * psi[r]
            for r in range(dgain.shape[1]):
                s[i, r] += dgain[i, r] * error


@kernel("void(f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1])")
def run_states(phi: FloatArray, gamma: FloatArray, u: FloatArray, states: FloatArray) -> None:
    """Run x₊ = Φ x + Γ0 u + Γ1 u₊ over a uniform record; states[0] is given, the rest written.

    phi (n, n); gamma (n, 2); u (n_t,); states (n_t, n).
    """
    n = phi.shape[0]
    for k in range(1, u.size):
        for i in range(n):
            total = gamma[i, 0] * u[k - 1] + gamma[i, 1] * u[k]
            for g in range(n):
                total += phi[i, g] * states[k - 1, g]
            states[k, i] = total if abs(total) > NOTHING else 0.0


@kernel("void(f8[:, :, ::1], f8[:, :, ::1], i8, f8[::1], f8[::1], f8[:, :, ::1])")
def screen(  # noqa: C901 - one loop over samples, kept together for the compiler
    phi: FloatArray, gamma: FloatArray, n_used: int, y: FloatArray, u: FloatArray, gram: FloatArray
) -> None:
    """Write, for every candidate, the Gram matrix of (states driven by u, free decays, y) over a uniform record.

    The numerator's coefficients and the initial state are linear in these: least squares on the Gram matrix ranks
    candidates by their poles alone.

    phi (m, n, n), gamma (m, n, 2): candidates. n_used: states that the numerator reaches. y, u (n_t,).
    gram (m, n_used + n + 1, n_used + n + 1).
    """
    n = phi.shape[1]
    size = n_used + n + 1
    x = np.empty(n)
    new_x = np.empty(n)
    d = np.empty((n, n))
    new_d = np.empty((n, n))
    row = np.empty(size)
    for m in range(phi.shape[0]):
        for i in range(n):
            x[i] = 0.0
            for g in range(n):
                d[i, g] = 1.0 if i == g else 0.0
        for i in range(size):
            for g in range(size):
                gram[m, i, g] = 0.0
        for k in range(u.size):
            if k > 0:
                for i in range(n):
                    total = gamma[m, i, 0] * u[k - 1] + gamma[m, i, 1] * u[k]
                    for g in range(n):
                        total += phi[m, i, g] * x[g]
                    new_x[i] = total
                    for r in range(n):
                        new_d[i, r] = 0.0
                    for g in range(n):
                        f = phi[m, i, g]
                        for r in range(n):
                            new_d[i, r] += f * d[g, r]
                for i in range(n):
                    x[i] = new_x[i]
                    for r in range(n):
                        d[i, r] = new_d[i, r] if abs(new_d[i, r]) > NOTHING else 0.0
            for i in range(n_used):
                row[i] = x[i]
            for r in range(n):
                row[n_used + r] = d[0, r]
            row[size - 1] = y[k]
            for i in range(size):
                f = row[i]
                for r in range(size):
                    gram[m, i, r] += f * row[r]
