"""What data and prior say of a conducting body, where a Gaussian about the best fit would not do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from dyncal.domain.samples import FloatArray
from dyncal.identification.in_situ.modes import Modes, Project, Structure, Transient, projector
from dyncal.identification.in_situ.plunge import body_time_constant

BoolArray = npt.NDArray[np.bool_]

_STEP: Final = 0.5  # between nodes, in standard deviations of ln Bi at the best fit
_FINEST: Final = 0.02
_COARSEST: Final = 0.4
_GROWTH: Final = 1.25
_GONE: Final = 20.0  # deviance above the least where a ridge is left: it may have passes
_SAME: Final = 0.05  # radii that near are one ridge


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """The posterior of a body along ln Bi, its other coordinates marginal.

    Attributes
    ----------
    log_biot, radius : float64, shape (n,)
        Nodes, increasing, and the place of the element there.
    tau_s, u_tau_s : float
        Mean and standard deviation of the plunge time constant [s].
    deviance : float
        -2 ln of the evidence but for the priors of ln τ1 and the amplitudes: a sum of squares over the variance, and
        what integrals add.
    """

    log_biot: FloatArray
    radius: FloatArray
    tau_s: float
    u_tau_s: float
    deviance: float

    def holds(self, log_biot: FloatArray, radius: FloatArray) -> BoolArray:
        """Tell which points, both of shape (m,), lie on this ridge."""
        inside = (log_biot >= self.log_biot[0]) & (log_biot <= self.log_biot[-1])
        return np.asarray(inside & (np.abs(np.interp(log_biot, self.log_biot, self.radius) - radius) < _SAME))


def ridge(
    transients: Sequence[Transient], fit: Modes, variance: float, known: Sequence[Ridge] = (), *, drift: bool
) -> Ridge | None:
    """Integrate the posterior of (ln τ1, ln Bi, r) over its ridge through a fit; None where that is known already.

    Above a Biot number of 10 or so the modes hardly change, so that the data leave a ridge, bent and cut off. It is
    followed node by node, and integrated across by Laplace's approximation (Tierney & Kadane, J. Am. Stat. Assoc. 81
    (1986) 82).

    Parameters
    ----------
    variance : float
        Of one sample, widened for correlation.
    known : sequence of Ridge
        Of this body: ridges may join, and what they share counts once.
    """
    if any(there.holds(fit.z[1:2], fit.z[2:3])[0] for there in known):
        return None
    posterior = _Posterior(projector(transients, fit.structure, drift=drift), fit.structure, variance)
    middle = posterior.node(float(fit.z[1]), fit.z[[0, 2]])
    step = float(np.clip(_STEP * np.sqrt(fit.cov(variance)[1, 1]), _FINEST, _COARSEST))
    below, above = (list(_along(posterior, middle, way * step)) for way in (-1, 1))
    nodes = [*reversed(below), middle, *above]
    log_biot, radius, deviance, tau, u = np.array(
        [(n.log_biot, n.z[1], n.deviance, n.tau_s, n.u_tau_s) for n in nodes]
    ).T
    least = float(deviance.min())
    share = np.exp(-(deviance - least) / 2) * np.gradient(log_biot)
    for there in known:
        share = np.where(there.holds(log_biot, radius), 0.0, share)
    if not np.any(share):
        return None
    evidence = least - 2 * float(np.log(share.sum()))
    share = share / share.sum()
    mean = float(share @ tau)
    return Ridge(log_biot, radius, mean, float(np.sqrt(share @ ((tau - mean) ** 2 + u**2))), evidence)


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """The best (ln τ1, r) at one ln Bi, -2 ln of the density there, and the plunge time constant."""

    log_biot: float
    z: FloatArray
    deviance: float
    tau_s: float
    u_tau_s: float

    def row(self) -> tuple[float, ...]:
        return self.log_biot, float(self.z[1]), self.deviance, self.tau_s, self.u_tau_s


def _along(posterior: _Posterior, last: _Node, step: float) -> Iterator[_Node]:
    """Walk in one direction, ever faster, until the density has gone or the bodies end."""
    lowest, highest = (float(bound[1]) for bound in posterior.structure.bounds)
    least = last.deviance
    while last.deviance < least + _GONE and lowest < last.log_biot < highest:
        last = posterior.node(float(np.clip(last.log_biot + step, lowest, highest)), last.z)
        least = min(least, last.deviance)
        step = float(np.clip(_GROWTH * step, -_COARSEST, _COARSEST))
        yield last


@dataclass(frozen=True, slots=True, eq=False)
class _Posterior:
    project: Project
    structure: Structure
    variance: float

    def node(self, log_biot: float, begin: FloatArray) -> _Node:
        """Return the node at a Biot number, (ln τ1, r) searched from `begin` on."""
        low, high = (bound[[0, 2]] for bound in self.structure.bounds)
        found = least_squares(self._errors, begin, bounds=(low, high), args=(log_biot,))
        jacobian = np.asarray(found.jac, dtype=np.float64)
        cov = np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
        tau_s = body_time_constant(self.structure.taus(np.insert(found.x, 1, log_biot)))
        deviance = 2 * float(found.cost) - float(np.linalg.slogdet(2 * np.pi * cov)[1]) + self._normalisation()
        return _Node(log_biot, np.asarray(found.x), deviance, tau_s, tau_s * float(np.sqrt(cov[0, 0])))

    def _errors(self, z: FloatArray, log_biot: float) -> FloatArray:
        """Return what is least where the density is highest: residuals, then what the prior expects otherwise."""
        every = np.insert(z, 1, log_biot)
        unlike = (every - self.structure.expected) / self.structure.u_expected
        return np.concatenate([self.project(every).e / np.sqrt(self.variance), unlike[1:]])

    def _normalisation(self) -> float:
        """Return -2 ln of the prior's height, a normal density of ln Bi and half of one of r."""
        known = self.structure.u_expected[np.isfinite(self.structure.u_expected)]
        return float(np.sum(np.log(2 * np.pi * known**2)) - 2 * np.log(2))
