"""A discretised model run over a record: states and their sensitivities, compiled where numba is there."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.kernels import HAVE_NUMBA, kernel


@kernel(
    "void(f8[:, :, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, :, ::1], i8[::1], f8[::1], f8[:, ::1],"
    " f8[:, :, ::1])"
)
def states_kernel(
    phi: FloatArray,
    gamma: FloatArray,
    dphi: FloatArray,
    dgamma: FloatArray,
    index: Int64Array,
    u: FloatArray,
    x: FloatArray,
    s: FloatArray,
) -> None:
    """Run ``x₊ = Φ x + Γ0 u + Γ1 u₊`` and its derivatives from x[0] and s[0], in place; `states` says the shapes."""
    n = x.shape[1]
    p = s.shape[1]
    for k in range(1, u.size):
        q = index[k - 1]
        for i in range(n):
            value = gamma[q, i, 0] * u[k - 1] + gamma[q, i, 1] * u[k]
            for j in range(n):
                value += phi[q, i, j] * x[k - 1, j]
            x[k, i] = value
        for r in range(p):
            for i in range(n):
                value = dgamma[q, r, i, 0] * u[k - 1] + dgamma[q, r, i, 1] * u[k]
                for j in range(n):
                    value += dphi[q, r, i, j] * x[k - 1, j] + phi[q, i, j] * s[k - 1, r, j]
                s[k, r, i] = value


def states_plain(
    phi: FloatArray,
    gamma: FloatArray,
    dphi: FloatArray,
    dgamma: FloatArray,
    index: Int64Array,
    u: FloatArray,
    x: FloatArray,
    s: FloatArray,
) -> None:
    """Do what `states_kernel` does, a matrix product a sample."""
    inputs = np.stack([u[:-1], u[1:]], axis=1)
    for k, q in enumerate(index.tolist()):
        x[k + 1] = phi[q] @ x[k] + gamma[q] @ inputs[k]
        s[k + 1] = s[k] @ phi[q].T + dphi[q] @ x[k] + dgamma[q] @ inputs[k]


def states(
    phi: FloatArray,
    gamma: FloatArray,
    dphi: FloatArray,
    dgamma: FloatArray,
    index: Int64Array,
    u: FloatArray,
    x0: FloatArray,
    s0: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the states x (N, n) and their sensitivities s (N, p, n) at N instants.

    Parameters
    ----------
    phi, gamma, dphi, dgamma : float64, shapes (m, n, n), (m, n, 2), (m, p, n, n), (m, p, n, 2)
        `dyncal.models.Discretisation` of m intervals; p = 0 leaves the sensitivities out.
    index : int64, shape (N - 1,)
        Which interval lies between instants k and k + 1.
    u : float64, shape (N,)
        Measurand. A NaN spoils every state from there on.
    x0, s0 : float64, shapes (n,), (p, n)
        At the first instant.
    """
    x, s = np.empty((u.size, x0.size)), np.empty((u.size, *s0.shape))
    x[0], s[0] = x0, s0
    run = states_kernel if HAVE_NUMBA else states_plain
    a, b, da, db = (np.ascontiguousarray(part, dtype=np.float64) for part in (phi, gamma, dphi, dgamma))
    run(a, b, da, db, np.ascontiguousarray(index, dtype=np.int64), np.ascontiguousarray(u, dtype=np.float64), x, s)
    return x, s
