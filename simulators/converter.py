"""The converter: hysteresis, hum, noise, saturation, quantisation, and values that stand still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array


@dataclass(frozen=True, slots=True)
class Converter:
    """What happens between the sensing element and the number: play, hum, noise, saturation, quantisation, standstill.

    Attributes
    ----------
    noise : float
        Standard deviation of white Gaussian noise, in the sensor's unit.
    resolution : float
        Step of the quantiser; 0 for none.
    low, high : float
        Ends of the range, at which it saturates.
    hysteresis : float
        Width of the play between the element and what moves with it (Prandtl's play operator), in the sensor's unit.
    hum, hum_hz : float
        Amplitude, in the sensor's unit, and frequency [Hz] of what the mains couple in.
    frozen_ns : sequence of (from, to)
        Spans since the start in which the number before stays.
    """

    noise: float = 0.0
    resolution: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")
    hysteresis: float = 0.0
    hum: float = 0.0
    hum_hz: float = 50.0
    frozen_ns: Sequence[tuple[int, int]] = ()


@dataclass(slots=True)
class Conversion:
    """A converter at work: knows where the play stands and which number came last."""

    converter: Converter
    rng: np.random.Generator
    _follower: float | None = field(default=None, init=False)
    _last: float = field(default=float("nan"), init=False)

    def convert(self, y: FloatArray, since_ns: Int64Array) -> FloatArray:
        """Return the numbers that come out, shape (n,), of indications at times since the start; draws n deviates."""
        c = self.converter
        moved = self._follow(y, 0.5 * c.hysteresis) if c.hysteresis > 0 else y
        if c.hum > 0:
            turns = since_ns % NS_PER_S / NS_PER_S * c.hum_hz + since_ns // NS_PER_S * (c.hum_hz % 1.0)
            moved = moved + c.hum * np.sin(2 * np.pi * turns)
        numbers = np.clip(moved + c.noise * self.rng.standard_normal(y.size), c.low, c.high)
        if c.resolution > 0:
            numbers = np.round(numbers / c.resolution) * c.resolution
        for first, last in c.frozen_ns:
            self._hold(numbers, (since_ns >= first) & (since_ns < last))
        self._last = float(numbers[-1]) if numbers.size else self._last
        return numbers

    def _follow(self, y: FloatArray, half: float) -> FloatArray:
        out = np.empty_like(y)
        at = float(y[0]) if self._follower is None and y.size else self._follower or 0.0
        for k, value in enumerate(y.tolist()):
            at = max(value - half, min(value + half, at))
            out[k] = at
        self._follower = at
        return out

    def _hold(self, numbers: FloatArray, frozen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        where = np.flatnonzero(frozen)
        if where.size:
            before = numbers[where[0] - 1] if where[0] > 0 else self._last
            numbers[where] = numbers[where[0]] if np.isnan(before) else before
