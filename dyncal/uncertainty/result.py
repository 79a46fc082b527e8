"""What a Monte Carlo answers."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.settings import MonteCarloSettings


@dataclass(frozen=True, slots=True, eq=False)
class MonteCarloResult:
    """Estimates, standard uncertainties and coverage intervals of n outputs.

    Attributes
    ----------
    value, u : float64, shape (n,)
        Mean and standard deviation of the draws.
    low, high : float64, shape (n,)
        Ends of the coverage intervals.
    cov : float64, shape (n, n), optional
        Covariance of the outputs, where it was asked for.
    n_draws : int
        Draws behind the figures.
    n_invalid : int
        Draws that were left out, since the model gave no finite number for them.
    n_blocks : int
    spread : float64, shape (4, n)
        Twice the standard deviation of the means over blocks of value, u, low and high: how far they can be trusted.
        Where blocks are few, Student's quantile takes the place of 2.
    tolerance : float64, shape (n,)
        What `spread` must not exceed: the share asked for of the numerical tolerance δ of u (JCGM 101, 7.9.2).
    stable : bool
        Whether it does not exceed it for any output.
    seed : int
    settings : MonteCarloSettings
        With the seed, they repeat the draws.
    """

    value: FloatArray
    u: FloatArray
    low: FloatArray
    high: FloatArray
    cov: FloatArray | None
    n_draws: int
    n_invalid: int
    n_blocks: int
    spread: FloatArray
    tolerance: FloatArray
    stable: bool
    seed: int
    settings: MonteCarloSettings

    @property
    def coverage(self) -> float:
        """Coverage probability of the intervals."""
        return self.settings.coverage
