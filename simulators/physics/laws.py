"""Drift laws: a sensor's parameters as functions of time. Each multiplies one parameter, and is 1 before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, Int64Array


class Law(Protocol):
    """What happens to one parameter; times are counted from the start of the simulation [ns]."""

    @property
    def index(self) -> int:
        """Its position in the parameter vector."""
        ...

    def scale(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return by what it is multiplied at times `t_ns`, shape (n,); 1 before the first of `kinks_ns`."""
        ...

    @property
    def kinks_ns(self) -> tuple[int, ...]:
        """Times at which it, or a derivative of it, jumps; between them it is smooth."""
        ...

    @property
    def fastest_rad_s(self) -> float:
        """A rate [rad/s] beyond which it has next to nothing between two kinks."""
        ...


@dataclass(frozen=True, slots=True)
class Ramp:
    """Grows linearly to `factor` between two times, and stays there; with `from_ns` = `to_ns` a sudden break."""

    index: int
    from_ns: DurationNs
    to_ns: DurationNs
    factor: float

    def share(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return how far the ramp is done, 0 to 1, at times `t_ns` since the start."""
        return _share(t_ns, self.from_ns, self.to_ns)

    def scale(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return 1 + (factor - 1) · share."""
        return 1.0 + (self.factor - 1.0) * self.share(t_ns)

    @property
    def kinks_ns(self) -> tuple[int, ...]:
        """Begin and end."""
        return (self.from_ns, self.to_ns)

    @property
    def fastest_rad_s(self) -> float:
        """0: a line."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Saturating:
    """Goes towards `factor` with a time constant: 1 + (factor - 1)(1 - exp(-(t - from)/T)).

    Deposits that are worn off as fast as they form, in the end (Kern & Seaton, *British Chemical Engineering* 4 (1959)
    258), and sensitivity that is lost down to a rest.
    """

    index: int
    from_ns: DurationNs
    time_constant_ns: DurationNs
    factor: float

    def scale(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return what the law says."""
        since = np.maximum(t_ns - self.from_ns, 0) / self.time_constant_ns
        return np.asarray(1.0 - (self.factor - 1.0) * np.expm1(-since), np.float64)

    @property
    def kinks_ns(self) -> tuple[int, ...]:
        """Begin."""
        return (self.from_ns,)

    @property
    def fastest_rad_s(self) -> float:
        """1/T."""
        return NS_PER_S / self.time_constant_ns


@dataclass(frozen=True, slots=True)
class Ageing:
    """Grows by equal shares in equal times to `factor`, and stays there: factor^((t - from)/(to - from))."""

    index: int
    from_ns: DurationNs
    to_ns: DurationNs
    factor: float

    def scale(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return what the law says."""
        return np.asarray(self.factor ** _share(t_ns, self.from_ns, self.to_ns), np.float64)

    @property
    def kinks_ns(self) -> tuple[int, ...]:
        """Begin and end."""
        return (self.from_ns, self.to_ns)

    @property
    def fastest_rad_s(self) -> float:
        """|ln factor| over the time that it takes."""
        return abs(float(np.log(self.factor))) * NS_PER_S / (self.to_ns - self.from_ns)


@dataclass(frozen=True, slots=True)
class Slowing:
    """Grows with the logarithm of time to `factor`, ever more slowly, as quartz and resistors age, and stays there.

    1 + (factor - 1) ln(1 + (t - from)/T) / ln(1 + (to - from)/T) (IEC 60122-1 has this law for quartz units).
    """

    index: int
    from_ns: DurationNs
    to_ns: DurationNs
    time_constant_ns: DurationNs
    factor: float

    def scale(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return what the law says."""
        span = self.to_ns - self.from_ns
        since = np.clip(t_ns - self.from_ns, 0, span) / self.time_constant_ns
        return np.asarray(1.0 + (self.factor - 1.0) * np.log1p(since) / np.log1p(span / self.time_constant_ns))

    @property
    def kinks_ns(self) -> tuple[int, ...]:
        """Begin and end."""
        return (self.from_ns, self.to_ns)

    @property
    def fastest_rad_s(self) -> float:
        """1/T."""
        return NS_PER_S / self.time_constant_ns


@dataclass(frozen=True, slots=True)
class Cycle:
    """Swings about its value, as with the day's temperature: 1 + amplitude · sin 2π(t - from)/period."""

    index: int
    from_ns: DurationNs
    period_ns: DurationNs
    amplitude: float

    def scale(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return what the law says."""
        since = np.maximum(t_ns - self.from_ns, 0)
        turns = since % self.period_ns / self.period_ns
        return np.asarray(1.0 + self.amplitude * np.sin(2 * np.pi * turns), np.float64)

    @property
    def kinks_ns(self) -> tuple[int, ...]:
        """Begin."""
        return (self.from_ns,)

    @property
    def fastest_rad_s(self) -> float:
        """That of the sine."""
        return 2 * np.pi * NS_PER_S / self.period_ns


@dataclass(frozen=True, slots=True, eq=False)
class Parameterisation:
    """θ(t) = θ0 · Π scale(t), each law on its parameter.

    Attributes
    ----------
    theta0 : float64, shape (p,)
    laws : tuple of Law
    """

    theta0: FloatArray
    laws: tuple[Law, ...] = ()

    def at(self, t_ns: Int64Array | FloatArray) -> FloatArray:
        """Return θ at times `t_ns` [ns], shape (n,), since the start: float64, shape (n, p)."""
        theta = np.tile(self.theta0, (t_ns.size, 1))
        for law in self.laws:
            theta[:, law.index] *= law.scale(t_ns)
        return theta

    @property
    def breakpoints_ns(self) -> tuple[int, ...]:
        """Times since the start at which θ(t) has a kink or a jump, ascending."""
        return tuple(sorted({int(t) for law in self.laws for t in law.kinks_ns}))

    @property
    def fastest_rad_s(self) -> float:
        """A rate [rad/s] beyond which θ(t) has next to nothing between two breakpoints."""
        return max((law.fastest_rad_s for law in self.laws), default=0.0)


def _share(t_ns: Int64Array | FloatArray, from_ns: DurationNs, to_ns: DurationNs) -> FloatArray:
    if to_ns == from_ns:
        return np.where(t_ns >= from_ns, 1.0, 0.0)
    done: FloatArray = np.clip((t_ns - from_ns) / (to_ns - from_ns), 0.0, 1.0)
    return done
