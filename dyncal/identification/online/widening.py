"""Estimates as they are reported: physical parameters, with what the reference and its clock contribute to their u."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.online.matrices import invert
from dyncal.identification.online.passes import CODES
from dyncal.identification.online.posterior import Posterior
from dyncal.identification.online.renewal import to_physical
from dyncal.identification.settings import OnlineSettings
from dyncal.kernels import kernel
from dyncal.models import SensorModel


def widened(model: SensorModel, posterior: Posterior, settings: OnlineSettings) -> tuple[FloatArray, FloatArray]:
    """Return θ (p,) and its covariance (p, p) with what the reference and its clock contribute.

    The offset of the reference b and of its clock δ are *considered*: not estimated, but carried with their effect on
    the estimate, C = ∂ĥ/∂(b, δ), which obeys L C = F(L) C̄ - Σψ ψ_(b, δ)/σ² from block to block (Schmidt; Jazwinski,
    Stochastic Processes and Filtering Theory, 8.4). With T = ∂θ/∂h and the relative uncertainty u_γ of its gain::

        cov θ = T [s L⁻¹ + C diag(u_b², u_δ²) Cᵀ] Tᵀ + (g u_γ)² e_g e_gᵀ

    s is the Birge ratio of the blocks where it is beyond chance: L has been divided by it already, for what scatters
    from block to block; a model that is wrong that much also errs by something like it in all of them.
    """
    p = model.n_parameters
    theta, cov = np.empty(p), np.empty((p, p))
    widen(
        CODES[model.kind], posterior.h, np.ascontiguousarray(posterior.information), posterior.considered,
        posterior.scatter, settings.u_reference, settings.u_clock_s, settings.u_reference_gain, theta, cov,
    )  # fmt: skip
    return theta, cov


@kernel("void(i8, f8[::1], f8[:, ::1], f8[:, ::1], f8, f8, f8, f8, f8[::1], f8[:, ::1])")
def widen(
    kind: int, h: FloatArray, information: FloatArray, considered: FloatArray, scatter: float,
    u_reference: float, u_clock_s: float, u_gain: float, theta: FloatArray, cov: FloatArray,
) -> None:  # fmt: skip
    """Write θ (p,) and its covariance (p, p); see `widened`.

    Parameters
    ----------
    kind : int
        `passes.CODES`.
    h, information, considered
        Of a `Posterior`.
    scatter : float
        s.
    u_reference, u_clock_s, u_gain : float
        u_b, u_δ and u_γ.
    """
    m, p = h.size, theta.size
    known, jacobian, half = np.empty((m, m)), np.empty((p, p)), np.empty((p, p))
    invert(information, 1e-13, known)
    to_physical(kind, h, theta, jacobian)
    for i in range(p):
        for j in range(p):
            known[i, j] = scatter * known[i, j] + (
                considered[i, 0] * u_reference * considered[j, 0] * u_reference
                + considered[i, 1] * u_clock_s * considered[j, 1] * u_clock_s
            )
    for i in range(p):
        for j in range(p):
            half[i, j] = 0.0
            for k in range(p):
                half[i, j] += jacobian[i, k] * known[k, j]
    for i in range(p):
        for j in range(p):
            cov[i, j] = 0.0
            for k in range(p):
                cov[i, j] += half[i, k] * jacobian[j, k]
    cov[0, 0] += (theta[0] * u_gain) ** 2
    for i in range(p):
        for j in range(i):
            cov[i, j] = cov[j, i] = (cov[i, j] + cov[j, i]) / 2
