"""Models of noise, as linear systems that white noise drives, with their exact steps over the intervals they can take.

Noise is v = c ξ + w with ξ₊ = Φ ξ + its own white noise, and white w. Variances are relative: a common factor changes
neither what is white nor which model is the better one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.models import SensorModel

_DOUBLINGS: Final = 60


class Noise(ABC):
    """What `whiten` needs of a noise, and its name."""

    __slots__ = ()

    @property
    @abstractmethod
    def label(self) -> str:
        """In words."""

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Number of parameters beside the common factor."""

    @property
    @abstractmethod
    def row(self) -> FloatArray:
        """Return c, shape (n,)."""

    @property
    @abstractmethod
    def white(self) -> float:
        """Variance of w."""

    @property
    @abstractmethod
    def cov(self) -> FloatArray:
        """Stationary covariance of ξ, (n, n)."""

    @abstractmethod
    def steps(self, steps_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return Φ and Q for intervals [s] (m,), both (m, n, n)."""


@dataclass(frozen=True, slots=True, eq=False)
class Autoregression(Noise):
    """AR(p), v_k = Σ a_i v_{k-i} + white noise of variance 1, on a grid of `dt_s`.

    Missing samples are steps of several intervals; between the points of the grid it has no meaning.

    Attributes
    ----------
    a : float64, shape (p,)
    dt_s : float
    """

    a: FloatArray
    dt_s: float

    @property
    def label(self) -> str:
        """In words."""
        return f"autoregressive of order {self.a.size}"

    @property
    def n_parameters(self) -> int:
        """Return p."""
        return int(self.a.size)

    @property
    def row(self) -> FloatArray:
        """The newest value."""
        newest = np.zeros(self.a.size)
        newest[0] = 1.0
        return newest

    @property
    def white(self) -> float:
        """None."""
        return 0.0

    @property
    def cov(self) -> FloatArray:
        """Of p neighbours."""
        return at_rest(*self._step())

    def steps(self, steps_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return Φ and Q, for whole numbers of intervals."""
        pairs = [self._several(max(round(step / self.dt_s), 1)) for step in steps_s.tolist()]
        return np.stack([phi for phi, _ in pairs]), np.stack([q for _, q in pairs])

    def _step(self) -> tuple[FloatArray, FloatArray]:
        phi = np.eye(self.a.size, k=-1)
        phi[0] = self.a
        return phi, np.outer(self.row, self.row)

    def _several(self, k: int) -> tuple[FloatArray, FloatArray]:
        phi, q = self._step()
        power, noise = np.eye(self.a.size), np.zeros_like(q)
        while k:
            if k & 1:
                power, noise = phi @ power, phi @ noise @ phi.T + q
            phi, q = phi @ phi, phi @ q @ phi.T + q
            k >>= 1
        return power, noise


@dataclass(frozen=True, slots=True)
class Relaxation(Noise):
    """Noise that relaxes (Ornstein-Uhlenbeck, variance 1) beside white noise; at any instants.

    Attributes
    ----------
    rate_per_s : float
    share : float
        Variance of the white noise.
    """

    rate_per_s: float
    share: float

    @property
    def label(self) -> str:
        """In words."""
        return f"that relaxes in {1 / self.rate_per_s:.3g} s beside white noise"

    @property
    def n_parameters(self) -> int:
        """Two."""
        return 2

    @property
    def row(self) -> FloatArray:
        """The state itself."""
        return np.ones(1)

    @property
    def white(self) -> float:
        """Variance of the white part."""
        return self.share

    @property
    def cov(self) -> FloatArray:
        """1."""
        return np.ones((1, 1))

    def steps(self, steps_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return Φ and Q."""
        decay = np.exp(-self.rate_per_s * steps_s)[:, None, None]
        return decay, 1 - decay**2


@dataclass(frozen=True, slots=True, eq=False)
class Through(Noise):
    """White noise at the input of a sensor, seen through it, beside white noise of variance 1 at its output.

    Attributes
    ----------
    model : SensorModel
    eta : float64, shape (p,)
    intensity : float
        Of the noise at the input [s].
    """

    model: SensorModel
    eta: FloatArray
    intensity: float

    @property
    def label(self) -> str:
        """In words."""
        return "at the sensor's input"

    @property
    def n_parameters(self) -> int:
        """One."""
        return 1

    @property
    def row(self) -> FloatArray:
        """The sensor's output."""
        return np.ascontiguousarray(np.asarray(self.model.output)[: self.model.n_states])

    @property
    def white(self) -> float:
        """Variance at the output."""
        return 1.0

    @property
    def cov(self) -> FloatArray:
        """Of the sensor's state: A P + P Aᵀ + b bᵀ intensity = 0."""
        space = self.model.state_space(self.eta)
        eye = np.eye(space.b.size)
        driven = self.intensity * np.outer(space.b, space.b)
        found = np.linalg.solve(np.kron(space.a, eye) + np.kron(eye, space.a), -driven.ravel()).reshape(driven.shape)
        return np.ascontiguousarray((found + found.T) / 2)

    def steps(self, steps_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return Φ and Q = P - Φ P Φᵀ."""
        n, p = self.model.n_states, self.cov
        phi = np.ascontiguousarray(self.model.discretise(self.eta, steps_s).phi[:, :n, :n])
        return phi, p - phi @ p @ phi.swapaxes(-1, -2)


def at_rest(phi: FloatArray, q: FloatArray) -> FloatArray:
    """Return the stationary covariance P = Φ P Φᵀ + Q, by doubling."""
    p = q
    for _ in range(_DOUBLINGS):
        more = phi @ p @ phi.T
        p, phi = p + more, phi @ phi
        if float(np.abs(more).max()) <= 1e-16 * float(np.abs(p).max()):
            break
    return np.ascontiguousarray((p + p.T) / 2)
