"""The plunge time constant by several structures, and how likely each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.in_situ.modes import Modes, Transient, correlation
from dyncal.identification.in_situ.plunge import time_constant, unseen
from dyncal.identification.in_situ.ridge import Ridge, ridge

_DERIVATIVE: Final = 1e-4
_SETTLED: Final = 2.5  # time constants in a record that shows a mode
_NEGLIGIBLE: Final = 0.005
_FAR: Final = 25.0  # deviance: what integrals may add to the best fit's, twice


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What one structure says of the plunge time constant [s], its probability, and the fit it comes from."""

    fit: Modes
    tau_s: float
    u_tau_s: float
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Structures that count, and the noise that the best of them leaves."""

    beliefs: Sequence[Belief]
    variance: float
    correlation: float

    @property
    def best(self) -> Modes:
        """The likeliest structure."""
        return max(self.beliefs, key=lambda belief: belief.share).fit


def pooled(transients: Sequence[Transient], fits: Sequence[Modes], *, drift: bool) -> Pooled:
    """Weigh structures by their evidence, all by the noise that the closest of them leaves.

    The integral of likelihood times prior: of bodies over Biot number and radius node by node, of all other coordinates
    by Laplace's approximation. Before there are data ln τ is anything between the record's interval and length, an
    amplitude is normal with the record's range for its standard deviation.
    """
    longest = max(float(transient.t_s[-1]) for transient in transients)
    fits = [fit for fit in fits if not _wanders(fit, longest)]
    closest = min(fits, key=lambda fit: fit.sse / fit.n_degrees)
    factor = correlation(transients, closest.left.e)
    variance = closest.sse / closest.n_degrees
    noise = max(variance * factor, np.finfo(np.float64).tiny)
    bounds = [fit.sse / noise + _linear(transients, fit, noise) for fit in fits]
    near = [fit for fit, bound in zip(fits, bounds, strict=True) if bound < min(bounds) + _FAR]
    said = [(fit, *_free(fit, noise)) for fit in near if not fit.structure.complete]
    said += [
        (fit, found.tau_s, found.u_tau_s, found.deviance)
        for fit, found in _ridges(transients, near, noise, drift=drift)
    ]
    deviances = [deviance + _linear(transients, fit, noise) for fit, *_, deviance in said]
    shares = np.exp(-(np.array(deviances) - min(deviances)) / 2)
    shares[shares < _NEGLIGIBLE * shares.sum()] = 0.0
    shares /= shares.sum()
    beliefs = [Belief(fit, tau, u, float(p)) for (fit, tau, u, _), p in zip(said, shares, strict=True) if p > 0]
    return Pooled(beliefs, variance, factor)


def _wanders(fit: Modes, longest_s: float) -> bool:
    """Tell whether the slowest of several free modes is but a drift of the record: no mode that it shows."""
    return not fit.structure.complete and fit.z.size > 1 and float(fit.tau_s[0]) > longest_s / _SETTLED


def _linear(transients: Sequence[Transient], fit: Modes, variance: float) -> float:
    """Return what the amplitudes and the time constants that are free add to the deviance.

    Priors, that of the structure included, and the amplitudes' integral; offset and drift are in all structures.
    """
    ranges = sum(2 * float(np.log(np.ptp(transient.y) / np.sqrt(variance))) for transient in transients)
    shortest = min(float(transient.t_s[0]) for transient in transients)
    longest = max(float(transient.t_s[-1]) for transient in transients)
    n_tau = 1 if fit.structure.complete else fit.z.size
    orders = factorial(n_tau)  # all the same
    taus = n_tau * float(np.log(np.log(longest / shortest))) - float(np.log(orders))
    return fit.left.n_free * ranges + fit.left.log_gram + 2 * taus - 2 * float(np.log(fit.structure.odds))


def _ridges(
    transients: Sequence[Transient], fits: Iterable[Modes], noise: float, *, drift: bool
) -> list[tuple[Modes, Ridge]]:
    """Integrate bodies along the ridges through their optima."""
    found: list[tuple[Modes, Ridge]] = []
    for fit in fits:
        if fit.structure.complete:
            known = [there for one, there in found if one.structure is fit.structure]
            new = ridge(transients, fit, noise, known, drift=drift)
            found += [(fit, new)] if new else []
    return found


def _free(fit: Modes, variance: float) -> tuple[float, float, float]:
    """Return the time to 63.2 % of a plunge by free modes, its standard uncertainty, and the deviance as of a ridge."""
    resolved = time_constant(fit.tau_s)
    slope = np.empty(fit.z.size)
    for i in range(fit.z.size):
        step = np.zeros(fit.z.size)
        step[i] = _DERIVATIVE
        above, below = fit.structure.taus(fit.z + step), fit.structure.taus(fit.z - step)
        slope[i] = (time_constant(above) - time_constant(below)) / (2 * _DERIVATIVE)
    most = _unseen_s(fit.tau_s, resolved)
    cov = fit.cov(variance)
    deviance = fit.sse / variance - float(np.linalg.slogdet(2 * np.pi * cov)[1])
    return resolved + most / 2, float(np.sqrt(slope @ cov @ slope + most**2 / 12)), deviance


def _unseen_s(tau_s: FloatArray, resolved_s: float) -> float:
    """Return the most that modes which free ones do not show can add [s].

    The fastest of free modes stands for many and comes out too fast; so all but the slowest may be what bodies have.
    """
    first = float(tau_s[0])
    return max(unseen(tau_s) * first, first * (1 + unseen(tau_s[:1])) - resolved_s)
