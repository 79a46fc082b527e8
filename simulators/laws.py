"""Drift laws: a sensor's parameters as functions of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import DurationNs, Int64Array


@dataclass(frozen=True, slots=True)
class Ramp:
    """A parameter that grows linearly to `factor` times its value between two times, and stays there (fouling).

    `index` is its position in the parameter vector; times are counted from the start of the simulation [ns]. With
    `from_ns` = `to_ns` it is a sudden break.
    """

    index: int
    from_ns: DurationNs
    to_ns: DurationNs
    factor: float

    def share(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return how far the ramp is done, 0 to 1, at times `t_ns` since the start."""
        if self.to_ns == self.from_ns:
            return np.where(t_ns >= self.from_ns, 1.0, 0.0)
        done: FloatArray = np.clip((t_ns - self.from_ns) / (self.to_ns - self.from_ns), 0.0, 1.0)
        return done


@dataclass(frozen=True, slots=True, eq=False)
class Parameterisation:
    """θ(t) = θ0 · Π (1 + (factor - 1) · share(t)), each law on its parameter.

    Attributes
    ----------
    theta0 : float64, shape (p,)
    laws : tuple of Ramp
    """

    theta0: FloatArray
    laws: tuple[Ramp, ...] = ()

    def at(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return θ at times `t_ns` [ns], shape (n,), since the start: float64, shape (n, p)."""
        theta = np.tile(self.theta0, (t_ns.size, 1))
        for law in self.laws:
            theta[:, law.index] *= 1.0 + (law.factor - 1.0) * law.share(t_ns)
        return theta

    @property
    def breakpoints_ns(self) -> tuple[int, ...]:
        """Times since the start at which θ(t) has a kink or a jump, ascending."""
        return tuple(sorted({int(t) for law in self.laws for t in (law.from_ns, law.to_ns)}))
