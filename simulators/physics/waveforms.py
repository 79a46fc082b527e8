"""Measurands beside noise: lines and steps, sweeps, shocks, slow swings, and their sums; exact at any instant.

Every waveform is smooth between its breaks, so that a rule of high order integrates a sensor's response to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import scipy.signal

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, Int64Array

_NO_BREAKS: Final = np.empty(0, np.int64)
_AT_ONCE: Final = DurationNs(0)


class Measurand(Protocol):
    """What a sensor is exposed to. Instants are int64 nanoseconds; values are in the unit of the measurand."""

    @property
    def fastest_rad_s(self) -> float:
        """A rate [rad/s] beyond which it has next to nothing between two breaks."""
        ...

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at instants `t_ns`, shape (n,): float64, shape (n,). At a jump it is the value after it."""
        ...

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the time since `t_ns` [s], shape (n,): for instants between nanoseconds."""
        ...

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return the instants in (from, to) at which x or a derivative of it jumps, ascending."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Straight lines between knots: steps, ramps, batches, pseudo-random binary sequences.

    Attributes
    ----------
    t_ns : int64, shape (n,), n >= 1
        Knots since `t0_ns`, from 0 on, not decreasing; two at one instant are a jump.
    x : float64, shape (n,)
    t0_ns : int
    repeated : bool
        Whether it begins again at its last knot, which is then no value of its own; if not, it stays at the last value.
    """

    t_ns: Int64Array
    x: FloatArray
    t0_ns: InstantNs
    repeated: bool = False

    def __post_init__(self) -> None:
        if self.t_ns.shape != self.x.shape or self.t_ns.ndim != 1 or not self.t_ns.size:
            raise InvalidData(f"{self.t_ns.shape} knots do not fit {self.x.shape} values")
        if self.t_ns[0] != 0 or np.any(np.diff(self.t_ns) < 0):
            raise InvalidData("knots begin at 0 and do not decrease")
        if self.repeated and self.t_ns[-1] == 0:
            raise InvalidData("a profile that is repeated must last")

    @property
    def fastest_rad_s(self) -> float:
        """0: lines."""
        return 0.0

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at instants."""
        since = t_ns - self.t0_ns
        return self._at(since % self.t_ns[-1] if self.repeated else since, np.zeros(t_ns.shape))

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the seconds since `t_ns`."""

        def x(t_s: FloatArray) -> FloatArray:
            whole = np.floor(t_s * NS_PER_S).astype(np.int64)
            since = t_ns - self.t0_ns + whole
            return self._at(since % self.t_ns[-1] if self.repeated else since, t_s * NS_PER_S - whole)

        return x

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return the knots."""
        knots = np.unique(self.t_ns)
        if not self.repeated:
            found = self.t0_ns + knots
        else:
            period = int(self.t_ns[-1])
            first, last = (from_ns - self.t0_ns) // period, (to_ns - self.t0_ns) // period
            rounds = self.t0_ns + period * np.arange(first, last + 1, dtype=np.int64)
            found = np.unique(rounds[:, None] + knots)
        return found[(found > from_ns) & (found < to_ns)]

    def _at(self, since_ns: Int64Array, rest_ns: FloatArray) -> FloatArray:
        """Return x at `since_ns` + `rest_ns`, 0 <= rest < 1."""
        after = np.clip(np.searchsorted(self.t_ns, since_ns, side="right"), 1, max(self.t_ns.size - 1, 1))
        if self.t_ns.size == 1:
            return np.full(since_ns.shape, self.x[0])
        left, right = self.t_ns[after - 1], self.t_ns[after]
        width = np.maximum(right - left, 1)
        share = np.clip(((since_ns - left) + rest_ns) / width, 0.0, 1.0)
        share = np.where(right == left, 1.0, share)
        found: FloatArray = self.x[after - 1] + share * (self.x[after] - self.x[after - 1])
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """A sine whose frequency goes from one end to the other in `period_ns`, and begins again.

    x = amplitude · sin 2πφ, φ = f0 t + (f1 - f0) t² / 2T where it is linear, f0 T/ln(f1/f0) ((f1/f0)^(t/T) - 1) where
    it is logarithmic (ISO 18431-4 calls both swept sine).
    """

    amplitude: float
    from_hz: float
    to_hz: float
    period_ns: DurationNs
    t0_ns: InstantNs
    logarithmic: bool = False

    def __post_init__(self) -> None:
        if self.from_hz <= 0 or self.to_hz <= 0 or self.period_ns <= 0:
            raise InvalidData("a sweep has frequencies and a period above 0")

    @property
    def fastest_rad_s(self) -> float:
        """The higher end."""
        return 2 * np.pi * max(self.from_hz, self.to_hz)

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at instants."""
        return self._at((t_ns - self.t0_ns) % self.period_ns / NS_PER_S)

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the seconds since `t_ns`, to the end of the sweep that is under way."""
        begun_s = (t_ns - self.t0_ns) % self.period_ns / NS_PER_S
        period_s = self.period_ns / NS_PER_S
        return lambda t_s: self._at((begun_s + t_s) % period_s)

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return where a sweep begins."""
        first = -(-(from_ns + 1 - self.t0_ns) // self.period_ns)
        last = (to_ns - 1 - self.t0_ns) // self.period_ns
        return self.t0_ns + self.period_ns * np.arange(first, last + 1, dtype=np.int64)

    def _at(self, t_s: FloatArray) -> FloatArray:
        period_s = self.period_ns / NS_PER_S
        if self.logarithmic and self.from_hz != self.to_hz:
            grows = np.log(self.to_hz / self.from_hz)
            turns = self.from_hz * period_s / grows * np.expm1(grows * t_s / period_s)
        else:
            turns = (self.from_hz + 0.5 * (self.to_hz - self.from_hz) * t_s / period_s) * t_s
        found: FloatArray = self.amplitude * np.sin(2 * np.pi * (turns % 1.0))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Shocks:
    """Half-sine shocks (ISO 16063-22), one every `every_ns`; 0 between them."""

    amplitude: float
    width_ns: DurationNs
    every_ns: DurationNs
    t0_ns: InstantNs
    """Where the first begins."""

    def __post_init__(self) -> None:
        if not 0 < self.width_ns <= self.every_ns:
            raise InvalidData("shocks must be wider than 0, and over before the next begins")

    @property
    def fastest_rad_s(self) -> float:
        """That of the sine."""
        return np.pi * NS_PER_S / self.width_ns

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at instants."""
        since = t_ns - self.t0_ns
        return self._at(since % self.every_ns, np.zeros(t_ns.shape), since)

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the seconds since `t_ns`."""

        def x(t_s: FloatArray) -> FloatArray:
            whole = np.floor(t_s * NS_PER_S).astype(np.int64)
            since = t_ns - self.t0_ns + whole
            return self._at(since % self.every_ns, t_s * NS_PER_S - whole, since)

        return x

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return where shocks begin and end."""
        first, last = ((t - self.t0_ns) // self.every_ns for t in (from_ns, to_ns))
        begins = self.t0_ns + self.every_ns * np.arange(max(first, 0), last + 1, dtype=np.int64)
        found = np.unique(np.concatenate((begins, begins + self.width_ns)))
        return found[(found > from_ns) & (found < to_ns)]

    def _at(self, within_ns: Int64Array, rest_ns: FloatArray, since_ns: Int64Array) -> FloatArray:
        share = (within_ns + rest_ns) / self.width_ns
        during = (share < 1.0) & (since_ns >= 0)
        return np.where(during, self.amplitude * np.sin(np.pi * np.minimum(share, 1.0)), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Swing:
    """A slow sine about 0, such as the day's: x = amplitude · sin 2π(t / period + turns) from `t0_ns` on."""

    amplitude: float
    period_ns: DurationNs
    t0_ns: InstantNs
    turns: float = 0.0

    def __post_init__(self) -> None:
        if self.period_ns <= 0:
            raise InvalidData("a swing has a period above 0")

    @property
    def fastest_rad_s(self) -> float:
        """That of the sine."""
        return 2 * np.pi * NS_PER_S / self.period_ns

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at instants."""
        return self._at((t_ns - self.t0_ns) % self.period_ns / self.period_ns)

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the seconds since `t_ns`."""
        begun = (t_ns - self.t0_ns) % self.period_ns / self.period_ns
        return lambda t_s: self._at(begun + t_s * NS_PER_S / self.period_ns)

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return none."""
        del from_ns, to_ns
        return _NO_BREAKS

    def _at(self, turns: FloatArray) -> FloatArray:
        found: FloatArray = self.amplitude * np.sin(2 * np.pi * (turns + self.turns))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Delayed:
    """A measurand that comes `delay_ns` late: dead time, on the way to the sensor."""

    source: Measurand
    delay_ns: DurationNs

    @property
    def fastest_rad_s(self) -> float:
        """That of the source."""
        return self.source.fastest_rad_s

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at instants."""
        return self.source.value(t_ns - self.delay_ns)

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the seconds since `t_ns`."""
        return self.source.near(InstantNs(t_ns - self.delay_ns))

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return the breaks of the source, later."""
        found = self.source.breaks_ns(InstantNs(from_ns - self.delay_ns), InstantNs(to_ns - self.delay_ns))
        return found + self.delay_ns


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Several measurands on one another."""

    parts: tuple[Measurand, ...]

    @property
    def fastest_rad_s(self) -> float:
        """The fastest of all."""
        return max((part.fastest_rad_s for part in self.parts), default=0.0)

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at instants."""
        return np.asarray(np.sum([part.value(t_ns) for part in self.parts], axis=0), np.float64)

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the seconds since `t_ns`."""
        functions = [part.near(t_ns) for part in self.parts]
        return lambda t_s: np.asarray(np.sum([function(t_s) for function in functions], axis=0), np.float64)

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return the breaks of all."""
        found = [part.breaks_ns(from_ns, to_ns) for part in self.parts]
        return np.unique(np.concatenate(found)) if found else _NO_BREAKS


def steps(values: FloatArray, every_ns: DurationNs, t0_ns: InstantNs, *, rise_ns: DurationNs = _AT_ONCE) -> Profile:
    """Return a profile that goes to each of `values`, shape (n,), in turn and stays until the next; and begins again.

    `rise_ns` is how long a change takes, at most `every_ns`.
    """
    if not 0 <= rise_ns <= every_ns or not values.size:
        raise InvalidData("steps need values, and rise no longer than they last")
    begin = every_ns * np.arange(values.size, dtype=np.int64)
    knots = np.concatenate((np.column_stack((begin, begin + rise_ns)).ravel(), [every_ns * values.size]))
    levels = np.concatenate((np.column_stack((np.roll(values, 1), values)).ravel(), values[-1:]))
    return Profile(knots, levels, t0_ns, repeated=True)


def binary_sequence(
    order: int, amplitude: float, every_ns: DurationNs, t0_ns: InstantNs, *, rise_ns: DurationNs = _AT_ONCE
) -> Profile:
    """Return ± `amplitude` by a maximum-length sequence of 2^order - 1 places (Golomb, *Shift Register Sequences*)."""
    signs = 2.0 * scipy.signal.max_len_seq(order)[0].astype(np.float64) - 1.0
    return steps(amplitude * signs, every_ns, t0_ns, rise_ns=rise_ns)
