"""Blocks of a sensor whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.drift import DriftMonitor, DriftStatus

NAMES = ("gain", "tau_s")
SECOND = 1_000_000_000


@dataclass
class Block:
    """A block that measured `value` with covariance `cov`."""

    to_ns: int
    value: FloatArray
    cov: FloatArray
    excited: bool = True
    rejected: bool = False
    theta: FloatArray = field(default_factory=lambda: np.array([1.0, 1.0]))

    @property
    def information(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.cov) if self.excited else np.zeros((2, 2)), dtype=np.float64)

    @property
    def score(self) -> FloatArray:
        return self.information @ (self.value - self.theta)


class Source:
    """Blocks around a true θ with correlated errors of 0.5 % and 1 %, and `scatter` times that in truth."""

    def __init__(self, seed: int, scatter: float = 1.0) -> None:
        self._rng = np.random.default_rng(seed)
        self.cov = np.array([[2.5e-5, 1.5e-5], [1.5e-5, 1e-4]])
        self._scatter = scatter
        self._at = 0

    def block(self, theta: tuple[float, float] = (1.0, 0.8)) -> Block:
        self._at += 2 * SECOND
        return Block(self._at, self._rng.multivariate_normal(theta, self._scatter**2 * self.cov), self.cov)

    def mean_of(self, n: int) -> FloatArray:
        """Mean of n blocks of a sensor that is as it was."""
        return self._rng.multivariate_normal((1.0, 0.8), self._scatter**2 * self.cov / n)

    def idle(self, seconds: int) -> Block:
        self._at += seconds * SECOND
        return Block(self._at, np.zeros(2), self.cov, excited=False)


def watch(monitor: DriftMonitor, blocks: list[Block]) -> list[DriftStatus]:
    return [monitor.update(block) for block in blocks]
