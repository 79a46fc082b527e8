"""What is wrong with a record, in the order in which it comes about: dynamics, play and hum, converter and storage."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, Int64Array
from simulators.datasets.definitions import FaultSpec
from simulators.physics.converter import Conversion, Converter
from simulators.physics.laws import Ramp


def laws(fault: FaultSpec, length_ns: int) -> tuple[Ramp, ...]:
    """Return how the sensor's parameters change: a break in the middle."""
    if fault.kind != "break":
        return ()
    middle = DurationNs(length_ns // 2)
    return (Ramp(1, middle, middle, fault.size),)


def before_noise(fault: FaultSpec, z: FloatArray, t_ns: Int64Array, rng: np.random.Generator) -> FloatArray:
    """Return indications as they come to the converter, shape (n,)."""
    spread = float(np.std(z))
    if fault.kind == "hysteresis":
        return Conversion(Converter(hysteresis=fault.size * spread), rng).convert(z, t_ns - t_ns[0])
    if fault.kind == "hum":
        turns = (t_ns - t_ns[0]) / NS_PER_S * rng.uniform(49.9, 50.1) + rng.uniform()
        hum: FloatArray = fault.size * spread * np.sin(2 * np.pi * turns)
        return z + hum
    if fault.kind == "clock_offset":
        late = round(fault.size)
        return np.concatenate((np.full(late, z[0]), z[:-late]))
    return z


def after_noise(
    fault: FaultSpec, y: FloatArray, r: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return indications and reference as they are kept, each shape (n,)."""
    y, r = y.copy(), r.copy()
    n = y.size
    if fault.kind == "sensor_saturated":
        y = np.minimum(y, np.mean(y) + fault.size * np.std(y))
    elif fault.kind == "reference_saturated":
        r = np.minimum(r, np.mean(r) + fault.size * np.std(r))
    elif fault.kind == "frozen":
        length = round(fault.size * n)
        first = int(rng.integers(n // 10, n - length - n // 10))
        y[first : first + length] = y[first]
    elif fault.kind == "zeros":
        y[rng.uniform(size=n) < fault.size] = 0.0
    elif fault.kind == "spikes":
        hit = rng.uniform(size=n) < fault.size
        y[hit] += 10 * np.std(r) * rng.standard_normal(int(np.count_nonzero(hit)))
    elif fault.kind == "swapped":
        y, r = r, y
    return y, r
