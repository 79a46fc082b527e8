"""What sensors are exposed to and answer, without noise: exact at any instants, for any parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, Int64Array, duration
from simulators.datasets.definitions import DELAY, SampledSpec, SensorSpec
from simulators.physics import dynamics
from simulators.physics.laws import Parameterisation, Ramp
from simulators.physics.measurand import Multisine
from simulators.physics.sensor import CHUNK, Dynamics, Response
from simulators.physics.waveforms import Measurand, Sum

EPOCH_NS: Final = 1_767_225_600 * NS_PER_S
"""Where the first trial begins: 2026-01-01T00:00:00Z."""

PAUSE_NS: Final = 10 * NS_PER_S
"""Between two trials, at least."""


def begin_of(spec: SampledSpec, trial: int) -> InstantNs:
    """Return the first instant of a trial."""
    length = spec.n * spec.dt_ns + PAUSE_NS + 2 * duration(spec.run_in_s)
    whole = -(-length // NS_PER_S) * NS_PER_S
    return InstantNs(EPOCH_NS + trial * whole + whole // 2 // NS_PER_S * NS_PER_S)


def measurand_of(spec: SampledSpec, rng: np.random.Generator, t0_ns: InstantNs) -> Measurand:
    """Draw a trial's measurand; its shapes have begun `run_in_s` before the record does."""
    late = int(rng.uniform() * spec.dt_ns) if spec.off_grid else 0
    return spec.measurand.measurand(rng, InstantNs(t0_ns - duration(spec.run_in_s) + late))


def answer(
    source: Measurand,
    sensor: SensorSpec,
    theta: FloatArray,
    t_ns: Int64Array,
    dt_ns: DurationNs,
    run_in_s: float = 0.0,
    laws: tuple[Ramp, ...] = (),
) -> FloatArray:
    """Return the indications at `t_ns`, shape (n,), of a sensor with parameters `theta` in the order of its names.

    Sinusoids are answered in closed form, whatever the instants; all else is integrated on the even grid t0 + k dt,
    on which `t_ns` must then lie. The sensor has seen noise for ever, and is at rest where shapes begin.
    """
    delayed = sensor.names[-1] == DELAY
    delay_ns = duration(float(theta[-1])) if delayed else DurationNs(0)
    dynamic = theta[:-1] if delayed else theta
    parts = source.parts if isinstance(source, Sum) else (source,)
    sinusoids = [part for part in parts if isinstance(part, Multisine)]
    if len(sinusoids) == len(parts) and not laws:
        answers = [_stationary(part, sensor, dynamic, delay_ns).value(t_ns) for part in sinusoids]
        return np.asarray(np.sum(answers, axis=0), np.float64)
    before = -(-duration(run_in_s) // dt_ns)
    begin = InstantNs(int(t_ns[0]) - before * dt_ns)
    parameters = Parameterisation(dynamic, tuple(laws))
    response = Response(source, Dynamics(sensor.form, parameters, delay_ns), begin, dt_ns)
    n = before + t_ns.size
    chunks = [response.next_chunk() for _ in range(-(-n // CHUNK))]
    return np.concatenate(chunks)[before:n]


def _stationary(part: Multisine, sensor: SensorSpec, theta: FloatArray, delay_ns: DurationNs) -> Multisine:
    at = dynamics.frequency_response
    response = at(sensor.form, theta, part.frequencies_hz)
    return part.delayed(delay_ns).filtered(response, float(at(sensor.form, theta, np.zeros(1))[0].real))


@dataclass(frozen=True, slots=False, eq=False)
class Swelling:
    """A change of size of sinusoids about 0: (factor - 1) · share(t) times them, to be added to them.

    `ramp` counts from `t0_ns`.
    """

    source: Multisine
    ramp: Ramp
    t0_ns: InstantNs

    @cached_property
    def fastest_rad_s(self) -> float:
        """That of the source."""
        return self.source.fastest_rad_s

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at instants."""
        grown: FloatArray = (self.ramp.factor - 1.0) * self.ramp.share(t_ns - self.t0_ns) * self.source.value(t_ns)
        return grown

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the seconds since `t_ns`."""
        source, since = self.source.near(t_ns), t_ns - self.t0_ns
        return lambda t_s: (self.ramp.factor - 1.0) * self.ramp.share(since + t_s * NS_PER_S) * source(t_s)

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return where the change begins and ends."""
        found = self.t0_ns + np.unique(np.array([self.ramp.from_ns, self.ramp.to_ns], np.int64))
        return found[(found > from_ns) & (found < to_ns)]


def grid_of(noise: float) -> float:
    """Return the step to which values of so much noise are rounded: a power of two, about a thousandth of it.

    Rounded so, the numbers do not depend on the last bits of a machine's sine.
    """
    return float(2.0 ** np.floor(np.log2(noise / 1024)))


def rounded(values: FloatArray, step: float) -> FloatArray:
    """Return values on a grid."""
    return np.asarray(np.round(values / step) * step, np.float64)
